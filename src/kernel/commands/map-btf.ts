/**
 * The BTF that comes with a map: the types of key and value have the map's sizes, the kind takes them, and what is
 * special in a value (locks, timers, kernel pointers) may be in maps of that kind (map_check_btf()).
 */
import { SkepError } from '../../base/errors.ts';
import { type Btf, resolvedType, sizeOf } from '../../btf/index.ts';
import type { BpfAttr } from '../../uapi/commands.ts';
import type { MapTypeName } from '../../uapi/map-types.ts';
import { valueFields } from '../../verifier/index.ts';
import type { BtfObject } from '../objects/btf.ts';
import type { Call } from './call.ts';

/** BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG. */
const PROG_ACCESS = (1 << 7) | (1 << 8);

export interface TypedMap {
  readonly attr: BpfAttr<'mapCreate'>;
  readonly type: MapTypeName;
}

interface Types {
  readonly keyType: number;
  readonly valueType: number;
  readonly maxEntries: number;
}

type Check = (call: Call, btf: Btf, types: Types) => void;

/** Kinds whose own check lets the key's type be left out (those with an operation map_check_btf). */
const ownChecks: Partial<Record<MapTypeName, Check>> = {
  array: checkArrayTypes,
  percpu_array: checkArrayTypes,
  lpm_trie: (call, btf, { keyType }) => {
    if (resolvedType(btf, keyType).kind === 'struct') return;
    throw call.fail('EINVAL', "the BTF type of a trie's key is a struct");
  },
  bloom_filter: (call, _, { keyType }) => {
    if (keyType !== 0) throw call.fail('EINVAL', 'a bloom filter has no key');
  },
  cgroup_storage: checkCgroupKey,
  percpu_cgroup_storage: checkCgroupKey,
  sk_storage: checkIntKey,
  inode_storage: checkIntKey,
  task_storage: checkIntKey,
  cgrp_storage: checkIntKey,
  perf_event_array: noTypes,
  stack_trace: noTypes,
  cgroup_array: noTypes,
  array_of_maps: noTypes,
  hash_of_maps: noTypes,
  sockmap: noTypes,
  sockhash: noTypes,
  devmap: noTypes,
  devmap_hash: noTypes,
  cpumap: noTypes,
  xskmap: noTypes,
};

const hashes: readonly MapTypeName[] = ['hash', 'lru_hash'];
const percpu: readonly MapTypeName[] = ['percpu_hash', 'lru_percpu_hash', 'percpu_array'];
const storage: readonly MapTypeName[] = ['sk_storage', 'inode_storage', 'task_storage', 'cgrp_storage'];
const withLocks: readonly MapTypeName[] = ['hash', 'array', 'cgroup_storage', ...storage];
const withCallbacks: readonly MapTypeName[] = [...hashes, 'array'];
const withPointers: readonly MapTypeName[] = [...hashes, 'array', ...percpu, ...storage];

/** Which kinds may have a special field in their values. */
const fieldKinds: Readonly<Record<string, readonly MapTypeName[]>> = {
  bpf_spin_lock: withLocks,
  bpf_res_spin_lock: withLocks,
  bpf_timer: withCallbacks,
  bpf_wq: withCallbacks,
  bpf_task_work: withCallbacks,
  bpf_list_head: withCallbacks,
  bpf_rb_root: withCallbacks,
  bpf_refcount: withPointers,
  kptr: withPointers,
  uptr: ['task_storage'],
};

export function checkedBtf(call: Call, { attr, type }: TypedMap): BtfObject {
  const object = call.object(attr.btfFd, 'btf');
  const { btf } = object;
  const keyType = attr.btfKeyTypeId ?? 0;
  const valueType = attr.btfValueTypeId ?? 0;
  const own = ownChecks[type];
  if (keyType !== 0) {
    if (typeSize(btf, keyType) !== attr.keySize)
      throw call.fail('EINVAL', 'the BTF type of the key has another size');
  } else if (own === undefined) {
    throw call.fail('EINVAL', 'maps of this kind need the BTF type of their key');
  }
  if (typeSize(btf, valueType) !== attr.valueSize) {
    throw call.fail('EINVAL', 'the BTF type of the value has another size');
  }
  checkFields(call, object, { attr, type });
  own?.(call, btf, { keyType, valueType, maxEntries: attr.maxEntries ?? 0 });
  return object;
}

function checkFields(call: Call, { btf }: BtfObject, { attr, type }: TypedMap): void {
  const fields = valueFields(btf, attr.btfValueTypeId ?? 0);
  if (fields.length === 0) return;
  if (((attr.mapFlags ?? 0) & PROG_ACCESS) !== 0 || type === 'devmap' || type === 'devmap_hash') {
    throw call.fail('EACCES', 'programs must be able to read and write what is special in the value');
  }
  const wrong = fields.find(({ name }) => fieldKinds[name]?.includes(type) === false);
  if (wrong !== undefined) throw call.fail('ENOTSUP', `maps of type ${type} cannot hold a ${wrong.name}`);
}

/** map_check_no_btf() */
function noTypes(call: Call): void {
  throw call.fail('ENOTSUPP', 'maps of this kind take no BTF types');
}

/** bpf_local_storage_map_check_btf() */
function checkIntKey(call: Call, btf: Btf, { keyType }: Types): void {
  const key = resolvedType(btf, keyType);
  if (key.kind === 'int' && key.size === 4) return;
  throw call.fail('EINVAL', 'the BTF type of the key is a 32-bit integer');
}

/** cgroup_storage_check_btf(): the id of a cgroup, or struct bpf_cgroup_storage_key. */
function checkCgroupKey(call: Call, btf: Btf, { keyType }: Types): void {
  const key = resolvedType(btf, keyType);
  if (key.kind === 'int' && key.size === 8) return;
  const sizes = key.kind === 'struct' ? key.members.map(({ type }) => typeSize(btf, type)) : [];
  if (sizes.length === 2 && sizes[0] === 8 && sizes[1] === 4) return;
  throw call.fail('EINVAL', 'the BTF type of the key is a 64-bit integer, or of a cgroup and an attach type');
}

/** array_map_check_btf(): no key type is for one section of global variables. */
function checkArrayTypes(call: Call, btf: Btf, map: Types): void {
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
