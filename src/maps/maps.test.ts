import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Bug } from '../base/errors.ts';
import { createMemory } from '../memory/index.ts';
import { BpfError, type Errno, errnos } from '../uapi/errno.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { type BpfMap, createMap, type MapContext, type MapDef, mapFlags, ProgArrayMap } from './index.ts';

const CPUS = 3;

function context(limitBytes?: number): MapContext {
  return { memory: createMemory({ limitBytes }), cpus: CPUS, random: () => 0x1234_5678 };
}

function def(type: keyof typeof mapTypes, changes: Partial<MapDef> = {}): MapDef {
  const valueSize = type === 'prog_array' ? 4 : 6;
  const base = { keySize: 4, valueSize, maxEntries: 4, flags: 0, name: 'm', mapExtra: 0n };
  return { ...base, type: mapTypes[type].id, ...changes };
}

const u32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);
const err = (errno: Errno) => -errnos[errno];

/** Runs `use` with the key, and a value, where a program would have them: in memory. */
function inMemory<T>(ctx: MapContext, bytes: Uint8Array, use: (address: number) => T): T {
  const at = ctx.memory.alloc(bytes.length);
  ctx.memory.u8.set(bytes, at);
  const result = use(at);
  ctx.memory.free(at);
  return result;
}

function programUpdate(
  ctx: MapContext,
  map: BpfMap,
  entry: { key: Uint8Array; value: Uint8Array; cpu: number },
) {
  return inMemory(ctx, entry.key, (key) =>
    inMemory(ctx, entry.value, (v) => map.update(key, v, 0n, entry.cpu)),
  );
}

function userGet(map: BpfMap, key: Uint8Array): number[] | number {
  const value = new Uint8Array(map.userValueSize);
  const status = map.userLookup(key, value);
  return status === 0 ? [...value] : status;
}

function userKeys(map: BpfMap): number[] {
  const keys: number[] = [];
  const next = new Uint8Array(4);
  for (let key: Uint8Array | undefined; map.userNextKey(key, next) === 0; key = next.slice()) {
    keys.push(new DataView(next.buffer).getUint32(0, true));
  }
  return keys;
}

const refusals: { name: string; def: MapDef; want: Errno }[] = [
  { name: 'a type that does not exist', def: { ...def('hash'), type: 99 }, want: 'EINVAL' },
  { name: 'type 0', def: { ...def('hash'), type: 0 }, want: 'EINVAL' },
  { name: 'a hash without key', def: def('hash', { keySize: 0 }), want: 'EINVAL' },
  { name: 'a hash without value', def: def('hash', { valueSize: 0 }), want: 'EINVAL' },
  { name: 'a hash without entries', def: def('hash', { maxEntries: 0 }), want: 'EINVAL' },
  { name: 'a hash of 2^31 entries', def: def('hash', { maxEntries: 2 ** 31 }), want: 'E2BIG' },
  {
    name: 'a hash of 2^32 - 1 entries',
    def: def('hash', { maxEntries: 2 ** 32 - 1, flags: 1 }),
    want: 'E2BIG',
  },
  { name: 'a hash of 100 million', def: def('hash', { maxEntries: 100_000_000 }), want: 'ENOMEM' },
  { name: 'a hash value of 2^31 bytes', def: def('hash', { valueSize: 2 ** 31 }), want: 'E2BIG' },
  { name: 'a hash value beyond kmalloc', def: def('hash', { valueSize: (1 << 22) - 52 }), want: 'E2BIG' },
  { name: 'a mappable hash', def: def('hash', { flags: mapFlags.MMAPABLE }), want: 'EINVAL' },
  { name: 'map_extra on a hash', def: def('hash', { mapExtra: 5n }), want: 'EINVAL' },
  { name: 'an array with 8-byte keys', def: def('array', { keySize: 8 }), want: 'EINVAL' },
  { name: 'an array without entries', def: def('array', { maxEntries: 0 }), want: 'EINVAL' },
  { name: 'an array of 2^31 entries', def: def('array', { maxEntries: 2 ** 31 }), want: 'ENOMEM' },
  {
    name: 'an array of 2^32 - 1 large values',
    def: def('array', { maxEntries: 2 ** 32 - 1, valueSize: 2 ** 31 - 1 }),
    want: 'ENOMEM',
  },
  { name: 'an array value of 2^31 bytes', def: def('array', { valueSize: 2 ** 31 }), want: 'E2BIG' },
  {
    name: 'an array that is not preallocated',
    def: def('array', { flags: mapFlags.NO_PREALLOC }),
    want: 'EINVAL',
  },
  {
    name: 'read-only and write-only',
    def: def('array', { flags: mapFlags.RDONLY | mapFlags.WRONLY }),
    want: 'EINVAL',
  },
  {
    name: 'the same for programs',
    def: def('hash', { flags: mapFlags.RDONLY_PROG | mapFlags.WRONLY_PROG }),
    want: 'EINVAL',
  },
  { name: 'a per-CPU value over 32 KiB', def: def('percpu_array', { valueSize: 32769 }), want: 'E2BIG' },
  {
    name: 'a NUMA node for a per-CPU array',
    def: def('percpu_array', { flags: mapFlags.NUMA_NODE }),
    want: 'EINVAL',
  },
  { name: 'a program array of u64', def: def('prog_array', { valueSize: 8 }), want: 'EINVAL' },
  {
    name: 'a read-only program array',
    def: def('prog_array', { flags: mapFlags.RDONLY_PROG }),
    want: 'EINVAL',
  },
];

