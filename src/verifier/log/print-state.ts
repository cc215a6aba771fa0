/**
 * A frame's registers and stack as the verifier's log shows them (print_verifier_state, print_reg_state):
 * ` R1=ctx() R10=fp0 fp-8=mmmmmmmm`, each entry after a space, without the line's end. What the types of
 * registers keep in AUX0 and AUX1 is stated here and obeyed by what writes them: a map's index (map pointers,
 * keys and values), the range (packet pointers), the size (memory), the BTF type id and object index (BTF
 * pointers), the kind and the id (dynptrs), the BTF id and state + depth * 4 (iterators).
 */
import { isConst, tnumIsUnknown } from '../domain/index.ts';
import { REGS, regAt, SLOT_BYTES, slotKinds, spilledAt } from '../state/frame.ts';
import {
  AUX0,
  AUX1,
  FRAME_NO,
  ID,
  OFF,
  PRECISE,
  REF_OBJ_ID,
  type RegFile,
  TNUM_MASK,
  TNUM_VALUE,
  TYPE,
} from '../state/layout.ts';
import { baseType, regTypeName, regTypes, typeFlags } from '../state/reg-types.ts';
import { scalarRanges, signedText, unsignedText } from './print-numbers.ts';

/** A frame as the printer needs it (state/frame.ts has it). */
export interface PrintableFrame extends RegFile {
  readonly frameNo: number;
  /** How many eight-byte slots of stack there are, and what each of their bytes holds; [0] is byte -1. */
  readonly slots: number;
  readonly kinds: Uint8Array;
}

/** The names that numbers in registers stand for. */
export interface StateNames {
  map(index: number): { readonly name: string; readonly keySize: number; readonly valueSize: number };
  /** The name of a BTF type: of a pointer's target, or of an iterator without `bpf_iter_`. */
  btfType(object: number, typeId: number): string;
  iterator(typeId: number): string;
}

/** Registers by bit, and slots by bit of two words, that changed since they were last printed. */
export interface Scratched {
  readonly regs: number;
  readonly slotsLow: number;
  readonly slotsHigh: number;
}

export interface Printed {
  readonly frame: PrintableFrame;
  readonly names: StateNames;
  /** What to print; undefined is everything. */
  readonly scratched?: Scratched | undefined;
  /** The state's acquired references. */
  readonly refs: readonly { readonly id: number }[];
  /** ` cb` or ` async_cb` in the frame of a callback, else nothing. */
  readonly suffix?: string | undefined;
}

/** Set in a scalar's id that differs by OFF from the other scalars of that id. */
export const ID_ADD_CONST = 0x8000_0000 | 0;
/** … by a 32-bit addition, which cleared the upper half. */
export const ID_ADD_CONST32 = 0x4000_0000;
/** Either. */
export const ID_MOVED = ID_ADD_CONST | ID_ADD_CONST32;

/** By `slotKinds`. */
const kindLetters = '?rm0dif';
const dynptrKinds = ['<invalid>', 'local', 'ringbuf', 'skb', 'xdp', 'skb_meta'];
const iteratorStates = ['<invalid>', 'active', 'drained', '<invalid>'];

/** The text of one frame of a state. */
export function stateText(state: Printed): string {
  const { frame, scratched } = state;
  let text = frame.frameNo > 0 ? ` frame${frame.frameNo}:` : '';
  for (let reg = 0; reg < REGS; reg++) {
    const r = regAt(reg);
    if (frame.i32[2 * r + TYPE] === regTypes.notInit) continue;
    if (scratched !== undefined && (scratched.regs & (1 << reg)) === 0) continue;
    text += ` R${reg}=${regText(state, r)}`;
  }
  text += stackText(state);
  const refs = state.refs.filter((ref) => ref.id !== 0);
  if (state.refs[0]?.id) text += ` refs=${refs.map((ref) => ref.id).join(',')}`;
  return text + (state.suffix ?? '');
}

function slotScratched(scratched: Scratched | undefined, slot: number): boolean {
  if (scratched === undefined) return true;
  return ((slot < 32 ? scratched.slotsLow : scratched.slotsHigh) & (1 << (slot & 31))) !== 0;
}

function stackText(state: Printed): string {
  const { frame, scratched } = state;
  let text = '';
  for (let slot = 0; slot < frame.slots; slot++) {
    if (!slotScratched(scratched, slot)) continue;
    const first = slot * SLOT_BYTES;
    let letters = '';
    for (let i = 0; i < SLOT_BYTES; i++) letters += kindLetters[frame.kinds[first + i]!] ?? '?';
    if (letters === '????????') continue;
    switch (frame.kinds[first + SLOT_BYTES - 1]) {
      case slotKinds.spill:
        // What lies above a spill of fewer than eight bytes comes first.
        text += ` fp${slotOffset(slot)}=${letters.slice(0, letters.indexOf('r'))}${regText(state, spilledAt(slot))}`;
        break;
      case slotKinds.dynptr:
        // Of a dynptr's two slots the lower one has the facts.
        slot++;
        text += ` fp${slotOffset(slot)}=${dynptrText(frame, spilledAt(slot))}`;
        break;
      case slotKinds.iter:
        text += iteratorText(state, slot);
        break;
      default:
        text += ` fp${slotOffset(slot)}=${letters}`;
    }
  }
  return text;
}

