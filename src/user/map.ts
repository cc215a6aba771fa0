/**
 * A live map: get, set, delete and walk it with typed keys and values. Everything goes through bpf(2)
 * element commands, so it works alike on every kernel.
 */
import { SkepError } from '../base/errors.ts';
import type { Codec, Value } from '../btf/index.ts';
import { BpfError } from '../uapi/errno.ts';
import type { InfoOf } from '../uapi/info.ts';
import { mapTypeName, mapTypes } from '../uapi/map-types.ts';
import type { System } from '../uapi/seam.ts';
import { type ElementTypes, elementCodec, indexCodec, perCpuCodec } from './element.ts';
import { Handle } from './handle.ts';

/** BPF_ANY, BPF_NOEXIST, BPF_EXIST. */
const updateFlags = { any: 0n, noexist: 1n, exist: 2n } as const;

/** Whether `set` may create the element, must, or must not. */
export type UpdateMode = keyof typeof updateFlags;

/** Kinds with a value for every CPU. */
export const perCpuTypes: readonly number[] = [
  mapTypes.percpu_hash.id,
  mapTypes.percpu_array.id,
  mapTypes.lru_percpu_hash.id,
  mapTypes.percpu_cgroup_storage.id,
];
/** Kinds whose keys are indexes. */
export const indexedTypes: readonly number[] = [
  mapTypes.array.id,
  mapTypes.percpu_array.id,
  mapTypes.prog_array.id,
  mapTypes.perf_event_array.id,
  mapTypes.cgroup_array.id,
  mapTypes.array_of_maps.id,
];
/** Kinds whose values are given as fds of other objects. */
export const fdTypes: readonly number[] = [
  mapTypes.prog_array.id,
  mapTypes.array_of_maps.id,
  mapTypes.hash_of_maps.id,
];

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
  #codecs: { key: Codec; value: Codec } | undefined;

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

  /** The value of `key`, or undefined. */
  get(key: K | KIn): V | undefined {
    const bytes = this.#lookup(this.#encodeKey(key));
    return bytes === undefined ? undefined : (this.#codec().value.decode(bytes) as V);
  }

  has(key: K | KIn): boolean {
    return this.#lookup(this.#encodeKey(key)) !== undefined;
  }

  /**
   * Writes an element. A program array takes a `Program` as its value.
   * @throws {BpfError} E2BIG where the map is full or the index beyond its end, EEXIST and ENOENT by `mode`,
   * EPERM where the map is frozen
   * @throws {SkepError} 'value' where key or value do not fit their type
   */
  set(key: K | KIn, value: V | VIn | Handle, mode: UpdateMode = 'any'): this {
    const attr = {
      mapFd: this.fd,
      key: this.#encodeKey(key),
      value: this.#encodeValue(value),
      flags: updateFlags[mode],
    };
    this.system.bpf('mapUpdateElem', attr);
    return this;
  }

  /**
   * Removes an element; false where there was none.
   * @throws {BpfError} EINVAL for arrays, whose elements are always there
   */
  delete(key: K | KIn): boolean {
    try {
      this.system.bpf('mapDeleteElem', { mapFd: this.fd, key: this.#encodeKey(key) });
      return true;
    } catch (error) {
      if (error instanceof BpfError && error.errno === 'ENOENT') return false;
      throw error;
    }
  }

  /** Removes every element. */
  clear(): void {
    for (const key of this.keys()) this.delete(key);
  }

  /** How many elements there are: walks the map. */
  get size(): number {
    let count = 0;
    for (const _ of this.rawEntries()) count++;
    return count;
  }

  *keys(): Generator<K> {
    const { key } = this.#codec();
    for (const bytes of this.#rawKeys()) yield key.decode(bytes) as K;
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
    const { key, value } = this.#codec();
    for (const [k, v] of this.rawEntries()) yield [key.decode(k) as K, value.decode(v) as V];
  }

  [Symbol.iterator](): Generator<[K, V]> {
    return this.entries();
  }

  /** Forbids further writes from user space (BPF_MAP_FREEZE). */
  freeze(): void {
    this.system.bpf('mapFreeze', { mapFd: this.fd });
  }

  /** The bytes of an element's value; undefined where there is no such element. */
  rawValue(key: K | KIn): Uint8Array | undefined {
    return this.#lookup(this.#encodeKey(key));
  }

  /** Writes an element's value as bytes. */
  setRawValue(key: K | KIn, value: Uint8Array): void {
    this.system.bpf('mapUpdateElem', { mapFd: this.fd, key: this.#encodeKey(key), value, flags: 0n });
  }

  #codec(): { key: Codec; value: Codec } {
    if (this.#codecs !== undefined) return this.#codecs;
    const btf = this.types?.btf;
    const keyTypeId = this.types?.keyTypeId ?? 0;
    const key =
      keyTypeId === 0 && indexedTypes.includes(this.type)
        ? indexCodec
        : elementCodec(keyTypeId, this.keySize, btf);
    const one = fdTypes.includes(this.type)
      ? indexCodec
      : elementCodec(this.types?.valueTypeId ?? 0, this.valueSize, btf);
    const value = perCpuTypes.includes(this.type) ? perCpuCodec(one, this.system.possibleCpus()) : one;
    this.#codecs = { key, value };
    return this.#codecs;
  }

  #encodeKey(key: K | KIn): Uint8Array {
    return this.#labelled('key', () => this.#codec().key.encode(key as Value));
  }

  #encodeValue(value: V | VIn | Handle): Uint8Array {
    const plain = value instanceof Handle ? value.fd : (value as Value);
    return this.#labelled('value', () => this.#codec().value.encode(plain));
  }

  /** An error in a key or value says whose it is. */
  #labelled<T>(part: string, encode: () => T): T {
    try {
      return encode();
    } catch (error) {
      throw error instanceof SkepError && error.where === undefined
        ? error.at(`${part} of ${this.what}`)
        : error;
    }
  }

  #lookup(key: Uint8Array): Uint8Array | undefined {
    const value = new Uint8Array(this.#codec().value.size);
    try {
      this.system.bpf('mapLookupElem', { mapFd: this.fd, key, value });
      return value;
    } catch (error) {
      if (error instanceof BpfError && error.errno === 'ENOENT') return undefined;
      throw error;
    }
  }

  #nextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    const nextKey = new Uint8Array(this.keySize);
    try {
      this.system.bpf('mapGetNextKey', { mapFd: this.fd, key, nextKey });
      return nextKey;
    } catch (error) {
      if (error instanceof BpfError && error.errno === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Every element as bytes, as `entries` walks them; of a per-CPU map, a value has 8-byte steps, one a CPU. */
  *rawEntries(): Generator<[Uint8Array, Uint8Array]> {
    for (const key of this.#rawKeys()) {
      const value = this.#lookup(key);
      if (value !== undefined) yield [key, value];
    }
  }

  /**
   * Walks by MAP_GET_NEXT_KEY. The next key is fetched before one is handed out, so that deleting that one
   * does not lose the place; where the place is lost all the same, a hash map starts again from its first
   * key, and the keys that were seen are passed over.
   */
  *#rawKeys(): Generator<Uint8Array> {
    const seen = indexedTypes.includes(this.type) ? undefined : new Set<string>();
    let steps = 0;
    let key = this.#nextKey(undefined);
    while (key !== undefined) {
      const fresh = seen === undefined || addKey(seen, key);
      if (++steps > 4 * this.maxEntries + 64) {
        throw new SkepError({
          code: 'map-changing',
          message: `${this.what} changes faster than it can be walked`,
        });
      }
      const next: Uint8Array | undefined = this.#nextKey(key);
      if (fresh) yield key;
      key = next;
    }
  }
}

/** Adds a key to the set; false where it was in it. */
function addKey(seen: Set<string>, key: Uint8Array): boolean {
  const text = String.fromCharCode(...key);
  if (seen.has(text)) return false;
  seen.add(text);
  return true;
}
