/**
 * What two scalars are on one side of a conditional jump (regs_refine_cond_op): the side on which the
 * comparison holds, or the one on which it does not. Each narrows the other's ranges; equality and single bits
 * narrow the tnums too.
 */
import type { JmpCond } from '../../isa/insn.ts';
import {
  type RegFile,
  S32_MAX,
  S32_MIN,
  SMAX,
  SMIN,
  TNUM_VALUE,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
} from '../state/layout.ts';
import { isConst, isConst32, setConst, syncBounds, unbound } from './bounds.ts';
import type { Comparison } from './branch.ts';
import { tnumAnd, tnumConst, tnumIntersect, tnumOr, tnumSubreg, tnumWithSubreg } from './tnum.ts';
import { LOW_HALF, lowS, sq, sw, uq, uw } from './width.ts';
import { A, B, give, T, take, work } from './work.ts';

/** A comparison, its width, and whether it holds. */
export interface Refinement extends Comparison {
  readonly holds: boolean;
}

/** Narrows registers `a` and `b` of `file` to where `a cond b` holds, or does not. */
export function refine(file: RegFile, a: number, b: number, op: Refinement): void {
  take(file, a, A);
  if (a === b) {
    narrow(A, A, op);
    give(file, a, A);
    return;
  }
  take(file, b, B);
  narrow(A, B, op);
  give(file, a, A);
  give(file, b, B);
}

/** Narrows register `a` to where `a cond imm` holds, or does not. */
export function refineImm(file: RegFile, a: number, imm: number, op: Refinement): void {
  take(file, a, A);
  setConst(work, B, BigInt(imm));
  narrow(A, B, op);
  give(file, a, A);
}

/** The condition that holds where the given one does not; `clear` is the opposite of `set`. */
const opposites = {
  eq: 'ne',
  ne: 'eq',
  gt: 'le',
  le: 'gt',
  ge: 'lt',
  lt: 'ge',
  sgt: 'sle',
  sle: 'sgt',
  sge: 'slt',
  slt: 'sge',
  set: 'clear',
} as const satisfies Record<JmpCond, JmpCond | 'clear'>;

const { u64, i64, u32, i32 } = work;

/** Narrows work registers x and y, then lets all of their ranges learn from it. */
function narrow(x: number, y: number, op: Refinement): void {
  const word = op.bits === 32;
  const cond = op.holds ? op.cond : opposites[op.cond];
  switch (cond) {
    case 'eq':
      word ? sameWord(x, y) : same(x, y);
      break;
    case 'ne':
    case 'set':
    case 'clear':
      narrowByConst(x, y, { cond, word });
      break;
    case 'le':
      word ? atMostU32(2 * x, 2 * y) : atMostU64(x, y);
      break;
    case 'ge':
      word ? atMostU32(2 * y, 2 * x) : atMostU64(y, x);
      break;
    case 'lt':
      word ? belowU32(2 * x, 2 * y) : belowU64(x, y);
      break;
    case 'gt':
      word ? belowU32(2 * y, 2 * x) : belowU64(y, x);
      break;
    case 'sle':
      word ? atMostS32(2 * x, 2 * y) : atMostS64(x, y);
      break;
    case 'sge':
      word ? atMostS32(2 * y, 2 * x) : atMostS64(y, x);
      break;
    case 'slt':
      word ? belowS32(2 * x, 2 * y) : belowS64(x, y);
      break;
    case 'sgt':
      word ? belowS32(2 * y, 2 * x) : belowS64(y, x);
      break;
  }
  syncBounds(work, x);
  syncBounds(work, y);
}

/** `ne`, `set` and `clear` say something only where one of the two is known. */
function narrowByConst(
  x: number,
  y: number,
  op: { readonly cond: 'ne' | 'set' | 'clear'; readonly word: boolean },
): void {
  const known = op.word ? isConst32 : isConst;
  const constant = known(work, y) ? y : x;
  const other = constant === y ? x : y;
  if (!known(work, constant)) return;
  const value = op.word ? uq(u64[constant + TNUM_VALUE]! & LOW_HALF) : u64[constant + TNUM_VALUE]!;
  if (op.cond === 'ne') {
    op.word ? trimWord(2 * other, lowS(value)) : trim(other, value);
    return;
  }
  if (op.cond === 'set') {
    // At least one bit of several is set: that is nothing a tnum can say.
    if (value === 0n || uq(value & uq(value - 1n)) !== 0n) return;
    tnumConst(u64, T, value);
    if (!op.word) tnumOr(u64, other + TNUM_VALUE, T);
    else mergeWord(other, tnumOr);
    return;
  }
  // The side may be dead: then the ranges and the narrowed tnum would contradict each other.
  unbound(work, other);
  tnumConst(u64, T, ~value);
  if (!op.word) tnumAnd(u64, other + TNUM_VALUE, T);
  else mergeWord(other, tnumAnd);
}

/** The low word of x's tnum becomes its `op` with that of T. */
function mergeWord(x: number, op: typeof tnumOr): void {
  op(u64, T, x + TNUM_VALUE);
  tnumWithSubreg(u64, x + TNUM_VALUE, T);
}