for (const { name, def: bad, want } of refusals) {
  test(`refuses ${name}: ${want}`, () => {
    const ctx = context();
    const before = ctx.memory.bytesInUse;
    assert.throws(
      () => createMap(bad, ctx),
      (error) => error instanceof BpfError && error.errno === want,
    );
    assert.equal(ctx.memory.bytesInUse, before, 'nothing stays allocated');
  });
}

const accepted: { name: string; def: MapDef }[] = [
  { name: 'the largest hash value', def: def('hash', { valueSize: (1 << 22) - 48 - 5, maxEntries: 1 }) },
  { name: 'odd keys', def: def('hash', { keySize: 3, valueSize: 1 }) },
  { name: 'every hash flag', def: def('hash', { flags: 1 | 4 | 8 | 0x40 | 0x80 }) },
  { name: 'every array flag', def: def('array', { flags: 4 | 16 | 0x100 | 0x400 | 0x1000 }) },
  { name: 'a per-CPU value of 32 KiB', def: def('percpu_array', { valueSize: 32768, maxEntries: 1 }) },
  { name: 'program array flags', def: def('prog_array', { flags: 4 | 8 }) },
];

for (const { name, def: good } of accepted) {
  test(`accepts ${name}, and destroy returns all memory`, () => {
    const ctx = context();
    const map = createMap(good, ctx);
    assert.notEqual(map.address, 0);
    map.destroy();
    assert.equal(ctx.memory.bytesInUse, 0);
  });
}

test('a mappable array starts on a page and fills it', () => {
  const ctx = context();
  const map = createMap(def('array', { flags: mapFlags.MMAPABLE, valueSize: 100, maxEntries: 1 }), ctx);
  assert.equal(map.valueAddress! % 4096, 0);
  assert.ok(ctx.memory.isAllocated(map.valueAddress!, 4096));
});

