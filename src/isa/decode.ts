/**
 * Bytes to instructions, little-endian (a foreign byte order is refused where the bytes come from). Strict
 * for tools, which want the first error; lenient for the verifier, which reports errors in Linux's order and
 * so needs invalid instructions left in place. What is valid is in `shapes.ts`.
 *
 *     byte  0       1              2 3       4 5 6 7
 *           opcode  src:4 | dst:4  off(s16)  imm(s32)
 */
import { SkepError } from '../base/index.ts';
import type { Insn, InvalidInsn, LenientSlots, RawInsn, Slots } from './insn.ts';
import { insnClass, modes } from './opcodes.ts';
import { describeWrong, fieldRule, shapes, wideLoadOpcode, wrongField } from './shapes.ts';

/** Bytes in a slot. */
export const slotBytes = 8;

type MutableRaw = { -readonly [K in keyof RawInsn]: RawInsn[K] };

/** What instructions are read through. */
function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function readRaw(view: DataView, slot: number, into: MutableRaw): void {
  const at = slot * slotBytes;
  into.opcode = view.getUint8(at);
  const regs = view.getUint8(at + 1);
  into.dst = regs & 0xf;
  into.src = regs >> 4;
  into.off = view.getInt16(at + 2, true);
  into.imm = view.getInt32(at + 4, true);
}

const emptyRaw = (): MutableRaw => ({ opcode: 0, dst: 0, src: 0, off: 0, imm: 0 });

/** The number of slots; bytes that do not fill one count as one. */
export function slotCount(bytes: Uint8Array): number {
  return Math.ceil(bytes.byteLength / slotBytes);
}

/**
 * The fields of one slot, whatever they mean.
 * @throws RangeError where there is no such slot.
 */
function rawInsn(view: DataView, slot: number): RawInsn {
  const raw = emptyRaw();
  readRaw(view, slot, raw);
  return raw;
}

/** The fields of every whole slot, whatever they mean. */
export function rawInsns(bytes: Uint8Array): readonly RawInsn[] {
  const view = viewOf(bytes);
  return Array.from({ length: Math.floor(bytes.byteLength / slotBytes) }, (_, slot) => rawInsn(view, slot));
}

/**
 * What an instruction would be if its reserved and register fields were valid, or `undefined`: for printing
 * an invalid instruction as Linux prints it, which looks at no field that it does not show. The result may
 * hold registers that do not exist.
 */
export function reading({ raw, hi = 0 }: InvalidInsn): Insn | undefined {
  const shape = shapes[raw.opcode];
  if (shape === undefined) return undefined;
  const rule = fieldRule(shape, 'imm', raw);
  const isAtomic = (raw.opcode & 0x07) === insnClass.stx && (raw.opcode & 0xe0) === modes.atomic;
  if (isAtomic && Array.isArray(rule) && !rule.includes(raw.imm)) return undefined;
  const insn = shape.make(raw);
  return insn.op === 'ldimm64' ? { ...insn, hi } : insn;
}

function invalid(field: InvalidInsn['field'], message: string, raw: RawInsn): InvalidInsn {
  return { op: 'invalid', field, message, raw: { ...raw } };
}

function hexByte(value: number): string {
  return `0x${value.toString(16).padStart(2, '0')}`;
}

type WideLoad = Extract<Insn, { op: 'ldimm64' }>;

/** The two-slot load with its second half, or what is wrong with that half (RFC 9669 §5.4). */
function joinWide(load: WideLoad, raw: RawInsn, second: RawInsn | undefined): Insn | InvalidInsn {
  if (second === undefined) {
    return invalid('length', 'the second slot of a two-slot load is missing', raw);
  }
  for (const field of ['opcode', 'dst', 'src', 'off'] as const) {
    if (second[field] === 0) continue;
    return invalid(
      field,
      `${field} of the second slot of a two-slot load is ${second[field]}, must be 0`,
      raw,
    );
  }
  // Linux ("unrecognized bpf_ld_imm64 insn"): a bare map has no offset.
  const isMap = load.pseudo === 'mapFd' || load.pseudo === 'mapIdx';
  if (isMap && second.imm !== 0) {
    return invalid('imm', `imm of the second slot of a map load is ${second.imm}, must be 0`, raw);
  }
  const { dst, pseudo, lo } = load;
  return { op: 'ldimm64', dst, pseudo, lo, hi: second.imm };
}

