/**
 * What Linux's map_create() asks of the definition of each kind but plain arrays: sizes,
 * entries, flags, map_extra, BTF (the map_alloc_check() and map_alloc() of that kind, as Linux 6.18 was seen to
 * answer). What a definition alone cannot tell, the inner map and types of the kernel, is left to MAP_CREATE.
 */
import { BpfError } from '../uapi/errno.ts';
import type { VerifiedOnly } from '../uapi/label.ts';
import type { MapTypeName, mapTypes } from '../uapi/map-types.ts';
import { checkArrayDef } from './array.ts';
import { ACCESS_FLAGS, checkAccess, checkFlags, invalid, mapFlags, tooBig } from './flags.ts';
import type { MapDef } from './types.ts';

const { NO_PREALLOC, NO_COMMON_LRU, NUMA_NODE, RDONLY, WRONLY, STACK_BUILD_ID, ZERO_SEED, CLONE } = mapFlags;
const { MMAPABLE, PRESERVE_ELEMS, LINK, VTYPE_BTF_OBJ_FD, SEGV_ON_FAULT, NO_USER_CONV } = mapFlags;

const PAGE = 4096;
/** What kmalloc() gives at most (KMALLOC_MAX_SIZE), and a per-CPU allocation (PCPU_MIN_UNIT_SIZE). */
const KMALLOC_MAX = 1 << 22;
const PERCPU_MAX = 32768;
/** Bytes before the key in an element of a hash. */
const HASH_ELEM = 48;
const STACK_BYTES = 512;
/** Entries of a stack trace (kernel.perf_event_max_stack), and bytes of one, or of one with a build id. */
const STACK_ENTRIES = 127;
const FRAME_BYTES = 8;
const BUILD_ID_BYTES = 32;
/** An LPM key: its length in bits, then 1 to 256 bytes. */
const LPM_KEY_MIN = 5;
const LPM_KEY_MAX = 260;
const LPM_NODE = 40;
/** What 16 bits can count, less what keeps a value of storage. */
const STORAGE_VALUE_MAX = 0xffff - 48 - 80;
/** NR_CPUS, which is a matter of how a kernel is built. */
const CPUS_MAX = 8192;
const DEVMAP_HASH_MAX = 2 ** 31;
const ARENA_MAX = 2 ** 32;

type Check = (def: MapDef) => void;

function want(holds: boolean, what: string): void {
  if (!holds) throw invalid(what);
}

function keyIs(def: MapDef, ...sizes: readonly number[]): void {
  want(sizes.includes(def.keySize), `a key of ${def.keySize} bytes: ${sizes.join(' or ')} are wanted`);
}

function valueIs(def: MapDef, ...sizes: readonly number[]): void {
  want(sizes.includes(def.valueSize), `a value of ${def.valueSize} bytes: ${sizes.join(' or ')} are wanted`);
}

function hasEntries(def: MapDef): void {
  want(def.maxEntries !== 0, 'max_entries is 0');
}

/** fd_array_map_alloc_check() */
function fdArray(allowed: number): Check {
  return (def) => {
    valueIs(def, 4);
    checkArrayDef(def, allowed | NUMA_NODE | RDONLY | WRONLY);
  };
}

/** htab_map_alloc_check() */
export function hashChecks(kind: { percpu?: boolean; lru?: boolean }): Check {
  return (def) => {
    const { flags } = def;
    checkAccess(def);
    const mask = NO_PREALLOC | NO_COMMON_LRU | NUMA_NODE | ACCESS_FLAGS | ZERO_SEED;
    checkFlags(def, kind.lru === true ? mask : mask & ~NO_COMMON_LRU);
    if (kind.lru === true && (flags & NO_PREALLOC) !== 0) {
      throw new BpfError('ENOTSUPP', 'creating a map', 'an LRU hash is preallocated');
    }
    want(!(kind.percpu === true && (flags & NUMA_NODE) !== 0), 'values of each CPU have no NUMA node');
    hasEntries(def);
    want(def.keySize !== 0, 'key_size is 0');
    want(def.valueSize !== 0, 'value_size is 0');
    if (def.keySize + def.valueSize >= KMALLOC_MAX - HASH_ELEM) throw tooBig('key and value together');
    if (kind.percpu === true && def.valueSize > PERCPU_MAX) throw tooBig(`a value of ${def.valueSize} bytes`);
  };
}