/** Rules of bpf(2) that differ between the kinds, one row a rule. `k` is there (value 1s), `gone` is not. */
const rules: {
  name: string;
  run: (map: BpfMap, key: Uint8Array, gone: Uint8Array, value: Uint8Array) => number;
  want: Record<'hash' | 'array' | 'percpu_array' | 'prog_array', number>;
}[] = [
  {
    name: 'lookup of what is not there',
    run: (map, _key, gone, value) => map.userLookup(gone, value),
    want: {
      hash: err('ENOENT'),
      array: err('ENOENT'),
      percpu_array: err('ENOENT'),
      prog_array: err('ENOENT'),
    },
  },
  {
    name: 'update of what is not there',
    run: (map, _key, gone, value) => map.userUpdate(gone, value, 0n),
    want: { hash: 0, array: err('E2BIG'), percpu_array: err('E2BIG'), prog_array: err('E2BIG') },
  },
  {
    name: 'update with NOEXIST of what is there',
    run: (map, key, _gone, value) => map.userUpdate(key, value, 1n),
    want: {
      hash: err('EEXIST'),
      array: err('EEXIST'),
      percpu_array: err('EEXIST'),
      prog_array: err('EINVAL'),
    },
  },
  {
    name: 'update with EXIST of what is there',
    run: (map, key, _gone, value) => map.userUpdate(key, value, 2n),
    want: { hash: 0, array: 0, percpu_array: 0, prog_array: err('EINVAL') },
  },
  {
    name: 'update with EXIST of what is not there',
    run: (map, _key, gone, value) => map.userUpdate(gone, value, 2n),
    want: { hash: err('ENOENT'), array: err('E2BIG'), percpu_array: err('E2BIG'), prog_array: err('EINVAL') },
  },
  {
    name: 'update with BPF_F_LOCK of what is not there',
    run: (map, _key, gone, value) => map.userUpdate(gone, value, 4n),
    want: {
      hash: err('EINVAL'),
      array: err('E2BIG'),
      percpu_array: err('EINVAL'),
      prog_array: err('EINVAL'),
    },
  },
  {
    name: 'update with unknown flags',
    run: (map, key, _gone, value) => map.userUpdate(key, value, 1n << 40n),
    want: {
      hash: err('EINVAL'),
      array: err('EINVAL'),
      percpu_array: err('EINVAL'),
      prog_array: err('EINVAL'),
    },
  },
  {
    name: 'delete of what is there',
    run: (map, key) => map.userDelete(key),
    want: { hash: 0, array: err('EINVAL'), percpu_array: err('EINVAL'), prog_array: 0 },
  },
  {
    name: 'delete of what is not there',
    run: (map, _key, gone) => map.userDelete(gone),
    want: {
      hash: err('ENOENT'),
      array: err('EINVAL'),
      percpu_array: err('EINVAL'),
      prog_array: err('E2BIG'),
    },
  },
];

for (const rule of rules) {
  for (const type of ['hash', 'array', 'percpu_array', 'prog_array'] as const) {
    test(`${rule.name}: ${type}`, () => {
      const map = createMap(def(type), context());
      const value = new Uint8Array(map.userValueSize).fill(1);
      assert.equal(map.userUpdate(u32(2), value, 0n), 0);
      assert.equal(rule.run(map, u32(2), u32(7), value), rule.want[type]);
    });
  }
}

test('keys of arrays come in order, from the first after a key that is not there', () => {
  for (const type of ['array', 'percpu_array', 'prog_array'] as const) {
    const map = createMap(def(type), context());
    assert.deepEqual(userKeys(map), [0, 1, 2, 3]);
    const next = new Uint8Array(4);
    assert.equal(map.userNextKey(u32(9), next), 0);
    assert.deepEqual([...next], [0, 0, 0, 0]);
    assert.equal(map.userNextKey(u32(0xffff_ffff), next), 0);
    assert.deepEqual([...next], [0, 0, 0, 0]);
  }
});

test('a value of an array is padded to eight bytes from the next', () => {
  const ctx = context();
  const map = createMap(def('array'), ctx);
  const [first, third, none] = [0, 2, 4].map((index) =>
    inMemory(ctx, u32(index), (key) => map.lookup(key, 0)),
  );
  assert.equal(first, map.valueAddress);
  assert.equal(third! - first!, 16);
  assert.equal(none, 0);
});

test('a per-CPU array: a program sees its own CPU, user space all of them', () => {
  const ctx = context();
  const map = createMap(def('percpu_array'), ctx);
  assert.equal(map.userValueSize, 8 * CPUS);
  const value = new Uint8Array([1, 2, 3, 4, 5, 6]);
  assert.equal(programUpdate(ctx, map, { key: u32(1), value, cpu: 2 }), 0);
  assert.deepEqual(userGet(map, u32(1)), [...new Array(16).fill(0), 1, 2, 3, 4, 5, 6, 0, 0]);
  const at = [0, 1, 2].map((cpu) => inMemory(ctx, u32(1), (key) => map.lookup(key, cpu)));
  assert.deepEqual(
    at.map((address) => ctx.memory.u8[address]),
    [0, 0, 1],
  );
});

