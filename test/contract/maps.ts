/** Maps from user space: making them, elements, rights, freezing, program arrays. */
import assert from 'node:assert/strict';
import { mapTypes } from '../../src/uapi/map-types.ts';
import { progTypes } from '../../src/uapi/prog-types.ts';
import type { System } from '../../src/uapi/seam.ts';
import {
  type ContractTest,
  load,
  makeMap,
  mapInfo,
  outcome,
  progInfo,
  type Row,
  readU32,
  returnZero,
  tableTest,
  u32,
} from './harness.ts';

const F_NO_PREALLOC = 1;
const F_RDONLY = 8;
const F_WRONLY = 16;

const creation: readonly Row<System>[] = [
  { name: 'a name', call: (s) => makeMap(s, { mapName: 'ok_1.x' }), want: 'ok' },
  { name: 'a name with a dash', call: (s) => makeMap(s, { mapName: 'bad-name' }), want: 'EINVAL' },
  { name: 'a name with a space', call: (s) => makeMap(s, { mapName: 'a b' }), want: 'EINVAL' },
  { name: 'a name of 16 bytes', call: (s) => makeMap(s, { mapName: '0123456789abcdef' }), want: 'EINVAL' },
  { name: 'no such type', call: (s) => makeMap(s, { mapType: 99 }), want: 'EINVAL' },
  { name: 'type 0', call: (s) => makeMap(s, { mapType: 0 }), want: 'EINVAL' },
  {
    name: 'an array with 8-byte keys',
    call: (s) => makeMap(s, { mapType: mapTypes.array.id, keySize: 8 }),
    want: 'EINVAL',
  },
  { name: 'no entries', call: (s) => makeMap(s, { maxEntries: 0 }), want: 'EINVAL' },
  {
    name: 'read-only and write-only',
    call: (s) => makeMap(s, { mapFlags: F_RDONLY | F_WRONLY }),
    want: 'EINVAL',
  },
  {
    name: 'a program array of u64',
    call: (s) => makeMap(s, { mapType: mapTypes.prog_array.id, valueSize: 8 }),
    want: 'EINVAL',
  },
  { name: 'map_extra', call: (s) => makeMap(s, { mapExtra: 1n }), want: 'EINVAL' },
  { name: 'a key type without a value type', call: (s) => makeMap(s, { btfKeyTypeId: 1 }), want: 'EINVAL' },
  { name: 'BTF of no fd', call: (s) => makeMap(s, { btfFd: 999, btfValueTypeId: 1 }), want: 'EBADF' },
  { name: 'BTF of a map', call: (s) => makeMap(s, { btfFd: makeMap(s), btfValueTypeId: 1 }), want: 'EINVAL' },
];

interface Elements {
  readonly s: System;
  readonly hash: number;
  readonly array: number;
  readonly readOnly: number;
  readonly writeOnly: number;
}

function elementsSetup(s: System): Elements {
  return {
    s,
    hash: makeMap(s),
    array: makeMap(s, { mapType: mapTypes.array.id }),
    readOnly: makeMap(s, { mapFlags: F_RDONLY }),
    writeOnly: makeMap(s, { mapFlags: F_WRONLY }),
  };
}

const update = (s: System, mapFd: number, key: number, flags = 0n): number =>
  s.bpf('mapUpdateElem', { mapFd, key: u32(key), value: u32(7), flags });
const lookup = (s: System, mapFd: number, key: number, flags = 0n): number =>
  s.bpf('mapLookupElem', { mapFd, key: u32(key), value: new Uint8Array(4), flags });
const remove = (s: System, mapFd: number, key: number): number =>
  s.bpf('mapDeleteElem', { mapFd, key: u32(key) });
const next = (s: System, mapFd: number, key?: number): number => {
  const nextKey = new Uint8Array(4);
  s.bpf('mapGetNextKey', { mapFd, key: key === undefined ? undefined : u32(key), nextKey });
  return readU32(nextKey);
};

