/**
 * The trace pipe of the running kernel as lines. It is one for the whole machine, and a line goes to one
 * reader only.
 */
import { constants, readSync } from 'node:fs';
import { checked, type Libc } from './libc.ts';
import { openFile, tracefs } from './targets.ts';
import { waitReadable } from './wait.ts';

const CHUNK = 1 << 16;

/**
 * Lines as they are written, until aborted.
 * @throws {BpfError} EACCES without root, EBUSY where another reader has it for itself
 */
export async function* readTracePipe(libc: Libc, signal: AbortSignal | undefined): AsyncGenerator<string> {
  const path = `${tracefs()}/trace_pipe`;
  const fd = openFile(path, constants.O_NONBLOCK, {
    EACCES: 'the trace pipe is for root',
    EPERM: 'the trace pipe is for root',
  });
  try {
    const decoder = new TextDecoder();
    const chunk = new Uint8Array(CHUNK);
    let rest = '';
    while (!signal?.aborted) {
      const count = readNow(fd, chunk);
      if (count === 0) {
        await waitReadable(libc, [fd], signal === undefined ? {} : { signal });
        continue;
      }
      const lines = (rest + decoder.decode(chunk.subarray(0, count), { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (signal?.aborted) return;
        yield line;
      }
    }
  } finally {
    checked(libc, libc.close(fd), 'close');
  }
}

/** What there is to read, or 0. */
function readNow(fd: number, chunk: Uint8Array): number {
  try {
    return readSync(fd, chunk);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'EAGAIN') return 0;
    throw error;
  }
}
