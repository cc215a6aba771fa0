import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Bug } from '../base/errors.ts';
import { BpfError } from '../uapi/errno.ts';
import { ARENA_END, ARENA_START, createMemory } from './index.ts';

const enomem = (error: unknown) => error instanceof BpfError && error.errno === 'ENOMEM';

test('the first pages are zero and never allocated', () => {
  const memory = createMemory();
  assert.ok(memory.alloc(8) >= ARENA_START);
  assert.equal(memory.isAllocated(0, 1), false);
  assert.equal(memory.isAllocated(ARENA_START - 8, 8), false);
  assert.ok(memory.u8.subarray(0, ARENA_START).every((byte) => byte === 0));
});

test('what is allocated, to the byte', () => {
  const memory = createMemory();
  const at = memory.alloc(13);
  const want: [offset: number, size: number, allocated: boolean][] = [
    [0, 1, true],
    [0, 13, true],
    [12, 1, true],
    [5, 8, true],
    [0, 14, false],
    [13, 1, false],
    [6, 8, false],
    [-1, 1, false],
    [-1, 2, false],
    [0, 0, false],
    [0, 2 ** 32, false],
  ];
  for (const [offset, size, allocated] of want) {
    assert.equal(memory.isAllocated(at + offset, size), allocated, `+${offset}, ${size} bytes`);
  }
  for (const address of [-8, Number.NaN, 2 ** 32 - 4, 2 ** 32, 2 ** 53, ARENA_END]) {
    assert.equal(memory.isAllocated(address, 8), false);
  }
});

test('alignment, and memory that comes back zeroed', () => {
  const memory = createMemory();
  for (const align of [8, 16, 64, 4096, 65536]) {
    const at = memory.alloc(100, align);
    assert.equal(at % align, 0);
    memory.u8.fill(0xff, at, at + 100);
    memory.free(at);
    const again = memory.alloc(100, align);
    assert.ok(memory.u8.subarray(again, again + 100).every((byte) => byte === 0));
  }
  assert.throws(() => memory.alloc(8, 24), Bug);
  assert.throws(() => memory.alloc(-1), Bug);
});

test('growing replaces the views and keeps the bytes', () => {
  const memory = createMemory({ limitBytes: 64 << 20 });
  const at = memory.alloc(8);
  memory.view.setUint32(at, 0x1234, true);
  const { u8, generation } = memory;
  memory.alloc(32 << 20);
  assert.ok(memory.generation > generation);
  assert.equal(u8.byteLength, 0);
  assert.equal(memory.view.getUint32(at, true), 0x1234);
});

test('beyond the limit: ENOMEM, and the memory stays usable', () => {
  const memory = createMemory({ limitBytes: 4 << 20 });
  assert.throws(() => memory.alloc(5 << 20), enomem);
  assert.throws(() => memory.alloc(2 ** 49), enomem);
  const held: number[] = [];
  assert.throws(() => {
    for (;;) held.push(memory.alloc(100_000));
  }, enomem);
  assert.ok(held.length >= 40, `${held.length}`);
  for (const at of held) memory.free(at);
  assert.equal(memory.bytesInUse, 0);
  // Everything was joined again: one block of nearly the whole limit fits.
  memory.free(memory.alloc((4 << 20) - 64));
  assert.throws(() => createMemory({ limitBytes: -1 }), BpfError);
});

test('a free of what is not allocated is a bug of ours', () => {
  const memory = createMemory();
  const at = memory.alloc(64);
  assert.throws(() => memory.free(at + 16), Bug);
  memory.free(at);
  assert.throws(() => memory.free(at), Bug);
});

/** The model: live allocations by address. */
test('random allocations never overlap, and all come back', () => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant('alloc' as const),
      size: fc.oneof(fc.nat(64), fc.nat(5000), fc.nat(300_000)),
    }),
    fc.record({ do: fc.constant('free' as const), pick: fc.nat() }),
  );
  const align = fc.constantFrom(8, 16, 32, 256, 4096);
  fc.assert(
    fc.property(fc.array(fc.tuple(step, align), { maxLength: 120 }), (steps) => {
      const memory = createMemory({ limitBytes: 16 << 20 });
      const live = new Map<number, number>();
      for (const [action, alignment] of steps) {
        if (action.do === 'alloc') {
          const at = memory.alloc(action.size, alignment);
          assert.equal(at % alignment, 0);
          for (const [other, size] of live)
            assert.ok(at + action.size < other || other + size < at, 'a gap between');
          assert.ok(memory.u8.subarray(at, at + action.size).every((byte) => byte === 0));
          memory.u8.fill(0xa5, at, at + action.size);
          live.set(at, action.size);
        } else if (live.size > 0) {
          const at = [...live.keys()][action.pick % live.size]!;
          memory.free(at);
          assert.equal(memory.isAllocated(at, 1), false);
          live.delete(at);
        }
      }
      for (const [at, size] of live) {
        assert.equal(memory.isAllocated(at, size), size > 0);
        assert.equal(memory.isAllocated(at, size + 1), false);
        assert.equal(memory.isAllocated(at - 1, 1), false);
        memory.free(at);
      }
      assert.equal(memory.bytesInUse, 0);
    }),
    { numRuns: 60 },
  );
});
