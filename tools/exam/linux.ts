/**
 * The running kernel, asked about records: verdict, logs, times, runs. A record that its loader had few
 * capabilities for is loaded in a child process that has dropped the others.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SkepError } from '../../src/base/index.ts';
import { LinuxSystem } from '../../src/linux/index.ts';
import type { BpfAttr } from '../../src/uapi/commands.ts';
import { BpfError, errnos } from '../../src/uapi/errno.ts';
import { mapTypes } from '../../src/uapi/map-types.ts';
import { processedIn } from './compare.ts';
import type { Answer, ExamRecord, ExamSet } from './record.ts';
import { runResult, setUp } from './setup.ts';

/** What Linux says now. */
export interface LiveAnswer extends Answer {
  /** Logs at level 4, one a load: each has its own time. */
  readonly timed: readonly string[];
  readonly runs: readonly string[];
}

export interface Questions {
  /** How many loads are timed. */
  readonly loads: number;
  /** Whether the log at level 2 is wanted. */
  readonly log2: boolean;
}

const FIRST_LOG = 1 << 18;
const LAST_LOG = 1 << 26;
const STATISTICS = 4;

/** Asks the running kernel, with the rights of this process. */
export function askHere(record: ExamRecord, set: ExamSet, { loads, log2 }: Questions): LiveAnswer {
  const system = new LinuxSystem();
  const made = setUpOrErrno(system, record, set);
  if (typeof made === 'number') {
    return { verdict: 'reject', errno: made, log1: '', log2: undefined, processed: 0, timed: [], runs: [] };
  }
  const open: number[] = [];
  try {
    const first = loadOnce(system, made.attr, 1);
    if (first.fd !== undefined) open.push(first.fd);
    const timed: string[] = [];
    const again = (level: number): string => {
      const { fd, log } = loadOnce(system, made.attr, level);
      if (fd !== undefined) system.close(fd);
      return log;
    };
    for (let i = 0; i < loads; i++) timed.push(again(STATISTICS));
    const { fd } = first;
    return {
      verdict: fd === undefined ? 'reject' : 'accept',
      errno: first.errno,
      log1: first.log,
      log2: log2 ? again(2) : undefined,
      processed: processedIn(first.log),
      timed,
      runs: fd === undefined ? [] : (record.runs ?? []).map((run) => runResult(system, fd, run)),
    };
  } finally {
    for (const fd of open) system.close(fd);
    made.close();
  }
}

function setUpOrErrno(
  system: LinuxSystem,
  record: ExamRecord,
  set: ExamSet,
): ReturnType<typeof setUp> | number {
  try {
    return setUp(system, record, set);
  } catch (error) {
    if (error instanceof BpfError) return errnos[error.errno];
    throw error;
  }
}

/** One load, with a log buffer that is large enough. */
function loadOnce(
  system: LinuxSystem,
  attr: BpfAttr<'progLoad'>,
  logLevel: number,
): { fd?: number; errno: number; log: string } {
  for (let size = FIRST_LOG; ; ) {
    const logBuf = logBuffer(size);
    logBuf[0] = 0;
    const call = { ...attr, logLevel, logSize: size, logBuf, logTrueSize: 0 };
    try {
      return { fd: system.bpf('progLoad', call), errno: 0, log: textOf(logBuf) };
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      const log = textOf(logBuf);
      if (error.errno !== 'ENOSPC' || size === LAST_LOG) return { errno: errnos[error.errno], log };
      // Kernels before 6.4 do not say how much it takes.
      size = Math.min(Math.max(call.logTrueSize, 8 * size), LAST_LOG);
    }
  }
}

let buffer = new Uint8Array();

/** Room for a log, the same memory each time. */
function logBuffer(size: number): Uint8Array {
  if (buffer.length < size) buffer = new Uint8Array(size);
  return buffer.subarray(0, size);
}

const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.max(bytes.indexOf(0), 0)).toString('latin1');

/** Why the running kernel cannot be asked; undefined where it can. */
export function whyNotLive(): string | undefined {
  try {
    const attr = { mapType: mapTypes.array.id, keySize: 4, valueSize: 4, maxEntries: 1 };
    const system = new LinuxSystem();
    system.close(system.bpf('mapCreate', attr));
    return undefined;
  } catch (error) {
    if (error instanceof SkepError) return error.line;
    throw error;
  }
}

/** A request to the child: a record of a file. */
export interface ChildRequest {
  readonly record: ExamRecord;
  readonly file: string;
  readonly questions: Questions;
}

/** Children by the capabilities that they kept. */
export class Live {
  readonly #children = new Map<string, ChildProcess>();

  async ask(record: ExamRecord, set: ExamSet, questions: Questions): Promise<LiveAnswer> {
    const { capabilities } = record;
    if (capabilities === undefined) return askHere(record, set, questions);
    const child = this.#child(capabilities);
    return new Promise((resolve, reject) => {
      const settle = (answer: LiveAnswer | { failed: string }): void => {
        child.off('message', settle).off('exit', ended);
        if ('failed' in answer) reject(new Error(answer.failed));
        else resolve(answer);
      };
      const ended = (): void => settle({ failed: `the child with ${capabilities.join(', ')} ended` });
      child.on('message', settle).on('exit', ended);
      child.send({ record, file: set.file, questions } satisfies ChildRequest);
    });
  }

  #child(capabilities: readonly string[]): ChildProcess {
    const key = [...capabilities].sort().join(',');
    const known = this.#children.get(key);
    if (known !== undefined) return known;
    const extension = import.meta.url.slice(-3);
    const script = fileURLToPath(new URL(`./child${extension}`, import.meta.url));
    const child = fork(script, [key], { serialization: 'advanced' });
    this.#children.set(key, child);
    return child;
  }

  /** The CPUs that programs may find themselves on. */
  cpus(): number {
    return new LinuxSystem().possibleCpus();
  }

  close(): void {
    for (const child of this.#children.values()) child.disconnect();
  }
}
