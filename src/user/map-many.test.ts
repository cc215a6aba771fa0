/** Many elements in a call, kinds without keys, shared memory, maps in maps: on each kernel, and on old ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNoLinux } from '../../test/support/linux.ts';
import { assemble } from '../asm/index.ts';
import { LinuxKernel } from '../linux-kernel.ts';
import { emptyMap } from '../object/spec.ts';
import type { Cmd } from '../uapi/commands.ts';
import { BpfError } from '../uapi/errno.ts';
import { type MapTypeName, mapTypes } from '../uapi/map-types.ts';
import type { System } from '../uapi/seam.ts';
import { Kernel } from './kernel.ts';
import { KernelHandle } from './kernel-handle.ts';
import { BpfMap } from './map.ts';

const F_MMAPABLE = 1 << 10;
const noLinux = whyNoLinux();

/** A kernel without some commands, as old ones are. */
function lacking(commands: readonly Cmd[]): KernelHandle & { close(): void } {
  const kernel = new Kernel();
  const { sys } = kernel;
  const bpf: System['bpf'] = (cmd, attr) => {
    if (commands.includes(cmd)) throw new BpfError('EINVAL', cmd);
    return sys.bpf(cmd, attr);
  };
  const old = new Proxy(sys, {
    get: (target, name) => {
      if (name === 'bpf') return bpf;
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return Object.assign(new KernelHandle(old), { close: () => kernel.close() });
}

const batches: readonly Cmd[] = [
  'mapLookupBatch',
  'mapLookupAndDeleteBatch',
  'mapUpdateBatch',
  'mapDeleteBatch',
];

const places: readonly { name: string; start: () => KernelHandle & { close?(): void }; isLinux?: true }[] = [
  { name: 'embedded', start: () => new Kernel() },
  { name: 'without batches', start: () => lacking([...batches, 'mapLookupAndDeleteElem']) },
  { name: 'linux', start: () => new LinuxKernel(), isLinux: true },
];

function each(
  name: string,
  run: (kernel: KernelHandle, own: <T extends { close(): void }>(made: T) => T) => void,
  kinds: readonly MapTypeName[] = [],
): void {
  for (const place of places) {
    const absent = place.isLinux ? undefined : kinds.find((kind) => mapTypes[kind].label !== 'real');
    const skip =
      (place.isLinux && noLinux) || (absent !== undefined && `the embedded kernel does not run ${absent}`);
    test(`${place.name}: ${name}`, { skip }, () => {
      const kernel = place.start();
      const made: { close(): void }[] = [];
      try {
        run(kernel, (handle) => {
          made.push(handle);
          return handle;
        });
      } finally {
        for (const handle of made.reverse()) handle.close();
        kernel.close?.();
      }
    });
  }
}

const bytes32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);
const number = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

each('everything read, taken, written and removed at once', (kernel, own) => {
  const map = own(kernel.createMap<Uint8Array, Uint8Array>({ type: 'hash', maxEntries: 3000 }));
  const entries = Array.from({ length: 2500 }, (_, i) => [bytes32(i), bytes32(3 * i)] as const);
  const seen = (list: [Uint8Array, Uint8Array][]) =>
    new Map(list.map(([key, value]) => [number(key), number(value)]));
  const want = new Map(entries.map(([key, value]) => [number(key), number(value)]));
  map.setAll(entries);
  assert.equal(map.size, 2500);
  const got = map.getAll();
  assert.equal(got.length, 2500);
  assert.deepEqual(new Map([...seen(got)].sort(([a], [b]) => a - b)), want);
  assert.equal(map.deleteAll([5, 6, 7, 9999, 8].map(bytes32)), 4);
  assert.throws(() => map.setAll(entries, 'noexist'), BpfError);
  const taken = map.takeAll();
  assert.ok(taken.length >= 2496);
  assert.equal(map.size, 0);
  assert.deepEqual(map.getAll(), []);
  assert.deepEqual(map.takeAll(), []);
  assert.equal(map.deleteAll([]), 0);
  map.setAll([]).setAll(entries.slice(0, 10));
  map.clear();
  assert.equal(map.size, 0);
});

each('arrays at once; what they cannot', (kernel, own) => {
  const map = own(kernel.createMap<number, Uint8Array>({ type: 'array', maxEntries: 50 }));
  map.setAll(Array.from({ length: 50 }, (_, i) => [i, bytes32(i)] as const));
  assert.deepEqual(
    map.getAll().map(([key, value]) => [key, number(value)]),
    Array.from({ length: 50 }, (_, i) => [i, i]),
  );
  assert.throws(() => map.deleteAll([1]), { errno: 'EINVAL' });
  assert.throws(() => map.clear(), { errno: 'EINVAL' });
});

each('values of each CPU', (kernel, own) => {
  const map = own(kernel.createMap<number, Uint8Array[]>({ type: 'percpu_array', maxEntries: 3 }));
  const cpus = kernel.sys.possibleCpus();
  const value = (n: number) => Array.from({ length: cpus }, (_, cpu) => bytes32(n * 100 + cpu));
  map.setAll([0, 1, 2].map((n) => [n, value(n)] as const));
  assert.deepEqual(map.getAll(), [
    [0, value(0)],
    [1, value(1)],
    [2, value(2)],
  ]);
});

each('an element is taken out', (kernel, own) => {
  const map = own(kernel.createMap<Uint8Array, Uint8Array>({ type: 'hash', maxEntries: 4 }));
  map.set(bytes32(1), bytes32(7));
  assert.deepEqual(map.take(bytes32(1)), bytes32(7));
  assert.equal(map.take(bytes32(1)), undefined);
  assert.equal(map.keyAfter(undefined), undefined);
  map.set(bytes32(2), bytes32(8));
  assert.deepEqual(map.keyAfter(undefined), bytes32(2));
  assert.equal(map.keyAfter(bytes32(2)), undefined);
});

for (const { type, order } of [
  { type: 'queue', order: [1, 2] },
  { type: 'stack', order: [2, 1] },
] as const) {
  test(`linux: a ${type} gives back what it was given`, { skip: noLinux }, () =>
    queueTest(new LinuxKernel(), type, order),
  );
  test(`embedded: a ${type} gives back what it was given`, () => {
    const kernel = new Kernel();
    queueTest(kernel, type, order);
    kernel.close();
  });
}

function queueTest(kernel: KernelHandle, type: 'queue' | 'stack', order: readonly number[]): void {
  const map = kernel.createMap<never, Uint8Array>({ type, keySize: 0, maxEntries: 2 });
  try {
    assert.equal(map.pop(), undefined);
    assert.equal(map.peek(), undefined);
    map.push(bytes32(1)).push(bytes32(2));
    assert.throws(() => map.push(bytes32(3)), { errno: 'E2BIG' });
    for (const want of order) {
      assert.deepEqual(map.peek(), bytes32(want));
      assert.deepEqual(map.pop(), bytes32(want));
    }
  } finally {
    map.close();
  }
}

each(
  'a Bloom filter knows what it was given',
  (kernel, own) => {
    const map = own(
      kernel.createMap<never, Uint8Array>({ type: 'bloom_filter', keySize: 0, maxEntries: 100 }),
    );
    map.push(bytes32(77));
    assert.equal(map.mayHave(bytes32(77)), true);
    const others = Array.from({ length: 100 }, (_, i) => map.mayHave(bytes32(1000 + i)));
    assert.ok(others.includes(false));
  },
  ['bloom_filter'],
);

each(
  'a map in a map',
  (kernel, own) => {
    const inner = own(kernel.createMap<number, Uint8Array>({ type: 'array', maxEntries: 2, name: 'inner' }));
    inner.set(1, bytes32(42));
    const shape = { ...emptyMap(''), type: mapTypes.array.id, keySize: 4, valueSize: 4, maxEntries: 2 };
    const outer = own(
      kernel.createMap<number, number>({ type: 'array_of_maps', maxEntries: 2, inner: shape }),
    );
    outer.set(0, inner);
    assert.equal(outer.get(0), inner.id);
    const found = own(outer.inner<number, Uint8Array>(0)!);
    assert.equal(found.name, 'inner');
    assert.deepEqual(found.get(1), bytes32(42));
    assert.equal(outer.inner(1), undefined);
  },
  ['array_of_maps'],
);

each('an array in shared memory: each side sees what the other writes at once', (kernel, own) => {
  const map = own(kernel.createMap<number, Uint8Array>({ type: 'array', maxEntries: 3, flags: F_MMAPABLE }));
  const shared = map.mmap();
  shared.set(1, bytes32(5));
  assert.deepEqual(map.get(1), bytes32(5));
  const program = own(
    kernel.loadProgram({
      type: 'socket_filter',
      insns: assemble(`*(u32 *)(r10 - 4) = 1
        r1 = map[fd:${map.fd}]
        r2 = r10
        r2 += -4
        call 1
        if r0 == 0 goto done
        r1 = 9
        *(u32 *)(r0 + 0) = r1
        done: r0 = 0
        exit`),
    }),
  );
  program.testRun({ data: new Uint8Array(64) });
  assert.deepEqual(shared.get(1), bytes32(9));
  assert.deepEqual([...shared].map(number), [0, 9, 0]);
  assert.equal(shared.bytes.length, 24);
  for (const index of [-1, 3, 0.5]) assert.throws(() => shared.get(index), { code: 'value' });
  assert.throws(() => map.freeze(), { errno: 'EBUSY' });
  shared.close();
  assert.throws(() => shared.get(0), { code: 'value' });
  map.freeze();
  assert.throws(() => map.mmap(), { errno: 'EPERM' });
  const readable = map.mmap({ writable: false });
  assert.deepEqual(readable.get(1), bytes32(9));
  readable.close();
  const plain = own(kernel.createMap({ type: 'array', maxEntries: 3 }));
  assert.throws(() => plain.mmap(), { errno: 'EINVAL' });
  assert.equal(plain.sharedBytes('read'), undefined);
});

test('a bucket with more than a batch holds is asked for again, with more room', () => {
  const asked: number[] = [];
  const bpf = (cmd: string, attr: { count: number; keys: Uint8Array }): number => {
    assert.equal(cmd, 'mapLookupBatch');
    asked.push(attr.count);
    if (attr.count < 4000) {
      attr.count = 0;
      throw new BpfError('ENOSPC', cmd);
    }
    attr.count = 1;
    attr.keys.set(bytes32(7));
    throw new BpfError('ENOENT', cmd);
  };
  const info = { kind: 'map', type: 1, keySize: 4, valueSize: 4, maxEntries: 5000, name: 'crowded' } as const;
  const map = new BpfMap<Uint8Array, Uint8Array>({ bpf, close: () => {} } as unknown as System, 3, {
    info,
    types: undefined,
  });
  assert.deepEqual(map.getAll(), [[bytes32(7), bytes32(0)]]);
  assert.deepEqual(asked, [1024, 2048, 4096]);
  map.close();
});
