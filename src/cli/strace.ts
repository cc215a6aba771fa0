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
 * @throws {SkepError} where there is no strace, or the command cannot be started
 */
export async function* traceCommand(
  command: readonly string[],
  { stdoutFd }: { stdoutFd: number },
): AsyncGenerator<Uint8Array> {
  const child = spawn('strace', [...options, '--', ...command], {
    stdio: ['inherit', stdoutFd, 'inherit', 'pipe'],
  });
  const ended = new Promise<Error | undefined>((resolve) => {
    child.once('error', resolve);
    child.once('close', () => resolve(undefined));
  });
  for await (const chunk of child.stdio[3] as Readable) yield chunk as Uint8Array;
  const error = (await ended) as NodeJS.ErrnoException | undefined;
  if (error === undefined) return;
  throw new SkepError({
    code: 'strace',
    message: error.code === 'ENOENT' ? 'strace is not installed' : `strace cannot be started (${error.code})`,
    hint: 'install it, or play a recording with --strace FILE',
  });
}
