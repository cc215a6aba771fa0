/**
 * Random valid instructions and programs, for properties: every opcode, every field within its rule, jumps
 * and calls anywhere.
 */
import fc from 'fast-check';
import { decode, type RawInsn, type Slots, slotBytes } from '../../src/isa/index.ts';
import { type FieldRule, fieldRule, type Shape, shapes, wideLoadOpcode } from '../../src/isa/shapes.ts';

function fieldValue(rule: FieldRule, bits: 16 | 32): fc.Arbitrary<number> {
  if (rule === 'reg') return fc.nat({ max: 10 });
  if (rule !== 'any') return fc.constantFrom(...rule);
  const half = 2 ** (bits - 1);
  return fc.oneof(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -half, max: half - 1 }));
}

function instruction(opcode: number, shape: Shape): fc.Arbitrary<Uint8Array> {
  const start: RawInsn = { opcode, dst: 0, src: 0, off: 0, imm: 0 };
  const rule = (field: 'dst' | 'src' | 'off' | 'imm', raw: RawInsn): FieldRule =>
    fieldRule(shape, field, raw);
  return fc
    .tuple(fieldValue(rule('dst', start), 32), fieldValue(rule('src', start), 32))
    .chain(([dst, src]) => {
      const named = { ...start, dst, src };
      return fieldValue(rule('off', named), 16).map((off) => ({ ...named, off }));
    })
    .chain((raw) => {
      // A two-slot load of a bare map (sources 1 and 5) has nothing in its second slot.
      const isMap = raw.src === 1 || raw.src === 5;
      const hi = opcode === wideLoadOpcode && !isMap ? fieldValue('any', 32) : fc.constant(0);
      return fc
        .tuple(fieldValue(rule('imm', raw), 32), hi)
        .map(([imm, second]) => encodeRaw({ ...raw, imm }, second));
    });
}

function encodeRaw(raw: RawInsn, hi: number): Uint8Array {
  const bytes = new Uint8Array(raw.opcode === wideLoadOpcode ? 2 * slotBytes : slotBytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, raw.opcode);
  view.setUint8(1, (raw.src << 4) | raw.dst);
  view.setInt16(2, raw.off, true);
  view.setInt32(4, raw.imm, true);
  if (raw.opcode === wideLoadOpcode) view.setInt32(12, hi, true);
  return bytes;
}

/** The bytes of one valid instruction. */
export const anyInsnBytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  ...shapes.flatMap((shape, opcode) => (shape === undefined ? [] : [instruction(opcode, shape)])),
);

/** The bytes of up to 24 valid instructions. */
export const anyProgramBytes: fc.Arbitrary<Uint8Array> = fc
  .array(anyInsnBytes, { maxLength: 24 })
  .map((parts) => Uint8Array.from(parts.flatMap((part) => [...part])));

export const anyProgram: fc.Arbitrary<Slots> = anyProgramBytes.map(decode);
