/**
 * BPF_MAP_TYPE_ARRAY: values side by side, all there from the start and zero; keys are u32 indices. What
 * the other array kinds share is here too: the header, the checks, the order of keys.
 */
import { roundUp } from '../base/bytes.ts';
import { Bug } from '../base/errors.ts';
import type { KernelMemory } from '../memory/types.ts';
import { errnos } from '../uapi/errno.ts';
import { ACCESS_FLAGS, checkFlags, invalid, mapFlags, tooBig, updateFlags } from './flags.ts';
import { MAP_HEADER_BYTES, mapHeader } from './layout.ts';
import type { BpfMap, MapContext, MapDef } from './types.ts';

const INT_MAX = 2 ** 31 - 1;
/** What Linux gives a mapping of an array: whole pages. */
const PAGE = 4096;

/** Allocates a map object (`bytes` of it) and its storage, both or neither, and writes the header. */
export function allocMap(
  def: MapDef,
  context: MapContext,
  sizes: { readonly bytes?: number; readonly storage: number; readonly align?: number },
): { address: number; storage: number } {
  const { memory } = context;
  const storage = memory.alloc(sizes.storage, sizes.align);
  const address = allocOrFree(memory, sizes.bytes ?? MAP_HEADER_BYTES, storage);
  const { view } = memory;
  view.setUint32(address + mapHeader.type, def.type, true);
  view.setUint32(address + mapHeader.keySize, def.keySize, true);
  view.setUint32(address + mapHeader.valueSize, def.valueSize, true);
  view.setUint32(address + mapHeader.maxEntries, def.maxEntries, true);
  view.setUint32(address + mapHeader.flags, def.flags, true);
  return { address, storage };
}

function allocOrFree(memory: KernelMemory, bytes: number, other: number): number {
  try {
    return memory.alloc(bytes);
  } catch (error) {
    memory.free(other);
    throw error;
  }
}

/** array_map_alloc_check(). */
export function checkArrayDef(def: MapDef, allowed: number): void {
  if (def.maxEntries === 0) throw invalid('max_entries is 0');
  if (def.keySize !== 4) throw invalid(`the key of an array has 4 bytes, not ${def.keySize}`);
  if (def.valueSize === 0) throw invalid('value_size is 0');
  checkFlags(def, allowed);
  if (def.valueSize > INT_MAX) throw tooBig(`a value of ${def.valueSize} bytes`);
}

/** Why an array refuses an update: 0, or a negative errno. Every index below maxEntries exists. */
export function arrayUpdateError(index: number, flags: bigint, maxEntries: number): number {
  if (flags > updateFlags.EXIST) return -errnos.EINVAL;
  if (index >= maxEntries) return -errnos.E2BIG;
  return flags === updateFlags.NOEXIST ? -errnos.EEXIST : 0;
}

/** Plain arrays know the flag for values with a spin lock, and tell of its absence last. */
function plainArrayUpdateError(index: number, flags: bigint, maxEntries: number): number {
  const error = arrayUpdateError(index, flags & ~updateFlags.LOCK, maxEntries);
  return error === 0 && (flags & updateFlags.LOCK) !== 0n ? -errnos.EINVAL : error;
}

export function userIndex(key: Uint8Array): number {
  if (key.length !== 4) throw new Bug(`an array key of ${key.length} bytes`);
  return new DataView(key.buffer, key.byteOffset, 4).getUint32(0, true);
}

/** array_map_get_next_key(): a key that is not there is followed by the first. */
export function nextIndex(key: Uint8Array | undefined, next: Uint8Array, maxEntries: number): number {
  const index = key === undefined ? maxEntries : userIndex(key);
  if (index === maxEntries - 1) return -errnos.ENOENT;
  new DataView(next.buffer, next.byteOffset, 4).setUint32(0, index >= maxEntries ? 0 : index + 1, true);
  return 0;
}

export class ArrayMap implements BpfMap {
  readonly def: MapDef;
  readonly address: number;
  readonly userValueSize: number;
  readonly valueAddress: number;
  private readonly context: MapContext;
  private readonly stride: number;

  constructor(def: MapDef, context: MapContext) {
    checkArrayDef(def, ACCESS_FLAGS | mapFlags.NUMA_NODE | mapFlags.MMAPABLE | mapFlags.INNER_MAP);
    this.def = def;
    this.context = context;
    this.userValueSize = def.valueSize;
    this.stride = roundUp(def.valueSize, 8);
    const mmapable = (def.flags & mapFlags.MMAPABLE) !== 0;
    const bytes = this.stride * def.maxEntries;
    const made = allocMap(
      def,
      context,
      mmapable ? { storage: roundUp(bytes, PAGE), align: PAGE } : { storage: bytes },
    );
    this.address = made.address;
    this.valueAddress = made.storage;
    const { memory } = context;
    memory.view.setUint32(this.address + mapHeader.values, this.valueAddress, true);
    memory.view.setUint32(this.address + mapHeader.stride, this.stride, true);
  }

  private slot(index: number): number {
    return this.valueAddress + index * this.stride;
  }

  lookup(key: number): number {
    const index = this.context.memory.view.getUint32(key, true);
    return index < this.def.maxEntries ? this.slot(index) : 0;
  }

  update(key: number, value: number, flags: bigint): number {
    const { view, u8 } = this.context.memory;
    const index = view.getUint32(key, true);
    const error = plainArrayUpdateError(index, flags, this.def.maxEntries);
    if (error === 0) u8.copyWithin(this.slot(index), value, value + this.def.valueSize);
    return error;
  }

  delete(): number {
    return -errnos.EINVAL;
  }

  userLookup(key: Uint8Array, value: Uint8Array): number {
    const index = userIndex(key);
    if (index >= this.def.maxEntries) return -errnos.ENOENT;
    const from = this.slot(index);
    value.set(this.context.memory.u8.subarray(from, from + this.def.valueSize));
    return 0;
  }

  userUpdate(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const index = userIndex(key);
    const error = plainArrayUpdateError(index, flags, this.def.maxEntries);
    if (error === 0) this.context.memory.u8.set(value.subarray(0, this.def.valueSize), this.slot(index));
    return error;
  }

  userDelete(): number {
    return -errnos.EINVAL;
  }

  userNextKey(key: Uint8Array | undefined, next: Uint8Array): number {
    return nextIndex(key, next, this.def.maxEntries);
  }

  destroy(): void {
    this.context.memory.free(this.valueAddress);
    this.context.memory.free(this.address);
  }
}
