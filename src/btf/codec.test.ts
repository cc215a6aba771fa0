import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { fromHex, toHex } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import { readElf } from '../elf/index.ts';
import { BtfBuilder, type BtfComposite, codec, formatValue, readBtf, type Value } from './index.ts';

const file = fileURLToPath(new URL('../../fixtures/objects/types.bpf.o', import.meta.url));
const btf = readBtf(readElf(readFileSync(file)).section('.BTF')!.data);
const shapes = btf.type(btf.find('shapes', 'struct')!) as BtfComposite;

/** The type of a member of struct shapes. */
function typeOf(member: string): number {
  const found = shapes.members.find(({ name }) => name === member);
  assert.ok(found !== undefined, member);
  return found.type;
}

describe('values and their bytes', () => {
  const cases: { name: string; type: number; bytes: string; value: Value; text?: string }[] = [
    { name: 'char', type: typeOf('c'), bytes: 'ff', value: -1, text: '-1' },
    { name: 'unsigned char', type: typeOf('uc'), bytes: 'ff', value: 255 },
    { name: 'short', type: typeOf('s'), bytes: '0080', value: -32768 },
    { name: 'unsigned short', type: typeOf('us'), bytes: '0080', value: 32768 },
    { name: 'int', type: typeOf('i'), bytes: 'feffffff', value: -2 },
    { name: 'unsigned int', type: typeOf('ui'), bytes: 'feffffff', value: 0xfffffffe },
    { name: 'long', type: typeOf('l'), bytes: 'ffffffffffffffff', value: -1n, text: '-1' },
    { name: 'unsigned long', type: typeOf('ul'), bytes: 'ffffffffffffffff', value: 2n ** 64n - 1n },
    { name: '__int128', type: typeOf('i128'), bytes: `01${'00'.repeat(14)}80`, value: 1n - 2n ** 127n },
    { name: 'unsigned __int128', type: typeOf('u128'), bytes: `${'00'.repeat(15)}80`, value: 2n ** 127n },
    { name: '_Bool', type: typeOf('flag'), bytes: '01', value: true, text: 'true' },
    { name: 'a text', type: typeOf('text'), bytes: '6869000000000000', value: 'hi', text: '"hi"' },
    { name: 'an empty text', type: typeOf('text'), bytes: '0000000000000000', value: '' },
    { name: 'a text in UTF-8', type: typeOf('text'), bytes: 'c3a9000000000000', value: 'é' },
    { name: 'no text: no NUL', type: typeOf('text'), bytes: '6161616161616161', value: Array(8).fill(97) },
    {
      name: 'no text: more after it',
      type: typeOf('text'),
      bytes: '6100620000000000',
      value: [97, 0, 98, 0, 0, 0, 0, 0],
    },
    {
      name: 'no text: control',
      type: typeOf('text'),
      bytes: '0700000000000000',
      value: [7, 0, 0, 0, 0, 0, 0, 0],
    },
    {
      name: 'no text: not UTF-8',
      type: typeOf('text'),
      bytes: 'ff00000000000000',
      value: [-1, 0, 0, 0, 0, 0, 0, 0],
    },
    { name: 'bytes', type: typeOf('raw'), bytes: '010203', value: [1, 2, 3], text: '{ 1, 2, 3 }' },
    {
      name: 'nested arrays',
      type: typeOf('matrix'),
      bytes: '010000000200000003000000040000000500000006000000',
      value: [
        [1, 2, 3],
        [4, 5, 6],
      ],
      text: '{ { 1, 2, 3 }, { 4, 5, 6 } }',
    },
    { name: 'an enum', type: typeOf('color'), bytes: '07000000', value: 7, text: 'GREEN' },
    { name: 'an enum without that name', type: typeOf('color'), bytes: '08000000', value: 8, text: '8' },
    { name: 'a signed enum', type: typeOf('signed_color'), bytes: 'fdffffff', value: -3, text: 'MINUS' },
    { name: 'a wide enum', type: typeOf('wide'), bytes: '0000000001000000', value: 2n ** 32n, text: 'WIDE' },
    {
      name: 'a wide signed enum',
      type: typeOf('wide_signed'),
      bytes: '00000000ffffffff',
      value: -(2n ** 32n),
      text: 'DEEP',
    },
    {
      name: 'pointers and typedefs',
      type: typeOf('node'),
      bytes: `${'10'.repeat(8)}${'00'.repeat(16)}0500000000000000`,
      value: { next: 0x1010101010101010n, label: 0n, handle: 0n, id: 5 },
      text: '{ .next = 0x1010101010101010, .label = 0x0, .handle = 0x0, .id = 5 }',
    },
    {
      name: 'bitfields',
      type: typeOf('bits'),
      bytes: 'fdff010000000e00',
      value: { a: 5, b: 127, c: -1, d: true, e: 1n, f: 7 },
      text: '{ .a = 5, .b = 127, .c = -1, .d = true, .e = 1, .f = GREEN }',
    },
    {
      name: 'a union with an anonymous struct',
      type: typeOf('word'),
      bytes: '0100000002000000',
      value: { whole: 0x200000001n, low: 1, high: 2 },
      text: '{ .whole = 8589934593, .low = 1, .high = 2 }',
    },
    { name: 'an empty struct', type: typeOf('nothing'), bytes: '', value: {}, text: '{}' },
    { name: 'float', type: typeOf('single'), bytes: '0000c03f', value: 1.5, text: '1.5' },
    { name: 'double', type: typeOf('twofold'), bytes: '000000000000f8bf', value: -1.5 },
    {
      name: 'a flexible array',
      type: btf.find('flexible', 'struct')!,
      bytes: '05000000',
      value: { length: 5, data: [] },
    },
  ];
  for (const { name, type, bytes, value, text } of cases) {
    test(name, () => {
      const { size, decode, encode } = codec(btf, type);
      assert.equal(size, bytes.length / 2);
      assert.deepEqual(decode(fromHex(bytes)), value);
      assert.equal(toHex(encode(value)), bytes);
      if (text !== undefined) assert.equal(formatValue(btf, type, fromHex(bytes)), text);
    });
  }
});

