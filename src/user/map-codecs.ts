/**
 * How the keys and values of a map of some kind become values of TypeScript: which kinds have indices for keys, fds for
 * values, or a value for each CPU.
 */
import { SkepError } from '../base/errors.ts';
import type { Codec, Value } from '../btf/index.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { type ElementTypes, elementCodec, indexCodec, perCpuCodec } from './element.ts';

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

/** The codecs of a map's keys and values. */
export function mapCodecs(
  { type, keySize, valueSize }: { type: number; keySize: number; valueSize: number },
  types: ElementTypes | undefined,
  possibleCpus: () => number,
): { key: Codec; value: Codec } {
  const btf = types?.btf;
  const keyTypeId = types?.keyTypeId ?? 0;
  const isIndexed = keyTypeId === 0 && indexedTypes.includes(type);
  const key = isIndexed ? indexCodec : elementCodec(keyTypeId, keySize, btf);
  const one = fdTypes.includes(type) ? indexCodec : elementCodec(types?.valueTypeId ?? 0, valueSize, btf);
  return { key, value: perCpuTypes.includes(type) ? perCpuCodec(one, possibleCpus()) : one };
}

/** Keys, or values, of one map as values of TypeScript and as bytes. */
export class ElementPart {
  /** Where one lies for the time of a call: not to be handed out. */
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #codec: Codec;
  readonly #what: string;

  /** @param what whose they are, for errors: `key of map 'blocked'` */
  constructor(codec: Codec, what: string) {
    this.#codec = codec;
    this.#what = what;
    this.bytes = new Uint8Array(codec.size);
    this.#view = new DataView(this.bytes.buffer);
  }

  get size(): number {
    return this.#codec.size;
  }

  decode(bytes: Uint8Array): Value {
    return this.#codec.decode(bytes);
  }

  /** @throws {SkepError} 'value' where it does not fit the type */
  encode(value: Value): Uint8Array {
    return this.#labelled(() => this.#codec.encode(value));
  }

  /** What lies in `bytes`. */
  read(): Value {
    const { inPlace } = this.#codec;
    return inPlace === undefined ? this.#codec.decode(this.bytes) : inPlace.read(this.#view, 0);
  }

  /** As `encode`, into `bytes`. */
  write(value: Value): Uint8Array {
    const { inPlace } = this.#codec;
    if (inPlace === undefined) return this.encode(value);
    this.bytes.fill(0);
    this.#labelled(() => inPlace.write(this.#view, 0, value));
    return this.bytes;
  }

  /** Many side by side. */
  encodeAll(values: readonly Value[]): Uint8Array {
    const { inPlace, size } = this.#codec;
    const bytes = new Uint8Array(values.length * size);
    const view = new DataView(bytes.buffer);
    this.#labelled(() =>
      values.forEach((value, i) => {
        if (inPlace === undefined) bytes.set(this.#codec.encode(value), i * size);
        else inPlace.write(view, i * size, value);
      }),
    );
    return bytes;
  }

  /** Reads the n-th of those that lie side by side in `bytes`. */
  reader(bytes: Uint8Array): (n: number) => Value {
    const { inPlace, size, decode } = this.#codec;
    if (inPlace === undefined) return (n) => decode(bytes.subarray(n * size, (n + 1) * size));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return (n) => inPlace.read(view, n * size);
  }

  /** An error in a key or value says whose it is. */
  #labelled<T>(encode: () => T): T {
    try {
      return encode();
    } catch (error) {
      throw error instanceof SkepError && error.where === undefined ? error.at(this.#what) : error;
    }
  }
}
