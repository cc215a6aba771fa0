/** Objects: fds, references, pins, ids, BTF. */
import assert from 'node:assert/strict';
import { mapTypes } from '../../src/uapi/map-types.ts';
import { progTypes } from '../../src/uapi/prog-types.ts';
import type { System } from '../../src/uapi/seam.ts';
import {
  assertDies,
  type ContractTest,
  isAlive,
  load,
  type Machine,
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

const tailCall = (fd: number): string => `r2 = map[fd:${fd}]\nr3 = 0\ncall 12\nr0 = 0\nexit`;

/** BTF of one type, `int` of 32 bits, with id 1. */
export const intBtf = Uint8Array.of(
  ...[0x9f, 0xeb, 1, 0, ...u32(24), ...u32(0), ...u32(16), ...u32(16), ...u32(5)],
  ...[...u32(1), ...u32(1 << 24), ...u32(4), ...u32(32)],
  ...new TextEncoder().encode('\0int\0'),
);

export const loadBtf = (s: System, btf: Uint8Array = intBtf): number =>
  s.bpf('btfLoad', { btf, btfSize: btf.length });

const btfRows: readonly Row<{ s: System; btf: number }>[] = [
  { name: 'no bytes', call: ({ s }) => s.bpf('btfLoad', {}), want: 'EINVAL' },
  { name: 'zeros', call: ({ s }) => loadBtf(s, new Uint8Array(24)), want: 'EINVAL' },
  { name: 'half a header', call: ({ s }) => loadBtf(s, intBtf.subarray(0, 10)), want: 'EINVAL' },
  {
    name: 'more than 16 MB',
    call: ({ s }) => s.bpf('btfLoad', { btf: intBtf, btfSize: 17 << 20 }),
    want: 'E2BIG',
  },
  ...(
    [
      ['array', 1, 1, {}, 'ok'],
      ['array', 0, 1, {}, 'EINVAL'],
      ['array', 1, 2, {}, 'EINVAL'],
      ['array', 2, 1, {}, 'EINVAL'],
      ['array', 1, 1, { valueSize: 8 }, 'EINVAL'],
      ['hash', 1, 1, {}, 'ok'],
      ['hash', 0, 1, {}, 'EINVAL'],
      ['prog_array', 1, 1, {}, 'ok'],
    ] as const
  ).map(([type, btfKeyTypeId, btfValueTypeId, attr, want]) => ({
    name: `a map of type ${type}, key type ${btfKeyTypeId}, value type ${btfValueTypeId}`,
    call: ({ s, btf }: { s: System; btf: number }) =>
      makeMap(s, { mapType: mapTypes[type].id, btfFd: btf, btfKeyTypeId, btfValueTypeId, ...attr }),
    want,
  })),
];

interface Pins {
  readonly s: System;
  readonly map: number;
  readonly prog: number;
  readonly path: (name: string) => string;
}

const pinRows: readonly Row<Pins>[] = [
  {
    name: 'a map',
    call: ({ s, map, path }) => s.bpf('objPin', { pathname: path('m'), bpfFd: map }),
    want: 'ok',
  },
  {
    name: 'a name that is taken',
    call: ({ s, map, path }) => s.bpf('objPin', { pathname: path('m'), bpfFd: map }),
    want: 'EEXIST',
  },
  {
    name: 'a name with a dot',
    call: ({ s, map, path }) => s.bpf('objPin', { pathname: path('a.b'), bpfFd: map }),
    want: 'EPERM',
  },
  {
    name: 'in no directory',
    call: ({ s, map, path }) => s.bpf('objPin', { pathname: path('no/m'), bpfFd: map }),
    want: 'ENOENT',
  },
  {
    name: 'below a pin',
    call: ({ s, map, path }) => s.bpf('objPin', { pathname: path('m/x'), bpfFd: map }),
    want: 'ENOTDIR',
  },
  {
    name: 'the directory itself',
    call: ({ s, map, path }) => s.bpf('objPin', { pathname: path(''), bpfFd: map }),
    want: 'EEXIST',
  },
  {
    name: 'outside of bpffs',
    call: ({ s, map }) => s.bpf('objPin', { pathname: '/tmp/skep-no-pin', bpfFd: map }),
    want: 'EPERM',
  },
  { name: 'no path', call: ({ s, map }) => s.bpf('objPin', { bpfFd: map }), want: 'EFAULT' },
  {
    name: 'flags',
    call: ({ s, map, path }) => s.bpf('objPin', { pathname: path('q'), bpfFd: map, fileFlags: 8 }),
    want: 'EINVAL',
  },
  {
    name: 'path_fd without its flag',
    call: ({ s, map, path }) => s.bpf('objPin', { pathname: path('q'), bpfFd: map, pathFd: 3 }),
    want: 'EINVAL',
  },
  {
    name: 'no fd',
    call: ({ s, path }) => s.bpf('objPin', { pathname: path('q'), bpfFd: 999 }),
    want: 'EINVAL',
  },
  {
    name: 'BTF',
    call: ({ s, path }) => s.bpf('objPin', { pathname: path('q'), bpfFd: loadBtf(s) }),
    want: 'EINVAL',
  },
  {
    name: 'a program',
    call: ({ s, prog, path }) => s.bpf('objPin', { pathname: path('p'), bpfFd: prog }),
    want: 'ok',
  },
  { name: 'get', call: ({ s, path }) => s.bpf('objGet', { pathname: path('m') }), want: 'ok' },
  {
    name: 'get to read',
    call: ({ s, path }) => s.bpf('objGet', { pathname: path('m'), fileFlags: 8 }),
    want: 'ok',
  },
  {
    name: 'get with both flags',
    call: ({ s, path }) => s.bpf('objGet', { pathname: path('m'), fileFlags: 24 }),
    want: 'EINVAL',
  },
  {
    name: 'get with unknown flags',
    call: ({ s, path }) => s.bpf('objGet', { pathname: path('m'), fileFlags: 1 }),
    want: 'EINVAL',
  },
  {
    name: 'get with an fd',
    call: ({ s, path }) => s.bpf('objGet', { pathname: path('m'), bpfFd: 1 }),
    want: 'EINVAL',
  },
  {
    name: 'get a program to read',
    call: ({ s, path }) => s.bpf('objGet', { pathname: path('p'), fileFlags: 8 }),
    want: 'ok',
  },
  { name: 'get nothing', call: ({ s, path }) => s.bpf('objGet', { pathname: path('zz') }), want: 'ENOENT' },
  { name: 'get a directory', call: ({ s, path }) => s.bpf('objGet', { pathname: path('') }), want: 'EACCES' },
  {
    name: 'get below a pin',
    call: ({ s, path }) => s.bpf('objGet', { pathname: path('m/x') }),
    want: 'ENOTDIR',
  },
  { name: 'get no path', call: ({ s }) => s.bpf('objGet', {}), want: 'EFAULT' },
  { name: 'get an empty path', call: ({ s }) => s.bpf('objGet', { pathname: '' }), want: 'ENOENT' },
];

function pinSetup(machine: Machine): Pins {
  const s = machine.spawn();
  return { s, map: makeMap(s), prog: load(s, returnZero), path: (name) => `${machine.pinDirectory}/${name}` };
}

const idRows: readonly Row<{ s: System; mapId: number | undefined }>[] = [
  {
    name: 'a start above INT_MAX',
    call: ({ s }) => s.bpf('mapGetNextId', { startId: 0x7fffffff }),
    want: 'EINVAL',
  },
  { name: 'the last start', call: ({ s }) => s.bpf('mapGetNextId', { startId: 0x7ffffffe }), want: 'ENOENT' },
  {
    name: 'open_flags',
    call: ({ s }) => s.bpf('mapGetNextId', { startId: 0, openFlags: 8 }),
    want: 'EINVAL',
  },
  {
    name: 'a map by id, to read',
    call: ({ s, mapId }) => s.bpf('mapGetFdById', { mapId, openFlags: 8 }),
    want: 'ok',
  },
  {
    name: 'a map by id, both flags',
    call: ({ s, mapId }) => s.bpf('mapGetFdById', { mapId, openFlags: 24 }),
    want: 'EINVAL',
  },
  {
    name: 'a map by id, unknown flags',
    call: ({ s, mapId }) => s.bpf('mapGetFdById', { mapId, openFlags: 1 }),
    want: 'EINVAL',
  },
  { name: 'no map', call: ({ s }) => s.bpf('mapGetFdById', { mapId: 0x7fffffff }), want: 'ENOENT' },
  {
    name: 'a program with flags',
    call: ({ s }) => s.bpf('progGetFdById', { progId: 1, openFlags: 8 }),
    want: 'EINVAL',
  },
  { name: 'no program', call: ({ s }) => s.bpf('progGetFdById', { progId: 0 }), want: 'ENOENT' },
  { name: 'no BTF', call: ({ s }) => s.bpf('btfGetFdById', { btfId: 0 }), want: 'ENOENT' },
  { name: 'no link', call: ({ s }) => s.bpf('linkGetFdById', { linkId: 0 }), want: 'ENOENT' },
  {
    name: 'info of no fd',
    call: ({ s }) => s.bpf('objGetInfoByFd', { bpfFd: 999, info: { kind: 'map' } }),
    want: 'EBADFD',
  },
  {
    name: 'info without a record',
    call: ({ s }) => s.bpf('objGetInfoByFd', { bpfFd: makeMap(s), infoLen: 80 }),
    want: 'EFAULT',
  },
  {
    name: 'info longer than a page',
    call: ({ s }) => s.bpf('objGetInfoByFd', { bpfFd: makeMap(s), infoLen: 4097, info: { kind: 'map' } }),
    want: 'E2BIG',
  },
  {
    name: 'info longer than the record, of zeros',
    call: ({ s }) => s.bpf('objGetInfoByFd', { bpfFd: makeMap(s), infoLen: 400, info: { kind: 'map' } }),
    want: 'ok',
  },
  {
    name: 'no more programs',
    call: ({ s }) => s.bpf('progGetNextId', { startId: 0x7ffffffe }),
    want: 'ENOENT',
  },
  { name: 'no more BTF', call: ({ s }) => s.bpf('btfGetNextId', { startId: 0x7ffffffe }), want: 'ENOENT' },
  { name: 'no more links', call: ({ s }) => s.bpf('linkGetNextId', { startId: 0x7ffffffe }), want: 'ENOENT' },
  {
    name: 'BTF with flags',
    call: ({ s }) => s.bpf('btfGetFdById', { btfId: 1, openFlags: 8 }),
    want: 'EINVAL',
  },
  {
    name: 'map ids without room',
    call: ({ s }) =>
      s.bpf('objGetInfoByFd', {
        bpfFd: load(s, returnZero, { fdArray: u32(makeMap(s)), fdArrayCnt: 1 }),
        info: { kind: 'prog', nrMapIds: 1 },
      }),
    want: 'EFAULT',
    since: '6.18',
  },
];

export const objects: readonly ContractTest[] = [
  tableTest(
    'BTF',
    (m) => {
      const s = m.spawn();
      return { s, btf: loadBtf(s) };
    },
    btfRows,
  ),
  tableTest('pins', pinSetup, pinRows),
  tableTest(
    'ids and info',
    (m) => {
      const s = m.spawn();
      return { s, mapId: mapInfo(s, makeMap(s)).id };
    },
    idRows,
  ),
  {
    name: 'an object dies with its last fd',
    run: async (machine) => {
      const s = machine.spawn();
      const map = makeMap(s);
      const { id } = mapInfo(s, map);
      const second = s.dup(map);
      const third = s.bpf('mapGetFdById', { mapId: id });
      for (const fd of [map, third]) s.close(fd);
      assert.equal(isAlive(s, 'mapGetFdById', id), true, 'a dup holds it');
      s.close(second);
      await assertDies(s, 'mapGetFdById', id);
    },
  },
  {
    name: 'a process takes its objects with it',
    run: async (machine) => {
      const watcher = machine.spawn();
      const s = machine.spawn();
      const ids = { map: mapInfo(s, makeMap(s)).id, prog: progInfo(s, load(s, returnZero)).id };
      s.end();
      await assertDies(watcher, 'mapGetFdById', ids.map);
      await assertDies(watcher, 'progGetFdById', ids.prog);
    },
  },
  {
    name: 'a pin keeps a map after its process, and a second process reads it',
    run: async (machine) => {
      const first = machine.spawn();
      const map = makeMap(first);
      const { id } = mapInfo(first, map);
      first.bpf('mapUpdateElem', { mapFd: map, key: u32(80), value: u32(1234) });
      const pathname = `${machine.pinDirectory}/map`;
      first.bpf('objPin', { pathname, bpfFd: map });
      first.end();

      const second = machine.spawn();
      const mapFd = second.bpf('objGet', { pathname });
      const value = new Uint8Array(4);
      second.bpf('mapLookupElem', { mapFd, key: u32(80), value });
      assert.equal(readU32(value), 1234);
      assert.equal(mapInfo(second, mapFd).id, id);
      second.close(mapFd);
      assert.equal(isAlive(second, 'mapGetFdById', id), true);
      machine.unlink(pathname);
      await assertDies(second, 'mapGetFdById', id);
    },
  },
  {
    name: 'the right to write goes with the fd, not the map',
    run: (machine) => {
      const { s, map, path } = pinSetup(machine);
      s.bpf('objPin', { pathname: path('m'), bpfFd: map });
      const readOnly = s.bpf('objGet', { pathname: path('m'), fileFlags: 8 });
      const update = (mapFd: number) =>
        outcome(() => s.bpf('mapUpdateElem', { mapFd, key: u32(1), value: u32(1) }));
      assert.deepEqual([update(readOnly), update(map)], ['EPERM', 'ok']);
    },
  },
  {
    name: 'a program holds its maps and its BTF, and lets go of them',
    run: async (machine) => {
      const s = machine.spawn();
      // No program array: opening and closing one just after its last fd is gone can leave it behind for good
      // on Linux, where prog_array_map_clear() takes a reference for work that is queued already.
      const map = makeMap(s);
      const { id } = mapInfo(s, map);
      const prog = load(s, `r1 = map[fd:${map}]\nr0 = 0\nexit`);
      s.close(map);
      assert.equal(isAlive(s, 'mapGetFdById', id), true);
      s.close(prog);
      await assertDies(s, 'mapGetFdById', id);
    },
  },
  {
    name: 'a bound map lives as long as the program',
    run: async (machine) => {
      const s = machine.spawn();
      const prog = load(s, returnZero);
      const map = makeMap(s);
      const { id } = mapInfo(s, map);
      s.bpf('progBindMap', { progFd: prog, mapFd: map });
      s.bpf('progBindMap', { progFd: prog, mapFd: map });
      s.close(map);
      assert.equal(isAlive(s, 'mapGetFdById', id), true);
      assert.equal(progInfo(s, prog)['nrMapIds'], 1);
      assert.equal(
        outcome(() => s.bpf('progBindMap', { progFd: prog, mapFd: makeMap(s), flags: 1 })),
        'EINVAL',
      );
      assert.equal(
        outcome(() => s.bpf('progBindMap', { progFd: prog, mapFd: prog })),
        'EINVAL',
      );
      s.close(prog);
      await assertDies(s, 'mapGetFdById', id);
    },
  },
  {
    name: 'a program array holds its programs until user space lets go of it',
    run: async (machine) => {
      const s = machine.spawn();
      const array = makeMap(s, { mapType: mapTypes.prog_array.id });
      const jumper = load(s, tailCall(array));
      const target = load(s, returnZero);
      const ids = {
        array: mapInfo(s, array).id,
        jumper: progInfo(s, jumper).id,
        target: progInfo(s, target).id,
      };
      // The jumper holds the array, and the array the jumper: a circle.
      s.bpf('mapUpdateElem', { mapFd: array, key: u32(0), value: u32(jumper) });
      s.bpf('mapUpdateElem', { mapFd: array, key: u32(1), value: u32(target) });
      s.close(target);
      assert.equal(isAlive(s, 'progGetFdById', ids.target), true);
      s.bpf('mapDeleteElem', { mapFd: array, key: u32(1) });
      await assertDies(s, 'progGetFdById', ids.target);
      s.close(jumper);
      assert.equal(isAlive(s, 'progGetFdById', ids.jumper), true);
      s.close(array);
      await assertDies(s, 'progGetFdById', ids.jumper);
      await assertDies(s, 'mapGetFdById', ids.array);
    },
  },
  {
    name: 'a map holds its BTF',
    run: async (machine) => {
      const s = machine.spawn();
      const btf = loadBtf(s);
      const map = makeMap(s, { btfFd: btf, btfKeyTypeId: 1, btfValueTypeId: 1 });
      s.close(btf);
      const info = mapInfo(s, map);
      const id = info['btfId'] as number;
      assert.deepEqual([info['btfKeyTypeId'], info['btfValueTypeId']], [1, 1]);
      assert.equal(isAlive(s, 'btfGetFdById', id), true);
      s.close(map);
      await assertDies(s, 'btfGetFdById', id);
    },
  },
  {
    name: 'the bytes of BTF come back, as far as there is room',
    run: (machine) => {
      const s = machine.spawn();
      const bpfFd = loadBtf(s);
      for (const room of [0, 10, 100]) {
        const btf = new Uint8Array(100);
        const info = { kind: 'btf' as const, btf, btfSize: room };
        s.bpf('objGetInfoByFd', { bpfFd, info });
        assert.equal(info.btfSize, intBtf.length);
        const size = Math.min(room, intBtf.length);
        assert.deepEqual(btf.subarray(0, size), intBtf.subarray(0, size));
        assert.ok(btf.subarray(size).every((byte) => byte === 0));
      }
    },
  },
  {
    name: 'ids ascend, and a walk finds every object',
    run: (machine) => {
      const s = machine.spawn();
      const made = [0, 1, 2].map(() => mapInfo(s, makeMap(s)).id);
      const found: number[] = [];
      const attr = { startId: 0, nextId: 0 };
      while (outcome(() => s.bpf('mapGetNextId', attr)) === 'ok') found.push((attr.startId = attr.nextId));
      assert.deepEqual(
        found,
        [...found].sort((a, b) => a - b),
      );
      assert.deepEqual(
        made,
        found.filter((id) => made.includes(id)),
      );
    },
  },
  {
    name: 'ids of programs and of BTF ascend, too, and lead to what they name',
    run: (machine) => {
      const s = machine.spawn();
      const prog = progInfo(s, load(s, returnZero, { progName: 'by_id' })).id;
      const btf = { kind: 'btf' as const, id: 0 };
      s.bpf('objGetInfoByFd', { bpfFd: loadBtf(s), info: btf });
      const walk = (cmd: 'progGetNextId' | 'btfGetNextId'): number[] => {
        const found: number[] = [];
        const attr = { startId: 0, nextId: 0 };
        while (outcome(() => s.bpf(cmd, attr)) === 'ok') found.push((attr.startId = attr.nextId));
        return found;
      };
      for (const [cmd, id] of [
        ['progGetNextId', prog],
        ['btfGetNextId', btf.id],
      ] as const) {
        const found = walk(cmd);
        assert.ok(found.includes(id as number), cmd);
        assert.deepEqual(
          found,
          [...found].sort((a, b) => a - b),
        );
      }
      assert.equal(progInfo(s, s.bpf('progGetFdById', { progId: prog }))['name'], 'by_id');
    },
  },
  {
    name: 'a pinned program is run by a second process',
    run: async (machine) => {
      const first = machine.spawn();
      const prog = load(first, 'r0 = 7\nexit');
      const { id } = progInfo(first, prog);
      const pathname = `${machine.pinDirectory}/program`;
      first.bpf('objPin', { pathname, bpfFd: prog });
      first.end();
      const second = machine.spawn();
      const progFd = second.bpf('objGet', { pathname });
      const attr = { progFd, dataIn: new Uint8Array(64), dataSizeIn: 64, retval: 0 };
      second.bpf('progTestRun', attr);
      assert.equal(attr.retval, 7);
      second.close(progFd);
      assert.equal(isAlive(second, 'progGetFdById', id), true);
      machine.unlink(pathname);
      await assertDies(second, 'progGetFdById', id);
    },
  },
  {
    name: 'an fd by id has the rights that were asked for',
    run: (machine) => {
      const s = machine.spawn();
      const { id: mapId } = mapInfo(s, makeMap(s));
      const open = (openFlags: number): number => s.bpf('mapGetFdById', { mapId, openFlags });
      const key = u32(1);
      const write = (mapFd: number) => outcome(() => s.bpf('mapUpdateElem', { mapFd, key, value: u32(1) }));
      const read = (mapFd: number) => outcome(() => s.bpf('mapLookupElem', { mapFd, key, value: u32(0) }));
      assert.deepEqual([write(open(16)), read(open(16))], ['ok', 'EPERM']);
      assert.deepEqual([write(open(8)), read(open(8))], ['EPERM', 'ok']);
      assert.deepEqual([write(open(0)), read(open(0))], ['ok', 'ok']);
    },
  },
  {
    name: 'an info record shorter than the whole is filled as far as it goes',
    run: (machine) => {
      const s = machine.spawn();
      const attr = {
        bpfFd: makeMap(s, { mapName: 'short' }),
        infoLen: 8,
        info: { kind: 'map' } as Record<string, unknown>,
      };
      s.bpf('objGetInfoByFd', attr as never);
      assert.equal(attr.infoLen, 8);
      assert.equal(attr.info['type'], mapTypes.hash.id);
      assert.equal(attr.info['keySize'], undefined);
    },
  },
  {
    name: 'memory goes back to what it was',
    run: (machine) => {
      const s = machine.spawn();
      const use = (): void => {
        const array = makeMap(s, { mapType: mapTypes.prog_array.id });
        const prog = load(s, tailCall(array), { progType: progTypes.xdp.id });
        s.bpf('mapUpdateElem', { mapFd: array, key: u32(0), value: u32(prog) });
        s.bpf('progTestRun', { progFd: prog, dataIn: new Uint8Array(64), dataSizeIn: 64 });
        const hash = makeMap(s, { maxEntries: 1000 });
        for (let key = 0; key < 1000; key++)
          s.bpf('mapUpdateElem', { mapFd: hash, key: u32(key), value: u32(1) });
        for (const fd of [array, prog, hash]) s.close(fd);
      };
      // The first run sets up what every run shares.
      use();
      const before = machine.bytesInUse;
      for (let i = 0; i < 3; i++) use();
      assert.equal(machine.bytesInUse, before);
    },
  },
];
