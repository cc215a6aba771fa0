/**
 * How the keys and values of a map of some kind become values of TypeScript: which kinds have indices for keys, fds for
 * values, or a value for each CPU.
 */
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

/** Reads the n-th of the values that lie side by side in `bytes`. */
export function decoderOf({ size, decode, inPlace }: Codec, bytes: Uint8Array): (n: number) => Value {
  if (inPlace === undefined) return (n) => decode(bytes.subarray(n * size, (n + 1) * size));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return (n) => inPlace.read(view, n * size);
}

/** Writes a value onto zeros. */
export function put(
  { encode, inPlace }: Codec,
  view: DataView,
  { at, value }: { at: number; value: Value },
): void {
  if (inPlace !== undefined) inPlace.write(view, at, value);
  else new Uint8Array(view.buffer, view.byteOffset).set(encode(value), at);
}
