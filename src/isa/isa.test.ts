import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { fromHex, SkepError, toHex } from '../base/index.ts';
import { decode, decodeLenient, encode, type Insn, rawInsns, slotCount } from './index.ts';

/** RFC 9669 and Linux 6.18: every opcode, by class, written down independently of the tables. */
const validOpcodes = [
  // LD: two-slot load, absolute and indirect packet loads
  ...[0x18, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50],
  // LDX: mem, memsx
  ...[0x61, 0x69, 0x71, 0x79, 0x81, 0x89, 0x91],
  // ST
  ...[0x62, 0x6a, 0x72, 0x7a],
  // STX: mem, atomic
  ...[0x63, 0x6b, 0x73, 0x7b, 0xc3, 0xcb, 0xd3, 0xdb],
  // ALU
  ...[0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64, 0x6c, 0x74, 0x7c],
  ...[0x84, 0x94, 0x9c, 0xa4, 0xac, 0xb4, 0xbc, 0xc4, 0xcc, 0xd4, 0xdc],
  // JMP
  ...[0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d, 0x55, 0x5d, 0x65, 0x6d, 0x75, 0x7d],
  ...[0x85, 0x95, 0xa5, 0xad, 0xb5, 0xbd, 0xc5, 0xcd, 0xd5, 0xdd, 0xe5],
  // JMP32
  ...[0x06, 0x16, 0x1e, 0x26, 0x2e, 0x36, 0x3e, 0x46, 0x4e, 0x56, 0x5e, 0x66, 0x6e, 0x76, 0x7e],
  ...[0xa6, 0xae, 0xb6, 0xbe, 0xc6, 0xce, 0xd6, 0xde],
  // ALU64
  ...[0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0x57, 0x5f, 0x67, 0x6f, 0x77, 0x7f],
  ...[0x87, 0x97, 0x9f, 0xa7, 0xaf, 0xb7, 0xbf, 0xc7, 0xcf, 0xd7],
];

/** Bytes of one slot from its fields. */
function slot(opcode: number, dst: number, src: number, off: number, imm: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  bytes[0] = opcode;
  bytes[1] = (src << 4) | dst;
  view.setInt16(2, off, true);
  view.setInt32(4, imm, true);
  return bytes;
}