const elements: readonly Row<Elements>[] = [
  { name: 'update', call: ({ s, hash }) => update(s, hash, 1), want: 'ok' },
  { name: 'NOEXIST of a key that is there', call: ({ s, hash }) => update(s, hash, 1, 1n), want: 'EEXIST' },
  { name: 'EXIST of a key that is not', call: ({ s, hash }) => update(s, hash, 9, 2n), want: 'ENOENT' },
  { name: 'unknown update flags', call: ({ s, hash }) => update(s, hash, 1, 8n), want: 'EINVAL' },
  { name: 'both update flags', call: ({ s, hash }) => update(s, hash, 1, 3n), want: 'EINVAL' },
  { name: 'BPF_F_LOCK without a lock', call: ({ s, hash }) => update(s, hash, 1, 4n), want: 'EINVAL' },
  {
    name: 'update without a key',
    call: ({ s, hash }) => s.bpf('mapUpdateElem', { mapFd: hash, value: u32(1) }),
    want: 'EFAULT',
  },
  {
    name: 'update without a value',
    call: ({ s, hash }) => s.bpf('mapUpdateElem', { mapFd: hash, key: u32(1) }),
    want: 'EFAULT',
  },
  { name: 'lookup', call: ({ s, hash }) => lookup(s, hash, 1), want: 'ok' },
  { name: 'lookup of no key', call: ({ s, hash }) => lookup(s, hash, 9), want: 'ENOENT' },
  { name: 'lookup with a flag', call: ({ s, hash }) => lookup(s, hash, 1, 1n), want: 'EINVAL' },
  { name: 'lookup with BPF_F_LOCK', call: ({ s, hash }) => lookup(s, hash, 1, 4n), want: 'EINVAL' },
  {
    name: 'lookup without a key',
    call: ({ s, hash }) => s.bpf('mapLookupElem', { mapFd: hash, value: u32(0) }),
    want: 'EFAULT',
  },
  {
    name: 'lookup without room',
    call: ({ s, hash }) => s.bpf('mapLookupElem', { mapFd: hash, key: u32(1) }),
    want: 'EFAULT',
  },
  { name: 'next key after none', call: ({ s, hash }) => next(s, hash), want: 'ok' },
  { name: 'next key after one that is not there', call: ({ s, hash }) => next(s, hash, 9), want: 'ok' },
  {
    name: 'next key without room',
    call: ({ s, hash }) => s.bpf('mapGetNextKey', { mapFd: hash }),
    want: 'EFAULT',
  },
  { name: 'delete', call: ({ s, hash }) => remove(s, hash, 1), want: 'ok' },
  { name: 'delete again', call: ({ s, hash }) => remove(s, hash, 1), want: 'ENOENT' },
  { name: 'array index at its end', call: ({ s, array }) => update(s, array, 4), want: 'E2BIG' },
  { name: 'lookup beyond an array', call: ({ s, array }) => lookup(s, array, 4), want: 'ENOENT' },
  { name: 'NOEXIST on an array', call: ({ s, array }) => update(s, array, 0, 1n), want: 'EEXIST' },
  { name: 'delete from an array', call: ({ s, array }) => remove(s, array, 0), want: 'EINVAL' },
  { name: 'the last index has no next', call: ({ s, array }) => next(s, array, 3), want: 'ENOENT' },
  { name: 'update of a read-only fd', call: ({ s, readOnly }) => update(s, readOnly, 1), want: 'EPERM' },
  { name: 'delete of a read-only fd', call: ({ s, readOnly }) => remove(s, readOnly, 1), want: 'EPERM' },
  { name: 'lookup of a read-only fd', call: ({ s, readOnly }) => lookup(s, readOnly, 1), want: 'ENOENT' },
  { name: 'lookup of a write-only fd', call: ({ s, writeOnly }) => lookup(s, writeOnly, 1), want: 'EPERM' },
  { name: 'next key of a write-only fd', call: ({ s, writeOnly }) => next(s, writeOnly), want: 'EPERM' },
  { name: 'no fd', call: ({ s }) => lookup(s, 999, 1), want: 'EBADF' },
  { name: 'the fd of a program', call: ({ s }) => lookup(s, load(s, returnZero), 1), want: 'EINVAL' },
];

const freezing: readonly Row<Elements>[] = [
  { name: 'freeze', call: ({ s, hash }) => s.bpf('mapFreeze', { mapFd: hash }), want: 'ok' },
  {
    name: 'freeze again',
    call: ({ s, hash }) => s.bpf('mapFreeze', { mapFd: hash }),
    want: 'EPERM',
    since: '6.12',
  },
  { name: 'update', call: ({ s, hash }) => update(s, hash, 1), want: 'EPERM' },
  { name: 'delete', call: ({ s, hash }) => remove(s, hash, 1), want: 'EPERM' },
  { name: 'lookup', call: ({ s, hash }) => lookup(s, hash, 1), want: 'ENOENT' },
  {
    name: 'freeze by a read-only fd',
    call: ({ s, readOnly }) => s.bpf('mapFreeze', { mapFd: readOnly }),
    want: 'EPERM',
    since: '6.12',
  },
  {
    name: 'freeze by a write-only fd',
    call: ({ s, writeOnly }) => s.bpf('mapFreeze', { mapFd: writeOnly }),
    want: 'ok',
  },
  { name: 'freeze no fd', call: ({ s }) => s.bpf('mapFreeze', { mapFd: 999 }), want: 'EBADF' },
];

interface ProgArray {
  readonly s: System;
  readonly array: number;
  readonly filter: number;
  readonly xdp: number;
  readonly hash: number;
}

const put = ({ s, array }: ProgArray, key: number, fd: number, flags = 0n): number =>
  s.bpf('mapUpdateElem', { mapFd: array, key: u32(key), value: u32(fd), flags });

