/** Reading what programs leave: elements taken out, batches, queues, ring buffers mapped and waited for. */
import assert from 'node:assert/strict';
import type { BpfAttr } from '../../src/uapi/commands.ts';
import { mapTypes } from '../../src/uapi/map-types.ts';
import type { System } from '../../src/uapi/seam.ts';
import { type ContractTest, load, makeMap, outcome, type Row, readU32, tableTest, u32 } from './harness.ts';

const PAGE = 4096;
const F_RDONLY = 8;
const F_WRONLY = 16;
const F_LOCK = 4n;

const { hash, array, percpu_hash, percpu_array, prog_array, queue, stack, ringbuf } = mapTypes;

const set = (s: System, mapFd: number, key: number, value = key * 3): number =>
  s.bpf('mapUpdateElem', { mapFd, key: u32(key), value: u32(value) });

function filled(s: System, attr: BpfAttr<'mapCreate'>, count: number): number {
  const map = makeMap(s, { maxEntries: count, ...attr });
  for (let key = 0; key < count; key++) set(s, map, key);
  return map;
}

const take = (s: System, mapFd: number, key: number, flags = 0n): Uint8Array => {
  const value = new Uint8Array(4);
  s.bpf('mapLookupAndDeleteElem', { mapFd, key: u32(key), value, flags });
  return value;
};

type Taking = {
  s: System;
  hash: number;
  array: number;
  programs: number;
  readOnly: number;
  writeOnly: number;
};

const taking: readonly Row<Taking>[] = [
  { name: 'an element', call: ({ s, hash }) => assert.equal(readU32(take(s, hash, 1)), 3), want: 'ok' },
  { name: 'it is gone', call: ({ s, hash }) => take(s, hash, 1), want: 'ENOENT' },
  { name: 'flags', call: ({ s, hash }) => take(s, hash, 2, 1n), want: 'EINVAL' },
  { name: 'a lock that the value has not', call: ({ s, hash }) => take(s, hash, 2, F_LOCK), want: 'EINVAL' },
  { name: 'an array', call: ({ s, array }) => take(s, array, 1), want: 'ENOTSUPP' },
  { name: 'a program array', call: ({ s, programs }) => take(s, programs, 1), want: 'ENOTSUPP' },
  { name: 'an fd for reading', call: ({ s, readOnly }) => take(s, readOnly, 1), want: 'EPERM' },
  { name: 'an fd for writing', call: ({ s, writeOnly }) => take(s, writeOnly, 1), want: 'EPERM' },
  { name: 'no fd', call: ({ s }) => take(s, 999, 1), want: 'EBADF' },
];

const room = (count: number) => ({
  keys: new Uint8Array(4 * count),
  values: new Uint8Array(4 * count),
  count,
});

type Batching = { s: System; map: number; array: number; queue: number; programs: number; readOnly: number };
const place = () => new Uint8Array(4);