/** sock_map_alloc(), dev_map_alloc(), xsk_map_alloc(): values are fds, or fds with more. */
function redirects(
  def: MapDef,
  { keys, values }: { keys: readonly number[]; values: readonly number[] },
): void {
  hasEntries(def);
  keyIs(def, ...keys);
  valueIs(def, ...values);
  checkFlags(def, NUMA_NODE | RDONLY | WRONLY);
}

/** bpf_local_storage_map_alloc_check() */
function localStorage(def: MapDef): void {
  checkFlags(def, NO_PREALLOC | CLONE);
  want((def.flags & NO_PREALLOC) !== 0, 'local storage is made with BPF_F_NO_PREALLOC');
  want(def.maxEntries === 0, 'max_entries of local storage is 0');
  keyIs(def, 4);
  want(def.valueSize !== 0, 'value_size is 0');
  want(
    def.hasKeyType === true && def.hasValueType === true,
    'local storage needs the BTF types of its key and value',
  );
  if (def.valueSize > STORAGE_VALUE_MAX) throw tooBig(`a value of ${def.valueSize} bytes`);
}

/** cgroup_storage_map_alloc() */
function cgroupStorage(max: number): Check {
  return (def) => {
    keyIs(def, 8, 16);
    want(def.valueSize !== 0, 'value_size is 0');
    if (def.valueSize > max) throw tooBig(`a value of ${def.valueSize} bytes`);
    checkFlags(def, NUMA_NODE | ACCESS_FLAGS);
    want(def.maxEntries === 0, 'max_entries of cgroup storage is 0');
  };
}

/** queue_stack_map_alloc_check() */
function queue(def: MapDef): void {
  hasEntries(def);
  keyIs(def, 0);
  want(def.valueSize !== 0, 'value_size is 0');
  checkFlags(def, NUMA_NODE | ACCESS_FLAGS);
  if (def.valueSize > KMALLOC_MAX) throw tooBig(`a value of ${def.valueSize} bytes`);
}

/** ringbuf_map_alloc() */
function ring(def: MapDef): void {
  checkFlags(def, NUMA_NODE);
  keyIs(def, 0);
  valueIs(def, 0);
  const size = def.maxEntries;
  want(
    size % PAGE === 0 && size !== 0 && Number.isInteger(Math.log2(size)),
    'a size of a power of 2 in pages',
  );
}

/** stack_map_alloc() */
function stackTrace(def: MapDef): void {
  checkFlags(def, NUMA_NODE | RDONLY | WRONLY | STACK_BUILD_ID);
  hasEntries(def);
  keyIs(def, 4);
  const entry = (def.flags & STACK_BUILD_ID) !== 0 ? BUILD_ID_BYTES : FRAME_BYTES;
  const entries = def.valueSize / entry;
  want(
    Number.isInteger(entries) && entries > 0 && entries <= STACK_ENTRIES,
    `a value of ${def.valueSize} bytes: 1 to ${STACK_ENTRIES} times ${entry} are wanted`,
  );
}

/** trie_alloc() */
function lpmTrie(def: MapDef): void {
  hasEntries(def);
  want((def.flags & NO_PREALLOC) !== 0, 'a trie is made with BPF_F_NO_PREALLOC');
  checkFlags(def, NO_PREALLOC | NUMA_NODE | ACCESS_FLAGS);
  const { keySize, valueSize } = def;
  want(keySize >= LPM_KEY_MIN && keySize <= LPM_KEY_MAX, `a key of ${keySize} bytes`);
  want(valueSize > 0 && valueSize <= KMALLOC_MAX - LPM_KEY_MAX - LPM_NODE, `a value of ${valueSize} bytes`);
}

