/**
 * Walking a map and moving many elements in few calls, as bytes. In: what to ask of which kernel. Out: keys,
 * elements, counts. Leaves out what bytes mean (element.ts).
 */
import { SkepError } from '../base/errors.ts';
import type { Cmd } from '../uapi/commands.ts';
import { BpfError, type Errno } from '../uapi/errno.ts';
import { type MapTypeName, mapTypeName } from '../uapi/map-types.ts';
import type { System } from '../uapi/seam.ts';

/** The map that is walked. */
export interface Walked {
  readonly system: System;
  readonly fd: number;
  /** What it is, for messages. */
  readonly what: string;
  readonly type: number;
  readonly keySize: number;
  /** Bytes of a value as user space sees it: all CPUs' where it is per CPU. */
  readonly valueSize: number;
  readonly maxEntries: number;
}

/** Kinds whose keys are all indices below `maxEntries`, and which the kernel reads in batches by index. */
const indexed: readonly (MapTypeName | undefined)[] = ['array', 'percpu_array'];
/** Kinds that the kernel reads in batches bucket by bucket: whatever changes meanwhile, none comes twice. */
const bucketed: readonly (MapTypeName | undefined)[] = ['hash', 'percpu_hash', 'lru_hash', 'lru_percpu_hash'];
/** How an old kernel, or one that has no batches for a kind, refuses them. */
const lacking: readonly Errno[] = ['EINVAL', 'ENOTSUPP', 'ENOTSUP'];

/** Elements a call. */
const BATCH = 1024;

/** The errno of a call that failed with one; anything else is thrown on. */
export function errnoOf(error: unknown): Errno {
  if (error instanceof BpfError) return error.errno;
  throw error;
}

/** Runs a call; false where it failed with ENOENT. */
export function found(call: () => unknown): boolean {
  try {
    call();
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** The key behind `key`, or the first one; undefined at the end. */
export function nextKey(
  { system, fd, keySize }: Walked,
  key: Uint8Array | undefined,
): Uint8Array | undefined {
  const next = new Uint8Array(keySize);
  return found(() => system.bpf('mapGetNextKey', { mapFd: fd, key, nextKey: next })) ? next : undefined;
}

function changing({ what }: Walked): SkepError {
  return new SkepError({ code: 'map-changing', message: `${what} changes faster than it can be walked` });
}

/**
 * Walks by MAP_GET_NEXT_KEY. The next key is fetched before one is handed out, so that deleting that one does not
 * lose the place; where the place is lost all the same, a hash map starts again from its first key, and the keys
 * that were seen are passed over.
 * @throws {SkepError} 'map-changing' where no end is found in four rounds
 */
export function* walkKeys(map: Walked): Generator<Uint8Array> {
  const seen = indexed.includes(mapTypeName(map.type)) ? undefined : new Set<string>();
  let steps = 0;
  let key = nextKey(map, undefined);
  while (key !== undefined) {
    const fresh = seen === undefined || addKey(seen, key);
    if (++steps > 4 * map.maxEntries + 64) throw changing(map);
    const next: Uint8Array | undefined = nextKey(map, key);
    if (fresh) yield key;
    key = next;
  }
}

/** Adds a key to the set; false where it was in it. */
function addKey(seen: Set<string>, key: Uint8Array): boolean {
  const text = String.fromCharCode(...key);
  if (seen.has(text)) return false;
  seen.add(text);
  return true;
}

type ReadBatch = Extract<Cmd, 'mapLookupBatch' | 'mapLookupAndDeleteBatch'>;

/**
 * Every element, a batch at a time; undefined as the first one where the kernel has no batches for the map. What
 * is handed out is written over by the next batch.
 */
export function* readBatches(
  map: Walked,
  cmd: ReadBatch,
): Generator<{ count: number; keys: Uint8Array; values: Uint8Array } | undefined> {
  const kind = mapTypeName(map.type);
  if (!bucketed.includes(kind) && (cmd !== 'mapLookupBatch' || !indexed.includes(kind)))
    return yield undefined;
  let size = Math.min(BATCH, map.maxEntries);
  let keys = new Uint8Array(size * map.keySize);
  let values = new Uint8Array(size * map.valueSize);
  // The kernel's place: a bucket's number, or an index.
  const place = new Uint8Array(Math.max(4, map.keySize));
  for (let inBatch: Uint8Array | undefined; ; ) {
    const attr = { mapFd: map.fd, inBatch, outBatch: place, keys, values, count: size };
    let ending: Errno | undefined;
    try {
      map.system.bpf(cmd, attr);
    } catch (error) {
      ending = errnoOf(error);
      if (ending === 'ENOSPC') {
        // One bucket has more than that; nothing was taken. There are not more than all.
        if (size >= map.maxEntries) throw error;
        size = Math.min(2 * size, map.maxEntries);
        keys = new Uint8Array(size * map.keySize);
        values = new Uint8Array(size * map.valueSize);
        continue;
      }
      if (inBatch === undefined && lacking.includes(ending)) return yield undefined;
      if (ending !== 'ENOENT') throw error;
    }
    if (attr.count > 0) yield { count: attr.count, keys, values };
    if (ending === 'ENOENT') return;
    inBatch = place.slice();
  }
}

/**
 * Writes elements that lie side by side; how many were written before an error is in the error's call.
 * @throws {BpfError} as MAP_UPDATE_ELEM does; what came before the element in question is written
 */
export function writeAll(
  map: Walked,
  { keys, values, flags }: { keys: Uint8Array; values: Uint8Array; flags: bigint },
): void {
  const { system, fd: mapFd, keySize, valueSize } = map;
  const total = values.length / valueSize;
  const key = (at: number, count = 1) => keys.subarray(at * keySize, (at + count) * keySize);
  const value = (at: number, count = 1) => values.subarray(at * valueSize, (at + count) * valueSize);
  for (let at = 0; at < total; at += BATCH) {
    const count = Math.min(BATCH, total - at);
    const attr = { mapFd, keys: key(at, count), values: value(at, count), elemFlags: flags, count };
    try {
      system.bpf('mapUpdateBatch', attr);
    } catch (error) {
      if (!lacking.includes(errnoOf(error))) throw error;
      for (let i = at; i < at + count; i++)
        system.bpf('mapUpdateElem', { mapFd, key: key(i), value: value(i), flags });
    }
  }
}

/** Removes the elements whose keys lie side by side; how many there were of them. */
export function removeAll(map: Walked, keys: Uint8Array): number {
  const { system, fd: mapFd, keySize } = map;
  const total = keys.length / keySize;
  const key = (at: number, count = 1) => keys.subarray(at * keySize, (at + count) * keySize);
  let removed = 0;
  let batches = true;
  for (let at = 0; at < total; ) {
    if (!batches) {
      if (found(() => system.bpf('mapDeleteElem', { mapFd, key: key(at) }))) removed++;
      at++;
      continue;
    }
    const attr = { mapFd, keys: key(at, BATCH), count: Math.min(BATCH, total - at) };
    let missing = 0;
    try {
      system.bpf('mapDeleteBatch', attr);
    } catch (error) {
      const errno = errnoOf(error);
      if (lacking.includes(errno)) batches = false;
      else if (errno !== 'ENOENT') throw error;
      // It stopped at a key that is not there.
      missing = 1;
    }
    if (!batches) continue;
    removed += attr.count;
    at += attr.count + missing;
  }
  return removed;
}
