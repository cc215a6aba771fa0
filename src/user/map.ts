/**
 * A live map: get, set, delete and walk it with typed keys and values, one by one or many in a call; queues and
 * filters; its memory, where that can be shared; readers of the kinds that are buffers. It works alike on every
 * kernel. Leaves out how walks and batches go (map-walk.ts).
 */
import { concatBytes, roundUp } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import type { Value } from '../btf/index.ts';
import type { Cmd } from '../uapi/commands.ts';
import type { Errno } from '../uapi/errno.ts';
import type { InfoOf } from '../uapi/info.ts';
import { type MapTypeName, mapTypeName, mapTypes } from '../uapi/map-types.ts';
import type { Mapping, System } from '../uapi/seam.ts';
import type { ElementTypes } from './element.ts';
import { Handle } from './handle.ts';
import { ElementPart, fdTypes, mapCodecs, perCpuTypes } from './map-codecs.ts';
import { dumpMap, type MapDumpFormat } from './map-dump.ts';
import { mapInfo, owning, typesOf } from './map-open.ts';
import {
  errnoOf,
  found,
  nextKey,
  readBatches,
  removeAll,
  type Walked,
  walkKeys,
  writeAll,
} from './map-walk.ts';
import { MappedArray } from './mapped-array.ts';
import { PerfBuffer } from './perf-buffer.ts';
import { copyRecord, type DecodeRecord, type ReadOptions, recordDecoder } from './reading.ts';
import { RingBuffer } from './ring-buffer.ts';
import { UserRingBuffer } from './user-ring-buffer.ts';

/** BPF_ANY, BPF_NOEXIST, BPF_EXIST. */
const updateFlags = { any: 0n, noexist: 1n, exist: 2n } as const;

type ReadElement = Extract<Cmd, 'mapLookupElem' | 'mapLookupAndDeleteElem'>;
/** How a kernel says that it cannot take elements out of a kind of map in one step. */
const noTake: readonly Errno[] = ['EINVAL', 'ENOTSUPP', 'ENOTSUP'];

/** Whether `set` may create the element, must, or must not. */
export type UpdateMode = keyof typeof updateFlags;

/** BPF_F_MMAPABLE. */
const F_MMAPABLE = 1 << 10;

/** Programs and maps are written as their fds. */
const plain = (value: unknown): Value => (value instanceof Handle ? value.fd : (value as Value));

export interface PerfReadOptions extends ReadOptions {
  /** Pages of data for each CPU, a power of two. Default 16. */
  readonly pages?: number | undefined;
  /** Told of samples that found no room. */
  readonly onLost?: ((cpu: number, count: number) => void) | undefined;
}

/**
 * A map. Integers of up to 32 bits are numbers, 64-bit ones bigints, structs objects; per-CPU values are
 * arrays with one element a CPU; a map without BTF deals in `Uint8Array`s and accepts integers. `KIn` and `VIn`
 * are what may be given for a key and a value, where that is more than what is read.
 */
export class BpfMap<K = Value, V = Value, KIn = K, VIn = V> extends Handle {
  readonly id: number;
  readonly name: string;
  /** BPF_MAP_TYPE_*; `typeName` is bpftool's name of it. */
  readonly type: number;
  readonly keySize: number;
  /** Bytes of one value (of one CPU's, where it is per CPU). */
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Types of its keys and values; undefined for a map without BTF. */
  readonly types: ElementTypes | undefined;
  #parts: { key: ElementPart; value: ElementPart } | undefined;
  #shared: { readonly mapping: Mapping; readonly writable: boolean } | undefined;

  /** Made by `Kernel`: takes over `fd`. */
  constructor(
    system: System,
    fd: number,
    { info, types }: { info: InfoOf<'map'>; types: ElementTypes | undefined },
  ) {
    super(system, fd, `map '${info.name ?? ''}'`);
    this.id = info.id ?? 0;
    this.name = info.name ?? '';
    this.type = info.type ?? 0;
    this.keySize = info.keySize ?? 0;
    this.valueSize = info.valueSize ?? 0;
    this.maxEntries = info.maxEntries ?? 0;
    this.flags = info.mapFlags ?? 0;
    this.types = types;
  }

  /** 'hash', 'percpu_array', …; the number where Linux 6.18 has no such type. */
  get typeName(): string {
    return mapTypeName(this.type) ?? String(this.type);
  }

  /** The value of `key`, or undefined. In a map of maps that is the inner map's id; see `inner`. */
  get(key: K | KIn): V | undefined {
    const parts = this.#elements();
    const found = this.#read('mapLookupElem', parts.key.write(key as Value), parts.value.bytes);
    return found ? (parts.value.read() as V) : undefined;
  }

