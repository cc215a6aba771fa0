/**
 * Whether a conditional jump between two scalars is decided by what is known of them
 * (is_scalar_branch_taken). What the operands are on either side of an undecided one is in refine.ts;
 * comparisons with pointers are the caller's business.
 */
import type { JmpCond } from '../../isa/insn.ts';
import type { RegFile } from '../state/layout.ts';
import { isConst, isConst32, setImm } from './bounds.ts';
import {
  atMostS,
  atMostU,
  W_MASK,
  W_S32_MAX,
  W_S32_MIN,
  W_SMAX,
  W_SMIN,
  W_U32_MAX,
  W_U32_MIN,
  W_UMAX,
  W_UMIN,
  W_VALUE,
} from './words.ts';
import { A, AW, B, BW, take, work } from './work.ts';

/** A comparison and its width; a `jmp` instruction is one. */
export interface Comparison {
  readonly cond: JmpCond;
  readonly bits: 32 | 64;
}

/** 1: the jump is always taken; 0: never; -1: not known. */
export type Taken = 1 | 0 | -1;

/** Whether `a cond b` is decided, for two scalars of `file`. */
export function branchTaken(file: RegFile, a: number, b: number, op: Comparison): Taken {
  take(file, a, A);
  take(file, b, B);
  return decide(op);
}

/** Whether `a cond imm` is decided, the immediate sign-extended to 64 bits. */
export function branchTakenImm(file: RegFile, a: number, imm: number, op: Comparison): Taken {
  take(file, a, A);
  setImm(work, B, imm);
  return decide(op);
}

const { u32, i32 } = work;

function decide(op: Comparison): Taken {
  const word = op.bits === 32;
  switch (op.cond) {
    case 'eq':
      return equal(word);
    case 'ne':
      return opposite(equal(word));
    case 'set':
      return bitsSet(word);
    case 'gt':
      return word ? aboveU32(AW, BW) : aboveU64(AW, BW);
    case 'lt':
      return word ? aboveU32(BW, AW) : aboveU64(BW, AW);
    case 'le':
      return opposite(word ? aboveU32(AW, BW) : aboveU64(AW, BW));
    case 'ge':
      return opposite(word ? aboveU32(BW, AW) : aboveU64(BW, AW));
    case 'sgt':
      return word ? aboveS32(AW, BW) : aboveS64(AW, BW);
    case 'slt':
      return word ? aboveS32(BW, AW) : aboveS64(BW, AW);
    case 'sle':
      return opposite(word ? aboveS32(AW, BW) : aboveS64(AW, BW));
    case 'sge':
      return opposite(word ? aboveS32(BW, AW) : aboveS64(BW, AW));
  }
}

function opposite(taken: Taken): Taken {
  return taken === -1 ? -1 : taken === 0 ? 1 : 0;
}

/** Whether x > y: if its least is above y's greatest it is, if its greatest is at most y's least it is not. */
function aboveU64(x: number, y: number): Taken {
  if (!atMostU(u32, x + W_UMIN, y + W_UMAX)) return 1;
  return atMostU(u32, x + W_UMAX, y + W_UMIN) ? 0 : -1;
}
function aboveS64(x: number, y: number): Taken {
  if (!atMostS(i32, x + W_SMIN, y + W_SMAX)) return 1;
  return atMostS(i32, x + W_SMAX, y + W_SMIN) ? 0 : -1;
}
function aboveU32(x: number, y: number): Taken {
  if (u32[x + W_U32_MIN]! > u32[y + W_U32_MAX]!) return 1;
  return u32[x + W_U32_MAX]! <= u32[y + W_U32_MIN]! ? 0 : -1;
}
function aboveS32(x: number, y: number): Taken {
  if (i32[x + W_S32_MIN]! > i32[y + W_S32_MAX]!) return 1;
  return i32[x + W_S32_MAX]! <= i32[y + W_S32_MIN]! ? 0 : -1;
}

/** Both equal constants, or not equal in a bit or in a range; the 32-bit ranges count at both widths. */
function equal(word: boolean): Taken {
  const high = word ? 0 : -1;
  const unknown = i32[AW + W_MASK]! | i32[BW + W_MASK]!;
  const unknownHigh = (i32[AW + W_MASK + 1]! | i32[BW + W_MASK + 1]!) & high;
  const low = (i32[AW + W_VALUE]! ^ i32[BW + W_VALUE]!) & ~unknown;
  const differs = low | ((i32[AW + W_VALUE + 1]! ^ i32[BW + W_VALUE + 1]!) & ~unknownHigh & high);
  if (differs !== 0) return 0;
  if ((unknown | unknownHigh) === 0) return 1;
  if (!word && (apart64() || apartSigned64())) return 0;
  return apart32() || apartSigned32() ? 0 : -1;
}

function apart64(): boolean {
  return !atMostU(u32, AW + W_UMIN, BW + W_UMAX) || !atMostU(u32, BW + W_UMIN, AW + W_UMAX);
}
function apartSigned64(): boolean {
  return !atMostS(i32, AW + W_SMIN, BW + W_SMAX) || !atMostS(i32, BW + W_SMIN, AW + W_SMAX);
}
function apart32(): boolean {
  return u32[AW + W_U32_MIN]! > u32[BW + W_U32_MAX]! || u32[AW + W_U32_MAX]! < u32[BW + W_U32_MIN]!;
}
function apartSigned32(): boolean {
  return i32[AW + W_S32_MIN]! > i32[BW + W_S32_MAX]! || i32[AW + W_S32_MAX]! < i32[BW + W_S32_MIN]!;
}

/** `a & b != 0`, where one of them is known. */
function bitsSet(word: boolean): Taken {
  const known = word ? isConst32 : isConst;
  const bKnown = known(work, B);
  if (!bKnown && !known(work, A)) return -1;
  const bits = bKnown ? BW : AW;
  const other = bKnown ? AW : BW;
  const high = word ? 0 : i32[bits + W_VALUE + 1]!;
  const low = i32[bits + W_VALUE]!;
  if (((i32[other + W_VALUE]! & low) | (i32[other + W_VALUE + 1]! & high)) !== 0) return 1;
  return ((i32[other + W_MASK]! & low) | (i32[other + W_MASK + 1]! & high)) === 0 ? 0 : -1;
}
