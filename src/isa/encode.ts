/**
 * Instructions to bytes, the inverse of `decode`. An instruction that a caller put together wrongly (an
 * offset that does not fit, a sign extension from 32 to 32 bits) is refused by the decoder's own rules.
 */
import { SkepError, unreachable } from '../base/index.ts';
import { slotBytes } from './decode.ts';
import { type Insn, type Operand, pseudoLoads, type RawInsn, type Slots } from './insn.ts';
import {
  addrSpaceCastOff,
  aluCodes,
  atomicCodes,
  callKinds,
  controlCodes,
  fetchBit,
  insnClass,
  jmpCodes,
  modes,
  orderedCodes,
  sizeCodes,
  sourceBit,
  unaryCodes,
} from './opcodes.ts';
import { describeWrong, shapes, wideLoadOpcode, wrongField } from './shapes.ts';

const aluClass = { 32: insnClass.alu32, 64: insnClass.alu64 } as const;
const jmpClass = { 32: insnClass.jmp32, 64: insnClass.jmp } as const;
const swapBase = {
  le: insnClass.alu32 | sourceBit.imm,
  be: insnClass.alu32 | sourceBit.reg,
  bswap: insnClass.alu64 | sourceBit.imm,
} as const;

function raw(opcode: number, fields: Partial<RawInsn>): RawInsn {
  return { opcode, dst: 0, src: 0, off: 0, imm: 0, ...fields };
}

/** The source bit, and the field that the operand goes to. */
function operand(src: Operand): { readonly bit: number; readonly fields: { src: number } | { imm: number } } {
  return 'reg' in src
    ? { bit: sourceBit.reg, fields: { src: src.reg } }
    : { bit: sourceBit.imm, fields: { imm: src.imm } };
}

function rawCall(insn: Extract<Insn, { op: 'call' }>): RawInsn {
  const off = insn.kind === 'kfunc' ? insn.off : 0;
  return raw(insnClass.jmp | controlCodes.call, { src: callKinds.indexOf(insn.kind), off, imm: insn.imm });
}

function rawAtomic(insn: Extract<Insn, { op: 'atomic' }>): RawInsn {
  const imm = atomicCodes[insn.atomic] | (insn.fetch ? fetchBit : 0);
  const { size, dst, src, off } = insn;
  return raw(insnClass.stx | modes.atomic | sizeCodes[size], { dst, src, off, imm });
}

function rawOrdered(insn: Extract<Insn, { op: 'loadAcquire' | 'storeRelease' }>): RawInsn {
  const { size, dst, src, off } = insn;
  return raw(insnClass.stx | modes.atomic | sizeCodes[size], { dst, src, off, imm: orderedCodes[insn.op] });
}

function rawLdPacket(insn: Extract<Insn, { op: 'ldPacket' }>): RawInsn {
  const mode = insn.src === undefined ? modes.abs : modes.ind;
  return raw(insnClass.ld | mode | sizeCodes[insn.size], { src: insn.src ?? 0, imm: insn.imm });
}

/**
 * The fields of an instruction's first slot, unchecked. (The second slot of a two-slot load has `hi` as its
 * immediate and is otherwise zero.)
 */
