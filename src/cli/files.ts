/**
 * Files and standard streams, with the errors of the system said in one line. `-` is standard input or
 * output.
 */
import { closeSync, createReadStream, openSync, readSync, writeFileSync } from 'node:fs';
import { concatBytes } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import { usageError } from './args.ts';

const causes: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'it is a directory, not a file',
  ENOTDIR: 'a part of the path is not a directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOSPC: 'no space left on the device',
  EMFILE: 'too many open files',
};

/** What a path is called in messages. */
export function placeOf(path: string): string {
  return path === '-' ? 'standard input' : path;
}

let inputTaken = false;

/** Standard input can be read once: the second `-` of a command line would find it empty. */
function takeInput(path: string): void {
  if (path !== '-') return;
  if (inputTaken) throw usageError("standard input ('-') is given for two files");
  inputTaken = true;
}

/** More than any object, program or packet has; a device or a pipe that never ends is stopped here. */
const INPUT_MAX = 1 << 26;
const CHUNK = 1 << 18;

/** The whole of a file. */
export function readInput(path: string): Uint8Array {
  takeInput(path);
  return withPath(path, () => {
    const fd = path === '-' ? 0 : openSync(path, 'r');
    try {
      return readToEnd(fd, path);
    } finally {
      if (path !== '-') closeSync(fd);
    }
  });
}

function readToEnd(fd: number, path: string): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let total = 0; total <= INPUT_MAX; ) {
    const chunk = new Uint8Array(CHUNK);
    const size = readSync(fd, chunk);
    if (size === 0) return concatBytes(chunks);
    chunks.push(chunk.subarray(0, size));
    total += size;
  }
  throw new SkepError({
    code: 'file',
    where: placeOf(path),
    message: `it has more than ${INPUT_MAX >> 20} MiB`,
  });
}

export function writeOutput(path: string, bytes: Uint8Array): void {
  if (path === '-') process.stdout.write(bytes);
  else withPath(path, () => writeFileSync(path, bytes));
}

/** A file in pieces, as they are read. */
export async function* readChunks(path: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  takeInput(path);
  const stream = path === '-' ? process.stdin : createReadStream(path, { highWaterMark: 1 << 18 });
  const stop = (): void => {
    stream.destroy();
  };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (error) {
    if (signal?.aborted !== true) throw ioError(path, error);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** Lines without their ends. A line of more than `maxLine` characters is cut there. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = (lines.pop() ?? '').slice(0, maxLine);
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}

const maxLine = 1 << 20;

function withPath<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw ioError(path, error);
  }
}

/** An error of the system as one about the file; anything else as it is. */
function ioError(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (error instanceof SkepError || typeof code !== 'string') return error;
  const where = placeOf(path);
  return new SkepError({
    code: 'file',
    where,
    message: causes[code] ?? `cannot be read or written (${code})`,
  });
}
