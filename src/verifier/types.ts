/**
 * What goes into the verifier and what comes out. It sees a program, and the kernel's objects that the
 * program names, through `VerifierEnv`; it returns a value and never throws for a bad program. What it
 * proved goes to the runtime as data (`Accepted`), so that neither imports the other.
 */
import type { Insn } from '../isa/insn.ts';
import type { Errno } from '../uapi/errno.ts';
import type { KernelVersion } from './kernels.ts';

/** A map as the verifier sees it. `handle` is the runtime's own and comes back in the accepted program. */
export interface MapFacts {
  readonly handle: object;
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Whether user space can no longer write it: reads of a read-only one are constants. */
  readonly frozen: boolean;
  readonly innerMap?: MapFacts | undefined;
  /** BTF of key and value, as loaded with the map. */
  readonly btf?: object | undefined;
  readonly btfKeyTypeId?: number | undefined;
  readonly btfValueTypeId?: number | undefined;
  /** Address of the map object and of its first value (arrays), for ld_imm64. */
  readonly address: number;
  readonly valueAddress?: number | undefined;
  /** An arena: whether user space has settled where it sees it. */
  readonly hasUserAddress?: boolean | undefined;
  /** The bytes of a frozen read-only array's value, for constant loads. */
  readonly readConstant?: ((offset: number, size: number) => Uint8Array | undefined) | undefined;
}

/** Called with an fd (or an `fd_array` entry); the errno where it names no map. */
export type ResolveMap = (fd: number) => MapFacts | Errno;

export interface Capabilities {
  readonly bpf: boolean;
  readonly perfmon: boolean;
  readonly netAdmin: boolean;
  readonly sysAdmin: boolean;
}

export interface VerifierInput {
  /** The raw program, 8 bytes a slot. */
  readonly insns: Uint8Array;
  /** BPF_PROG_TYPE_*. */
  readonly progType: number;
  readonly expectedAttachType: number;
  readonly progFlags: number;
  /** Whether the licence string is GPL-compatible. */
  readonly gplCompatible: boolean;
  readonly capabilities: Capabilities;
  /** The kernel that the program is for; the latest that is known where absent. */
  readonly kernel?: KernelVersion | undefined;
  readonly resolveMap: ResolveMap;
  readonly fdArray?: readonly number[] | undefined;
  /** Raw BTF of the program; func_info (8 bytes a record) and line_info (16 bytes) refer to it. */
  readonly btf?: Uint8Array | undefined;
  readonly funcInfo?: Uint8Array | undefined;
  readonly lineInfo?: Uint8Array | undefined;
  readonly attachBtfId?: number | undefined;
  /** How many CPUs there are, which bounds bpf_get_smp_processor_id(); absent: not known. */
  readonly cpus?: number | undefined;
  /** Raw BTF of the kernel, for kfuncs and BTF arguments. */
  readonly kernelBtf?: Uint8Array | undefined;
  /**
   * Whether the kernel has a variable of that name that it can find the address of; a kernel that keeps the names
   * of functions alone (without CONFIG_KALLSYMS_ALL) has none. Default: none.
   */
  readonly hasVariable?: ((name: string) => boolean) | undefined;
  /** Bits: 1 per-instruction log of explored paths, 2 with all state, 4 statistics. 0: no log. */
  readonly logLevel: number;
  /** Milliseconds, for `verification time`; the default reads 0. */
  readonly now?: (() => number) | undefined;
}

export interface VerifierStats {
  /** Instructions processed, along all paths. */
  readonly processed: number;
  readonly maxStatesPerInsn: number;
  readonly totalStates: number;
  readonly peakStates: number;
}

/** A subprogram: slots [start, end), and the bytes of stack it uses. Number 0 is the entry. */
export interface SubprogFacts {
  readonly name: string | undefined;
  readonly start: number;
  readonly end: number;
  readonly stackDepth: number;
}

/** Where a load or store goes, where every path agrees. */
export interface MemoryRegion {
  readonly kind: 'ctx' | 'stack';
  /** From the context's start, or from the frame pointer of the function that the instruction is in. */
  readonly offset: number;
}

/**
 * What holds at an instruction each time that control comes there, by slot. Unreachable slots have no facts; they
 * are `undefined` in `Accepted.insns`.
 */
export interface InsnFacts {
  /** Bit n: rn holds a pointer, or NULL, and never a number. */
  readonly pointers: Uint16Array;
  /** Bit n: rn holds a number and never a pointer. */
  readonly numbers: Uint16Array;
  /** Conditional jumps that always go one way: their other way, and their condition, need no code. */
  readonly neverJumps: ReadonlySet<number>;
  readonly alwaysJumps: ReadonlySet<number>;
  /** Calls of helpers that are given one map and no other: its handle. */
  readonly callMaps: ReadonlyMap<number, object>;
  /** Lookups in arrays with one key and no other, and tail calls with one index. */
  readonly constantKeys: ReadonlyMap<number, number>;
  /** Loads and stores through the context or the stack, at one offset. */
  readonly regions: ReadonlyMap<number, MemoryRegion>;
}

export interface Accepted {
  readonly ok: true;
  readonly log: string;
  /** Bytes of the log at its longest, before what was said of paths that were fine was cut; the log's where left out. */
  readonly logMaxLength?: number | undefined;
  readonly stats: VerifierStats;
  /**
   * The program to run, by slot: two-slot loads that named a map or a value are numbers (addresses) now;
   * calls and jumps are untouched; slots that can never be reached are `undefined`, as are second slots.
   */
  readonly insns: readonly (Insn | undefined)[];
  readonly subprogs: readonly SubprogFacts[];
  /** The handles of the maps that the program uses, in order of first mention. */
  readonly maps: readonly object[];
  /** Whether it may call bpf_tail_call. */
  readonly tailCalls: boolean;
  readonly facts: InsnFacts;
  /** End of the furthest access to the context, in bytes: tracepoints have no more than they have. */
  readonly maxCtxOffset?: number | undefined;
}

export interface Rejected {
  readonly ok: false;
  readonly errno: Errno;
  /** The slot at which it was rejected; undefined where no instruction is to blame. */
  readonly insn: number | undefined;
  readonly log: string;
  /** Bytes of the log at its longest, before what was said of paths that were fine was cut; the log's where left out. */
  readonly logMaxLength?: number | undefined;
  /** The last line of the log that is a message, the verifier's own words. */
  readonly message: string;
  readonly stats: VerifierStats;
}

export type VerifierResult = Accepted | Rejected;