function progArraySetup(s: System): ProgArray {
  return {
    s,
    array: makeMap(s, { mapType: mapTypes.prog_array.id }),
    filter: load(s, returnZero),
    xdp: load(s, returnZero, { progType: progTypes.xdp.id }),
    hash: makeMap(s),
  };
}

const progArray: readonly Row<ProgArray>[] = [
  { name: 'a program', call: (p) => put(p, 0, p.filter), want: 'ok' },
  { name: 'a program of another type', call: (p) => put(p, 1, p.xdp), want: 'EINVAL' },
  { name: 'no fd', call: (p) => put(p, 1, 999), want: 'EBADF' },
  { name: 'a map', call: (p) => put(p, 1, p.hash), want: 'EINVAL' },
  { name: 'flags', call: (p) => put(p, 1, p.filter, 1n), want: 'EINVAL' },
  { name: 'no such slot', call: (p) => put(p, 4, p.filter), want: 'E2BIG' },
  { name: 'an empty slot', call: (p) => lookup(p.s, p.array, 1), want: 'ENOENT' },
  { name: 'delete from an empty slot', call: (p) => remove(p.s, p.array, 1), want: 'ENOENT' },
  { name: 'delete beyond the end', call: (p) => remove(p.s, p.array, 4), want: 'E2BIG' },
  { name: 'delete', call: (p) => remove(p.s, p.array, 0), want: 'ok' },
];

export const maps: readonly ContractTest[] = [
  tableTest('creation', (m) => m.spawn(), creation),
  tableTest('elements', (m) => elementsSetup(m.spawn()), elements),
  tableTest('freezing', (m) => elementsSetup(m.spawn()), freezing),
  tableTest('program arrays', (m) => progArraySetup(m.spawn()), progArray),
  {
    name: 'a program array is written with fds and read as ids',
    run: (machine) => {
      const p = progArraySetup(machine.spawn());
      put(p, 2, p.filter);
      const value = new Uint8Array(4);
      p.s.bpf('mapLookupElem', { mapFd: p.array, key: u32(2), value });
      assert.equal(readU32(value), progInfo(p.s, p.filter).id);
    },
  },
  {
    name: 'every key is visited once',
    run: (machine) => {
      const s = machine.spawn();
      const map = makeMap(s, { maxEntries: 50 });
      for (let key = 0; key < 50; key++) update(s, map, key * 3);
      const keys: number[] = [];
      let key: number | undefined;
      while (outcome(() => (key = next(s, map, key))) === 'ok') keys.push(key as number);
      assert.deepEqual(
        keys.sort((a, b) => a - b),
        Array.from({ length: 50 }, (_, i) => i * 3),
      );
    },
  },
  {
    name: 'a full hash map refuses new keys and takes old ones',
    run: (machine) => {
      const s = machine.spawn();
      const map = makeMap(s, { maxEntries: 2 });
      update(s, map, 1);
      update(s, map, 2);
      assert.equal(
        outcome(() => update(s, map, 3)),
        'E2BIG',
      );
      assert.equal(
        outcome(() => update(s, map, 2)),
        'ok',
      );
    },
  },
  {
    name: 'values come back as they were written',
    run: (machine) => {
      const s = machine.spawn();
      for (const mapType of [mapTypes.hash.id, mapTypes.array.id]) {
        const map = makeMap(s, { mapType, valueSize: 5 });
        s.bpf('mapUpdateElem', { mapFd: map, key: u32(3), value: Uint8Array.of(1, 2, 3, 4, 5) });
        const value = new Uint8Array(5);
        s.bpf('mapLookupElem', { mapFd: map, key: u32(3), value });
        assert.deepEqual(value, Uint8Array.of(1, 2, 3, 4, 5));
      }
    },
  },
  {
    name: 'a value of a per-CPU array has a slot of 8 bytes for each possible CPU',
    run: (machine) => {
      const s = machine.spawn();
      const map = makeMap(s, { mapType: mapTypes.percpu_array.id });
      const value = Uint8Array.from({ length: 8 * s.possibleCpus() }, (_, i) => (i % 8 < 4 ? i + 1 : 0));
      s.bpf('mapUpdateElem', { mapFd: map, key: u32(1), value });
      const read = new Uint8Array(value.length);
      s.bpf('mapLookupElem', { mapFd: map, key: u32(1), value: read });
      assert.deepEqual(read, value);
    },
  },
  {
    name: 'the info record says how the map was made',
    run: (machine) => {
      const s = machine.spawn();
      const info = mapInfo(
        s,
        makeMap(s, { mapName: 'counts', valueSize: 12, mapFlags: F_NO_PREALLOC | F_RDONLY }),
      );
      assert.equal(info['name'], 'counts');
      assert.equal(info['type'], mapTypes.hash.id);
      assert.deepEqual([info['keySize'], info['valueSize'], info['maxEntries']], [4, 12, 4]);
      assert.equal(info['mapFlags'], F_NO_PREALLOC, 'how the first fd was opened is not told');
    },
  },
];