test('a program array gives ids, and is closed to programs', () => {
  const map = createMap(def('prog_array'), context());
  assert.equal(map.userUpdate(u32(1), u32(77), 0n), 0);
  assert.ok(map instanceof ProgArrayMap);
  assert.deepEqual(
    [map.programId(1), map.programId(0), map.programId(4), map.programId(2 ** 31)],
    [77, 0, 0, 0],
  );
  assert.deepEqual(userGet(map, u32(1)), [77, 0, 0, 0]);
  assert.equal(map.userDelete(u32(1)), 0);
  assert.equal(map.userDelete(u32(1)), err('ENOENT'));
  assert.throws(() => (map as BpfMap).lookup(0, 0), Bug);
});

for (const flags of [0, mapFlags.NO_PREALLOC]) {
  const kind = flags === 0 ? 'preallocated' : 'not preallocated';

  test(`a full hash (${kind}): E2BIG for a new key, replacing still works`, () => {
    const map = createMap(def('hash', { flags }), context());
    const value = new Uint8Array(6).fill(7);
    for (let key = 0; key < 4; key++) assert.equal(map.userUpdate(u32(key), value, 0n), 0);
    assert.equal(map.userUpdate(u32(4), value, 0n), err('E2BIG'));
    for (let i = 0; i < 10; i++) assert.equal(map.userUpdate(u32(i % 4), value, 2n), 0);
    assert.equal(map.userDelete(u32(1)), 0);
    assert.equal(map.userUpdate(u32(4), value, 1n), 0);
  });

  test(`a pointer into a hash (${kind}) outlives replacing and deleting`, () => {
    const ctx = context();
    const map = createMap(def('hash', { flags }), ctx);
    map.userUpdate(u32(1), new Uint8Array(6).fill(5), 0n);
    const at = inMemory(ctx, u32(1), (key) => map.lookup(key, 0));
    map.userUpdate(u32(1), new Uint8Array(6).fill(6), 0n);
    assert.equal(ctx.memory.u8[at], 5);
    assert.notEqual(
      inMemory(ctx, u32(1), (key) => map.lookup(key, 0)),
      at,
    );
    map.userDelete(u32(1));
    assert.ok(ctx.memory.isAllocated(at, 6));
  });

  test(`a hash (${kind}) agrees with a Map over random operations`, () => {
    const key = fc.nat(12);
    const op = fc.record({
      kind: fc.constantFrom('update', 'delete', 'lookup', 'programUpdate', 'keys'),
      key,
      value: fc.nat(255),
      flags: fc.constantFrom(0n, 0n, 1n, 2n),
    });
    const keySizes = fc.constantFrom(1, 3, 4, 8, 12, 13, 20, 37);
    fc.assert(
      fc.property(fc.array(op, { maxLength: 100 }), keySizes, (ops, keySize) => {
        const ctx = context();
        const map = createMap(def('hash', { flags, keySize, maxEntries: 7 }), ctx);
        const model = new Map<number, number>();
        const keyOf = (n: number) => new Uint8Array(keySize).fill(n, keySize - 1);
        const next = new Uint8Array(keySize);
        for (const { kind: what, key: n, value, flags: how } of ops) {
          const bytes = new Uint8Array(6).fill(value);
          if (what === 'update' || what === 'programUpdate') {
            const wayOut = what === 'update' ? how : 0n;
            let want = 0;
            if (model.has(n) && wayOut === 1n) want = err('EEXIST');
            else if (!model.has(n) && wayOut === 2n) want = err('ENOENT');
            else if (!model.has(n) && model.size === 7) want = err('E2BIG');
            const got =
              what === 'update'
                ? map.userUpdate(keyOf(n), bytes, wayOut)
                : programUpdate(ctx, map, { key: keyOf(n), value: bytes, cpu: 0 });
            assert.equal(got, want);
            if (want === 0) model.set(n, value);
          } else if (what === 'delete') {
            assert.equal(map.userDelete(keyOf(n)), model.delete(n) ? 0 : err('ENOENT'));
          } else if (what === 'lookup') {
            const want = model.get(n);
            assert.deepEqual(
              userGet(map, keyOf(n)),
              want === undefined ? err('ENOENT') : new Array(6).fill(want),
            );
          } else {
            const seen: number[] = [];
            for (let at: Uint8Array | undefined; map.userNextKey(at, next) === 0; at = next.slice()) {
              seen.push(next[keySize - 1]!);
            }
            assert.deepEqual(
              seen.sort((a, b) => a - b),
              [...model.keys()].sort((a, b) => a - b),
            );
          }
        }
        map.destroy();
        assert.equal(ctx.memory.bytesInUse, 0);
      }),
      { numRuns: 60 },
    );
  });
}

