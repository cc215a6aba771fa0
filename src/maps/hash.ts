/**
 * Hashes: BPF_MAP_TYPE_HASH, PERCPU_HASH, LRU_HASH and LRU_PERCPU_HASH. Chains of elements behind a table of
 * buckets, as in Linux: a new value goes into a new element at the head of its chain, so a pointer to the old
 * value keeps the old value (per-CPU values change in place); a removed element stays on the map's free list
 * and is reused, never returned to the allocator before the map goes, so a pointer that a program still holds
 * stays inside the map.
 *
 * An LRU that is full forgets an element that no program looked up since the search for one last came by, or
 * else the one where the search started (a clock). Linux does so too, in lists for each CPU and in batches: which
 * key goes may differ.
 */
import { BpfError, errnos } from '../uapi/errno.ts';
import { mapTypeName } from '../uapi/map-types.ts';
import { allocMap } from './array.ts';
import { hashChecks } from './definitions.ts';
import { mapFlags, tooBig, updateFlags } from './flags.ts';
import { jhash } from './jhash.ts';
import {
  CHUNK_HEADER,
  hashHeader as H,
  hashElem,
  LRU_BYTES,
  mapHeader,
  valueStride,
  valuesAt,
} from './layout.ts';
import type { BpfMap, MapContext, MapDef } from './types.ts';

/** Beyond this, Linux's table of 16-byte buckets would not fit 32 bits. */
const BUCKETS_MAX = 2 ** 27;
/** Without preallocation, elements are allocated so many bytes at a time, and at least one. */
const CHUNK_BYTES = 16384;

export interface HashTraits {
  /** Whether each CPU has a value of its own. */
  readonly percpu: boolean;
  /** Whether it forgets when it is full. */
  readonly lru: boolean;
}

/** What sort of hash a type is; undefined where it is none. */
export function hashTraits(type: number): HashTraits | undefined {
  switch (mapTypeName(type)) {
    case 'hash':
      return { percpu: false, lru: false };
    case 'percpu_hash':
      return { percpu: true, lru: false };
    case 'lru_hash':
      return { percpu: false, lru: true };
    case 'lru_percpu_hash':
      return { percpu: true, lru: true };
    default:
      return undefined;
  }
}

export class HashMap implements BpfMap {
  readonly def: MapDef;
  readonly address: number;
  readonly userValueSize: number;
  readonly valueAddress = undefined;
  private readonly context: MapContext;
  /** Constants of the map; what changes is behind `address`. */
  private readonly traits: HashTraits;
  private readonly buckets: number;
  private readonly bucketMask: number;
  private readonly valuesOffset: number;
  /** Bytes from one CPU's value to the next; 0 where they share one. */
  private readonly cpuStride: number;
  private readonly cpus: number;
  private readonly usedOffset: number;
  private readonly stride: number;
  private readonly seed: number;

  constructor(def: MapDef, context: MapContext) {
    this.traits = hashTraits(def.type)!;
    const { percpu, lru } = this.traits;
    hashChecks({ percpu, lru })(def);
    if (def.maxEntries > BUCKETS_MAX) throw tooBig(`${def.maxEntries} entries`);
    this.def = def;
    this.context = context;
    this.cpus = percpu ? context.cpus : 1;
    const values = this.cpus * valueStride(def);
    this.userValueSize = percpu ? values : def.valueSize;
    this.cpuStride = percpu ? valueStride(def) : 0;
    this.valuesOffset = valuesAt(def);
    this.usedOffset = this.valuesOffset + values;
    this.stride = this.usedOffset + (lru ? LRU_BYTES : 0);
    this.seed = (def.flags & mapFlags.ZERO_SEED) !== 0 ? 0 : context.random() >>> 0;
    const bucketCount = 2 ** Math.ceil(Math.log2(def.maxEntries));
    this.bucketMask = bucketCount - 1;

    const made = allocMap(def, context, { bytes: H.keySlot + def.keySize, storage: bucketCount * 4 });
    this.address = made.address;
    this.buckets = made.storage;
    this.set(mapHeader.stride, this.stride);
    this.set(mapHeader.cpuStride, this.cpuStride);
    this.set(H.buckets, this.buckets);
    this.set(H.bucketMask, this.bucketMask);
    this.set(H.seed, this.seed);
    if ((def.flags & mapFlags.NO_PREALLOC) === 0) {
      // One more than fits: replacing a value needs a second element for its key.
      try {
        this.addChunk(def.maxEntries + 1);
      } catch (error) {
        this.destroy();
        throw error;
      }
    }
  }