export function toRaw(insn: Insn): RawInsn {
  switch (insn.op) {
    case 'alu': {
      const { bit, fields } = operand(insn.src);
      const { code, off } = aluCodes[insn.alu];
      return raw(aluClass[insn.bits] | code | bit, { dst: insn.dst, off, ...fields });
    }
    case 'neg':
      return raw(aluClass[insn.bits] | unaryCodes.neg, { dst: insn.dst });
    case 'movsx': {
      const { dst, src, from } = insn;
      return raw(aluClass[insn.bits] | aluCodes.mov.code | sourceBit.reg, { dst, src, off: from });
    }
    case 'addrSpaceCast': {
      const imm = (insn.to << 16) | (insn.from & 0xffff);
      const { dst, src } = insn;
      return raw(insnClass.alu64 | aluCodes.mov.code | sourceBit.reg, {
        dst,
        src,
        off: addrSpaceCastOff,
        imm,
      });
    }
    case 'swap':
      return raw(swapBase[insn.kind] | unaryCodes.end, { dst: insn.dst, imm: insn.width });
    case 'load': {
      const { dst, src, off, size } = insn;
      return raw(insnClass.ldx | (insn.signed ? modes.memsx : modes.mem) | sizeCodes[size], {
        dst,
        src,
        off,
      });
    }
    case 'store': {
      const { bit, fields } = operand(insn.src);
      const cls = bit === sourceBit.reg ? insnClass.stx : insnClass.st;
      return raw(cls | modes.mem | sizeCodes[insn.size], { dst: insn.dst, off: insn.off, ...fields });
    }
    case 'atomic':
      return rawAtomic(insn);
    case 'loadAcquire':
    case 'storeRelease':
      return rawOrdered(insn);
    case 'ldimm64':
      return raw(wideLoadOpcode, { dst: insn.dst, src: pseudoLoads.indexOf(insn.pseudo), imm: insn.lo });
    case 'ldPacket':
      return rawLdPacket(insn);
    case 'ja':
      return insn.wide
        ? raw(insnClass.jmp32 | controlCodes.ja, { imm: insn.off })
        : raw(insnClass.jmp | controlCodes.ja, { off: insn.off });
    case 'mayGoto':
      return raw(insnClass.jmp | controlCodes.jcond, { off: insn.off });
    case 'jmp': {
      const { bit, fields } = operand(insn.src);
      return raw(jmpClass[insn.bits] | jmpCodes[insn.cond] | bit, {
        dst: insn.dst,
        off: insn.off,
        ...fields,
      });
    }
    case 'call':
      return rawCall(insn);
    case 'exit':
      return raw(insnClass.jmp | controlCodes.exit, {});
    default:
      return unreachable(insn);
  }
}

/** Whether a number is an integer in the signed range of a field of so many bits. */
export function fitsSigned(value: number, bits: 16 | 32): boolean {
  return Number.isInteger(value) && (bits === 32 ? value | 0 : (value << 16) >> 16) === value;
}

/** What keeps an instruction from being encoded, or `undefined`. */
function problem(insn: Insn, fields: RawInsn): string | undefined {
  if (!fitsSigned(fields.off, 16)) return `off ${fields.off} does not fit 16 bits`;
  if (!fitsSigned(fields.imm, 32)) return `imm ${fields.imm} does not fit 32 bits`;
  if (insn.op === 'addrSpaceCast' && (insn.to >>> 16 !== 0 || insn.from >>> 16 !== 0)) {
    return `address spaces ${insn.to} and ${insn.from} do not fit 16 bits`;
  }
  if (insn.op === 'ldimm64') {
    if (!fitsSigned(insn.hi, 32)) return `imm ${insn.hi} of the second slot does not fit 32 bits`;
    const isMap = insn.pseudo === 'mapFd' || insn.pseudo === 'mapIdx';
    if (isMap && insn.hi !== 0) return `imm of the second slot of a map load is ${insn.hi}, must be 0`;
  }
  const shape = shapes[fields.opcode];
  if (shape === undefined) return `no such ${insn.op}`;
  const wrong = wrongField(shape, fields);
  return wrong === undefined ? undefined : describeWrong(shape, wrong, fields);
}

function writeRaw(view: DataView, slot: number, fields: RawInsn): void {
  const at = slot * slotBytes;
  view.setUint8(at, fields.opcode);
  view.setUint8(at + 1, (fields.src << 4) | fields.dst);
  view.setInt16(at + 2, fields.off, true);
  view.setInt32(at + 4, fields.imm, true);
}

function bad(slot: number, message: string): SkepError {
  return new SkepError({ code: 'insn-invalid', message, where: `instruction ${slot}` });
}

/**
 * A program's bytes, 8 a slot, little-endian.
 * @throws SkepError where an instruction has no encoding, or a two-slot load is not followed by its
 * `undefined` slot (code 'insn-invalid').
 */
export function encode(slots: Slots): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(slots.length * slotBytes);
  const view = new DataView(bytes.buffer);
  for (let slot = 0; slot < slots.length; slot++) {
    const insn = slots[slot];
    if (insn === undefined) throw bad(slot, 'a second slot without its two-slot load');
    const fields = toRaw(insn);
    const why = problem(insn, fields);
    if (why !== undefined) throw bad(slot, why);
    writeRaw(view, slot, fields);
    if (insn.op !== 'ldimm64') continue;
    slot++;
    if (slot === slots.length || slots[slot] !== undefined) {
      throw bad(slot - 1, 'a two-slot load without its second slot');
    }
    view.setInt32(slot * slotBytes + 4, insn.hi, true);
  }
  return bytes;
}
