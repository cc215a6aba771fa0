/** MAP_CREATE: checks in the order of Linux's map_create(), then a map of the kind. */
import { createMap } from '../../maps/index.ts';
import type { BpfMap, MapDef } from '../../maps/types.ts';
import type { BpfAttr } from '../../uapi/commands.ts';
import { type MapTypeName, mapTypeName, mapTypes } from '../../uapi/map-types.ts';
import { MapObject, type MapObjectInit } from '../objects/map.ts';
import { type Call, checkName } from './call.ts';
import { fileMode } from './file-mode.ts';
import { checkedBtf } from './map-btf.ts';

const F_NUMA_NODE = 1 << 2;

const features = {
  mapIfindex: 'offload to devices',
  valueTypeBtfObjFd: 'module BTF',
  mapTokenFd: 'BPF tokens',
  exclProgHash: 'maps bound to a signed program',
  exclProgHashSize: 'maps bound to a signed program',
};

/** Kinds that take map_extra, and those that need CAP_NET_ADMIN. */
const withExtra: readonly MapTypeName[] = ['bloom_filter', 'arena'];
const networkKinds: readonly MapTypeName[] = ['sockmap', 'sockhash', 'devmap', 'devmap_hash', 'xskmap'];

/** Kinds that cannot be the inner map of another: they have no map_meta_equal(), or hold maps themselves. */
const neverInner: readonly MapTypeName[] = [
  'prog_array',
  'cgroup_storage',
  'percpu_cgroup_storage',
  'struct_ops',
];

export function mapCreate(call: Call, attr: BpfAttr<'mapCreate'>): number {
  const { kernel } = call;
  const type = mapTypeName(attr.mapType ?? 0);
  checkTypeIds(call, attr, type);
  const mapExtra = attr.mapExtra ?? 0n;
  if (mapExtra !== 0n && (type === undefined || !withExtra.includes(type))) {
    throw call.fail('EINVAL', 'map_extra is for bloom filters and arenas');
  }
  const flags = attr.mapFlags ?? 0;
  const mode = fileMode(call, flags);
  if ((flags & F_NUMA_NODE) !== 0 && (attr.numaNode ?? 0) !== 0) {
    throw call.fail('EINVAL', 'this kernel has NUMA node 0 only');
  }
  if (type === undefined) throw call.fail('EINVAL', `there is no map type ${attr.mapType ?? 0}`);
  call.refuse(attr, features);
  if (!call.can.bpf) throw call.fail('EPERM', 'making maps needs CAP_BPF');
  if (networkKinds.includes(type) && !call.can.netAdmin) {
    throw call.fail('EPERM', `making maps of type ${type} needs CAP_NET_ADMIN`);
  }
  const name = attr.mapName ?? '';

  const keyType = attr.btfKeyTypeId ?? 0;
  const valueType = attr.btfValueTypeId ?? 0;
  const def: MapDef = {
    type: mapTypes[type].id,
    keySize: attr.keySize ?? 0,
    valueSize: attr.valueSize ?? 0,
    maxEntries: attr.maxEntries ?? 0,
    flags,
    name,
    mapExtra,
    hasKeyType: keyType !== 0,
    hasValueType: valueType !== 0,
    hasKernelValueType: (attr.btfVmlinuxValueTypeId ?? 0) !== 0,
  };
  const map = createMap(def, kernel);
  const parts = { btfKeyTypeId: keyType, btfValueTypeId: valueType, ...checkedParts(call, attr, map) };
  kernel.runtime.addMap(map);
  const object = new MapObject({
    map,
    ...parts,
    registry: kernel.maps,
    onRelease: () => kernel.runtime.removeMap(map),
  });
  return call.fds.install(object, mode);
}

/** What is checked only once the map is made; it goes again where something is wrong. */
function checkedParts(
  call: Call,
  attr: BpfAttr<'mapCreate'>,
  map: BpfMap,
): Pick<MapObjectInit, 'inner' | 'btf'> {
  const type = mapTypeName(map.def.type) as MapTypeName;
  try {
    const inner = type === 'array_of_maps' || type === 'hash_of_maps' ? innerMap(call, attr) : undefined;
    checkName(call, map.def.name);
    return { inner, btf: map.def.hasValueType === true ? checkedBtf(call, { attr, type }) : undefined };
  } catch (error) {
    map.destroy();
    throw error;
  }
}

/** Types in the BTF of the kernel are for struct_ops alone, and a key's type needs a value's. */
function checkTypeIds(call: Call, attr: BpfAttr<'mapCreate'>, type: MapTypeName | undefined): void {
  const keyType = attr.btfKeyTypeId ?? 0;
  const valueType = attr.btfValueTypeId ?? 0;
  if ((attr.btfVmlinuxValueTypeId ?? 0) !== 0) {
    if (type === 'struct_ops' && keyType === 0 && valueType === 0) return;
    throw call.fail('EINVAL', 'a value type in the BTF of the kernel is for struct_ops, and alone');
  }
  if (keyType !== 0 && valueType === 0) {
    throw call.fail('EINVAL', 'a BTF type of the key but none of the value');
  }
}

/** bpf_map_meta_alloc(): the map that those inside will look like. */
function innerMap(call: Call, attr: BpfAttr<'mapCreate'>): MapObject {
  const inner = call.object(attr.innerMapFd, 'map');
  if (inner.inner !== undefined) throw call.fail('EINVAL', 'a map of maps of maps');
  const kind = mapTypeName(inner.map.def.type);
  if (kind !== undefined && neverInner.includes(kind)) {
    throw call.fail('ENOTSUPP', `maps of type ${kind} cannot be inside others`);
  }
  return inner;
}