describe('what encode accepts besides what decode gives', () => {
  const cases: { name: string; type: number; value: Value; want: string }[] = [
    { name: 'a number for 64 bits', type: typeOf('ul'), value: 7, want: '0700000000000000' },
    { name: 'a bigint for 32 bits', type: typeOf('ui'), value: 7n, want: '07000000' },
    { name: 'an enum by name', type: typeOf('color'), value: 'BLUE', want: 'ffffff7f' },
    { name: 'a boolean as 1', type: typeOf('flag'), value: 1, want: '01' },
    { name: 'raw bytes for an array', type: typeOf('raw'), value: Uint8Array.of(9, 8, 7), want: '090807' },
    {
      name: 'raw bytes for a struct',
      type: typeOf('point'),
      value: Uint8Array.of(1, 2, 3, 4),
      want: '01020304',
    },
    { name: 'one member of a union', type: typeOf('word'), value: { whole: 1n }, want: '0100000000000000' },
    {
      name: "an anonymous struct's members",
      type: typeOf('word'),
      value: { low: 1, high: 2 },
      want: '0100000002000000',
    },
  ];
  for (const { name, type, value, want } of cases) {
    test(name, () => {
      assert.equal(toHex(codec(btf, type).encode(value)), want);
    });
  }
});

describe('what encode refuses, and where', () => {
  const bits = { a: 0, b: 0, c: 0, d: false, e: 0n, f: 0 };
  const node = { next: 0n, label: 0n, handle: 0n, id: 0 };
  const cases: { name: string; type: number; value: Value; want: string }[] = [
    {
      name: 'too large',
      type: typeOf('uc'),
      value: 256,
      want: '256 does not fit into unsigned char: 0 to 255',
    },
    {
      name: 'negative',
      type: typeOf('ui'),
      value: -1,
      want: '-1 does not fit into unsigned int: 0 to 4294967295',
    },
    { name: 'a fraction', type: typeOf('i'), value: 1.5, want: '1.5 is no integer; int is wanted' },
    {
      name: 'beyond safe integers',
      type: typeOf('ul'),
      value: 2 ** 60,
      want: '1152921504606847000 is beyond what a number holds exactly: give a bigint',
    },
    { name: 'a string', type: typeOf('i'), value: 'x', want: '"x" is no integer; int is wanted' },
    { name: 'an unknown name', type: typeOf('color'), value: 'PINK', want: 'enum color has no "PINK"' },
    {
      name: 'a bitfield',
      type: typeOf('bits'),
      value: { ...bits, c: 16 },
      want: 'c: 16 does not fit into int: -16 to 15',
    },
    {
      name: 'a boolean',
      type: typeOf('bits'),
      value: { ...bits, d: 2 },
      want: 'd: 2 does not fit into _Bool: 0 to 1',
    },
    {
      name: 'a long text',
      type: typeOf('text'),
      value: 'eight888',
      want: '"eight888" is 9 bytes with its NUL; there are 8',
    },
    { name: 'a NUL in a text', type: typeOf('text'), value: 'a\0b', want: 'a text with a NUL in it' },
    {
      name: 'a short array',
      type: typeOf('raw'),
      value: [1, 2],
      want: 'an array of 2 elements; 3 are wanted',
    },
    {
      name: 'an element',
      type: typeOf('matrix'),
      value: [
        [1, 2, 3],
        [4, 5n ** 20n, 6],
      ],
      want: '[1][1]: 95367431640625 does not fit into int: -2147483648 to 2147483647',
    },
    { name: 'no object', type: typeOf('point'), value: 5, want: '5 is no object; struct {...} is wanted' },
    {
      name: 'a missing member',
      type: typeOf('point'),
      value: { x: 1 },
      want: 'y: struct {...} has no value for it',
    },
    {
      name: 'an unknown member',
      type: typeOf('point'),
      value: { x: 1, y: 1, z: 1 },
      want: 'struct {...} has no member "z"; it has x, y',
    },
    {
      name: 'a member of a member',
      type: typeOf('node'),
      value: { ...node, id: 'x' },
      want: 'id: "x" is no integer; guarded is wanted',
    },
    {
      name: 'a union without a member',
      type: typeOf('word'),
      value: {},
      want: 'union {...} wants one of its members whole, low, high',
    },
    {
      name: 'a union that disagrees',
      type: typeOf('word'),
      value: { whole: 1n, low: 2, high: 0 },
      want: 'members of union {...} disagree; give one of them',
    },
    {
      name: 'raw bytes of another length',
      type: typeOf('raw'),
      value: new Uint8Array(4),
      want: '4 bytes given, 3 wanted',
    },
  ];
  for (const { name, type, value, want } of cases) {
    test(name, () => {
      assert.throws(
        () => codec(btf, type).encode(value),
        (error) => {
          assert.ok(error instanceof SkepError);
          assert.equal(error.line, want);
          return true;
        },
      );
    });
  }

  test('decode wants exactly the bytes of the type', () => {
    assert.throws(() => codec(btf, typeOf('i')).decode(new Uint8Array(3)), /int is 4 bytes, not 3/);
  });

  test('types without values', () => {
    assert.throws(() => codec(btf, 0), /void has no value/);
    assert.throws(() => codec(btf, btf.find('touch', 'func')!), SkepError);
  });
});

