/** Whatever the bytes are, the verifier answers: it throws nothing and comes to an end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type MapFacts, type VerifierInput, verify } from './index.ts';

const map: MapFacts = {
  handle: {},
  id: 1,
  name: 'm',
  type: 2,
  keySize: 4,
  valueSize: 16,
  maxEntries: 1,
  flags: 0,
  frozen: false,
  address: 0x1000,
  valueAddress: 0x2000,
};

/** Opcodes that mean something, so that programs get further than their first instruction. */
const opcodes = [
  0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x3f, 0x47, 0x4f, 0x57, 0x5f, 0x67, 0x6f, 0x77, 0x7f, 0x87, 0x9f, 0xa7,
  0xaf, 0xb7, 0xbf, 0xc7, 0x04, 0x0c, 0x54, 0x5c, 0xb4, 0xbc, 0xd4, 0xdc, 0xd7, 0x61, 0x69, 0x71, 0x79, 0x81,
  0x62, 0x6a, 0x72, 0x7a, 0x63, 0x6b, 0x73, 0x7b, 0xdb, 0xc3, 0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x45, 0x55,
  0x5d, 0x65, 0x6d, 0xa5, 0xad, 0xb5, 0xc5, 0x16, 0x1e, 0x26, 0xa6, 0x85, 0x18, 0x95, 0x06, 0xe5, 0x30, 0x20,
];

const insn = fc
  .record({
    opcode: fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom(...opcodes) },
      fc.integer({ min: 0, max: 255 }),
    ),
    dst: fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 0, max: 10 }) },
      fc.integer({ min: 0, max: 15 }),
    ),
    src: fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 0, max: 10 }) },
      fc.integer({ min: 0, max: 15 }),
    ),
    off: fc.oneof(fc.constant(0), fc.integer({ min: -16, max: 12 })),
    imm: fc.oneof(fc.integer({ min: -16, max: 64 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  })
  .map(({ opcode, dst, src, off, imm }) => {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    // Immediate operations leave the source register out, or few programs would be well-formed.
    const isImmediate = (opcode & 7) >= 4 && (opcode & 8) === 0 && opcode !== 0x85;
    const isMemory = (opcode & 7) >= 1 && (opcode & 7) <= 3;
    view.setUint8(0, opcode);
    view.setUint8(1, dst | ((isImmediate || (opcode & 7) === 2 ? 0 : src) << 4));
    view.setInt16(2, isMemory || (opcode & 7) >= 5 ? off : 0, true);
    view.setInt32(4, isMemory && (opcode & 7) !== 2 ? 0 : imm, true);
    return bytes;
  });

/** A few registers are set first and r0 at the end, so that more is reached. */
const prologue = [0xb7, 0, 0, 0, 1, 0, 0, 0, 0xbf, 0x16, 0, 0, 0, 0, 0, 0];
const epilogue = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

const program = fc
  .array(insn, { maxLength: 24 })
  .map((insns) => Uint8Array.from([...prologue, ...insns.flatMap((one) => [...one]), ...epilogue]));

function inputOf(insns: Uint8Array, progType: number, perfmon: boolean): VerifierInput {
  return {
    insns,
    progType,
    expectedAttachType: 0,
    progFlags: 0,
    gplCompatible: true,
    capabilities: { bpf: true, perfmon, netAdmin: true, sysAdmin: true },
    resolveMap: (fd) => (fd === 1 ? map : 'EBADF'),
    logLevel: 2,
  };
}

const progTypes = fc.constantFrom(1, 3, 5, 6, 8, 17);

test('well-formed instructions in any order', () => {
  fc.assert(
    fc.property(program, progTypes, fc.boolean(), (insns, type, perfmon) => {
      const result = verify(inputOf(insns, type, perfmon));
      assert.equal(typeof result.ok, 'boolean');
      if (!result.ok) assert.ok(result.errno.startsWith('E'));
    }),
    { numRuns: 3000 },
  );
});

test('any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), progTypes, (insns, type) => {
      assert.equal(typeof verify(inputOf(insns, type, true)).ok, 'boolean');
    }),
    { numRuns: 1000 },
  );
});