const encodings: { name: string; input: string; want: Insn }[] = [
  {
    name: 'mov',
    input: 'b7 00 00 00 0b 00 00 00',
    want: { op: 'alu', alu: 'mov', bits: 64, dst: 0, src: { imm: 11 } },
  },
  {
    name: 'add32 reg',
    input: '0c 21 00 00 00 00 00 00',
    want: { op: 'alu', alu: 'add', bits: 32, dst: 1, src: { reg: 2 } },
  },
  {
    name: 'negative imm',
    input: '07 0a 00 00 f8 ff ff ff',
    want: { op: 'alu', alu: 'add', bits: 64, dst: 10, src: { imm: -8 } },
  },
  {
    name: 'sdiv32',
    input: '34 03 01 00 05 00 00 00',
    want: { op: 'alu', alu: 'sdiv', bits: 32, dst: 3, src: { imm: 5 } },
  },
  {
    name: 'smod reg',
    input: '9f 43 01 00 00 00 00 00',
    want: { op: 'alu', alu: 'smod', bits: 64, dst: 3, src: { reg: 4 } },
  },
  { name: 'neg', input: '87 02 00 00 00 00 00 00', want: { op: 'neg', bits: 64, dst: 2 } },
  {
    name: 'movsx',
    input: 'bf 21 20 00 00 00 00 00',
    want: { op: 'movsx', bits: 64, from: 32, dst: 1, src: 2 },
  },
  {
    name: 'movsx 32 from 8',
    input: 'bc 21 08 00 00 00 00 00',
    want: { op: 'movsx', bits: 32, from: 8, dst: 1, src: 2 },
  },
  {
    name: 'addr_space_cast',
    input: 'bf 21 01 00 00 00 01 00',
    want: { op: 'addrSpaceCast', dst: 1, src: 2, to: 1, from: 0 },
  },
  { name: 'le16', input: 'd4 01 00 00 10 00 00 00', want: { op: 'swap', kind: 'le', width: 16, dst: 1 } },
  { name: 'be64', input: 'dc 01 00 00 40 00 00 00', want: { op: 'swap', kind: 'be', width: 64, dst: 1 } },
  {
    name: 'bswap32',
    input: 'd7 01 00 00 20 00 00 00',
    want: { op: 'swap', kind: 'bswap', width: 32, dst: 1 },
  },
  {
    name: 'ldx u8',
    input: '71 10 02 00 00 00 00 00',
    want: { op: 'load', size: 1, signed: false, dst: 0, src: 1, off: 2 },
  },
  {
    name: 'ldx s32',
    input: '81 10 fc ff 00 00 00 00',
    want: { op: 'load', size: 4, signed: true, dst: 0, src: 1, off: -4 },
  },
  {
    name: 'st',
    input: '7a 0a f8 ff 01 00 00 00',
    want: { op: 'store', size: 8, dst: 10, off: -8, src: { imm: 1 } },
  },
  {
    name: 'stx',
    input: '63 1a fc ff 00 00 00 00',
    want: { op: 'store', size: 4, dst: 10, off: -4, src: { reg: 1 } },
  },
  {
    name: 'atomic add',
    input: 'db 21 00 00 00 00 00 00',
    want: { op: 'atomic', atomic: 'add', fetch: false, size: 8, dst: 1, off: 0, src: 2 },
  },
  {
    name: 'atomic fetch xor',
    input: 'c3 21 04 00 a1 00 00 00',
    want: { op: 'atomic', atomic: 'xor', fetch: true, size: 4, dst: 1, off: 4, src: 2 },
  },
  {
    name: 'xchg',
    input: 'db 21 00 00 e1 00 00 00',
    want: { op: 'atomic', atomic: 'xchg', fetch: true, size: 8, dst: 1, off: 0, src: 2 },
  },
  {
    name: 'cmpxchg',
    input: 'db 21 00 00 f1 00 00 00',
    want: { op: 'atomic', atomic: 'cmpxchg', fetch: true, size: 8, dst: 1, off: 0, src: 2 },
  },
  {
    name: 'load_acquire u8',
    input: 'd3 21 00 00 00 01 00 00',
    want: { op: 'loadAcquire', size: 1, dst: 1, src: 2, off: 0 },
  },
  {
    name: 'store_release u16',
    input: 'cb 21 00 00 10 01 00 00',
    want: { op: 'storeRelease', size: 2, dst: 1, off: 0, src: 2 },
  },
  {
    name: 'ldimm64',
    input: '18 01 00 00 88 77 66 55 00 00 00 00 44 33 22 11',
    want: { op: 'ldimm64', dst: 1, pseudo: 'imm', lo: 0x55667788, hi: 0x11223344 },
  },
  {
    name: 'map value by index',
    input: '18 61 00 00 02 00 00 00 00 00 00 00 08 00 00 00',
    want: { op: 'ldimm64', dst: 1, pseudo: 'mapIdxValue', lo: 2, hi: 8 },
  },
  {
    name: 'abs',
    input: '28 00 00 00 0c 00 00 00',
    want: { op: 'ldPacket', size: 2, src: undefined, imm: 12 },
  },
  { name: 'ind', input: '50 30 00 00 01 00 00 00', want: { op: 'ldPacket', size: 1, src: 3, imm: 1 } },
  { name: 'ja', input: '05 00 fe ff 00 00 00 00', want: { op: 'ja', wide: false, off: -2 } },
  { name: 'gotol', input: '06 00 00 00 40 e2 01 00', want: { op: 'ja', wide: true, off: 123456 } },
  { name: 'may_goto', input: 'e5 00 03 00 00 00 00 00', want: { op: 'mayGoto', off: 3 } },
  {
    name: 'jmp32 signed',
    input: 'c6 01 05 00 ff ff ff ff',
    want: { op: 'jmp', cond: 'slt', bits: 32, dst: 1, src: { imm: -1 }, off: 5 },
  },
  { name: 'helper', input: '85 00 00 00 01 00 00 00', want: { op: 'call', kind: 'helper', imm: 1 } },
  { name: 'subprogram', input: '85 10 00 00 ff ff ff ff', want: { op: 'call', kind: 'subprog', imm: -1 } },
  {
    name: 'kfunc of a module',
    input: '85 20 01 00 39 30 00 00',
    want: { op: 'call', kind: 'kfunc', imm: 12345, off: 1 },
  },
  { name: 'exit', input: '95 00 00 00 00 00 00 00', want: { op: 'exit' } },
];

describe('encodings', () => {
  for (const { name, input, want } of encodings) {
    test(name, () => {
      const bytes = fromHex(input);
      const slots = decode(bytes);
      assert.deepEqual(slots, bytes.length === 16 ? [want, undefined] : [want]);
      assert.equal(toHex(encode(slots)), toHex(bytes));
    });
  }
});

