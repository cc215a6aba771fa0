/** Floating-point numbers of every size: known bytes, rounding, and all halves. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '../base/bytes.ts';
import { BtfBuilder, codec, dumpValue, JsonWriter, readBtf } from './index.ts';

/** A type of that name and size, and how its values are read and written. */
function floatType(name: string, size: number) {
  const builder = new BtfBuilder();
  const id = builder.add({ kind: 'float', name, size });
  const btf = readBtf(builder.build());
  return { btf, id, ...codec(btf, id) };
}

const types = {
  half: floatType('_Float16', 2),
  brain: floatType('__bf16', 2),
  single: floatType('float', 4),
  double: floatType('double', 8),
  short: floatType('long double', 12),
  extended: floatType('long double', 16),
  quad: floatType('__float128', 16),
};

const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/../g) ?? [], (each) => parseInt(each, 16));

describe('bytes and values', () => {
  // Bytes as gcc 12 on x86-64 lays them out.
  const cases: { type: keyof typeof types; value: number; bytes: string }[] = [
    { type: 'half', value: 1.5, bytes: '003e' },
    { type: 'half', value: -2, bytes: '00c0' },
    { type: 'half', value: 65504, bytes: 'ff7b' },
    { type: 'half', value: 2 ** -24, bytes: '0100' },
    { type: 'half', value: Number.NEGATIVE_INFINITY, bytes: '00fc' },
    { type: 'half', value: Number.NaN, bytes: '007e' },
    { type: 'brain', value: 1.5, bytes: 'c03f' },
    { type: 'single', value: 1.5, bytes: '0000c03f' },
    { type: 'double', value: -1.5, bytes: '000000000000f8bf' },
    { type: 'short', value: 1, bytes: '0000000000000080ff3f0000' },
    { type: 'short', value: 0, bytes: '000000000000000000000000' },
    { type: 'extended', value: Math.PI, bytes: '00c06821a2da0fc90040000000000000' },
    { type: 'extended', value: -0.1, bytes: '00d0ccccccccccccfbbf000000000000' },
    { type: 'extended', value: Number.POSITIVE_INFINITY, bytes: '0000000000000080ff7f000000000000' },
    { type: 'quad', value: 1.5, bytes: '0000000000000000000000000080ff3f' },
    { type: 'quad', value: Math.PI, bytes: '0000000000000080d14244b51f920040' },
    { type: 'quad', value: -0, bytes: '00000000000000000000000000000080' },
  ];
  for (const { type, value, bytes } of cases) {
    test(`${type} ${Object.is(value, -0) ? '-0' : value}`, () => {
      const { encode, decode, size } = types[type];
      assert.equal(toHex(encode(value)), bytes);
      assert.deepEqual(decode(bytesOf(bytes)), value);
      assert.equal(size, bytes.length / 2);
    });
  }
});

describe('rounding', () => {
  const cases: { name: string; type: keyof typeof types; value: number; want: number }[] = [
    { name: 'to even, down', type: 'half', value: 1 + 2 ** -11, want: 1 },
    { name: 'to even, up', type: 'half', value: 1 + 3 * 2 ** -11, want: 1 + 2 ** -9 },
    { name: 'over a power of two', type: 'half', value: 2 - 2 ** -12, want: 2 },
    { name: 'out of range', type: 'half', value: 65520, want: Number.POSITIVE_INFINITY },
    { name: 'just in range', type: 'half', value: 65519, want: 65504 },
    { name: 'to zero', type: 'half', value: 2 ** -25, want: 0 },
    { name: 'to the smallest', type: 'half', value: 1.1 * 2 ** -25, want: 2 ** -24 },
    { name: 'to the smallest that is normal', type: 'half', value: 2 ** -14 - 2 ** -26, want: 2 ** -14 },
  ];
  for (const { name, type, value, want } of cases) {
    test(name, () => {
      const { encode, decode } = types[type];
      assert.equal(decode(encode(value)), want);
    });
  }
});

test('every half is what it was', () => {
  const { encode, decode } = types.half;
  for (let bits = 0; bits < 0x10000; bits++) {
    const bytes = Uint8Array.of(bits & 0xff, bits >> 8);
    const isNone = (bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0;
    if (!isNone) assert.deepEqual(encode(decode(bytes)), bytes, bits.toString(16));
  }
});

test('property: wide ones hold every double', () => {
  for (const { encode, decode } of [types.short, types.extended, types.quad]) {
    fc.assert(fc.property(fc.double(), (value) => Object.is(decode(encode(value)), value)));
  }
});

describe('wider than a double', () => {
  const cases: { name: string; type: keyof typeof types; bytes: string; want: number }[] = [
    { name: 'rounds', type: 'extended', bytes: `${'ff'.repeat(8)}ff3f${'00'.repeat(6)}`, want: 2 },
    {
      name: 'is out of range',
      type: 'extended',
      bytes: `0000000000000080fe7f${'00'.repeat(6)}`,
      want: Infinity,
    },
    { name: 'is next to nothing', type: 'extended', bytes: `01${'00'.repeat(15)}`, want: 0 },
    { name: 'is none', type: 'extended', bytes: `0000000000000000ff3f${'00'.repeat(6)}`, want: Number.NaN },
    { name: 'padding is not looked at', type: 'short', bytes: '0000000000000080ff3fabcd', want: 1 },
  ];
  for (const { name, type, bytes, want } of cases) {
    test(name, () => assert.deepEqual(types[type].decode(bytesOf(bytes)), want));
  }
});

test('they print', () => {
  const { btf, id, encode } = types.extended;
  const writer = new JsonWriter({ pretty: false });
  dumpValue({ btf, writer, plain: true }, id, encode(0.25));
  assert.equal(writer.take(), '0.25');
  assert.throws(() => types.half.encode('1.5'), /"1\.5" is no number; _Float16 is wanted/);
});
