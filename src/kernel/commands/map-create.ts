/** MAP_CREATE: checks in the order of Linux's map_create(), then a map of the kind. */
import { SkepError } from '../../base/errors.ts';
import { type Btf, resolvedType, sizeOf } from '../../btf/index.ts';
import { createMap } from '../../maps/index.ts';
import type { MapDef } from '../../maps/types.ts';
import type { BpfAttr } from '../../uapi/commands.ts';
import { type MapTypeName, mapTypeName, mapTypes } from '../../uapi/map-types.ts';
import type { BtfObject } from '../objects/btf.ts';
import { MapObject } from '../objects/map.ts';
import { type Call, checkName } from './call.ts';
import { fileMode } from './file-mode.ts';

const F_NUMA_NODE = 1 << 2;

const features = {
  mapIfindex: 'offload to devices',
  btfVmlinuxValueTypeId: 'kernel BTF',
  valueTypeBtfObjFd: 'module BTF',
  mapTokenFd: 'BPF tokens',
  exclProgHash: 'maps bound to a signed program',
  exclProgHashSize: 'maps bound to a signed program',
};

export function mapCreate(call: Call, attr: BpfAttr<'mapCreate'>): number {
  const { kernel } = call;
  const keyType = attr.btfKeyTypeId ?? 0;
  const valueType = attr.btfValueTypeId ?? 0;
  if (keyType !== 0 && valueType === 0)
    throw call.fail('EINVAL', 'a BTF type of the key but none of the value');
  const flags = attr.mapFlags ?? 0;
  const mode = fileMode(call, flags);
  if ((flags & F_NUMA_NODE) !== 0 && (attr.numaNode ?? 0) !== 0) {
    throw call.fail('EINVAL', 'this kernel has NUMA node 0 only');
  }
  const type = mapTypeName(attr.mapType ?? 0);
  if (type === undefined) throw call.fail('EINVAL', `there is no map type ${attr.mapType ?? 0}`);
  if (mapTypes[type].label === 'absent') throw call.fail('EINVAL', `this kernel has no maps of type ${type}`);
  call.refuse(attr, features);
  if (!call.can.bpf) throw call.fail('EPERM', 'making maps needs CAP_BPF');
  const name = attr.mapName ?? '';
  checkName(call, name);

  const def: MapDef = {
    type: mapTypes[type].id,
    keySize: attr.keySize ?? 0,
    valueSize: attr.valueSize ?? 0,
    maxEntries: attr.maxEntries ?? 0,
    flags,
    name,
    mapExtra: attr.mapExtra ?? 0n,
  };
  const btf = keyType === 0 && valueType === 0 ? undefined : checkedBtf(call, { attr, type });
  const map = createMap(def, kernel);
  kernel.runtime.addMap(map);
  const object = new MapObject({
    map,
    btf,
    btfKeyTypeId: keyType,
    btfValueTypeId: valueType,
    registry: kernel.maps,
    onRelease: () => kernel.runtime.removeMap(map),
  });
  return call.fds.install(object, mode);
}

interface TypedMap {
  readonly attr: BpfAttr<'mapCreate'>;
  readonly type: MapTypeName;
}

/** map_check_btf(): the types' sizes are the map's, and an array's key is a 32-bit integer. */
function checkedBtf(call: Call, { attr, type }: TypedMap): BtfObject {
  const object = call.object(attr.btfFd, 'btf');
  const { btf } = object;
  const keyType = attr.btfKeyTypeId ?? 0;
  const valueType = attr.btfValueTypeId ?? 0;
  const isArray = type === 'array' || type === 'percpu_array';
  if (keyType !== 0) {
    if (typeSize(btf, keyType) !== attr.keySize)
      throw call.fail('EINVAL', 'the BTF type of the key has another size');
  } else if (!isArray) {
    throw call.fail('EINVAL', 'only an array may leave out the BTF type of its key');
  }
  if (typeSize(btf, valueType) !== attr.valueSize) {
    throw call.fail('EINVAL', 'the BTF type of the value has another size');
  }
  if (isArray) checkArrayTypes(call, btf, { keyType, valueType, maxEntries: attr.maxEntries ?? 0 });
  return object;
}

/** array_map_check_btf(): no key type is for one section of global variables. */
function checkArrayTypes(
  call: Call,
  btf: Btf,
  map: { keyType: number; valueType: number; maxEntries: number },
): void {
  if (map.keyType === 0) {
    if (map.maxEntries === 1 && resolvedType(btf, map.valueType).kind === 'datasec') return;
    throw call.fail('EINVAL', 'an array without a key type holds one value, a section of variables');
  }
  const key = resolvedType(btf, map.keyType);
  if (key.kind === 'int' && key.size === 4) return;
  throw call.fail('EINVAL', "the BTF type of an array's key is a 32-bit integer");
}

/** Undefined for an id that is no type with a size. */
function typeSize(btf: Btf, id: number): number | undefined {
  try {
    return sizeOf(btf, id);
  } catch (error) {
    if (error instanceof SkepError) return undefined;
    throw error;
  }
}
