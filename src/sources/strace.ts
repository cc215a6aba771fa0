/**
 * Reads strace's output into system calls, so that a recording can be played into `raw_syscalls`. A call
 * that other threads' lines interrupt is put together again and comes where it returns, for only there
 * strace has shown all of its arguments. See strace-args.ts for what the arguments are.
 */
import { SkepError } from '../base/errors.ts';
import type { Task } from '../vm/types.ts';
import { argumentValues, returnValue } from './strace-args.ts';
import { parseStraceLine, type StraceLine, splitArguments } from './strace-line.ts';
import { StraceTasks } from './strace-tasks.ts';
import { type SyscallArch, syscallNumber } from './syscalls.ts';

export interface SyscallEvent {
  /** Who made the call; strace does not show users, so it is root. */
  readonly task: Task;
  readonly name: string;
  readonly nr: number;
  /** Six unsigned 64-bit numbers. */
  readonly args: bigint[];
  /** What it returned, minus the error number where it failed; undefined where it did not return. */
  readonly ret: bigint | undefined;
}

export interface StraceOptions {
  /** The machine of the recording; x86-64 where not said. */
  readonly arch?: SyscallArch;
  /** The process of lines that do not name it (strace without -f); 1 where not said. */
  readonly pid?: number;
}

interface Pending {
  readonly name: string;
  readonly text: string;
}

/** Calls in progress at a time: as many as a machine has threads. */
const maxPending = 65_536;

class StraceParser {
  private readonly arch: SyscallArch;
  private readonly defaultPid: number;
  private readonly tasks = new StraceTasks();
  private readonly pending = new Map<number, Pending>();
  private lines = 0;
  private calls = 0;

  constructor(options: StraceOptions) {
    this.arch = options.arch ?? 'x86_64';
    this.defaultPid = options.pid ?? 1;
  }

  private fail(message: string, hint: string): SkepError {
    return new SkepError({ code: 'strace', message, where: `line ${this.lines}`, hint });
  }

  private number(name: string): number {
    const unnamed = /^syscall_(?:0x([0-9a-f]+)|(\d+))$/.exec(name);
    const nr =
      unnamed === null
        ? syscallNumber(name, this.arch)
        : Number.parseInt(unnamed[1] ?? unnamed[2] ?? '', unnamed[1] === undefined ? 10 : 16);
    if (nr !== undefined && nr <= 0xffffffff) return nr;
    throw this.fail(
      `no system call ${name.slice(0, 40)} on ${this.arch}`,
      'was it recorded on another machine?',
    );
  }

  private event(
    pid: number,
    call: { name: string; args: readonly string[]; ret: bigint | undefined },
  ): SyscallEvent {
    const { name, args, ret } = call;
    const task = this.tasks.task(pid);
    this.tasks.returned({ pid, name, args, ret });
    this.calls++;
    return { task, name, nr: this.number(name), args: argumentValues(name, args, this.arch), ret };
  }

  /** The call that a thread had begun and that will not return. */
  private abandoned(pid: number): SyscallEvent | undefined {
    const begun = this.pending.get(pid);
    if (begun === undefined) return undefined;
    this.pending.delete(pid);
    const args = splitArguments(`${begun.text}) = ?`)?.args ?? [];
    return this.event(pid, { name: begun.name, args, ret: undefined });
  }

  private resumed(pid: number, line: StraceLine & { kind: 'resumed' }): SyscallEvent | undefined {
    const begun = this.pending.get(pid);
    this.pending.delete(pid);
    const name = begun?.name ?? line.name;
    // A recording that starts (-p) in the middle of a call has shown none of its arguments.
    const parts = splitArguments(`${begun?.text ?? ''}${line.text}`);
    if (parts === undefined || name === '') throw this.unknown();
    return this.event(pid, {
      name,
      args: begun === undefined ? [] : parts.args,
      ret: returnValue(parts.result),
    });
  }

  private unknown(): SkepError {
    return this.fail(
      `not a line of strace, or cut short, after ${this.calls} calls`,
      'record with `strace -f -ttt -o FILE COMMAND`',
    );
  }

  /** At most one call ends with a line. */
  line(text: string): SyscallEvent | undefined {
    this.lines++;
    const { pid = this.defaultPid, line } = parseStraceLine(text);
    switch (line.kind) {
      case 'call':
        return this.event(pid, { name: line.name, args: line.args, ret: returnValue(line.result) });
      case 'unfinished': {
        const before = this.abandoned(pid);
        this.tasks.task(pid);
        this.tasks.begins(pid, line.name, line.text);
        if (this.pending.size >= maxPending) {
          throw this.fail(`more than ${maxPending} calls unfinished`, 'the recording is damaged');
        }
        this.pending.set(pid, { name: line.name, text: line.text });
        return before;
      }
      case 'resumed':
        return this.resumed(pid, line);
      case 'end': {
        const last = this.abandoned(pid);
        this.tasks.ended(pid);
        return last;
      }
      case 'other':
        return undefined;
      case 'unknown':
        throw this.unknown();
    }
  }

  /** The calls still unfinished at the end of the recording. */
  *rest(): Generator<SyscallEvent, void, undefined> {
    for (const pid of [...this.pending.keys()]) {
      const event = this.abandoned(pid);
      if (event !== undefined) yield event;
    }
  }
}

/**
 * The system calls of a recording, in the order in which they returned; those that did not return come
 * where their process ends.
 *
 * @param lines strace's output by line, without newlines
 * @throws {SkepError} at a line that strace did not write or that is cut short, or a system call that the
 * machine does not have
 */
export async function* parseStrace(
  lines: AsyncIterable<string> | Iterable<string>,
  options: StraceOptions = {},
): AsyncGenerator<SyscallEvent, void, undefined> {
  const parser = new StraceParser(options);
  for await (const line of lines) {
    const event = parser.line(line);
    if (event !== undefined) yield event;
  }
  yield* parser.rest();
}
