import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, SkepError, toHex } from '../base/index.ts';
import { indexCodec, perCpuCodec, rawCodec } from './element.ts';

test('integers as raw bytes', () => {
  const cases = [
    { size: 1, value: -1, want: 'ff' },
    { size: 2, value: 80, want: '5000' },
    { size: 4, value: 0xffffffff, want: 'ffffffff' },
    { size: 8, value: -2n, want: 'feffffffffffffff' },
    { size: 8, value: 2n ** 64n - 1n, want: 'ffffffffffffffff' },
    { size: 3, value: Uint8Array.of(1, 2, 3), want: '010203' },
  ];
  for (const { size, value, want } of cases) assert.equal(toHex(rawCodec(size).encode(value)), want);
});

test('what does not fit is an error', () => {
  const cases = [
    { size: 2, value: 65536 },
    { size: 1, value: -129 },
    { size: 8, value: 2n ** 64n },
    { size: 3, value: 1 },
    { size: 4, value: 1.5 },
    { size: 4, value: Uint8Array.of(1) },
  ];
  for (const { size, value } of cases) assert.throws(() => rawCodec(size).encode(value), SkepError);
});

test('raw bytes are a copy', () => {
  const bytes = fromHex('01020304');
  const decoded = rawCodec(4).decode(bytes) as Uint8Array;
  bytes[0] = 9;
  assert.equal(toHex(decoded), '01020304');
});

test('per-CPU values: one a CPU, padded to eight bytes', () => {
  const codec = perCpuCodec(indexCodec, 2);
  assert.equal(codec.size, 16);
  assert.equal(toHex(codec.encode([1, 2])), '01000000000000000200000000000000');
  assert.deepEqual(codec.decode(fromHex('05000000ffffffff06000000ffffffff')), [5, 6]);
  assert.throws(() => codec.encode([1]), /an array of 2 values/);
  assert.throws(() => codec.encode(1), /an array of 2 values/);
});
