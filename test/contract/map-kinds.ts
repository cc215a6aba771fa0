/** MAP_CREATE of every kind: a definition that Linux takes, and what it refuses of each. */
import assert from 'node:assert/strict';
import type { BpfAttr } from '../../src/uapi/commands.ts';
import type { Errno } from '../../src/uapi/errno.ts';
import { type MapTypeName, mapTypes } from '../../src/uapi/map-types.ts';
import type { System } from '../../src/uapi/seam.ts';
import { type ContractTest, makeMap, mapInfo, outcome, type Row, tableTest } from './harness.ts';

type Attr = BpfAttr<'mapCreate'>;

const PAGE = 4096;
const NO_PREALLOC = 1;
const NO_COMMON_LRU = 2;
const NUMA_NODE = 4;
const STACK_BUILD_ID = 1 << 5;
const ZERO_SEED = 1 << 6;
const RDONLY_PROG = 1 << 7;
const WRONLY_PROG = 1 << 8;
const MMAPABLE = 1 << 10;
const PRESERVE_ELEMS = 1 << 11;
const INNER_MAP = 1 << 12;

/** BTF: 1 is int, 2 is u64, 3 a struct of two ints, 4 bpf_spin_lock, 5 a struct with one. */
function types(): Uint8Array {
  const strings = '\0int\0u64\0s\0a\0b\0bpf_spin_lock\0';
  const at = (name: string): number => strings.indexOf(`\0${name}\0`) + 1;
  const kind = (id: number, members = 0): number => ((id << 24) | members) >>> 0;
  const words = [
    ...[at('int'), kind(1), 4, (1 << 24) | 32],
    ...[at('u64'), kind(1), 8, 64],
    ...[at('s'), kind(4, 2), 8, at('a'), 1, 0, at('b'), 1, 32],
    ...[at('bpf_spin_lock'), kind(4, 1), 4, at('a'), 1, 0],
    ...[at('s'), kind(4, 2), 8, at('a'), 4, 0, at('b'), 1, 32],
  ];
  const text = new TextEncoder().encode(strings);
  const bytes = new Uint8Array(24 + 4 * words.length + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, true);
  view.setUint8(2, 1);
  [24, 0, 4 * words.length, 4 * words.length, text.length].forEach((word, i) => {
    view.setUint32(4 + 4 * i, word, true);
  });
  words.forEach((word, i) => {
    view.setUint32(24 + 4 * i, word, true);
  });
  bytes.set(text, 24 + 4 * words.length);
  return bytes;
}

interface Setup {
  readonly s: System;
  readonly btfFd: number;
  readonly inner: Readonly<Record<'hash' | 'progArray' | 'arrayOfMaps', number>>;
}

function setup(s: System): Setup {
  const btf = types();
  const hash = makeMap(s);
  const inner = {
    hash,
    progArray: makeMap(s, { mapType: mapTypes.prog_array.id }),
    arrayOfMaps: makeMap(s, { mapType: mapTypes.array_of_maps.id, innerMapFd: hash }),
  };
  return { s, btfFd: s.bpf('btfLoad', { btf, btfSize: btf.length }), inner };
}

/** Types of key and value. */
const typed =
  (btfKeyTypeId: number, btfValueTypeId: number) =>
  ({ btfFd }: Setup): Attr => ({ btfFd, btfKeyTypeId, btfValueTypeId });

type Variation = readonly [name: string, attr: Attr | ((setup: Setup) => Attr), want: Errno];

interface Kind {
  readonly good: Attr | ((setup: Setup) => Attr);
  readonly bad: readonly Variation[];
}