describe('invalid instructions', () => {
  const zero = '00 00 00 00 00 00 00 00';
  const cases: { name: string; input: string; want: { where: string; message: RegExp } }[] = [
    {
      name: 'opcode 0',
      input: zero,
      want: { where: 'instruction 0', message: /^opcode 0x00 is no instruction/ },
    },
    {
      name: 'opcode 0x8d, call by register',
      input: '8d 00 00 00 00 00 00 00',
      want: { where: 'instruction 0', message: /^opcode 0x8d/ },
    },
    {
      name: 'r11',
      input: 'b7 0b 00 00 00 00 00 00',
      want: { where: 'instruction 0', message: /^dst 11 is no register/ },
    },
    {
      name: 'src of an immediate',
      input: 'b7 10 00 00 00 00 00 00',
      want: { where: 'instruction 0', message: /^src is 1, but is reserved/ },
    },
    {
      name: 'off of add',
      input: '95 00 00 00 00 00 00 00 07 00 01 00 00 00 00 00',
      want: { where: 'instruction 1', message: /^off is 1, but is reserved/ },
    },
    {
      name: 'sign extension 32 from 32',
      input: 'bc 21 20 00 00 00 00 00',
      want: { where: 'instruction 0', message: /^off is 32, but must be one of 0, 8, 16/ },
    },
    {
      name: 'imm of a register operation',
      input: '0f 21 00 00 01 00 00 00',
      want: { where: 'instruction 0', message: /^imm is 1, but is reserved/ },
    },
    {
      name: 'swap width',
      input: 'd4 01 00 00 08 00 00 00',
      want: { where: 'instruction 0', message: /^imm is 8, but must be one of 16, 32, 64/ },
    },
    {
      name: 'atomic on 2 bytes',
      input: 'cb 21 00 00 00 00 00 00',
      want: { where: 'instruction 0', message: /^imm is 0, but must be/ },
    },
    {
      name: 'atomic operation',
      input: 'db 21 00 00 02 00 00 00',
      want: { where: 'instruction 0', message: /^imm is 2, but must be/ },
    },
    {
      name: 'xchg without fetch',
      input: 'db 21 00 00 e0 00 00 00',
      want: { where: 'instruction 0', message: /^imm is 224, but must be/ },
    },
    {
      name: 'helper call with off',
      input: '85 00 01 00 01 00 00 00',
      want: { where: 'instruction 0', message: /^off is 1, but is reserved/ },
    },
    {
      name: 'call kind',
      input: '85 30 00 00 01 00 00 00',
      want: { where: 'instruction 0', message: /^src is 3, but must be one of 0, 1, 2/ },
    },
    {
      name: 'may_goto with imm',
      input: 'e5 00 00 00 01 00 00 00',
      want: { where: 'instruction 0', message: /^imm is 1/ },
    },
    {
      name: 'half a two-slot load',
      input: '18 01 00 00 01 00 00 00',
      want: { where: 'instruction 0', message: /second slot .* missing/ },
    },
    {
      name: 'second slot with an opcode',
      input: '18 01 00 00 01 00 00 00 95 00 00 00 00 00 00 00',
      want: { where: 'instruction 0', message: /^opcode of the second slot/ },
    },
    {
      name: 'second slot with a register',
      input: `18 01 00 00 01 00 00 00 00 10 00 00 00 00 00 00`,
      want: { where: 'instruction 0', message: /^src of the second slot/ },
    },
    {
      name: 'map with an offset',
      input: '18 11 00 00 03 00 00 00 00 00 00 00 04 00 00 00',
      want: { where: 'instruction 0', message: /^imm of the second slot of a map load is 4/ },
    },
    {
      name: 'pseudo source 7',
      input: `18 71 00 00 00 00 00 00 ${zero}`,
      want: { where: 'instruction 0', message: /^src is 7/ },
    },
    {
      name: 'seven bytes',
      input: 'b7 00 00 00 00 00 00',
      want: { where: 'instruction 0', message: /^7 bytes after/ },
    },
  ];
  for (const { name, input, want } of cases) {
    test(name, () => {
      assert.throws(
        () => decode(fromHex(input)),
        (error) =>
          error instanceof SkepError && error.where === want.where && want.message.test(error.message),
      );
    });
  }

  test('lenient: a bad two-slot load still takes its second slot', () => {
    const slots = decodeLenient(fromHex(`18 71 00 00 00 00 00 00 ${zero} 95 00 00 00 00 00 00 00`));
    assert.deepEqual(
      slots.map((insn) => insn?.op),
      ['invalid', undefined, 'exit'],
    );
  });

  test('lenient: a second slot that is none is an instruction of its own', () => {
    const slots = decodeLenient(fromHex('18 01 00 00 01 00 00 00 95 00 00 00 00 00 00 00'));
    assert.deepEqual(
      slots.map((insn) => insn?.op),
      ['invalid', 'exit'],
    );
  });

  test('encode refuses what has no encoding', () => {
    const bad: (Insn | undefined)[][] = [
      [{ op: 'alu', alu: 'mov', bits: 64, dst: 0, src: { imm: 2 ** 31 } }],
      [{ op: 'alu', alu: 'mov', bits: 64, dst: 0, src: { imm: 1.5 } }],
      [{ op: 'ja', wide: false, off: 32768 }],
      [{ op: 'movsx', bits: 32, from: 32, dst: 0, src: 1 }],
      [{ op: 'load', size: 8, signed: true, dst: 0, src: 1, off: 0 }],
      [{ op: 'atomic', atomic: 'xchg', fetch: false, size: 8, dst: 0, src: 1, off: 0 }],
      [{ op: 'addrSpaceCast', dst: 0, src: 1, to: 65536, from: 0 }],
      [{ op: 'ldimm64', dst: 0, pseudo: 'imm', lo: 0, hi: 0 }],
      [{ op: 'ldimm64', dst: 0, pseudo: 'imm', lo: 0, hi: 0 }, { op: 'exit' }],
      [{ op: 'ldimm64', dst: 0, pseudo: 'mapFd', lo: 0, hi: 1 }, undefined],
      [undefined],
      [{ op: 'neg', bits: 64, dst: 11 as 10 }],
    ];
    for (const slots of bad) assert.throws(() => encode(slots), SkepError, JSON.stringify(slots));
  });

  test('rawInsns gives the fields of every whole slot', () => {
    const bytes = slot(0xff, 15, 14, -3, -4);
    assert.deepEqual(rawInsns(bytes), [{ opcode: 0xff, dst: 15, src: 14, off: -3, imm: -4 }]);
    assert.equal(slotCount(bytes), 1);
  });
});