/** cpu_map_alloc() */
function cpumap(def: MapDef): void {
  hasEntries(def);
  keyIs(def, 4);
  valueIs(def, 4, 8);
  checkFlags(def, NUMA_NODE);
  if (def.maxEntries > CPUS_MAX) throw tooBig(`${def.maxEntries} CPUs`);
}

/** bloom_map_alloc(): map_extra is the number of hash functions. */
function bloomFilter(def: MapDef): void {
  keyIs(def, 0);
  want(def.valueSize !== 0, 'value_size is 0');
  hasEntries(def);
  checkFlags({ ...def, mapExtra: 0n }, NUMA_NODE | ZERO_SEED | ACCESS_FLAGS);
  want(def.mapExtra <= 15n, 'a bloom filter has up to 15 hash functions');
}

/** arena_map_alloc(): map_extra is its address in user space. */
function arena(def: MapDef): void {
  keyIs(def, 0);
  valueIs(def, 0);
  hasEntries(def);
  want((def.flags & MMAPABLE) !== 0, 'an arena is made with BPF_F_MMAPABLE');
  checkFlags({ ...def, mapExtra: 0n }, MMAPABLE | SEGV_ON_FAULT | NO_USER_CONV);
  want(def.mapExtra % BigInt(PAGE) === 0n, 'the address of an arena is that of a page');
  const bytes = BigInt(def.maxEntries) * BigInt(PAGE);
  if (bytes > BigInt(ARENA_MAX)) throw tooBig(`${def.maxEntries} pages`);
  if (def.mapExtra >> 32n !== (def.mapExtra + bytes - 1n) >> 32n) {
    throw new BpfError('ERANGE', 'creating a map', 'the addresses of an arena share their upper 32 bits');
  }
}

/** bpf_struct_ops_map_alloc_check() */
function structOps(def: MapDef): void {
  keyIs(def, 4);
  want(def.maxEntries === 1, 'max_entries of struct_ops is 1');
  checkFlags(def, LINK | VTYPE_BTF_OBJ_FD);
  want(def.hasKernelValueType === true, 'struct_ops needs the type of its value in the BTF of the kernel');
}

export const definitionChecks = {
  perf_event_array: fdArray(PRESERVE_ELEMS),
  percpu_hash: hashChecks({ percpu: true }),
  stack_trace: stackTrace,
  cgroup_array: fdArray(0),
  lru_hash: hashChecks({ lru: true }),
  lru_percpu_hash: hashChecks({ percpu: true, lru: true }),
  lpm_trie: lpmTrie,
  array_of_maps: fdArray(0),
  hash_of_maps: (def) => {
    valueIs(def, 4);
    hashChecks({})(def);
  },
  devmap: (def) => redirects(def, { keys: [4], values: [4, 8] }),
  sockmap: (def) => redirects(def, { keys: [4], values: [4, 8] }),
  cpumap,
  xskmap: (def) => redirects(def, { keys: [4], values: [4] }),
  sockhash: (def) => {
    want(def.keySize !== 0, 'key_size is 0');
    redirects(def, { keys: [def.keySize], values: [4, 8] });
    if (def.keySize > STACK_BYTES) throw tooBig(`a key of ${def.keySize} bytes`);
  },
  cgroup_storage: cgroupStorage(STORAGE_VALUE_MAX),
  reuseport_sockarray: (def) => {
    valueIs(def, 4, 8);
    checkArrayDef(def, NUMA_NODE | ACCESS_FLAGS);
  },
  percpu_cgroup_storage: cgroupStorage(PERCPU_MAX),
  queue,
  stack: queue,
  sk_storage: localStorage,
  devmap_hash: (def) => {
    redirects(def, { keys: [4], values: [4, 8] });
    want(def.maxEntries <= DEVMAP_HASH_MAX, `${def.maxEntries} entries`);
  },
  struct_ops: structOps,
  ringbuf: ring,
  inode_storage: localStorage,
  task_storage: localStorage,
  bloom_filter: bloomFilter,
  user_ringbuf: ring,
  cgrp_storage: localStorage,
  arena,
} satisfies Partial<Record<MapTypeName, Check>> & Record<VerifiedOnly<typeof mapTypes>, Check>;