const four: Attr = { keySize: 4, valueSize: 4, maxEntries: 2 };
const noEntries: Variation = ['no entries', { maxEntries: 0 }, 'EINVAL'];
const longKey: Variation = ['a key of 8 bytes', { keySize: 8 }, 'EINVAL'];
const longValue: Variation = ['a value of 16 bytes', { valueSize: 16 }, 'EINVAL'];
const noTypes: Variation = ['with BTF', typed(1, 1), 'ENOTSUPP'];
const lock: Variation = [
  'a lock in its value',
  (made) => ({ valueSize: 8, ...typed(1, 5)(made) }),
  'ENOTSUP',
];
const extra: Variation = ['map_extra', { mapExtra: 1n }, 'EINVAL'];
const array: Kind = { good: four, bad: [noEntries, longKey, extra] };
const fds: Kind = { good: four, bad: [noEntries, longKey, longValue, extra] };
const storage: Kind = {
  good: (made) => ({ keySize: 4, valueSize: 4, maxEntries: 0, mapFlags: NO_PREALLOC, ...typed(1, 1)(made) }),
  bad: [
    ['entries', { maxEntries: 1 }, 'EINVAL'],
    ['preallocated', { mapFlags: 0 }, 'EINVAL'],
    ['no types', { btfFd: 0, btfKeyTypeId: 0, btfValueTypeId: 0 }, 'EINVAL'],
    ['a value of 64 KiB', { valueSize: 65408 }, 'E2BIG'],
    longKey,
  ],
};
const queue: Kind = {
  good: { keySize: 0, valueSize: 4, maxEntries: 2 },
  bad: [noEntries, ['a key', { keySize: 4 }, 'EINVAL'], ['no value', { valueSize: 0 }, 'EINVAL']],
};
const ring: Kind = {
  good: { keySize: 0, valueSize: 0, maxEntries: PAGE },
  bad: [
    noEntries,
    ['half a page', { maxEntries: PAGE / 2 }, 'EINVAL'],
    ['three pages', { maxEntries: 3 * PAGE }, 'EINVAL'],
    ['a value', { valueSize: 4 }, 'EINVAL'],
    ['without preallocation', { mapFlags: NO_PREALLOC }, 'EINVAL'],
  ],
};
const device: Kind = { good: four, bad: [noEntries, longKey, longValue, noTypes] };
const cgroup: Kind = {
  good: { keySize: 8, valueSize: 4, maxEntries: 0 },
  bad: [
    ['entries', { maxEntries: 1 }, 'EINVAL'],
    ['a key of 4 bytes', { keySize: 4 }, 'EINVAL'],
    ['a value of 64 KiB', { valueSize: 65408 }, 'E2BIG'],
    ['a struct for the id of a cgroup', typed(3, 1), 'EINVAL'],
  ],
};
const lru: readonly Variation[] = [noEntries, ['without preallocation', { mapFlags: 1 }, 'ENOTSUPP'], lock];
const mapsOf = ({ inner }: Setup): Attr => ({ ...four, innerMapFd: inner.hash });
const inners: readonly Variation[] = [
  ['no inner map', { innerMapFd: 999 }, 'EBADF'],
  ['BTF for an inner map', ({ btfFd }) => ({ innerMapFd: btfFd }), 'EINVAL'],
  ['maps of maps inside', ({ inner }) => ({ innerMapFd: inner.arrayOfMaps }), 'EINVAL'],
  ['program arrays inside', ({ inner }) => ({ innerMapFd: inner.progArray }), 'ENOTSUPP'],
  longValue,
  noTypes,
];

