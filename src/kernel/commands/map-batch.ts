/**
 * MAP_LOOKUP_BATCH and its siblings: many elements a call. Arrays go by index, hash maps bucket by bucket, so that no
 * element comes twice whatever changes in between; other kinds have no batches. How far a call came is in `count`, also
 * where it failed.
 */
import type { BpfMap } from '../../maps/index.ts';
import type { BpfAttr } from '../../uapi/commands.ts';
import { mapTypes } from '../../uapi/map-types.ts';
import type { Call } from './call.ts';
import { done, elementsOf, F_LOCK } from './map-elements.ts';

type LookupAttr = BpfAttr<'mapLookupBatch'>;
type WriteAttr = BpfAttr<'mapUpdateBatch'> | BpfAttr<'mapDeleteBatch'>;

const arrays: readonly number[] = [mapTypes.array.id, mapTypes.percpu_array.id];

/** Whether the kind has batches, of its own or the generic ones. */
function checkKind(call: Call, map: BpfMap, alsoArrays: boolean): void {
  if (map.bucketKeys !== undefined || (alsoArrays && arrays.includes(map.def.type))) return;
  throw call.fail('ENOTSUPP', 'maps of this kind have no such batches');
}

function checkFlags(
  call: Call,
  { elemFlags = 0n, flags = 0n }: { elemFlags?: bigint | undefined; flags?: bigint | undefined },
): void {
  if (elemFlags !== 0n && elemFlags !== F_LOCK) throw call.fail('EINVAL', 'the only flag is BPF_F_LOCK');
  if (elemFlags !== 0n) throw call.fail('EINVAL', 'the map has no spin lock');
  if (flags !== 0n) throw call.fail('EINVAL', 'a batch has no flags');
}

/** Where elements of a batch go, one behind the other. */
class Output {
  count = 0;
  readonly #call: Call;
  readonly #map: BpfMap;
  readonly #attr: LookupAttr;

  constructor(call: Call, map: BpfMap, attr: LookupAttr) {
    this.#call = call;
    this.#map = map;
    this.#attr = attr;
  }

  /** Copies the element of a key, if it is still there. */
  add(key: Uint8Array): void {
    const { keySize } = this.#map.def;
    const { userValueSize } = this.#map;
    const keys = this.#call.buffer(this.#attr.keys, (this.count + 1) * keySize, 'room for keys');
    const values = this.#call.buffer(this.#attr.values, (this.count + 1) * userValueSize, 'room for values');
    const value = values.subarray(this.count * userValueSize);
    if (this.#map.userLookup(key, value) < 0) return;
    keys.set(key, this.count * keySize);
    this.count++;
  }
}

function u32(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, 4);
}

/** __htab_map_lookup_and_delete_batch() */
function byBucket(call: Call, map: BpfMap, { attr, remove }: { attr: LookupAttr; remove: boolean }): number {
  const most = attr.count ?? 0;
  const { bucketCount = 0 } = map;
  const output = new Output(call, map, attr);
  let bucket =
    attr.inBatch === undefined ? 0 : u32(call.buffer(attr.inBatch, 4, 'the place')).getUint32(0, true);
  attr.count = 0;
  if (most === 0) return 0;
  if (bucket >= bucketCount) throw call.fail('ENOENT', 'that is behind the last bucket');
  const place = call.buffer(attr.outBatch, 4, 'room for the place');
  for (; bucket < bucketCount; bucket++) {
    const keys = map.bucketKeys?.(bucket) ?? [];
    if (keys.length > most - output.count) {
      if (output.count === 0) throw call.fail('ENOSPC', `one bucket has ${keys.length} elements`);
      break;
    }
    for (const key of keys) {
      output.add(key);
      if (remove) map.userDelete(key);
    }
  }
  u32(place).setUint32(0, bucket, true);
  attr.count = output.count;
  if (bucket === bucketCount) throw call.fail('ENOENT', 'that is all');
  return 0;
}

/** generic_map_lookup_batch() */
function byIndex(call: Call, map: BpfMap, attr: LookupAttr): number {
  const most = attr.count ?? 0;
  const output = new Output(call, map, attr);
  let last = attr.inBatch === undefined ? undefined : call.buffer(attr.inBatch, 4, 'the place').slice();
  attr.count = 0;
  if (most === 0) return 0;
  const place = call.buffer(attr.outBatch, 4, 'room for the place');
  const key = new Uint8Array(4);
  let result = 0;
  while (output.count < most && result === 0) {
    result = map.userNextKey(last, key);
    if (result < 0) break;
    output.add(key);
    last = key.slice();
  }
  if (last !== undefined && output.count > 0) place.set(last);
  attr.count = output.count;
  return done(call, result);
}

export function mapLookupBatch(call: Call, attr: LookupAttr): number {
  const { map } = elementsOf(call, attr.mapFd, 'read');
  checkKind(call, map, true);
  // Nobody looks at the flags of a batch that goes by index.
  checkFlags(call, map.bucketKeys === undefined ? { elemFlags: attr.elemFlags } : attr);
  return map.bucketKeys === undefined
    ? byIndex(call, map, attr)
    : byBucket(call, map, { attr, remove: false });
}

export function mapLookupAndDeleteBatch(call: Call, attr: LookupAttr): number {
  const { map } = elementsOf(call, attr.mapFd, 'read');
  elementsOf(call, attr.mapFd, 'write');
  checkKind(call, map, false);
  checkFlags(call, attr);
  return byBucket(call, map, { attr, remove: true });
}

/** Does something to the elements one by one, and says in `count` to how many. */
function each(call: Call, attr: WriteAttr, act: (index: number) => number): number {
  const total = attr.count ?? 0;
  attr.count = 0;
  for (let index = 0; index < total; index++) {
    const result = act(index);
    if (result < 0) return done(call, result);
    attr.count = index + 1;
  }
  return 0;
}

/** generic_map_update_batch() */
export function mapUpdateBatch(call: Call, attr: BpfAttr<'mapUpdateBatch'>): number {
  const { map } = elementsOf(call, attr.mapFd, 'write');
  checkKind(call, map, true);
  checkFlags(call, { elemFlags: attr.elemFlags });
  const { keySize } = map.def;
  return each(call, attr, (index) => {
    const keys = call.buffer(attr.keys, (index + 1) * keySize, 'the keys');
    const values = call.buffer(attr.values, (index + 1) * map.userValueSize, 'the values');
    return map.userUpdate(keys.subarray(index * keySize), values.subarray(index * map.userValueSize), 0n);
  });
}

/** generic_map_delete_batch() */
export function mapDeleteBatch(call: Call, attr: BpfAttr<'mapDeleteBatch'>): number {
  const { map } = elementsOf(call, attr.mapFd, 'write');
  checkKind(call, map, false);
  checkFlags(call, { elemFlags: attr.elemFlags });
  const { keySize } = map.def;
  return each(call, attr, (index) => {
    const keys = call.buffer(attr.keys, (index + 1) * keySize, 'the keys');
    return map.userDelete(keys.subarray(index * keySize, (index + 1) * keySize));
  });
}