const batching: readonly Row<Batching>[] = [
  {
    name: 'nothing wanted',
    call: ({ s, map }) => s.bpf('mapLookupBatch', { mapFd: map, outBatch: place(), ...room(0) }),
    want: 'ok',
  },
  {
    name: 'all, and the end is told',
    call: ({ s, map }) => s.bpf('mapLookupBatch', { mapFd: map, outBatch: place(), ...room(16) }),
    want: 'ENOENT',
  },
  {
    name: 'from behind the end',
    call: ({ s, map }) =>
      s.bpf('mapLookupBatch', { mapFd: map, inBatch: u32(1 << 20), outBatch: place(), ...room(16) }),
    want: 'ENOENT',
  },
  {
    name: 'flags',
    call: ({ s, map }) => s.bpf('mapLookupBatch', { mapFd: map, outBatch: place(), ...room(4), flags: 1n }),
    want: 'EINVAL',
  },
  {
    name: 'flags with an array, which nobody looks at',
    call: ({ s, array }) =>
      s.bpf('mapLookupBatch', { mapFd: array, outBatch: place(), ...room(16), flags: 1n }),
    want: 'ENOENT',
  },
  {
    name: 'flags of elements',
    call: ({ s, map }) =>
      s.bpf('mapLookupBatch', { mapFd: map, outBatch: place(), ...room(4), elemFlags: 1n }),
    want: 'EINVAL',
  },
  {
    name: 'no place to go on from',
    call: ({ s, map }) => s.bpf('mapLookupBatch', { mapFd: map, ...room(16) }),
    want: 'EFAULT',
  },
  {
    name: 'a queue',
    call: ({ s, queue }) => s.bpf('mapLookupBatch', { mapFd: queue, outBatch: place(), ...room(4) }),
    want: 'ENOTSUPP',
  },
  {
    name: 'a program array',
    call: ({ s, programs }) => s.bpf('mapLookupBatch', { mapFd: programs, outBatch: place(), ...room(4) }),
    want: 'ENOTSUPP',
  },
  {
    name: 'taking from an array',
    call: ({ s, array }) => s.bpf('mapLookupAndDeleteBatch', { mapFd: array, outBatch: place(), ...room(4) }),
    want: 'ENOTSUPP',
  },
  {
    name: 'deleting from an array',
    call: ({ s, array }) => s.bpf('mapDeleteBatch', { mapFd: array, keys: u32(0), count: 1 }),
    want: 'ENOTSUPP',
  },
  {
    name: 'taking through an fd for reading',
    call: ({ s, readOnly }) =>
      s.bpf('mapLookupAndDeleteBatch', { mapFd: readOnly, outBatch: place(), ...room(4) }),
    want: 'EPERM',
  },
  {
    name: 'writing through an fd for reading',
    call: ({ s, readOnly }) =>
      s.bpf('mapUpdateBatch', { mapFd: readOnly, keys: u32(0), values: u32(0), count: 1 }),
    want: 'EPERM',
  },
  {
    name: 'writing with flags of the batch, which nobody looks at',
    call: ({ s, map }) =>
      s.bpf('mapUpdateBatch', { mapFd: map, keys: u32(0), values: u32(0), count: 1, flags: 1n }),
    want: 'ok',
  },
  {
    name: 'writing nothing',
    call: ({ s, map }) => s.bpf('mapUpdateBatch', { mapFd: map, count: 0 }),
    want: 'ok',
  },
  {
    name: 'writing without keys',
    call: ({ s, map }) => s.bpf('mapUpdateBatch', { mapFd: map, values: u32(0), count: 1 }),
    want: 'EFAULT',
  },
];

/** Reads a map in batches of `count`; keys and values by key, and how many calls it took. */
function readAll(
  s: System,
  mapFd: number,
  {
    count,
    cmd = 'mapLookupBatch',
    valueSize = 4,
  }: { count: number; cmd?: 'mapLookupBatch' | 'mapLookupAndDeleteBatch'; valueSize?: number },
): Map<number, number> {
  const found = new Map<number, number>();
  let inBatch: Uint8Array | undefined;
  for (let calls = 0; calls < 1000; calls++) {
    const outBatch = place();
    const attr = {
      mapFd,
      inBatch,
      outBatch,
      keys: new Uint8Array(4 * count),
      values: new Uint8Array(valueSize * count),
      count,
    };
    const result = outcome(() => s.bpf(cmd, attr));
    // A bucket may have more than fit: then there have to be more.
    if (result === 'ENOSPC') {
      count *= 2;
      continue;
    }
    assert.ok(result === 'ok' || result === 'ENOENT', result);
    for (let i = 0; i < attr.count; i++) {
      const key = readU32(attr.keys, 4 * i);
      assert.ok(!found.has(key), `key ${key} comes twice`);
      found.set(key, readU32(attr.values, valueSize * i));
    }
    if (result === 'ENOENT') return found;
    inBatch = outBatch;
  }
  assert.fail('no end');
}

const triples = (count: number) => new Map(Array.from({ length: count }, (_, key) => [key, 3 * key]));
const sorted = (map: Map<number, number>) => new Map([...map].sort(([a], [b]) => a - b));

/** A program that writes `text` into a ring buffer of one page. */
function producer(s: System): { ring: number; fire(times?: number): void } {
  const ring = makeMap(s, { mapType: ringbuf.id, keySize: 0, valueSize: 0, maxEntries: PAGE });
  const progFd = load(
    s,
    `r1 = 0x1122334455667788 ll
    *(u64 *)(r10 - 8) = r1
    r1 = map[fd:${ring}]
    r2 = r10
    r2 += -8
    r3 = 8
    r4 = 0
    call 130
    r0 = 0
    exit`,
  );
  const data = new Uint8Array(64);
  return {
    ring,
    fire: (repeat = 1) => {
      s.bpf('progTestRun', { progFd, dataIn: data, dataSizeIn: data.length, repeat });
    },
  };
}

type Mapped = { s: System; ring: number };
const map = (s: System, fd: number, offset: number, length: number, writable = false) =>
  s.mmap(fd, { length, offset, writable });