test('every opcode × relevant field values: what decodes encodes back, the rest names a wrong field', () => {
  const offs = [0, 1, 2, 8, 16, 32, 64, -1, 32767, -32768];
  const imms = [0, 1, 2, 7, 16, 32, 64, -1, 0x10000, 0x7fffffff, -0x80000000];
  for (let base = 0; base < 0x120; base += 0x10) imms.push(base, base | 1);
  const valid = new Set<number>();
  for (let opcode = 0; opcode < 256; opcode++) {
    for (const dst of [0, 10, 11]) {
      for (const src of [0, 1, 2, 3, 6, 7, 10, 11]) {
        for (const off of offs) {
          for (const imm of imms) {
            const one = slot(opcode, dst, src, off, imm);
            const bytes = opcode === 0x18 ? Uint8Array.from([...one, 0, 0, 0, 0, 0, 0, 0, 0]) : one;
            const insn = decodeLenient(bytes)[0];
            assert.ok(insn !== undefined);
            if (insn.op === 'invalid') {
              if (!insn.message.startsWith(insn.field)) assert.fail(insn.message);
              continue;
            }
            valid.add(opcode);
            const back = encode(bytes.length === 16 ? [insn, undefined] : [insn]);
            if (!bytes.every((byte, i) => byte === back[i]))
              assert.fail(`${toHex(bytes)} became ${toHex(back)}`);
          }
        }
      }
    }
  }
  assert.deepEqual(
    [...valid].sort((a, b) => a - b),
    validOpcodes.sort((a, b) => a - b),
  );
});

const anySlot = fc
  .record({
    opcode: fc.constantFrom(...validOpcodes),
    dst: fc.integer({ min: 0, max: 11 }),
    src: fc.integer({ min: 0, max: 11 }),
    off: fc.oneof(fc.constantFrom(0, 0, 0, 1, 8, 16, 32), fc.integer({ min: -32768, max: 32767 })),
    imm: fc.oneof(fc.constantFrom(0, 0, 0, 16, 32, 64, 0x100, 0xe1), fc.integer()),
  })
  .map(({ opcode, dst, src, off, imm }) => slot(opcode, dst, src, off, imm));

test('programs: the valid ones come back byte for byte', () => {
  const programs = fc.array(anySlot, { maxLength: 20 });
  fc.assert(
    fc.property(programs, (parts) => {
      const kept: Uint8Array[] = [];
      for (const part of parts) {
        const whole = part[0] === 0x18 ? Uint8Array.from([...part, 0, 0, 0, 0, ...part.subarray(4)]) : part;
        if (decodeLenient(whole)[0]?.op !== 'invalid') kept.push(whole);
      }
      const bytes = Uint8Array.from(kept.flatMap((part) => [...part]));
      assert.equal(toHex(encode(decode(bytes))), toHex(bytes));
    }),
    { numRuns: 2000 },
  );
});

test('decoding fails with SkepError only', () => {
  const seeds = encodings.map(({ input }) => fromHex(input));
  fuzzReader(decode, [...seeds, Uint8Array.from(seeds.flatMap((seed) => [...seed]))]);
  fuzzReader(decodeLenient, seeds.slice(0, 3));
});