  private get(field: number): number {
    return this.context.memory.view.getUint32(this.address + field, true);
  }

  private set(field: number, value: number): void {
    this.context.memory.view.setUint32(this.address + field, value, true);
  }

  private addChunk(elements: number): void {
    const { memory } = this.context;
    const bytes = CHUNK_HEADER + elements * this.stride;
    const chunk = memory.alloc(bytes);
    memory.view.setUint32(chunk, this.get(H.chunks), true);
    this.set(H.chunks, chunk);
    this.set(H.fresh, chunk + CHUNK_HEADER);
    this.set(H.freshEnd, chunk + bytes);
  }

  /** Makes elements that were never used, where there are none left; false where memory does not do. */
  grow(): boolean {
    try {
      this.addChunk(Math.max(1, Math.floor(CHUNK_BYTES / this.stride)));
      return true;
    } catch (error) {
      if (error instanceof BpfError && error.errno === 'ENOMEM') return false;
      throw error;
    }
  }

  /** An element for a new value; 0 where memory does not do: a freed one, one never used, or one of a new chunk. */
  private takeElem(): number {
    const freed = this.get(H.freeHead);
    if (freed !== 0) {
      this.set(H.freeHead, this.context.memory.view.getUint32(freed + hashElem.next, true));
      return freed;
    }
    if (this.get(H.fresh) === this.get(H.freshEnd) && !this.grow()) return 0;
    const elem = this.get(H.fresh);
    this.set(H.fresh, elem + this.stride);
    return elem;
  }

  private freeElem(elem: number): void {
    this.context.memory.view.setUint32(elem + hashElem.next, this.get(H.freeHead), true);
    this.set(H.freeHead, elem);
  }

  /** The element with the key at `key`, or 0. */
  private find(key: number, hash: number): number {
    const { view } = this.context.memory;
    let elem = view.getUint32(this.buckets + 4 * (hash & this.bucketMask), true);
    while (elem !== 0) {
      if (view.getUint32(elem + hashElem.hash, true) === hash && this.sameKey(elem + hashElem.key, key))
        return elem;
      elem = view.getUint32(elem + hashElem.next, true);
    }
    return 0;
  }

  private sameKey(a: number, b: number): boolean {
    const { view } = this.context.memory;
    const size = this.def.keySize;
    let i = 0;
    for (; i + 4 <= size; i += 4) {
      if (view.getInt32(a + i, true) !== view.getInt32(b + i, true)) return false;
    }
    for (; i < size; i++) {
      if (view.getUint8(a + i) !== view.getUint8(b + i)) return false;
    }
    return true;
  }

  private hash(key: number): number {
    return jhash(this.context.memory.view, key, this.def.keySize, this.seed);
  }

  private unlink(elem: number, hash: number): void {
    const { view } = this.context.memory;
    let link = this.buckets + 4 * (hash & this.bucketMask);
    while (view.getUint32(link, true) !== elem) link = view.getUint32(link, true) + hashElem.next;
    view.setUint32(link, view.getUint32(elem + hashElem.next, true), true);
  }

  /**
   * Forgets an element to make room: goes round from the last one that it came to, takes the mark of use from
   * those that have it, and stops at one without.
   */
  private forget(): void {
    const { view } = this.context.memory;
    const first = this.get(H.chunks) + CHUNK_HEADER;
    const end = this.get(H.freshEnd);
    let elem = this.get(H.hand) || first;
    // One element is always free: the last one that was never used, or a freed one.
    const spare = this.get(H.freeHead) || this.get(H.fresh);
    while (elem === spare || view.getUint8(elem + this.usedOffset) !== 0) {
      view.setUint8(elem + this.usedOffset, 0);
      elem += this.stride;
      if (elem === end) elem = first;
    }
    const next = elem + this.stride;
    this.set(H.hand, next === end ? first : next);
    this.remove(elem, view.getUint32(elem + hashElem.hash, true));
  }

  private remove(elem: number, hash: number): void {
    this.unlink(elem, hash);
    this.freeElem(elem);
    this.set(H.count, this.get(H.count) - 1);
  }