test('a hash that runs out of memory says ENOMEM and goes on', () => {
  const ctx = context(1 << 20);
  const map = createMap(
    def('hash', { flags: mapFlags.NO_PREALLOC, valueSize: 100_000, maxEntries: 100 }),
    ctx,
  );
  const value = new Uint8Array(100_000);
  let stored = 0;
  while (map.userUpdate(u32(stored), value, 0n) === 0) stored++;
  assert.equal(map.userUpdate(u32(stored), value, 0n), err('ENOMEM'));
  assert.ok(stored >= 5);
  assert.equal(map.userDelete(u32(0)), 0);
  assert.equal(map.userUpdate(u32(stored), value, 0n), 0);
});

test('with BPF_F_ZERO_SEED, keys come in the order that Linux gives', () => {
  // Recorded on Linux 6.18 with max_entries 16: the first bytes of the keys 0 … 9, inserted in order.
  const recorded: [keySize: number, order: number[]][] = [
    [4, [4, 5, 0, 7, 2, 1, 8, 9, 6, 3]],
    [7, [7, 4, 5, 0, 6, 1, 8, 2, 3, 9]],
    [12, [7, 6, 8, 4, 3, 2, 0, 5, 9, 1]],
    [13, [6, 7, 2, 1, 4, 9, 3, 8, 5, 0]],
    [24, [8, 9, 1, 6, 2, 0, 5, 3, 7, 4]],
  ];
  for (const [keySize, want] of recorded) {
    const map = createMap(def('hash', { flags: mapFlags.ZERO_SEED, maxEntries: 16, keySize }), context());
    const keyOf = (first: number) => new Uint8Array(keySize).fill(first, 0, 1);
    for (let key = 0; key < 10; key++) map.userUpdate(keyOf(key), new Uint8Array(6), 0n);
    const order: number[] = [];
    const next = new Uint8Array(keySize);
    for (let key: Uint8Array | undefined; map.userNextKey(key, next) === 0; key = next.slice())
      order.push(next[0]!);
    assert.deepEqual(order, want, `${keySize}-byte keys`);
  }
});

test('array kinds agree with a plain array over random operations', () => {
  const op = fc.record({
    kind: fc.constantFrom('update', 'program', 'lookup'),
    index: fc.nat(6),
    value: fc.nat(255),
  });
  for (const type of ['array', 'percpu_array'] as const) {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
        const ctx = context();
        const map = createMap(def(type), ctx);
        const perCpu = type === 'percpu_array';
        const stride = perCpu ? 8 : 6;
        // What user space reads: six bytes of the value for each CPU, and padding.
        const model = Array.from({ length: 4 }, () => new Array<number>(map.userValueSize).fill(0));
        const put = (index: number, cpu: number, byte: number) =>
          model[index]!.fill(byte, cpu * stride, cpu * stride + 6);
        for (const { kind, index, value } of ops) {
          const key = u32(index);
          if (kind === 'lookup') {
            assert.deepEqual(userGet(map, key), model[index] ?? err('ENOENT'));
            continue;
          }
          const cpu = perCpu ? value % CPUS : 0;
          const got =
            kind === 'update'
              ? map.userUpdate(key, new Uint8Array(map.userValueSize).fill(value), 0n)
              : programUpdate(ctx, map, { key, value: new Uint8Array(6).fill(value), cpu });
          assert.equal(got, index < 4 ? 0 : err('E2BIG'));
          if (index >= 4) continue;
          if (kind === 'program') put(index, cpu, value);
          else for (let each = 0; each < (perCpu ? CPUS : 1); each++) put(index, each, value);
        }
      }),
      { numRuns: 60 },
    );
  }
});