const mapping: readonly Row<Mapped>[] = [
  { name: "the consumer's page", call: ({ s, ring }) => map(s, ring, 0, PAGE, true).unmap(), want: 'ok' },
  { name: 'all of it, to read', call: ({ s, ring }) => map(s, ring, 0, 4 * PAGE).unmap(), want: 'ok' },
  {
    name: "the producer's page, to write",
    call: ({ s, ring }) => map(s, ring, PAGE, PAGE, true),
    want: 'EPERM',
  },
  { name: 'two pages, to write', call: ({ s, ring }) => map(s, ring, 0, 2 * PAGE, true), want: 'EPERM' },
  { name: 'too much', call: ({ s, ring }) => map(s, ring, PAGE, 4 * PAGE), want: 'EINVAL' },
  { name: 'no whole page', call: ({ s, ring }) => map(s, ring, 8, PAGE), want: 'EINVAL' },
  { name: 'an element', call: ({ s, ring }) => set(s, ring, 0), want: 'EINVAL' },
];

export const reading: readonly ContractTest[] = [
  tableTest(
    'taking elements out',
    (machine) => {
      const s = machine.spawn();
      return {
        s,
        hash: filled(s, {}, 4),
        array: makeMap(s, { mapType: array.id }),
        programs: makeMap(s, { mapType: prog_array.id }),
        readOnly: makeMap(s, { mapFlags: F_RDONLY }),
        writeOnly: makeMap(s, { mapFlags: F_WRONLY }),
      };
    },
    taking,
  ),
  tableTest(
    'batches, right and wrong',
    (machine) => {
      const s = machine.spawn();
      return {
        s,
        map: filled(s, {}, 4),
        array: makeMap(s, { mapType: array.id }),
        queue: makeMap(s, { mapType: queue.id, keySize: 0 }),
        programs: makeMap(s, { mapType: prog_array.id }),
        readOnly: makeMap(s, { mapFlags: F_RDONLY }),
      };
    },
    batching,
  ),
  {
    name: 'reading in batches finds every element once',
    run: (machine) => {
      const s = machine.spawn();
      for (const mapType of [hash.id, array.id]) {
        const map = filled(s, { mapType }, 100);
        for (const count of [1, 7, 100, 128])
          assert.deepEqual(sorted(readAll(s, map, { count })), triples(100));
      }
      assert.deepEqual(readAll(s, makeMap(s), { count: 4 }), new Map());
    },
  },
  {
    name: 'values of each CPU in batches',
    run: (machine) => {
      const s = machine.spawn();
      const valueSize = 8 * s.possibleCpus();
      for (const mapType of [percpu_hash.id, percpu_array.id]) {
        const mapFd = makeMap(s, { mapType, maxEntries: 5 });
        const keys = new Uint8Array(new Uint32Array([0, 1, 2, 3, 4]).buffer);
        const values = new Uint8Array(5 * valueSize);
        for (let key = 0; key < 5; key++) values.set(u32(3 * key), key * valueSize);
        const attr = { mapFd, keys, values, count: 5 };
        s.bpf('mapUpdateBatch', attr);
        assert.equal(attr.count, 5);
        assert.deepEqual(sorted(readAll(s, mapFd, { count: 2, valueSize })), triples(5));
      }
    },
  },
  {
    name: 'what a batch takes out is gone',
    run: (machine) => {
      const s = machine.spawn();
      const map = filled(s, {}, 50);
      const cmd = 'mapLookupAndDeleteBatch';
      assert.deepEqual(sorted(readAll(s, map, { count: 8, cmd })), triples(50));
      assert.deepEqual(readAll(s, map, { count: 8 }), new Map());
    },
  },
  {
    name: 'a batch that cannot go on says how far it came',
    run: (machine) => {
      const s = machine.spawn();
      const mapFd = makeMap(s, { maxEntries: 4 });
      const keys = new Uint8Array(new Uint32Array([0, 1, 2, 3, 4, 5]).buffer);
      const update = { mapFd, keys, values: keys, count: 6 };
      assert.equal(
        outcome(() => s.bpf('mapUpdateBatch', update)),
        'E2BIG',
      );
      assert.equal(update.count, 4);
      const remove = { mapFd, keys: new Uint8Array(new Uint32Array([3, 2, 9, 1]).buffer), count: 4 };
      assert.equal(
        outcome(() => s.bpf('mapDeleteBatch', remove)),
        'ENOENT',
      );
      assert.equal(remove.count, 2);
      assert.deepEqual([...readAll(s, mapFd, { count: 8 }).keys()].sort(), [0, 1]);
      const again = { mapFd, keys, values: keys, count: 2, elemFlags: 1n };
      assert.equal(
        outcome(() => s.bpf('mapUpdateBatch', again)),
        'EINVAL',
      );
    },
  },
  {
    name: 'queues and stacks',
    run: (machine) => {
      const s = machine.spawn();
      for (const { mapType, order } of [
        { mapType: queue.id, order: [1, 2] },
        { mapType: stack.id, order: [2, 1] },
      ]) {
        const mapFd = makeMap(s, { mapType, keySize: 0, maxEntries: 2 });
        const value = new Uint8Array(4);
        const pop = () => s.bpf('mapLookupAndDeleteElem', { mapFd, value });
        const push = (n: number, flags = 0n) => s.bpf('mapUpdateElem', { mapFd, value: u32(n), flags });
        assert.equal(outcome(pop), 'ENOENT');
        push(1);
        push(2);
        assert.equal(
          outcome(() => push(3)),
          'E2BIG',
        );
        assert.equal(
          outcome(() => s.bpf('mapUpdateElem', { mapFd, key: u32(0), value })),
          'EINVAL',
        );
        assert.equal(
          outcome(() => s.bpf('mapLookupElem', { mapFd, key: u32(0), value })),
          'EINVAL',
        );
        assert.equal(
          outcome(() => s.bpf('mapLookupAndDeleteElem', { mapFd, value, flags: F_LOCK })),
          'EINVAL',
        );
        for (const want of order) {
          s.bpf('mapLookupElem', { mapFd, value });
          assert.equal(readU32(value), want);
          pop();
          assert.equal(readU32(value), want);
        }
        push(4);
        push(5);
        // BPF_EXIST makes room.
        push(6, 2n);
        pop();
        assert.equal(readU32(value), mapType === queue.id ? 5 : 6);
      }
    },
  },
  tableTest(
    'mapping ring buffers',
    (machine) => {
      const s = machine.spawn();
      return { s, ring: makeMap(s, { mapType: ringbuf.id, keySize: 0, valueSize: 0, maxEntries: PAGE }) };
    },
    mapping,
  ),
  {
    name: 'records are where the pages say, and their room is free when the consumer says so',
    run: (machine) => {
      const s = machine.spawn();
      const { ring, fire } = producer(s);
      const consumer = map(s, ring, 0, PAGE, true);
      const rest = map(s, ring, PAGE, 3 * PAGE);
      const position = () => readU32(rest.bytes);
      for (let round = 0, at = 0; round < 5; round++) {
        fire(300);
        // 256 records of 16 bytes are a page; the last place stays empty.
        const end = position();
        assert.ok(end - at > PAGE - 32 && end - at <= PAGE, String(end - at));
        for (; at < end; at += 16) {
          const start = PAGE + (at % PAGE);
          assert.equal(readU32(rest.bytes, start), 8);
          assert.equal(readU32(rest.bytes, start + 8), 0x55667788);
        }
        consumer.bytes.set(u32(at));
      }
      consumer.unmap();
      rest.unmap();
    },
  },
  {
    name: 'a watch wakes at each record that finds its reader asleep',
    run: async (machine) => {
      const s = machine.spawn();
      const { ring, fire } = producer(s);
      const watch = s.watch([ring]);
      assert.equal(await watch.wait({ timeoutMs: 1 }), false);
      const consumer = map(s, ring, 0, PAGE, true);
      for (let at = 0; at < 3 * 16; at += 16) {
        const woken = watch.wait({ timeoutMs: 10_000 });
        fire();
        assert.equal(await woken, true);
        consumer.bytes.set(u32(at + 16));
      }
      assert.equal(await watch.wait({ timeoutMs: 1 }), false);
      const controller = new AbortController();
      const aborted = watch.wait({ signal: controller.signal });
      controller.abort();
      assert.equal(await aborted, false);
      fire();
      assert.deepEqual(await s.wait([ring], { timeoutMs: 10_000 }), [ring]);
      const closed = watch.wait();
      watch.close();
      watch.close();
      // What came before it was closed may still be told.
      await closed;
      assert.equal(await watch.wait(), false);
      consumer.unmap();
    },
  },
  {
    name: 'a watch needs no fd while it waits',
    run: async (machine) => {
      const s = machine.spawn();
      const { ring, fire } = producer(s);
      const watch = s.watch([ring]);
      assert.equal(await watch.wait({ timeoutMs: 1 }), false);
      const fds: number[] = [];
      while (outcome(() => fds.push(s.dup(ring))) === 'ok');
      const woken = watch.wait({ timeoutMs: 10_000 });
      fire();
      assert.equal(await woken, true);
      for (const fd of fds) s.close(fd);
      watch.close();
    },
  },
  {
    name: 'what cannot be watched',
    run: (machine) => {
      const s = machine.spawn();
      const program = load(s, 'r0 = 0\nexit');
      assert.equal(
        outcome(() => s.watch([program])),
        'EPERM',
      );
      assert.equal(
        outcome(() => s.watch([999])),
        'EBADF',
      );
    },
  },
];
