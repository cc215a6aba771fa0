/**
 * A live program: run it on test input, attach it, ask about it, pin it.
 */
import { toHex } from '../base/bytes.ts';
import type { InfoOf } from '../uapi/info.ts';
import { progTypeName } from '../uapi/prog-types.ts';
import type { System } from '../uapi/seam.ts';
import { type AttachOptions, attachProgram } from './attach/index.ts';
import { Handle } from './handle.ts';
import { Link } from './link.ts';
import type { UsdtSpecs } from './usdt-specs.ts';

/** Room in the output buffer beyond the input: what a program may add to a packet's head and tail. */
const growth = 4096;

/** BPF_F_TEST_RUN_ON_CPU. */
const onCpu = 1;

export interface TestRunInput {
  /** The packet; XDP and socket filters want 14 bytes or more. */
  readonly data?: Uint8Array | undefined;
  /** The context struct's bytes (raw tracepoints: the arguments as u64s). */
  readonly ctx?: Uint8Array | undefined;
  /** How many runs; the last one's results come back. Default 1. */
  readonly repeat?: number | undefined;
  /** The CPU to run on, for raw tracepoints. */
  readonly cpu?: number | undefined;
}

export interface TestRunResult {
  /** r0, the low 32 bits, unsigned. */
  readonly retval: number;
  /** The packet after the run; empty where there was none. */
  readonly data: Uint8Array;
  /** The context after the run; empty where none was given. */
  readonly ctx: Uint8Array;
  /** Average nanoseconds a run. */
  readonly durationNs: number;
}

export interface ProgramInfo {
  readonly id: number;
  /** BPF_PROG_TYPE_*, and bpftool's name of it. */
  readonly type: number;
  readonly typeName: string;
  /** As the kernel keeps it: at most 15 characters. */
  readonly name: string;
  /** Hex of a hash of the instructions. */
  readonly tag: string;
  readonly gplCompatible: boolean;
  readonly createdByUid: number;
  /** Nanoseconds since boot. */
  readonly loadTimeNs: bigint;
  /** Bytes of the program after the verifier's rewriting. */
  readonly xlatedBytes: number;
  /** Bytes of machine code; 0 where it is interpreted. */
  readonly jitedBytes: number;
  readonly mapIds: readonly number[];
  readonly btfId: number;
  /** How many instructions the verifier processed. */
  readonly verifiedInsns: number;
  readonly runCount: bigint;
  readonly runTimeNs: bigint;
}

/** What is known of a program besides its fd. */
export interface ProgramFacts {
  readonly name: string;
  readonly type: number;
  readonly section?: string | undefined;
  readonly expectedAttachType?: number | undefined;
  readonly attachTo?: string | undefined;
  readonly log?: string | undefined;
  readonly usdt?: UsdtSpecs | undefined;
}

export class Program extends Handle {
  readonly name: string;
  /** BPF_PROG_TYPE_*. */
  readonly type: number;
  /** Its ELF section, as in SEC() but for a question mark; empty where it is not known. */
  readonly section: string;
  /** The BPF_* attach type that it was loaded for; 0 where its type has none, or it is not known. */
  readonly expectedAttachType: number;
  /** What its ELF section says to attach to: 'raw_syscalls/sys_enter'. */
  readonly attachTo: string | undefined;
  /** Where it looks for the arguments of USDT probes; undefined for one that does not. */
  readonly usdt: UsdtSpecs | undefined;
  readonly #links = new Set<Link>();
  /** What the verifier said, where `load()` was asked for a log. */
  readonly log: string;

  /** Made by `Kernel`: takes over `fd`. */
  constructor(system: System, fd: number, facts: ProgramFacts) {
    super(system, fd, `program '${facts.name}'`);
    this.name = facts.name;
    this.type = facts.type;
    this.section = facts.section ?? '';
    this.expectedAttachType = facts.expectedAttachType ?? 0;
    this.attachTo = facts.attachTo;
    this.usdt = facts.usdt;
    this.log = facts.log ?? '';
  }

  get id(): number {
    return this.info().id;
  }

