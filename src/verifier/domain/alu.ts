/**
 * What an arithmetic instruction does to what is known of a scalar (adjust_scalar_min_max_vals). The result
 * replaces the first operand's ranges and tnum. Ids and precision are the caller's business, as are moves
 * (extend.ts), the fork at sign masks (fork.ts) and what pointers may do.
 *
 * Each operator computes a tnum and four ranges. A range that may wrap becomes unbounded, and the sync at the
 * end recovers what the tnum and the other ranges still know.
 */
import type { AluOp } from '../../isa/insn.ts';
import type { RegFile } from '../state/layout.ts';
import { addRanges, addWords, subRanges, subWords } from './alu-add.ts';
import { andRanges, andWords, orRanges, orWords, xorRanges, xorWords } from './alu-bits.ts';
import { mulRanges, mulWords } from './alu-mul.ts';
import { arsh, arshWord, lsh, lshWord, rsh, rshWord } from './alu-shift.ts';
import { isConst, isConst32, setImm, setPair, setUnknown, zext32 } from './bounds.ts';
import { syncBounds } from './sync.ts';
import { tnumAdd, tnumAnd, tnumMul, tnumNeg, tnumOr, tnumSet, tnumSub, tnumXor } from './tnum.ts';
import { borrowOf, carryOf, W_UMAX, W_VALUE } from './words.ts';
import { A, AW, B, BW, give, take, work } from './work.ts';

/** An operation and its width; an `alu` instruction is one. */
export interface ScalarOp {
  readonly alu: AluOp;
  readonly bits: 32 | 64;
}

/** Register `dst` becomes `dst op src`; both are in `file`, and may be the same. */
export function scalarAlu(file: RegFile, dst: number, src: number, op: ScalarOp): void {
  take(file, dst, A);
  take(file, src, B);
  compute(op);
  give(file, dst, A);
}

/** Register `dst` becomes `dst op imm`, the immediate sign-extended to 64 bits. */
export function scalarAluImm(file: RegFile, dst: number, imm: number, op: ScalarOp): void {
  take(file, dst, A);
  setImm(work, B, imm);
  compute(op);
  give(file, dst, A);
}

const { i32, u32 } = work;
const TNUM_A = AW + W_VALUE;
const TNUM_B = BW + W_VALUE;

/** Register `dst` becomes `-dst`. */
export function scalarNeg(file: RegFile, dst: number, bits: 32 | 64): void {
  take(file, dst, B);
  setImm(work, A, 0);
  subWords();
  subRanges();
  tnumSet(i32, TNUM_A, TNUM_B);
  tnumNeg(i32, TNUM_A);
  if (bits === 32) zext32(work, A);
  syncBounds(work, A);
  give(file, dst, A);
}

/** Whether anything can be said of a shift: its amount is known and below the width. */
function shiftKnown(bits: 32 | 64): boolean {
  const known = bits === 32 ? isConst32(work, B) : isConst(work, B);
  return known && u32[BW + W_UMAX + 1] === 0 && u32[BW + W_UMAX]! < bits;
}

/** A becomes A op B, in the work registers. */
function compute(op: ScalarOp): void {
  const word = op.bits === 32;
  if (isConst(work, A) && isConst(work, B) && computeConst(op)) return;
  if (!transfer(op.alu, word)) {
    // Nothing is learnt, not even that a 32-bit result has no upper half.
    setUnknown(work, A);
    return;
  }
  if (word) zext32(work, A);
  syncBounds(work, A);
}

/**
 * The commonest operators on two known values. False: it is none of them. That the ranges of a known value
 * are that value is an invariant of every register.
 */
function computeConst(op: ScalarOp): boolean {
  let low = i32[TNUM_A]!;
  let high = i32[TNUM_A + 1]!;
  const otherLow = i32[TNUM_B]!;
  const otherHigh = i32[TNUM_B + 1]!;
  switch (op.alu) {
    case 'add':
      low = (low + otherLow) | 0;
      high = (high + otherHigh + carryOf(otherLow, low)) | 0;
      break;
    case 'sub':
      high = (high - otherHigh - borrowOf(low, otherLow)) | 0;
      low = (low - otherLow) | 0;
      break;
    case 'and':
      low &= otherLow;
      high &= otherHigh;
      break;
    case 'or':
      low |= otherLow;
      high |= otherHigh;
      break;
    case 'xor':
      low ^= otherLow;
      high ^= otherHigh;
      break;
    default:
      return false;
  }
  setPair(work, A, low, op.bits === 32 ? 0 : high);
  return true;
}

/** The operator itself, both widths' ranges and the tnum. False: nothing can be said. */
function transfer(alu: AluOp, word: boolean): boolean {
  switch (alu) {
    case 'add':
      addWords();
      addRanges();
      tnumAdd(i32, TNUM_A, TNUM_B);
      return true;
    case 'sub':
      subWords();
      subRanges();
      tnumSub(i32, TNUM_A, TNUM_B);
      return true;
    case 'mul':
      tnumMul(i32, TNUM_A, TNUM_B);
      mulWords();
      mulRanges();
      return true;
    case 'and':
      tnumAnd(i32, TNUM_A, TNUM_B);
      andWords();
      andRanges();
      return true;
    case 'or':
      tnumOr(i32, TNUM_A, TNUM_B);
      orWords();
      orRanges();
      return true;
    case 'xor':
      tnumXor(i32, TNUM_A, TNUM_B);
      xorWords();
      xorRanges();
      return true;
    default:
      return shift(alu, word);
  }
}

function shift(alu: AluOp, word: boolean): boolean {
  if (alu !== 'lsh' && alu !== 'rsh' && alu !== 'arsh') return false;
  if (!shiftKnown(word ? 32 : 64)) return false;
  if (alu === 'lsh') word ? lshWord() : lsh();
  else if (alu === 'rsh') word ? rshWord() : rsh();
  else word ? arshWord() : arsh();
  return true;
}