/** struct_ops needs the types of the kernel, and has tests of its own. */
const kinds: Readonly<Record<Exclude<MapTypeName, 'struct_ops'>, Kind>> = {
  hash: { good: four, bad: [noEntries, ['its own LRU lists', { mapFlags: NO_COMMON_LRU }, 'EINVAL']] },
  array: {
    good: four,
    bad: [
      ...array.bad,
      ['a value of 2 GiB', { valueSize: 2 ** 31, maxEntries: 1 }, 'E2BIG'],
      ['elements that stay', { mapFlags: PRESERVE_ELEMS }, 'EINVAL'],
      ['an integer of 8 bytes for a key', (made) => ({ keySize: 4, ...typed(2, 1)(made) }), 'EINVAL'],
    ],
  },
  prog_array: { ...fds, bad: [...fds.bad, ['read-only', { mapFlags: RDONLY_PROG }, 'EINVAL']] },
  perf_event_array: { ...fds, bad: [...fds.bad, noTypes, ['mmapable', { mapFlags: MMAPABLE }, 'EINVAL']] },
  percpu_hash: {
    good: four,
    bad: [
      noEntries,
      ['a NUMA node', { mapFlags: NUMA_NODE }, 'EINVAL'],
      ['a big value', { valueSize: 32769 }, 'E2BIG'],
      lock,
    ],
  },
  percpu_array: { ...array, bad: [...array.bad, ['a big value', { valueSize: 32769 }, 'E2BIG'], lock] },
  stack_trace: {
    good: { keySize: 4, valueSize: 127 * 8, maxEntries: 2 },
    bad: [
      noEntries,
      ['half an entry', { valueSize: 12 }, 'EINVAL'],
      ['too many entries', { valueSize: 128 * 8 }, 'EINVAL'],
      ['half a build id', { valueSize: 48, mapFlags: STACK_BUILD_ID }, 'EINVAL'],
    ],
  },
  cgroup_array: { ...fds, bad: [...fds.bad, noTypes] },
  lru_hash: { good: four, bad: lru },
  lru_percpu_hash: { good: four, bad: lru },
  lpm_trie: {
    good: { keySize: 8, valueSize: 4, maxEntries: 2, mapFlags: NO_PREALLOC },
    bad: [
      noEntries,
      ['preallocated', { mapFlags: 0 }, 'EINVAL'],
      ['a key of 4 bytes', { keySize: 4 }, 'EINVAL'],
      ['a key of 261 bytes', { keySize: 261 }, 'EINVAL'],
      ['a key that is no struct', typed(2, 1), 'EINVAL'],
    ],
  },
  array_of_maps: { good: mapsOf, bad: [...inners, ['inner map', { mapFlags: INNER_MAP }, 'EINVAL']] },
  hash_of_maps: { good: mapsOf, bad: inners },
  devmap: device,
  sockmap: { ...device, bad: [...device.bad, lock] },
  cpumap: { ...device, bad: [...device.bad, ['read-only', { mapFlags: 8 }, 'EINVAL']] },
  xskmap: { ...device, bad: [...device.bad, ['a value of 8 bytes', { valueSize: 8 }, 'EINVAL']] },
  sockhash: {
    good: four,
    bad: [noEntries, ['a key of 513 bytes', { keySize: 513 }, 'E2BIG'], longValue, noTypes],
  },
  cgroup_storage: cgroup,
  reuseport_sockarray: { good: four, bad: [noEntries, longKey, longValue] },
  percpu_cgroup_storage: cgroup,
  queue,
  stack: queue,
  sk_storage: storage,
  devmap_hash: device,
  ringbuf: ring,
  inode_storage: storage,
  task_storage: storage,
  bloom_filter: {
    good: { keySize: 0, valueSize: 4, maxEntries: 2, mapExtra: 15n, mapFlags: ZERO_SEED },
    bad: [noEntries, ['16 hash functions', { mapExtra: 16n }, 'EINVAL'], ['a key', { keySize: 4 }, 'EINVAL']],
  },
  user_ringbuf: ring,
  cgrp_storage: storage,
  arena: {
    good: { keySize: 0, valueSize: 0, maxEntries: 1, mapFlags: MMAPABLE },
    bad: [
      noEntries,
      ['that cannot be mapped', { mapFlags: 0 }, 'EINVAL'],
      ['half a page away', { mapExtra: 1n }, 'EINVAL'],
      ['over 4 GiB', { maxEntries: 2 ** 20 + 1 }, 'E2BIG'],
      ['across 4 GiB', { maxEntries: 2, mapExtra: 0xfffff000n }, 'ERANGE'],
    ],
  },
};

const attrOf = (given: Attr | ((setup: Setup) => Attr), made: Setup): Attr =>
  typeof given === 'function' ? given(made) : given;

function rowsOf(kind: keyof typeof kinds): Row<Setup>[] {
  const { good, bad } = kinds[kind];
  const create = (made: Setup, more: Attr = {}): number =>
    makeMap(made.s, { mapType: mapTypes[kind].id, ...attrOf(good, made), ...more });
  return [
    { name: `${kind}`, call: (made) => create(made), want: 'ok' },
    {
      name: `${kind}: what only programs may read and what they may only write`,
      call: (made) => create(made, { mapFlags: RDONLY_PROG | WRONLY_PROG }),
      want: 'EINVAL',
    },
    ...bad.map(([name, attr, want]) => ({
      name: `${kind}: ${name}`,
      call: (made: Setup) => create(made, attrOf(attr, made)),
      want,
    })),
  ];
}

const devices: ContractTest = {
  name: 'programs cannot write the devices of a map',
  run: (machine) => {
    const s = machine.spawn();
    for (const type of ['devmap', 'devmap_hash'] as const) {
      const { mapFlags } = mapInfo(s, makeMap(s, { mapType: mapTypes[type].id }));
      assert.equal(mapFlags, RDONLY_PROG, type);
    }
  },
};

const unprivileged: ContractTest = {
  name: 'without capabilities there are none',
  run: (machine) => {
    const s = machine.spawn('unprivileged');
    const got = outcome(() =>
      makeMap(s, { mapType: mapTypes.lpm_trie.id, keySize: 8, mapFlags: NO_PREALLOC }),
    );
    assert.equal(got, 'EPERM');
  },
};

export const mapKinds: readonly ContractTest[] = [
  ...(Object.keys(kinds) as (keyof typeof kinds)[]).map((kind) => ({
    ...tableTest(kind, (machine) => setup(machine.spawn()), rowsOf(kind)),
    since: '6.18',
  })),
  devices,
  unprivileged,
];