/** An end of a range that is excluded moves by one. */
function trim(x: number, value: bigint): void {
  if (u64[x + UMIN]! === value) u64[x + UMIN] = uq(value + 1n);
  if (u64[x + UMAX]! === value) u64[x + UMAX] = uq(value - 1n);
  if (i64[x + SMIN]! === sq(value)) i64[x + SMIN] = sq(value + 1n);
  if (i64[x + SMAX]! === sq(value)) i64[x + SMAX] = sq(value - 1n);
}
function trimWord(w: number, value: number): void {
  if (u32[w + U32_MIN]! === uw(value)) u32[w + U32_MIN] = uw(value + 1);
  if (u32[w + U32_MAX]! === uw(value)) u32[w + U32_MAX] = uw(value - 1);
  if (i32[w + S32_MIN]! === value) i32[w + S32_MIN] = sw(value + 1);
  if (i32[w + S32_MAX]! === value) i32[w + S32_MAX] = sw(value - 1);
}

/** Equal: both lie in the intersection. */
function same(x: number, y: number): void {
  atMostU64(x, y);
  atMostU64(y, x);
  atMostS64(x, y);
  atMostS64(y, x);
  tnumIntersect(u64, x + TNUM_VALUE, y + TNUM_VALUE);
  u64[y + TNUM_VALUE] = u64[x + TNUM_VALUE]!;
  u64[y + TNUM_VALUE + 1] = u64[x + TNUM_VALUE + 1]!;
}
function sameWord(x: number, y: number): void {
  atMostU32(2 * x, 2 * y);
  atMostU32(2 * y, 2 * x);
  atMostS32(2 * x, 2 * y);
  atMostS32(2 * y, 2 * x);
  u64[T] = u64[y + TNUM_VALUE]!;
  u64[T + 1] = u64[y + TNUM_VALUE + 1]!;
  tnumIntersect(u64, T, x + TNUM_VALUE);
  tnumSubreg(u64, T);
  tnumWithSubreg(u64, x + TNUM_VALUE, T);
  tnumWithSubreg(u64, y + TNUM_VALUE, T);
}

/** x ≤ y: x's greatest is at most y's, y's least at least x's. */
function atMostU64(x: number, y: number): void {
  if (u64[y + UMAX]! < u64[x + UMAX]!) u64[x + UMAX] = u64[y + UMAX]!;
  if (u64[x + UMIN]! > u64[y + UMIN]!) u64[y + UMIN] = u64[x + UMIN]!;
}
function atMostS64(x: number, y: number): void {
  if (i64[y + SMAX]! < i64[x + SMAX]!) i64[x + SMAX] = i64[y + SMAX]!;
  if (i64[x + SMIN]! > i64[y + SMIN]!) i64[y + SMIN] = i64[x + SMIN]!;
}
function atMostU32(x: number, y: number): void {
  if (u32[y + U32_MAX]! < u32[x + U32_MAX]!) u32[x + U32_MAX] = u32[y + U32_MAX]!;
  if (u32[x + U32_MIN]! > u32[y + U32_MIN]!) u32[y + U32_MIN] = u32[x + U32_MIN]!;
}
function atMostS32(x: number, y: number): void {
  if (i32[y + S32_MAX]! < i32[x + S32_MAX]!) i32[x + S32_MAX] = i32[y + S32_MAX]!;
  if (i32[x + S32_MIN]! > i32[y + S32_MIN]!) i32[y + S32_MIN] = i32[x + S32_MIN]!;
}

/** x < y: x is at most y's greatest less one, y at least x's least and one. Neither wraps: the jump was undecided. */
function belowU64(x: number, y: number): void {
  const top = uq(u64[y + UMAX]! - 1n);
  const bottom = uq(u64[x + UMIN]! + 1n);
  if (top < u64[x + UMAX]!) u64[x + UMAX] = top;
  if (bottom > u64[y + UMIN]!) u64[y + UMIN] = bottom;
}
function belowS64(x: number, y: number): void {
  const top = sq(i64[y + SMAX]! - 1n);
  const bottom = sq(i64[x + SMIN]! + 1n);
  if (top < i64[x + SMAX]!) i64[x + SMAX] = top;
  if (bottom > i64[y + SMIN]!) i64[y + SMIN] = bottom;
}
function belowU32(x: number, y: number): void {
  const top = uw(u32[y + U32_MAX]! - 1);
  const bottom = uw(u32[x + U32_MIN]! + 1);
  if (top < u32[x + U32_MAX]!) u32[x + U32_MAX] = top;
  if (bottom > u32[y + U32_MIN]!) u32[y + U32_MIN] = bottom;
}
function belowS32(x: number, y: number): void {
  const top = sw(i32[y + S32_MAX]! - 1);
  const bottom = sw(i32[x + S32_MIN]! + 1);
  if (top < i32[x + S32_MAX]!) i32[x + S32_MAX] = top;
  if (bottom > i32[y + S32_MIN]!) i32[y + S32_MIN] = bottom;
}
