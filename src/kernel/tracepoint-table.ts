/**
 * The tracepoints that this kernel has: for each its name, the record that a tracepoint program gets (the
 * layout of /sys/kernel/tracing/events/CATEGORY/NAME/format) and the arguments that a raw tracepoint
 * program gets.
 */
import type { Task } from '../vm/types.ts';
import type { ProgObject } from './objects/program.ts';

/** A system call about to be made. */
export interface SysEnterEvent {
  readonly task: Task;
  /** The system call's number. */
  readonly id: bigint;
  /** Up to six arguments. */
  readonly args: readonly bigint[];
  readonly cpu?: number | undefined;
}

/** A system call that returned. */
export interface SysExitEvent {
  readonly task: Task;
  readonly id: bigint;
  readonly ret: bigint;
  /** Its arguments, for the registers; zeros where they are not known. */
  readonly args?: readonly bigint[] | undefined;
  readonly cpu?: number | undefined;
}

export interface TracepointEvents {
  'raw_syscalls:sys_enter': SysEnterEvent;
  'raw_syscalls:sys_exit': SysExitEvent;
}
export type TracepointName = keyof TracepointEvents;

/** A raw argument: a value, or the registers of the task (a pointer to struct pt_regs). */
export type RawArg = bigint | 'registers';

interface TracepointRow<E> {
  /** The id in tracefs; Linux's differ from build to build. */
  readonly id: number;
  /** What a raw tracepoint calls it. */
  readonly rawName: string;
  /** How many arguments a raw tracepoint program may read. */
  readonly rawArgCount: number;
  /** Bytes of the record, the common header of 8 included. */
  readonly recordSize: number;
  /** Fills the record behind the common header (which is `common` bytes long). */
  record(event: E, view: DataView): void;
  rawArgs(event: E): RawArg[];
  /** The registers as the raw tracepoint shows them. */
  registers(event: E): { args: readonly bigint[]; origAx: bigint; ax: bigint };
}

/** ax on entry to a system call, until it returns. */
const MINUS_ENOSYS = -38n;

export const tracepointTable: { readonly [N in TracepointName]: TracepointRow<TracepointEvents[N]> } = {
  'raw_syscalls:sys_enter': {
    id: 443,
    rawName: 'sys_enter',
    rawArgCount: 2,
    recordSize: 64,
    record: (event, view) => {
      view.setBigInt64(8, event.id, true);
      for (let i = 0; i < 6; i++) view.setBigUint64(16 + 8 * i, event.args[i] ?? 0n, true);
    },
    rawArgs: (event) => ['registers', event.id],
    registers: (event) => ({ args: event.args, origAx: event.id, ax: MINUS_ENOSYS }),
  },
  'raw_syscalls:sys_exit': {
    id: 442,
    rawName: 'sys_exit',
    rawArgCount: 2,
    recordSize: 24,
    record: (event, view) => {
      view.setBigInt64(8, event.id, true);
      view.setBigInt64(16, event.ret, true);
    },
    rawArgs: (event) => ['registers', event.ret],
    registers: (event) => ({ args: event.args ?? [], origAx: event.id, ax: event.ret }),
  },
};

/** A tracepoint of one kernel: a row of the table, and the programs attached to it. */
export class Tracepoint {
  readonly name: TracepointName;
  readonly id: number;
  readonly rawName: string;
  readonly rawArgCount: number;
  readonly recordSize: number;
  readonly rawPrograms = new Set<{ readonly program: ProgObject }>();
  readonly programs = new Set<{ readonly program: ProgObject }>();

  constructor(name: TracepointName) {
    const row = tracepointTable[name];
    this.name = name;
    this.id = row.id;
    this.rawName = row.rawName;
    this.rawArgCount = row.rawArgCount;
    this.recordSize = row.recordSize;
  }
}
