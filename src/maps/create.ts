/**
 * From a definition to a map: one row for each kind that is there.
 */
import { BpfError } from '../uapi/errno.ts';
import type { Running } from '../uapi/label.ts';
import { type MapTypeName, mapTypeName, type mapTypes } from '../uapi/map-types.ts';
import { ArrayMap } from './array.ts';
import { HashMap } from './hash.ts';
import { PercpuArrayMap } from './percpu-array.ts';
import { ProgArrayMap } from './prog-array.ts';
import type { BpfMap, MapContext, MapDef } from './types.ts';

type MapKind = new (def: MapDef, context: MapContext) => BpfMap;

const running = {
  hash: HashMap,
  array: ArrayMap,
  prog_array: ProgArrayMap,
  percpu_array: PercpuArrayMap,
} satisfies Record<Running<typeof mapTypes>, MapKind>;

export const mapKinds: Partial<Record<MapTypeName, MapKind>> = running;

/**
 * Makes an empty map as `def` says.
 * @throws {BpfError} EINVAL, E2BIG or ENOMEM, as Linux's BPF_MAP_CREATE does
 */
export function createMap(def: MapDef, context: MapContext): BpfMap {
  const name = mapTypeName(def.type);
  const Kind = name === undefined ? undefined : mapKinds[name];
  if (Kind === undefined) {
    throw new BpfError(
      'EINVAL',
      `creating a map of type ${name ?? def.type}`,
      'this kernel has no such map kind',
    );
  }
  return new Kind(def, context);
}
