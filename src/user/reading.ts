/**
 * What readers of ring buffers and perf buffers share: how a record gets its type, errors, and giving way to
 * the rest of the program.
 */
import { SkepError } from '../base/errors.ts';
import { type Btf, codec } from '../btf/index.ts';
import type { Watch } from '../uapi/seam.ts';

export interface WaitOptions {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ReadOptions {
  /** The struct (or typedef) of the object's BTF that records are: `'event'`. Without it they are bytes. */
  readonly type?: string | undefined;
}

/** Makes a record of the bytes of a buffer from `start` to `end`, which it must not keep. */
export type DecodeRecord<T> = (buffer: Uint8Array, start: number, end: number) => T;

/** A copy, for readers that were told no type. */
export const copyRecord: DecodeRecord<Uint8Array> = (buffer, start, end) => buffer.slice(start, end);

/**
 * Makes values of records of a type. What a record has behind the type's bytes is left out, but where the type ends in a
 * flexible array, which it is then.
 * @throws {SkepError} 'no-type' where the object has no such type
 */
export function recordDecoder<T>(what: string, btf: (() => Btf) | undefined, name: string): DecodeRecord<T> {
  const found = btf === undefined ? undefined : findRecordType(btf(), name);
  if (btf === undefined || found === undefined) {
    throw new SkepError({
      code: 'no-type',
      where: what,
      message: `there is no type '${name}'`,
      hint:
        btf === undefined
          ? 'the map was not loaded with an object that has BTF: read bytes instead'
          : 'name a struct of the object, without the word struct',
    });
  }
  const { size, decode, isFlexible = false } = codec(btf(), found);
  return (buffer, start, end) => {
    if (end - start >= size) return decode(buffer.subarray(start, isFlexible ? end : start + size)) as T;
    throw new SkepError({
      code: 'record',
      where: what,
      message: `a record of ${end - start} bytes, ${name} has ${size}`,
    });
  };
}

const recordKinds: readonly string[] = ['struct', 'union', 'typedef', 'int', 'enum', 'enum64'];

function findRecordType(btf: Btf, name: string): number | undefined {
  return btf.findAll(name).find((id) => recordKinds.includes(btf.kind(id)));
}

export function closedError(what: string): SkepError {
  return new SkepError({ code: 'closed', message: `the reader of ${what} is closed` });
}

/** Waits by a watch until something is ready; false at the timeout, at the abort, or when the watch is closed. */
export async function waitUntil(
  isReady: () => boolean,
  watch: Watch,
  { timeoutMs, signal }: WaitOptions,
): Promise<boolean> {
  const deadline = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
  while (!isReady()) {
    const left = deadline === undefined ? undefined : Math.max(0, deadline - Date.now());
    if (!(await watch.wait({ timeoutMs: left, signal }))) return false;
  }
  return !signal?.aborted;
}

/** Lets timers, sockets and other readers run: promises alone never give them a turn. */
export function breathe(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (run: () => void) => void };
  return new Promise((resolve) => {
    if (setImmediate !== undefined) setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
