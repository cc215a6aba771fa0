/**
 * Engines: what turns an accepted program into something that runs. `interp/` is the reference, `jit/`
 * compiles to WebAssembly. Contract tests run both.
 */
import type { Insn } from '../isa/insn.ts';
import type { BpfMap } from '../maps/types.ts';
import type { KernelMemory } from '../memory/types.ts';

/** A program as the runtime gets it from the kernel: the verifier's accepted program and its own maps. */
export interface RunnableProgram {
  readonly name: string;
  readonly progType: number;
  /** By slot; two-slot loads are numbers; `undefined` is a second slot or dead code. */
  readonly insns: readonly (Insn | undefined)[];
  readonly subprogs: readonly { readonly start: number; readonly end: number; readonly stackDepth: number }[];
  readonly maps: readonly BpfMap[];
  /** The line of C that the instruction at a slot is of: 'firewall.bpf.c:12: x = 1;'. */
  readonly sourceAt?: ((slot: number) => string | undefined) | undefined;
  /** What was proved of it; without, the engine knows what it finds by itself. */
  readonly facts?: ProgramFacts | undefined;
}

/** What holds at an instruction, by its slot, each time that control comes there. */
export interface ProgramFacts {
  /** Bit n: rn holds an address or NULL. */
  readonly pointers: Uint16Array;
  /** Conditional jumps that always go one way. */
  readonly neverJumps: ReadonlySet<number>;
  readonly alwaysJumps: ReadonlySet<number>;
  /** Calls of helpers with one map and no other. */
  readonly callMaps: ReadonlyMap<number, BpfMap>;
  /** Memory that nothing writes while the program lives: values of maps that are frozen and read-only for programs. */
  readonly constants: readonly ConstantMemory[];
}

/** Addresses from `from` up to `to`. */
export interface ConstantMemory {
  readonly from: number;
  readonly to: number;
}

/** The task on whose behalf a program runs (the current task of Linux). */
export interface Task {
  readonly pid: number;
  readonly tgid: number;
  readonly uid: number;
  readonly gid: number;
  readonly comm: string;
}

/** What helpers may use of the kernel: the clock, randomness, the running CPU and task, the trace pipe. */
export interface Runtime {
  readonly memory: KernelMemory;
  /** CLOCK_MONOTONIC in nanoseconds. */
  ktimeNs(): bigint;
  /** 32 random bits. */
  random(): number;
  cpu(): number;
  /** How many CPUs there are. */
  readonly cpus: number;
  task(): Task;
  /** Where the current task's struct task_struct is in memory; 0, or no such method, where there is none. */
  taskAddress?(): number;
  /** The map whose object is at this address. */
  mapAt(address: number): BpfMap | undefined;
  /** The program at an index of a program array; undefined where the slot is empty. */
  progAt(map: BpfMap, index: number): Executable | undefined;
  /** Instructions that a run may take where its context does not say; Infinity leaves out the counting. */
  readonly fuel?: number | undefined;
  /** Whether programs that run often are to be fast soon (jit/warm-up.ts); they are where it does not say. */
  readonly warmUp?: boolean | undefined;
  /** Appends a line (without its newline) to the trace pipe. */
  trace(message: string): void;
}

/**
 * One run's packet, where the program type has one. Its edges are the data, data_end and data_meta fields of
 * the context struct (packet.ts); helpers that move them write there.
 */
export interface PacketContext {
  /** Address of the context struct. */
  readonly ctx: number;
  /** Address and bytes of the buffer that holds headroom, packet and tailroom. */
  readonly buffer: number;
  readonly bufferSize: number;
  /** Where the link and the network header start: what classic loads at SKF_LL_OFF and SKF_NET_OFF count from. */
  readonly linkHeader?: number | undefined;
  readonly networkHeader?: number | undefined;
}

export interface RunContext {
  /** r1 on entry. */
  readonly ctx: number;
  readonly packet?: PacketContext | undefined;
  /** How many instructions the run may take before it is stopped with a SkepError; a default where absent. */
  readonly budget?: number | undefined;
  /** How often it runs, one time after the other, each with the whole budget; once where absent. */
  readonly repeat?: number | undefined;
}

/** Runs in a row, each over a context of its own; these lie one behind the other. */
export interface Batch {
  /** The first context, and bytes from each to the next. */
  readonly ctx: number;
  readonly stride: number;
  /** At least one. */
  readonly count: number;
  /** The address of a word for the number of runs that are done, and behind it one for the lower half of each r0. */
  readonly results: number;
  /** The packet of the run that is going on: by the number of those that are done. */
  readonly packet?: PacketContext | undefined;
}

export interface Executable {
  readonly program: RunnableProgram;
  /**
   * Runs to exit; r0, of the last run, as unsigned 64 bits.
   * @throws {SkepError} code `budget`, where the run takes too many instructions
   */
  run(context: RunContext): bigint;
  /**
   * The runs of a batch, each with the whole budget. Engines that gain nothing by it do not have it.
   * @throws {SkepError} code `budget`, where a run takes too many instructions; those before it are done
   */
  runAll?(batch: Batch): void;
  /** Told when the program goes: nobody runs it any more. */
  release?(): void;
}

export interface Engine {
  readonly name: 'interp' | 'jit';
  /** @throws {SkepError} code `not-runnable`, where it holds what this runtime cannot do */
  load(program: RunnableProgram, runtime: Runtime): Executable;
}
