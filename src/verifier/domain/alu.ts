/**
 * What an arithmetic instruction does to what is known of a scalar (adjust_scalar_min_max_vals). The result
 * replaces the first operand's ranges and tnum. Ids and precision are the caller's business, as are moves
 * (extend.ts) and what pointers may do.
 *
 * Each operator computes a tnum and four ranges. A range that may wrap becomes unbounded, and the sync at the
 * end recovers what the tnum and the other ranges still know.
 */
import type { AluOp } from '../../isa/insn.ts';
import { type RegFile, TNUM_VALUE, UMAX } from '../state/layout.ts';
import { addRanges, addWords, mulRanges, mulWords, subRanges, subWords } from './alu-arith.ts';
import { andRanges, andWords, orRanges, orWords, xorRanges, xorWords } from './alu-bits.ts';
import { arsh, arshWord, lsh, lshWord, rsh, rshWord } from './alu-shift.ts';
import { isConst, isConst32, setConst, setUnknown, syncBounds, zext32 } from './bounds.ts';
import { tnumAdd, tnumAnd, tnumMul, tnumNeg, tnumOr, tnumSub, tnumXor } from './tnum.ts';
import { QWORD_BITS, WORD_BITS } from './width.ts';
import { A, B, give, take, work } from './work.ts';

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
  setConst(work, B, BigInt(imm));
  compute(op);
  give(file, dst, A);
}

/** Register `dst` becomes `-dst`. */
export function scalarNeg(file: RegFile, dst: number, bits: 32 | 64): void {
  take(file, dst, B);
  setConst(work, A, 0n);
  subWords();
  subRanges();
  work.u64.copyWithin(A + TNUM_VALUE, B + TNUM_VALUE, B + TNUM_VALUE + 2);
  tnumNeg(work.u64, A + TNUM_VALUE);
  if (bits === 32) zext32(work, A);
  syncBounds(work, A);
  give(file, dst, A);
}

/** Whether anything can be said of a shift: its amount is known and below the width. */
function shiftKnown(bits: 32 | 64): boolean {
  const known = bits === 32 ? isConst32(work, B) : isConst(work, B);
  return known && work.u64[B + UMAX]! < BigInt(bits === 32 ? WORD_BITS : QWORD_BITS);
}

/** A becomes A op B, in the work registers. */
function compute(op: ScalarOp): void {
  const word = op.bits === 32;
  const isShift = op.alu === 'lsh' || op.alu === 'rsh' || op.alu === 'arsh';
  if (isShift ? !shiftKnown(op.bits) : !transfer(op.alu)) {
    // Nothing is learnt, not even that a 32-bit result has no upper half.
    setUnknown(work, A);
    return;
  }
  if (isShift) shift(op.alu, word);
  if (word) zext32(work, A);
  syncBounds(work, A);
}

function shift(alu: AluOp, word: boolean): void {
  if (alu === 'lsh') word ? lshWord() : lsh();
  else if (alu === 'rsh') word ? rshWord() : rsh();
  else word ? arshWord() : arsh();
}

/** The operators that treat both widths alike: 32-bit ranges, 64-bit ranges, tnum. False: no such one. */
function transfer(alu: AluOp): boolean {
  const t = work.u64;
  const a = A + TNUM_VALUE;
  const b = B + TNUM_VALUE;
  switch (alu) {
    case 'add':
      addWords();
      addRanges();
      tnumAdd(t, a, b);
      return true;
    case 'sub':
      subWords();
      subRanges();
      tnumSub(t, a, b);
      return true;
    case 'mul':
      tnumMul(t, a, b);
      mulWords();
      mulRanges();
      return true;
    case 'and':
      tnumAnd(t, a, b);
      andWords();
      andRanges();
      return true;
    case 'or':
      tnumOr(t, a, b);
      orWords();
      orRanges();
      return true;
    case 'xor':
      tnumXor(t, a, b);
      xorWords();
      xorRanges();
      return true;
    default:
      return false;
  }
}
