/**
 * A command of the user's that has its process, and with it a number that programs can be told, before it does
 * anything: it waits for a word on a pipe.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { SkepError } from '../base/errors.ts';
import { usageError } from './args.ts';
import type { Invocation } from './invocation.ts';

export interface WaitingCommand {
  readonly pid: number | undefined;
  /** Lets it go; resolves with its exit code. An abort ends it. */
  run(signal: AbortSignal): Promise<number>;
  /** Ends it, if it has not ended. */
  end(): void;
}

/** Starts what stands behind `--`; its output is standard error's where JSON is printed. */
export function waitingCommand({ trailing = [], json }: Invocation): WaitingCommand {
  if (trailing.length === 0) throw usageError('a command is missing after --', '-- ls -l');
  // The shell becomes the command and so keeps its number; a command that is let go without a word ends.
  const script = 'read -r word <&3 && exec "$@" 3<&-';
  const child = spawn('sh', ['-c', script, 'sh', ...trailing], {
    stdio: ['inherit', json ? 2 : 1, 'inherit', 'pipe'],
  });
  const ended = once(child, 'exit').then(
    ([code]) => (code as number | null) ?? 1,
    (error: NodeJS.ErrnoException) => {
      throw new SkepError({ code: 'file', where: 'sh', message: `it cannot be run (${error.code})` });
    },
  );
  // Whoever waits for it sees the error.
  ended.catch(() => {});
  const gate = child.stdio[3] as Writable;
  gate.on('error', () => {});
  return {
    pid: child.pid,
    run(signal) {
      if (signal.aborted) child.kill();
      signal.addEventListener('abort', () => child.kill(), { once: true });
      gate.end('\n');
      return ended;
    },
    end: () => {
      gate.destroy();
      child.kill();
    },
  };
}
