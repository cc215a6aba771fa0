/**
 * Runs a command under strace and hands over what strace writes.
 */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { SkepError } from '../base/errors.ts';

/**
 * As the parser wants it: children too, a time and the process id on each line, strings cut short. The
 * output goes through a pipe of its own, so that it does not mix with the command's.
 */
const options = ['-f', '-ttt', '-s', '32', '-o', '|cat >&3'];

/**
 * The output of strace for a command, whose own output goes to `stdoutFd`; it may read our input.
 * @throws {SkepError} where there is no strace, or it cannot start the command
 */
export async function* traceCommand(
  command: readonly string[],
  { stdoutFd, signal }: { stdoutFd: number; signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const child = spawn('strace', [...options, '--', ...command], {
    stdio: ['inherit', stdoutFd, 'inherit', 'pipe'],
  });
  const stop = (): void => {
    child.kill('SIGINT');
  };
  signal.addEventListener('abort', stop, { once: true });
  const ended = new Promise<NodeJS.ErrnoException | number | null>((resolve) => {
    child.once('error', resolve);
    child.once('close', resolve);
  });
  let started = false;
  for await (const chunk of child.stdio[3] as Readable) {
    started = true;
    yield chunk as Uint8Array;
  }
  const end = await ended;
  // A command that runs may fail as it likes; without a line of output it was never started.
  if (started || end === 0 || signal.aborted) return;
  if (typeof end !== 'object' || end === null) {
    throw new SkepError({ code: 'strace', message: `strace could not run '${command[0]}'` });
  }
  throw new SkepError({
    code: 'strace',
    message: end.code === 'ENOENT' ? 'strace is not installed' : `strace cannot be started (${end.code})`,
    hint: 'install it, or play a recording with --strace FILE',
  });
}