  /** Puts `write`'s value under the key at `key`; it gets the address of the values. */
  private put(key: number, flags: bigint, write: (values: number) => void): number {
    if (flags > updateFlags.EXIST) return -errnos.EINVAL;
    const { percpu, lru } = this.traits;
    const hash = this.hash(key);
    const old = this.find(key, hash);
    if (old !== 0 && flags === updateFlags.NOEXIST) return -errnos.EEXIST;
    if (old === 0 && flags === updateFlags.EXIST) return -errnos.ENOENT;
    if (old !== 0 && percpu) {
      write(old + this.valuesOffset);
      return 0;
    }
    if (old === 0 && this.get(H.count) >= this.def.maxEntries) {
      if (!lru) return -errnos.E2BIG;
      this.forget();
    }
    const elem = this.takeElem();
    if (elem === 0) return -errnos.ENOMEM;
    const { view, u8 } = this.context.memory;
    u8.copyWithin(elem + hashElem.key, key, key + this.def.keySize);
    if (percpu) u8.fill(0, elem + this.valuesOffset, elem + this.usedOffset);
    if (lru) view.setUint8(elem + this.usedOffset, 0);
    write(elem + this.valuesOffset);
    view.setUint32(elem + hashElem.hash, hash, true);
    const bucket = this.buckets + 4 * (hash & this.bucketMask);
    view.setUint32(elem + hashElem.next, view.getUint32(bucket, true), true);
    view.setUint32(bucket, elem, true);
    if (old === 0) {
      this.set(H.count, this.get(H.count) + 1);
    } else {
      this.unlink(old, hash);
      this.freeElem(old);
    }
    return 0;
  }

  lookup(key: number, cpu: number): number {
    const elem = this.find(key, this.hash(key));
    if (elem === 0) return 0;
    if (this.traits.lru) this.context.memory.view.setUint8(elem + this.usedOffset, 1);
    return elem + this.valuesOffset + cpu * this.cpuStride;
  }

  update(key: number, value: number, flags: bigint, cpu: number): number {
    const { memory } = this.context;
    return this.put(key, flags, (to) =>
      memory.u8.copyWithin(to + cpu * this.cpuStride, value, value + this.def.valueSize),
    );
  }

  delete(key: number): number {
    const hash = this.hash(key);
    const elem = this.find(key, hash);
    if (elem === 0) return -errnos.ENOENT;
    this.remove(elem, hash);
    return 0;
  }

  /** Copies user space's key to where programs' keys are: into the memory. */
  private userKey(key: Uint8Array): number {
    const slot = this.address + H.keySlot;
    this.context.memory.u8.set(key.subarray(0, this.def.keySize), slot);
    return slot;
  }

  userLookup(key: Uint8Array, value: Uint8Array): number {
    const slot = this.userKey(key);
    const elem = this.find(slot, this.hash(slot));
    if (elem === 0) return -errnos.ENOENT;
    const from = elem + this.valuesOffset;
    value.set(this.context.memory.u8.subarray(from, from + this.userValueSize));
    return 0;
  }

  userUpdate(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const { u8 } = this.context.memory;
    const { valueSize } = this.def;
    return this.put(this.userKey(key), flags, (to) => {
      for (let cpu = 0; cpu < this.cpus; cpu++) {
        const from = cpu * this.cpuStride;
        u8.set(value.subarray(from, from + valueSize), to + from);
      }
    });
  }

  userDelete(key: Uint8Array): number {
    return this.delete(this.userKey(key));
  }

  userNextKey(key: Uint8Array | undefined, next: Uint8Array): number {
    const { view, u8 } = this.context.memory;
    let elem = 0;
    let bucket = 0;
    if (key !== undefined) {
      const slot = this.userKey(key);
      const hash = this.hash(slot);
      const found = this.find(slot, hash);
      if (found !== 0) {
        elem = view.getUint32(found + hashElem.next, true);
        bucket = (hash & this.bucketMask) + 1;
      }
    }
    while (elem === 0 && bucket <= this.bucketMask) {
      elem = view.getUint32(this.buckets + 4 * bucket, true);
      bucket++;
    }
    if (elem === 0) return -errnos.ENOENT;
    next.set(u8.subarray(elem + hashElem.key, elem + hashElem.key + this.def.keySize));
    return 0;
  }

  get bucketCount(): number {
    return this.bucketMask + 1;
  }

  bucketKeys(bucket: number): Uint8Array[] {
    const { view, u8 } = this.context.memory;
    const keys: Uint8Array[] = [];
    const start = this.buckets + 4 * bucket;
    for (
      let elem = view.getUint32(start, true);
      elem !== 0;
      elem = view.getUint32(elem + hashElem.next, true)
    ) {
      keys.push(u8.slice(elem + hashElem.key, elem + hashElem.key + this.def.keySize));
    }
    return keys;
  }

  destroy(): void {
    const { memory } = this.context;
    for (let chunk = this.get(H.chunks); chunk !== 0; ) {
      const before = memory.view.getUint32(chunk, true);
      memory.free(chunk);
      chunk = before;
    }
    memory.free(this.buckets);
    memory.free(this.address);
  }
}
