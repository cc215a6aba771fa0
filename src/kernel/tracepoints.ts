/**
 * Firing tracepoints. A raw tracepoint program gets the array of the tracepoint's arguments; where one is
 * the registers of the task, they are laid out in kernel memory as struct pt_regs of x86-64. A tracepoint
 * program gets the record, the layout of which is in tracefs.
 */
import type { KernelMemory } from '../memory/types.ts';
import type { ProgObject } from './objects/program.ts';
import type { KernelRuntime, RunPlace } from './runtime.ts';
import {
  type RawArg,
  Tracepoint,
  type TracepointEvents,
  type TracepointName,
  tracepointTable,
} from './tracepoint-table.ts';

/** MAX_BPF_FUNC_ARGS: the raw context always has room for as many. */
export const RAW_ARGS_MAX = 12;
/** PERF_MAX_TRACE_SIZE: as far as the verifier lets a tracepoint program read. */
const RECORD_MAX = 8192;

/** struct pt_regs of x86-64: 21 words; where the arguments of a system call, orig_ax and ax are. */
const ptRegs = { size: 168, args: [112, 104, 96, 56, 72, 64], origAx: 120, ax: 80 } as const;

export class Tracepoints {
  readonly #byName = new Map<string, Tracepoint>();
  readonly #runtime: KernelRuntime;

  constructor(runtime: KernelRuntime) {
    this.#runtime = runtime;
    for (const name of Object.keys(tracepointTable) as TracepointName[]) {
      this.#byName.set(name, new Tracepoint(name));
    }
  }

  /** 'raw_syscalls:sys_enter', or with a slash as in section names. */
  byName(name: string): Tracepoint | undefined {
    return this.#byName.get(name.replace('/', ':'));
  }

  byRawName(name: string): Tracepoint | undefined {
    return [...this.#byName.values()].find((tracepoint) => tracepoint.rawName === name);
  }

  byId(id: number): Tracepoint | undefined {
    return [...this.#byName.values()].find((tracepoint) => tracepoint.id === id);
  }

  /**
   * Runs every program attached to the tracepoint, in the order in which they were attached, raw ones first.
   * @throws {BpfError} ENOMEM
   */
  fire<N extends TracepointName>(name: N, event: TracepointEvents[N]): void {
    const tracepoint = this.#byName.get(name) as Tracepoint;
    const place = { task: event.task, cpu: event.cpu ?? 0, flags: 'tracing' as const };
    if (tracepoint.rawPrograms.size > 0) this.#fireRaw(tracepoint, { name, event, place });
    if (tracepoint.programs.size > 0) this.#fireRecord(tracepoint, { name, event, place });
  }

  #fireRaw<N extends TracepointName>(tracepoint: Tracepoint, fired: Fired<N>): void {
    const row = tracepointTable[fired.name];
    const memory = this.#runtime.memory;
    const registers = memory.alloc(ptRegs.size);
    const ctx = memory.alloc(8 * RAW_ARGS_MAX);
    try {
      const values = row.registers(fired.event);
      ptRegs.args.forEach((at, i) => {
        memory.view.setBigUint64(registers + at, values.args[i] ?? 0n, true);
      });
      memory.view.setBigUint64(registers + ptRegs.origAx, values.origAx, true);
      memory.view.setBigUint64(registers + ptRegs.ax, values.ax, true);
      writeRawArgs(memory, ctx, { args: row.rawArgs(fired.event), registers });
      this.#runAll(tracepoint.rawPrograms, ctx, fired.place);
    } finally {
      memory.free(ctx);
      memory.free(registers);
    }
  }

  #fireRecord<N extends TracepointName>(tracepoint: Tracepoint, fired: Fired<N>): void {
    const row = tracepointTable[fired.name];
    const memory = this.#runtime.memory;
    const reach = [...tracepoint.programs].map(({ program }) => program.facts.maxCtxOffset ?? RECORD_MAX);
    const ctx = memory.alloc(Math.max(row.recordSize, ...reach));
    try {
      const view = new DataView(memory.view.buffer, ctx, row.recordSize);
      view.setUint16(0, tracepoint.id, true);
      view.setInt32(4, fired.place.task.pid, true);
      row.record(fired.event, view);
      this.#runAll(tracepoint.programs, ctx, fired.place);
    } finally {
      memory.free(ctx);
    }
  }

  #runAll(programs: ReadonlySet<{ readonly program: ProgObject }>, ctx: number, place: RunPlace): void {
    for (const { program } of [...programs]) this.#runtime.run(program, { ctx }, place);
  }
}

interface Fired<N extends TracepointName> {
  readonly name: N;
  readonly event: TracepointEvents[N];
  readonly place: RunPlace;
}

function writeRawArgs(memory: KernelMemory, ctx: number, raw: { args: RawArg[]; registers: number }): void {
  raw.args.forEach((arg, i) => {
    memory.view.setBigUint64(ctx + 8 * i, arg === 'registers' ? BigInt(raw.registers) : arg, true);
  });
}
