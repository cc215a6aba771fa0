/**
 * The walk over a map, on a kernel that changes the map under it; the real kernels are in kernel.test.ts.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SkepError } from '../base/errors.ts';
import { BpfError } from '../uapi/errno.ts';
import type { System } from '../uapi/seam.ts';
import { BpfMap } from './map.ts';

/** A hash map of u8 → u8 in insertion order; `onNext` runs before each MAP_GET_NEXT_KEY. */
function scriptedMap(
  keys: number[],
  onNext: (elements: Map<number, number>, key: number | undefined) => void = () => {},
) {
  const elements = new Map(keys.map((key) => [key, key]));
  const bpf = (cmd: string, attr: { key?: Uint8Array; value?: Uint8Array; nextKey?: Uint8Array }): number => {
    const key = attr.key?.[0];
    if (cmd === 'mapGetNextKey') {
      onNext(elements, key);
      const order = [...elements.keys()];
      const at = key === undefined ? -1 : order.indexOf(key);
      const next = order[at + 1];
      if (next === undefined) throw new BpfError('ENOENT', 'bpf');
      attr.nextKey?.set([next]);
      return 0;
    }
    const value = elements.get(key ?? -1);
    if (value === undefined) throw new BpfError('ENOENT', 'bpf');
    if (cmd === 'mapDeleteElem') elements.delete(key as number);
    else attr.value?.set([value]);
    return 0;
  };
  const system = { bpf, close: () => {} } as unknown as System;
  const info = { kind: 'map', type: 1, keySize: 1, valueSize: 1, maxEntries: 8, name: 'walked' } as const;
  return { map: new BpfMap<Uint8Array, Uint8Array>(system, 3, { info, types: undefined }), elements };
}

const keysOf = (map: BpfMap<Uint8Array, Uint8Array>): number[] =>
  [...map.keys()].map((key) => key[0] as number);

test('a walk sees every element once', () => {
  const { map } = scriptedMap([1, 2, 3]);
  assert.deepEqual(keysOf(map), [1, 2, 3]);
  assert.deepEqual(
    [...map].map(([key, value]) => [...key, ...value]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  );
  assert.equal(map.size, 3);
});

test('deleting what a walk hands out loses nothing', () => {
  const { map, elements } = scriptedMap([1, 2, 3, 4]);
  const seen: number[] = [];
  for (const key of map.keys()) {
    seen.push(key[0] as number);
    map.delete(key);
  }
  assert.deepEqual(seen, [1, 2, 3, 4]);
  assert.equal(elements.size, 0);
});

test('where its place is deleted, a walk starts again and hands nothing out twice', () => {
  let deleted = false;
  const { map } = scriptedMap([1, 2, 3, 4], (elements, key) => {
    if (key === 3 && !deleted) deleted = elements.delete(3);
  });
  assert.deepEqual(keysOf(map), [1, 2, 3, 4]);
});

test('an element deleted before its turn is left out of the entries', () => {
  const { map, elements } = scriptedMap([1, 2, 3]);
  const seen: number[] = [];
  for (const [key] of map) {
    seen.push(key[0] as number);
    elements.delete(2);
  }
  assert.deepEqual(seen, [1, 3]);
});

test('a walk over a map that never stops changing ends with an error', () => {
  let fresh = 10;
  const { map } = scriptedMap([1], (elements, key) => {
    if (key !== undefined) elements.delete(key);
    fresh = (fresh + 1) & 0xff;
    elements.set(fresh, fresh);
  });
  assert.throws(
    () => keysOf(map),
    (error) => error instanceof SkepError && error.code === 'map-changing',
  );
});

test('a closed map says so', () => {
  const { map } = scriptedMap([1]);
  map.close();
  map.close();
  assert.throws(
    () => map.get(Uint8Array.of(1)),
    (error) => error instanceof SkepError && error.line.startsWith("map 'walked' is closed"),
  );
});

test('keys and values without BTF are bytes, integers accepted', () => {
  const { map } = scriptedMap([7]);
  assert.deepEqual(map.get(7 as never), Uint8Array.of(7));
  assert.equal(map.get(8 as never), undefined);
  const cases: { key: unknown; want: string }[] = [
    { key: 256, want: "key of map 'walked': 256 does not fit into 1 bytes" },
    { key: Uint8Array.of(1, 2), want: "key of map 'walked': 2 bytes given, 1 wanted" },
    { key: 'x', want: "key of map 'walked': it has no type: give 1 bytes as a Uint8Array" },
  ];
  for (const { key, want } of cases) {
    assert.throws(
      () => map.get(key as never),
      (error) => error instanceof SkepError && error.line === want,
      want,
    );
  }
});
