/**
 * What the live examples share: running until the work is done or Ctrl-C, errors in one line, and the process that is
 * watched: one that is there, or a command that waits until somebody looks.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import process from 'node:process';
import { SkepError } from 'skep';

/** Runs an example; Ctrl-C aborts the signal, so that what it made is taken away again. */
export async function main(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => controller.abort());
  try {
    await run(controller.signal);
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    process.stderr.write(`${error.line}\n`);
    process.exitCode = 1;
  }
}

export interface Watched {
  readonly pid: number;
  /** `ls -l`, or 'process 123'. */
  readonly name: string;
  /** Lets a command go on. */
  start(): void;
  /** Resolves when it has ended, or the signal is aborted; a command is ended then. */
  ended(signal: AbortSignal): Promise<void>;
}

/** From arguments: `PID`, or `-- CMD ARG…`, or else the command that is the example's own. */
export function watched(args: readonly string[], usual: readonly string[]): Watched {
  const [first] = args;
  if (first === undefined || first === '--') return command(first === undefined ? usual : args.slice(1));
  if (/^\d+$/.test(first) && existsSync(`/proc/${first}`)) return existing(Number(first));
  throw new SkepError({
    code: 'usage',
    message: `there is no process '${first}'`,
    hint: 'PID, or -- CMD ARG…',
  });
}

function command(words: readonly string[]): Watched {
  // The shell becomes the command, so its number is known before it does anything.
  const child = spawn('sh', ['-c', 'read -r _ && exec "$@"', 'sh', ...words], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const exit = once(child, 'exit');
  return {
    pid: child.pid ?? 0,
    name: words.join(' '),
    start: () => child.stdin.end('\n'),
    async ended(signal) {
      const kill = (): void => {
        child.kill();
      };
      if (signal.aborted) kill();
      signal.addEventListener('abort', kill);
      await exit;
    },
  };
}

function existing(pid: number): Watched {
  return {
    pid,
    name: `process ${pid}`,
    start: () => {},
    async ended(signal) {
      while (!signal.aborted && existsSync(`/proc/${pid}`)) await pause(100, signal);
    },
  };
}

/** Resolves after the time, or at the abort. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, signal.aborted ? 0 : ms);
    signal.addEventListener('abort', done);
  });
}