  /** What the kernel knows of it (BPF_OBJ_GET_INFO_BY_FD). */
  info(): ProgramInfo {
    const counts = this.#info({});
    const mapIds = new Uint8Array(4 * (counts.nrMapIds ?? 0));
    const info = this.#info({ nrMapIds: counts.nrMapIds, mapIds });
    const ids = new DataView(mapIds.buffer);
    const type = info.type ?? this.type;
    return {
      id: info.id ?? 0,
      type,
      typeName: progTypeName(type) ?? String(type),
      name: info.name ?? '',
      tag: toHex(info.tag ?? new Uint8Array(8)),
      gplCompatible: ((info.bits ?? 0) & 1) === 1,
      createdByUid: info.createdByUid ?? 0,
      loadTimeNs: info.loadTime ?? 0n,
      xlatedBytes: info.xlatedProgLen ?? 0,
      jitedBytes: info.jitedProgLen ?? 0,
      mapIds: Array.from({ length: mapIds.length / 4 }, (_, i) => ids.getUint32(4 * i, true)),
      btfId: info.btfId ?? 0,
      verifiedInsns: info.verifiedInsns ?? 0,
      runCount: info.runCnt ?? 0n,
      runTimeNs: info.runTimeNs ?? 0n,
    };
  }

  /** The instructions as the kernel runs them, 8 bytes a slot. */
  instructions(): Uint8Array {
    const room = this.#info({}).xlatedProgLen ?? 0;
    const xlatedProgInsns = new Uint8Array(room);
    this.#info({ xlatedProgLen: room, xlatedProgInsns });
    return xlatedProgInsns;
  }

  /**
   * Runs it on test input (BPF_PROG_TEST_RUN).
   * @throws {BpfError} EINVAL for input that its type does not take, ENOTSUPP for types without test runs
   */
  testRun(input: TestRunInput = {}): TestRunResult {
    const dataOut = input.data === undefined ? undefined : new Uint8Array(input.data.length + growth);
    const ctxOut = input.ctx === undefined ? undefined : new Uint8Array(input.ctx.length);
    const attr = {
      progFd: this.fd,
      retval: 0,
      duration: 0,
      dataIn: input.data,
      dataSizeIn: input.data?.length ?? 0,
      dataOut,
      dataSizeOut: dataOut?.length ?? 0,
      ctxIn: input.ctx,
      ctxSizeIn: input.ctx?.length ?? 0,
      // Raw tracepoints take a context and give none back.
      ...(progTypeName(this.type) === 'raw_tracepoint' ? {} : { ctxOut, ctxSizeOut: ctxOut?.length ?? 0 }),
      repeat: input.repeat ?? 0,
      ...(input.cpu === undefined ? {} : { cpu: input.cpu, flags: onCpu }),
    };
    this.system.bpf('progTestRun', attr);
    return {
      retval: attr.retval >>> 0,
      data: dataOut?.slice(0, attr.dataSizeOut) ?? new Uint8Array(),
      ctx: attr.ctxOut?.slice(0, attr.ctxSizeOut) ?? new Uint8Array(),
      durationNs: attr.duration,
    };
  }

  /**
   * Attaches it to where its section or the options say; the table of docs/attaching.md has what each kind of
   * program wants to be told.
   * @throws {SkepError} 'attach' where the target is not named, or its type is not attached
   * @throws {BpfError} ENODEV or ENOENT where there is no such target, EBUSY where it is taken; with what the
   *   kernel lacks where that is the reason
   */
  attach(options: AttachOptions = {}): Link {
    const link = new Link(this.system, attachProgram(this.system, this, options), `link of ${this.what}`);
    this.#keep(link);
    return link;
  }

  /** A link that its caller forgets lasts as long as the program's handle, and is not collected before. */
  #keep(link: Link): void {
    for (const each of this.#links) if (each.closed) this.#links.delete(each);
    this.#links.add(link);
  }

  /**
   * The lines of text that an iterator program writes, once over all objects. It is attached for as long; for
   * more walks than one, `attach()` it and ask the link for its `lines()`.
   * @throws {BpfError} EINVAL for a program that is no iterator
   */
  *iterate(options: AttachOptions = {}): Generator<string, void> {
    const link = this.attach(options);
    try {
      yield* link.lines();
    } finally {
      link.close();
    }
  }

  #info(buffers: Partial<InfoOf<'prog'>>): InfoOf<'prog'> {
    const info: InfoOf<'prog'> = { ...buffers, kind: 'prog' };
    this.system.bpf('objGetInfoByFd', { bpfFd: this.fd, info });
    return info;
  }
}
