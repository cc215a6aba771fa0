/**
 * From a definition to a map: one row for each kind that runs; the others exist for the verifier alone.
 */
import { BpfError } from '../uapi/errno.ts';
import type { Running, VerifiedOnly } from '../uapi/label.ts';
import { type MapTypeName, mapTypeName, mapTypes } from '../uapi/map-types.ts';
import { ArrayMap } from './array.ts';
import { HashMap } from './hash.ts';
import { PercpuArrayMap } from './percpu-array.ts';
import { ProgArrayMap } from './prog-array.ts';
import { QueueMap } from './queue.ts';
import { RingBufMap } from './ringbuf.ts';
import type { BpfMap, MapContext, MapDef } from './types.ts';
import { VerifiedOnlyMap } from './verified-only.ts';

type MapKind = new (def: MapDef, context: MapContext) => BpfMap;

const running = {
  hash: HashMap,
  array: ArrayMap,
  prog_array: ProgArrayMap,
  percpu_hash: HashMap,
  percpu_array: PercpuArrayMap,
  lru_hash: HashMap,
  lru_percpu_hash: HashMap,
  queue: QueueMap,
  stack: QueueMap,
  ringbuf: RingBufMap,
} satisfies Record<Running<typeof mapTypes>, MapKind>;

/**
 * Makes an empty map as `def` says.
 * @throws {BpfError} EINVAL, E2BIG or ENOMEM, as Linux's BPF_MAP_CREATE does
 */
export function createMap(def: MapDef, context: MapContext): BpfMap {
  const name = mapTypeName(def.type);
  if (name === undefined) {
    throw new BpfError('EINVAL', `creating a map of type ${def.type}`, 'there is no such map kind');
  }
  if (isVerifiedOnly(name)) return new VerifiedOnlyMap(name, def, context);
  return new running[name](def, context);
}

function isVerifiedOnly(name: MapTypeName): name is VerifiedOnly<typeof mapTypes> {
  return mapTypes[name].label === 'verified-only';
}