test('property: encode(decode(bytes)) is the bytes, but for padding', () => {
  const { size, decode, encode } = codec(btf, btf.find('shapes', 'struct')!);
  const bytes = fc.uint8Array({ minLength: size, maxLength: size });
  fc.assert(
    fc.property(bytes, (input) => {
      // A second time, as padding, booleans and NaNs are normal then.
      const normal = encode(decode(input));
      assert.deepEqual(encode(decode(normal)), normal);
    }),
  );
});

test('a section of variables is an object', () => {
  const id = btf.find('license', 'datasec')!;
  const type = btf.type(id);
  assert.ok(type.kind === 'datasec');
  const [variable] = type.variables;
  assert.equal(btf.type(variable!.type).name, '_license');
  assert.deepEqual(codec(btf, variable!.type).decode(Uint8Array.from([71, 80, 76, 0])), 'GPL');
});

test('a flexible array has what is behind the struct', () => {
  const flexible = codec(btf, btf.find('flexible', 'struct')!);
  assert.deepEqual([flexible.size, flexible.isFlexible], [4, true]);
  const cases: { bytes: string; value: Value }[] = [
    { bytes: '02000000', value: { length: 2, data: [] } },
    { bytes: '020000000a0b', value: { length: 2, data: [10, 11] } },
  ];
  for (const { bytes, value } of cases) {
    assert.deepEqual(flexible.decode(fromHex(bytes)), value);
    assert.equal(toHex(flexible.encode(value)), bytes);
  }
  assert.equal(toHex(flexible.encode({ length: 1, data: Uint8Array.of(9) })), '0100000009');
  assert.throws(() => flexible.decode(new Uint8Array(3)), /struct flexible is 4 bytes, not 3/);
  assert.throws(
    () => flexible.encode({ length: 1, data: [300] }),
    (error) => error instanceof SkepError && /^data\[0\]: 300 does not fit/.test(error.line),
  );
});

test('a flexible array of characters is text', () => {
  const builder = new BtfBuilder();
  const int = { kind: 'int', signed: true, char: false, bool: false, bitOffset: 0 } as const;
  builder.add({ ...int, name: 'int', size: 4, bits: 32 });
  builder.add({ ...int, name: 'char', size: 1, bits: 8 });
  builder.add({ kind: 'array', name: '', type: 2, indexType: 1, length: 0 });
  builder.add({
    kind: 'struct',
    name: 'line',
    size: 8,
    members: [
      { name: 'number', type: 1, bitOffset: 0, bitSize: 0 },
      { name: 'text', type: 3, bitOffset: 40, bitSize: 0 },
    ],
  });
  const line = codec(readBtf(builder.build()), 4);
  const bytes = line.encode({ number: 1, text: 'abcdef' });
  assert.equal(toHex(bytes, ' '), '01 00 00 00 00 61 62 63 64 65 66 00');
  assert.deepEqual(line.decode(bytes), { number: 1, text: 'abcdef' });
  assert.equal(line.encode({ number: 1, text: [] }).length, 8);
});