function slotOffset(slot: number): number {
  return -(slot + 1) * SLOT_BYTES;
}

function dynptrText(frame: PrintableFrame, r: number): string {
  const w = 2 * r;
  const facts: string[] = [];
  if (frame.i32[w + ID]) facts.push(`id=${frame.i32[w + ID]}`);
  if (frame.i32[w + REF_OBJ_ID]) facts.push(`ref_id=${frame.i32[w + REF_OBJ_ID]}`);
  if (frame.i32[w + AUX1]) facts.push(`dynptr_id=${frame.i32[w + AUX1]}`);
  return `dynptr_${dynptrKinds[frame.i32[w + AUX0]!] ?? '<unknown>'}(${facts.join(',')})`;
}

/** Only the first slot of an iterator has its reference; the others print nothing. */
function iteratorText(state: Printed, slot: number): string {
  const { i32 } = state.frame;
  const w = 2 * spilledAt(slot);
  const ref = i32[w + REF_OBJ_ID]!;
  if (ref === 0) return '';
  const progress = i32[w + AUX1]!;
  const facts = `ref_id=${ref},state=${iteratorStates[progress & 3]},depth=${progress >>> 2}`;
  return ` fp${slotOffset(slot)}=iter_${state.names.iterator(i32[w + AUX0]!)}(${facts})`;
}

/** One register: its number where it is a known scalar, else its type and, in brackets, what is known. */
function regText(state: Printed, r: number): string {
  const { frame } = state;
  const w = 2 * r;
  const type = frame.i32[w + TYPE]!;
  const constant = isConst(frame, r);
  const value = frame.i64[r + TNUM_VALUE]!;
  let text = '';
  if (type === regTypes.scalar) {
    if (frame.i32[w + PRECISE]) text = 'P';
    if (constant) return text + signedText(value);
  }
  text += regTypeName(type);
  if (type === regTypes.arena) return text;
  if (type === regTypes.stack) {
    if (frame.i32[w + FRAME_NO] !== frame.frameNo) text += `[${frame.i32[w + FRAME_NO]}]`;
    if (constant) return text + signedText(value + BigInt(frame.i32[w + OFF]!));
  }
  if (baseType(type) === regTypes.btfId) {
    text += state.names.btfType(frame.i32[w + AUX1]!, frame.i32[w + AUX0]!);
  }
  const facts = pointerFacts(state, r);
  if (constant) {
    if (value !== 0n) facts.push(`imm=${signedText(value)}`);
  } else {
    scalarRanges(frame, r, facts);
    if (!tnumIsUnknown(frame.i32, 2 * (r + TNUM_VALUE))) facts.push(`var_off=${tnumText(frame, r)}`);
  }
  return `${text}(${facts.join(',')})`;
}

/** `(0x10; 0xff)`: value and mask. */
export function tnumText(file: RegFile, r: number): string {
  const value = file.u64[r + TNUM_VALUE]!.toString(16);
  return `(0x${value}; 0x${file.u64[r + TNUM_MASK]!.toString(16)})`;
}

/** Ids, and what the type adds: everything before the ranges. */
function pointerFacts(state: Printed, r: number): string[] {
  const { i32 } = state.frame;
  const w = 2 * r;
  const type = i32[w + TYPE]!;
  const base = baseType(type);
  const facts: string[] = [];
  const id = i32[w + ID]!;
  if (id !== 0) {
    const off = i32[w + OFF]!;
    facts.push(`id=${id & ~ID_MOVED}${id & ID_MOVED ? `${off < 0 ? '' : '+'}${off}` : ''}`);
  }
  if (i32[w + REF_OBJ_ID]) facts.push(`ref_obj_id=${i32[w + REF_OBJ_ID]}`);
  if (type & typeFlags.nonOwnRef) facts.push('non_own_ref');
  if (base === regTypes.constMapPtr || base === regTypes.mapKey || base === regTypes.mapValue) {
    const map = state.names.map(i32[w + AUX0]!);
    if (map.name !== '') facts.push(`map=${map.name}`);
    facts.push(`ks=${map.keySize},vs=${map.valueSize}`);
  }
  if (type !== regTypes.scalar && i32[w + OFF]) facts.push(`off=${signedText(BigInt(i32[w + OFF]!))}`);
  if (base === regTypes.packet || base === regTypes.packetMeta) {
    facts.push(`r=${unsignedText(BigInt.asUintN(64, BigInt(i32[w + AUX0]!)))}`);
  }
  if (base === regTypes.mem) facts.push(`sz=${unsignedText(BigInt(i32[w + AUX0]! >>> 0))}`);
  if (type === regTypes.constDynptr) facts.push(`type=${dynptrKinds[i32[w + AUX0]!] ?? '<unknown>'}`);
  return facts;
}
