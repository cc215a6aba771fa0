/** Kinds with rules of their own: per-CPU and LRU hashes, queues and stacks, ring buffers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemory } from '../memory/index.ts';
import { errnos } from '../uapi/errno.ts';
import { type MapTypeName, mapTypes } from '../uapi/map-types.ts';
import { createMap, type MapContext, type MapDef, QueueMap, RingBufMap, ringLayout } from './index.ts';

const CPUS = 3;

function make(type: MapTypeName, changes: Partial<MapDef> = {}) {
  const context: MapContext = { memory: createMemory(), cpus: CPUS, random: () => 7 };
  const base = { keySize: 4, valueSize: 8, maxEntries: 4, flags: 0, name: 'm', mapExtra: 0n };
  const map = createMap({ ...base, type: mapTypes[type].id, ...changes }, context);
  return { map, memory: context.memory };
}

const u32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);
const u64 = (...values: number[]) => new Uint8Array(new BigUint64Array(values.map(BigInt)).buffer);

function keysOf({ map }: Pick<ReturnType<typeof make>, 'map'>): number[] {
  const keys: number[] = [];
  const next = new Uint8Array(4);
  for (let key: Uint8Array | undefined; map.userNextKey(key, next) === 0; key = next.slice()) {
    keys.push(new DataView(next.buffer).getUint32(0, true));
  }
  return keys.sort((a, b) => a - b);
}

for (const type of ['percpu_hash', 'lru_percpu_hash'] as const) {
  test(`${type}: a program sees its own CPU's value, user space all; a new one is zero elsewhere`, () => {
    const { map, memory } = make(type);
    assert.equal(map.userValueSize, 8 * CPUS);
    const key = memory.alloc(4);
    const value = memory.alloc(8);
    memory.view.setBigUint64(value, 9n, true);
    assert.equal(map.update(key, value, 0n, 1), 0);
    const all = new Uint8Array(8 * CPUS);
    assert.equal(map.userLookup(u32(0), all), 0);
    assert.deepEqual(all, u64(0, 9, 0));
    const at = map.lookup(key, 2);
    memory.view.setBigUint64(at, 5n, true);
    assert.equal(map.userLookup(u32(0), all), 0);
    assert.deepEqual(all, u64(0, 9, 5));
    // An update changes the value in place: what a program holds stays good.
    assert.equal(map.update(key, value, 2n, 2), 0);
    assert.equal(memory.view.getBigUint64(at, true), 9n);
    map.destroy();
    memory.free(key);
    memory.free(value);
    assert.equal(memory.bytesInUse, 0);
  });
}

test('a full LRU forgets what no program looked at', () => {
  const made = make('lru_hash');
  const { map, memory } = made;
  for (let key = 1; key <= 4; key++) assert.equal(map.userUpdate(u32(key), u64(key), 0n), 0);
  const at = memory.alloc(4);
  for (const key of [1, 3, 4]) {
    memory.view.setUint32(at, key, true);
    assert.notEqual(map.lookup(at, 0), 0);
  }
  assert.equal(map.userUpdate(u32(5), u64(5), 0n), 0);
  assert.deepEqual(keysOf(made), [1, 3, 4, 5]);
  // Replacing a value forgets nothing.
  assert.equal(map.userUpdate(u32(3), u64(33), 2n), 0);
  assert.deepEqual(keysOf(made), [1, 3, 4, 5]);
  for (let key = 10; key < 100; key++) {
    assert.equal(map.userUpdate(u32(key), u64(key), 1n), 0);
    assert.equal(keysOf(made).length, 4);
  }
});

test('queues give the oldest, stacks the newest, and both say when they are full or empty', () => {
  for (const { type, order } of [
    { type: 'queue', order: [1, 2] },
    { type: 'stack', order: [2, 1] },
  ] as const) {
    const { map } = make(type, { keySize: 0, maxEntries: 2 });
    assert.ok(map instanceof QueueMap);
    const nothing = new Uint8Array();
    const value = new Uint8Array(8);
    assert.equal(map.userLookup(nothing, value), -errnos.ENOENT);
    for (const one of [1, 2]) assert.equal(map.userUpdate(nothing, u64(one), 0n), 0);
    assert.equal(map.userUpdate(nothing, u64(3), 0n), -errnos.E2BIG);
    assert.equal(map.userUpdate(nothing, u64(3), 1n), -errnos.EINVAL);
    for (const want of order) {
      assert.equal(map.userLookup(nothing, value), 0);
      assert.deepEqual(value, u64(want));
      assert.equal(map.userPop(value), 0);
      assert.deepEqual(value, u64(want));
    }
    assert.equal(map.userPop(value), -errnos.ENOENT);
    assert.equal(map.userDelete(), -errnos.EINVAL);
    assert.equal(map.userNextKey(), -errnos.EINVAL);
  }
});

test('a record that runs over the end of a ring is in one piece, and its reader is woken', () => {
  const { map, memory } = make('ringbuf', { keySize: 0, valueSize: 0, maxEntries: 4096 });
  assert.ok(map instanceof RingBufMap);
  const { ring } = map;
  let wakes = 0;
  const stop = ring.onWake(() => wakes++);
  const consume = () => {
    const position = memory.view.getBigUint64(ring.pages + ringLayout.page, true);
    memory.view.setBigUint64(ring.pages, position, true);
  };
  for (let round = 0; round < 20; round++) {
    const at = map.reserve(1000n);
    assert.notEqual(at, 0, `round ${round}`);
    memory.u8.fill(round + 1, at, at + 1000);
    assert.equal(ring.isReadable(), true);
    map.commit(at, { discard: false, flags: 0n });
    // As a reader does: the record's start by the mask, then straight on.
    const start = Number(memory.view.getBigUint64(ring.pages, true)) & 4095;
    const record = ring.pages + 2 * ringLayout.page + start;
    assert.equal(memory.view.getUint32(record, true), 1000);
    assert.ok(memory.u8.subarray(record + 8, record + 1008).every((byte) => byte === round + 1));
    consume();
  }
  assert.equal(wakes, 20);
  stop();
  map.commit(map.reserve(8n), { discard: true, flags: 2n });
  assert.equal(wakes, 20);
  assert.equal(map.reserve(4089n), 0);
  assert.equal(map.userLookup(), -errnos.ENOTSUPP);
});