  has(key: K | KIn): boolean {
    return this.rawValue(key) !== undefined;
  }

  /**
   * Writes an element. A program array takes a `Program` as its value, a map of maps a map.
   * @throws {BpfError} E2BIG where the map is full or the index beyond its end, EEXIST and ENOENT by `mode`,
   * EPERM where the map is frozen
   * @throws {SkepError} 'value' where key or value do not fit their type
   */
  set(key: K | KIn, value: V | VIn | Handle, mode: UpdateMode = 'any'): this {
    const parts = this.#elements();
    this.#write(parts.key.write(key as Value), parts.value.write(plain(value)), mode);
    return this;
  }

  /**
   * Removes an element; false where there was none.
   * @throws {BpfError} EINVAL for arrays, whose elements are always there
   */
  delete(key: K | KIn): boolean {
    const attr = { mapFd: this.fd, key: this.#elements().key.write(key as Value) };
    return found(() => this.system.bpf('mapDeleteElem', attr));
  }

  /**
   * Takes an element out: its value, or undefined where there was none. In one step where the kernel can do that
   * with this kind of map; else what comes in between is lost.
   */
  take(key: K | KIn): V | undefined {
    const bytes = this.#elements().key.encode(key as Value);
    const { value } = this.#elements();
    const buffer = new Uint8Array(value.size);
    try {
      if (!this.#read('mapLookupAndDeleteElem', bytes, buffer)) return undefined;
    } catch (error) {
      if (!noTake.includes(errnoOf(error))) throw error;
      if (!this.#read('mapLookupElem', bytes, buffer)) return undefined;
      this.system.bpf('mapDeleteElem', { mapFd: this.fd, key: bytes });
    }
    return value.decode(buffer) as V;
  }

  /** Removes every element. */
  clear(): void {
    const keys = [...walkKeys(this.#walked())];
    removeAll(this.#walked(), concatBytes(keys));
  }

  /** How many elements there are: walks the map. */
  get size(): number {
    let count = 0;
    for (const _ of walkKeys(this.#walked())) count++;
    return count;
  }

  *keys(): Generator<K> {
    const { key } = this.#elements();
    for (const bytes of walkKeys(this.#walked())) yield key.decode(bytes) as K;
  }

  *values(): Generator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  /**
   * Every element, in the kernel's order. Elements may come and go meanwhile: one that is deleted before its
   * turn is left out, none comes twice.
   * @throws {SkepError} 'map-changing' where the map changes so fast that the walk finds no end
   */
  *entries(): Generator<[K, V]> {
    const { key, value } = this.#elements();
    for (const [k, v] of this.rawEntries()) yield [key.decode(k) as K, value.decode(v) as V];
  }

  [Symbol.iterator](): Generator<[K, V]> {
    return this.entries();
  }

  /** The key behind `key`, or the first one; undefined at the end (BPF_MAP_GET_NEXT_KEY). */
  keyAfter(key: K | undefined): K | undefined {
    const next = nextKey(
      this.#walked(),
      key === undefined ? undefined : this.#elements().key.encode(key as Value),
    );
    return next === undefined ? undefined : (this.#elements().key.decode(next) as K);
  }

  /** Every element, read in batches where the kernel has those for this kind of map. */
  getAll(): [K, V][] {
    return this.#readAll('mapLookupBatch') ?? [...this.entries()];
  }

  /**
   * As `getAll`, as bytes: `count` keys and values side by side, a batch at a time, which the next one is written
   * over. Of a per-CPU map, a value has 8-byte steps, one a CPU.
   */
  *batches(): Generator<{ count: number; keys: Uint8Array; values: Uint8Array }> {
    for (const batch of readBatches(this.#walked(), 'mapLookupBatch')) {
      if (batch !== undefined) yield batch;
      else for (const [keys, values] of this.rawEntries()) yield { count: 1, keys, values };
    }
  }

  /** Takes every element out, in batches where the kernel has those: none is lost in between. */
  takeAll(): [K, V][] {
    const taken = this.#readAll('mapLookupAndDeleteBatch');
    if (taken !== undefined) return taken;
    const entries: [K, V][] = [];
    for (const key of this.keys()) {
      const value = this.take(key);
      if (value !== undefined) entries.push([key, value]);
    }
    return entries;
  }

  /**
   * Writes many elements, in batches where the kernel has those.
   * @throws {BpfError} as `set`; the elements before the one in question are written
   */
  setAll(entries: Iterable<readonly [K | KIn, V | VIn | Handle]>, mode: UpdateMode = 'any'): this {
    const list = [...entries];
    const { key, value } = this.#elements();
    const keys = key.encodeAll(list.map(([k]) => k as Value));
    const values = value.encodeAll(list.map(([, v]) => plain(v)));
    return this.setBytes({ keys, values }, mode);
  }

  /** As `setAll`, of keys and values that lie side by side as bytes. */
  setBytes({ keys, values }: { keys: Uint8Array; values: Uint8Array }, mode: UpdateMode = 'any'): this {
    writeAll(this.#walked(), { keys, values, flags: updateFlags[mode] });
    return this;
  }

  /** Removes the elements of many keys; how many there were. */
  deleteAll(keys: Iterable<K | KIn>): number {
    return removeAll(this.#walked(), this.#elements().key.encodeAll(Array.from(keys, (key) => key as Value)));
  }

  /**
   * Puts a value into a queue, a stack or a Bloom filter, which have no keys.
   * @throws {BpfError} E2BIG where it is full
   */
  push(value: V | VIn): this {
    this.#write(undefined, this.#elements().value.encode(plain(value)), 'any');
    return this;
  }

  /** Takes the next value out of a queue or a stack; undefined where it is empty. */
  pop(): V | undefined {
    return this.#next('mapLookupAndDeleteElem');
  }

  /** The value that `pop` would take. */
  peek(): V | undefined {
    return this.#next('mapLookupElem');
  }

  /** Whether a Bloom filter may have the value; false is certain. */
  mayHave(value: V | VIn): boolean {
    return this.#read('mapLookupElem', undefined, this.#elements().value.encode(plain(value)));
  }

  /** The map that a map of maps holds for `key`, to be closed by the caller; undefined where there is none. */
  inner<IK = Value, IV = Value>(key: K | KIn): BpfMap<IK, IV> | undefined {
    const bytes = new Uint8Array(4);
    if (!this.#read('mapLookupElem', this.#elements().key.encode(key as Value), bytes)) return undefined;
    const mapId = new DataView(bytes.buffer).getUint32(0, true);
    const fd = this.system.bpf('mapGetFdById', { mapId });
    return owning(this.system, fd, () => {
      const info = mapInfo(this.system, fd);
      return new BpfMap<IK, IV>(this.system, fd, { info, types: typesOf(this.system, info) });
    });
  }

  /** Forbids further writes from user space (BPF_MAP_FREEZE). */
  freeze(): void {
    this.#unshare();
    this.system.bpf('mapFreeze', { mapFd: this.fd });
  }

  /** Whether `mmap` can share its memory. */
  get mmapable(): boolean {
    return this.type === mapTypes.array.id && (this.flags & F_MMAPABLE) !== 0;
  }

  /**
   * The values of an array in memory that is shared with programs. It stays when the map's handle is closed.
   * @throws {BpfError} EINVAL or ENOTSUPP for a map that was not made with BPF_F_MMAPABLE, EPERM where it is frozen
   */
  mmap({ writable = true }: { writable?: boolean } = {}): MappedArray<V> {
    const { value } = this.#elements();
    const length = roundUp(this.valueSize, 8) * this.maxEntries;
    const mapping = this.system.mmap(this.fd, { length, offset: 0, writable });
    return new MappedArray({ mapping, codec: value, length: this.maxEntries, what: this.what });
  }

  /**
   * The bytes of an array's values, shared with programs, mapped once for as long as the handle is open; undefined
   * where they cannot be.
   */
  sharedBytes(mode: 'read' | 'write'): Uint8Array | undefined {
    const { fd } = this;
    if (!this.mmapable) return undefined;
    const writable = mode === 'write';
    if (this.#shared === undefined || (writable && !this.#shared.writable)) {
      const length = roundUp(this.valueSize, 8) * this.maxEntries;
      try {
        const mapping = this.system.mmap(fd, { length, offset: 0, writable });
        this.#unshare();
        this.#shared = { mapping, writable };
      } catch (error) {
        // Frozen, or read-only: the usual calls have better errors.
        errnoOf(error);
        return undefined;
      }
    }
    return this.#shared.mapping.bytes;
  }

  override close(): void {
    this.#unshare();
    super.close();
  }

  #unshare(): void {
    this.#shared?.mapping.unmap();
    this.#shared = undefined;
  }

  /**
   * A reader of a ring buffer. With a type, records are values of it.
   * @throws {SkepError} 'no-type' where the object has no such type
   * @throws {BpfError} where it is no ring buffer, or cannot be mapped
   */
  ringBuffer<T = Uint8Array>({ type }: ReadOptions = {}): RingBuffer<T> {
    const decode = this.#decoder<T>(type);
    const { maxEntries: capacity } = this;
    this.#want('ringbuf');
    return new RingBuffer({ system: this.system, map: this, capacity, decode });
  }

  /**
   * A reader of a perf event array that programs write samples into: makes its events, one a CPU.
   * @throws {SkepError} 'no-type' where the object has no such type
   * @throws {BpfError} where events cannot be opened: EACCES, EMFILE, ENOMEM
   */
  perfBuffer<T = Uint8Array>({ type, pages = 16, onLost }: PerfReadOptions = {}): PerfBuffer<T> {
    const decode = this.#decoder<T>(type);
    const { maxEntries: entries } = this;
    this.#want('perf_event_array');
    return new PerfBuffer({ system: this.system, map: this, entries, pages, onLost, decode });
  }

  /** A writer into a ring buffer that a program drains. */
  userRingBuffer(): UserRingBuffer {
    const { maxEntries: capacity } = this;
    this.#want('user_ringbuf');
    return new UserRingBuffer({ system: this.system, map: this, capacity });
  }

  /**
   * What it holds as text: as `bpftool map dump` prints it, for people, as JSON, or as JSON on several lines.
   * @throws {SkepError} where a type of its keys or values has no values
   */
  dump(format: MapDumpFormat = 'text'): string {
    return [...this.dumpPieces(format)].join('');
  }

  /** The same element by element, for maps whose text is long. */
  dumpPieces(format: MapDumpFormat): Generator<string> {
    const { keySize, valueSize, type } = this;
    const cpus = perCpuTypes.includes(type) ? this.system.possibleCpus() : undefined;
    const types = fdTypes.includes(type) ? undefined : this.types;
    return dumpMap({ keySize, valueSize, cpus, types, entries: this.rawEntries() }, format);
  }

  /** Every element as bytes, as `entries` walks them; of a per-CPU map, a value has 8-byte steps, one a CPU. */
  *rawEntries(): Generator<[Uint8Array, Uint8Array]> {
    const { size } = this.#elements().value;
    for (const key of walkKeys(this.#walked())) {
      const value = new Uint8Array(size);
      if (this.#read('mapLookupElem', key, value)) yield [key, value];
    }
  }

  /** The bytes of an element's value; undefined where there is no such element. */
  rawValue(key: K | KIn): Uint8Array | undefined {
    const bytes = new Uint8Array(this.#elements().value.size);
    return this.#read('mapLookupElem', this.#elements().key.encode(key as Value), bytes) ? bytes : undefined;
  }

  /** Writes an element's value as bytes. */
  setRawValue(key: K | KIn, value: Uint8Array): void {
    this.#write(this.#elements().key.encode(key as Value), value, 'any');
  }

  #want(kind: MapTypeName): void {
    if (this.type === mapTypes[kind].id) return;
    throw new SkepError({
      code: 'map-kind',
      message: `${this.what} is of type ${this.typeName}, not ${kind}`,
    });
  }

  #decoder<T>(type: string | undefined): DecodeRecord<T> {
    if (type === undefined) return copyRecord as DecodeRecord<unknown> as DecodeRecord<T>;
    return recordDecoder(this.what, this.types?.btf, type);
  }

  #walked(): Walked {
    const { system, fd, what, type, keySize, maxEntries } = this;
    return { system, fd, what, type, keySize, maxEntries, valueSize: this.#elements().value.size };
  }

  #readAll(cmd: 'mapLookupBatch' | 'mapLookupAndDeleteBatch'): [K, V][] | undefined {
    const { key, value } = this.#elements();
    const entries: [K, V][] = [];
    for (const batch of readBatches(this.#walked(), cmd)) {
      if (batch === undefined) return undefined;
      const [keys, values] = [key.reader(batch.keys), value.reader(batch.values)];
      for (let i = 0; i < batch.count; i++) entries.push([keys(i) as K, values(i) as V]);
    }
    return entries;
  }

  #next(cmd: ReadElement): V | undefined {
    const { value } = this.#elements();
    const bytes = new Uint8Array(value.size);
    return this.#read(cmd, undefined, bytes) ? (value.decode(bytes) as V) : undefined;
  }

  /** Reads a value into `value`; false where there is no such element. */
  #read(cmd: ReadElement, key: Uint8Array | undefined, value: Uint8Array): boolean {
    try {
      this.system.bpf(cmd, { mapFd: this.fd, key, value });
      return true;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    }
  }

  #write(key: Uint8Array | undefined, value: Uint8Array, mode: UpdateMode): void {
    this.system.bpf('mapUpdateElem', { mapFd: this.fd, key, value, flags: updateFlags[mode] });
  }

  #elements(): { key: ElementPart; value: ElementPart } {
    if (this.#parts === undefined) {
      const { key, value } = mapCodecs(this, this.types, () => this.system.possibleCpus());
      this.#parts = {
        key: new ElementPart(key, `key of ${this.what}`),
        value: new ElementPart(value, `value of ${this.what}`),
      };
    }
    return this.#parts;
  }
}