/**
 * Valid instructions by their bytes, as many as there is room for: programs repeat themselves and each other, and an
 * instruction that is there already needs neither to be checked nor to be kept twice. Found by a hash of both words.
 */
const SHARED = 1 << 13;
const sharedWords = new Int32Array(2 * SHARED);
const sharedInsns: (Insn | undefined)[] = new Array(SHARED).fill(undefined);

function hash(first: number, second: number): number {
  const mixed = Math.imul(first ^ Math.imul(second, 0x9e37_79b1), 0x85eb_ca6b);
  return (mixed ^ (mixed >>> 15)) & (SHARED - 1);
}

/** Both words of every whole slot: opcode, registers and offset in the first, the immediate in the second. */
export function wordsOf(bytes: Uint8Array): Int32Array {
  const count = Math.floor(bytes.byteLength / slotBytes);
  const words = new Int32Array(2 * count);
  new Uint8Array(words.buffer).set(bytes.subarray(0, count * slotBytes));
  return words;
}

/**
 * Every slot decoded by itself, nothing thrown: an invalid instruction is an `InvalidInsn` in its place. A
 * two-slot load whose second slot is well-formed takes both, also where its own fields are wrong.
 * Bytes beyond the last whole slot are an `InvalidInsn` with field 'length'.
 */
export function decodeLenient(bytes: Uint8Array): LenientSlots {
  const view = viewOf(bytes);
  const count = Math.floor(bytes.byteLength / slotBytes);
  const out: (Insn | InvalidInsn | undefined)[] = new Array(slotCount(bytes));
  const words = wordsOf(bytes);
  const raw = emptyRaw();
  const second = emptyRaw();
  for (let slot = 0; slot < count; slot++) {
    const first = words[2 * slot] as number;
    const imm = words[2 * slot + 1] as number;
    const at = hash(first, imm);
    if (sharedWords[2 * at] === first && sharedWords[2 * at + 1] === imm) {
      const known = sharedInsns[at];
      if (known !== undefined) {
        out[slot] = known;
        continue;
      }
    }
    readRaw(view, slot, raw);
    const shape = shapes[raw.opcode];
    if (shape === undefined) {
      out[slot] = invalid('opcode', `opcode ${hexByte(raw.opcode)} is no instruction`, raw);
      continue;
    }
    const wrong = wrongField(shape, raw);
    const insn =
      wrong === undefined ? shape.make(raw) : invalid(wrong, describeWrong(shape, wrong, raw), raw);
    if (raw.opcode !== wideLoadOpcode) {
      out[slot] = insn;
      if (insn.op === 'invalid') continue;
      sharedInsns[at] = insn;
      sharedWords[2 * at] = first;
      sharedWords[2 * at + 1] = imm;
      continue;
    }
    const hasSecond = slot + 1 < count;
    if (hasSecond) readRaw(view, slot + 1, second);
    const takesSecond =
      hasSecond && second.opcode === 0 && second.dst === 0 && second.src === 0 && second.off === 0;
    if (insn.op === 'ldimm64') out[slot] = joinWide(insn, raw, hasSecond ? second : undefined);
    else out[slot] = takesSecond && insn.op === 'invalid' ? { ...insn, hi: second.imm } : insn;
    if (!takesSecond) continue;
    slot++;
    out[slot] = undefined;
  }
  const rest = bytes.byteLength - count * slotBytes;
  if (rest > 0) {
    out[count] = invalid('length', `${rest} bytes after the last whole instruction of 8`, emptyRaw());
  }
  return out;
}

/**
 * A program's instructions by slot.
 * @throws SkepError for the first invalid instruction, naming slot and field (code 'insn-invalid').
 */
export function decode(bytes: Uint8Array): Slots {
  const slots = decodeLenient(bytes);
  for (let slot = 0; slot < slots.length; slot++) {
    const insn = slots[slot];
    if (insn?.op !== 'invalid') continue;
    throw new SkepError({ code: 'insn-invalid', message: insn.message, where: `instruction ${slot}` });
  }
  return slots as Slots;
}
