/**
 * What two scalars are on one side of a conditional jump (regs_refine_cond_op): the side on which the
 * comparison holds, or the one on which it does not. Each narrows the other's ranges; equality and single bits
 * narrow the tnums too.
 */
import type { JmpCond } from '../../isa/insn.ts';
import type { RegFile } from '../state/layout.ts';
import { isConst, isConst32, setImm, unbound } from './bounds.ts';
import type { Comparison } from './branch.ts';
import { syncBounds } from './sync.ts';
import { tnumIntersect } from './tnum.ts';
import {
  lowerS,
  lowerS32,
  lowerU,
  lowerU32,
  raiseS,
  raiseS32,
  raiseU,
  raiseU32,
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
import { A, B, give, take, work } from './work.ts';

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
  setImm(work, B, imm);
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

const { u32, i32 } = work;

/** Narrows work registers x and y, then lets all of their ranges learn from it. */
function narrow(x: number, y: number, op: Refinement): void {
  const cond = op.holds ? op.cond : opposites[op.cond];
  const v = 2 * x;
  const w = 2 * y;
  const word = op.bits === 32;
  switch (cond) {
    case 'eq':
      word ? equal32(v, w) : equal64(v, w);
      break;
    case 'ne':
    case 'set':
    case 'clear':
      narrowByConst(x, y, { cond, word });
      break;
    case 'le':
      word ? atMostU32(v, w, 0) : atMostU64(v, w, 0);
      break;
    case 'ge':
      word ? atMostU32(w, v, 0) : atMostU64(w, v, 0);
      break;
    case 'lt':
      word ? atMostU32(v, w, 1) : atMostU64(v, w, 1);
      break;
    case 'gt':
      word ? atMostU32(w, v, 1) : atMostU64(w, v, 1);
      break;
    case 'sle':
      word ? atMostS32(v, w, 0) : atMostS64(v, w, 0);
      break;
    case 'sge':
      word ? atMostS32(w, v, 0) : atMostS64(w, v, 0);
      break;
    case 'slt':
      word ? atMostS32(v, w, 1) : atMostS64(v, w, 1);
      break;
    case 'sgt':
      word ? atMostS32(w, v, 1) : atMostS64(w, v, 1);
      break;
  }
  syncBounds(work, x);
  if (y !== x) syncBounds(work, y);
}

/** `ne`, `set` and `clear` say something only where one of the two is known. */
function narrowByConst(
  x: number,
  y: number,
  op: { readonly cond: 'ne' | 'set' | 'clear'; readonly word: boolean },
): void {
  const known = op.word ? isConst32 : isConst;
  const constant = known(work, y) ? y : x;
  if (!known(work, constant)) return;
  const other = constant === y ? x : y;
  const low = i32[2 * constant + W_VALUE]!;
  const high = op.word ? 0 : i32[2 * constant + W_VALUE + 1]!;
  if (op.cond === 'ne') {
    op.word ? trim32(2 * other, low) : trim64(2 * other, low, high);
  } else if (op.cond === 'set') {
    // That at least one of several bits is set is nothing a tnum can say.
    if (isPowerOfTwo(low, high)) setBits(2 * other, low, high);
  } else {
    // The side may be dead: ranges and narrowed tnum would contradict each other there.
    unbound(work, other);
    clearBits(2 * other, low, high);
  }
}

function isPowerOfTwo(low: number, high: number): boolean {
  if (high === 0) return low !== 0 && (low & (low - 1)) === 0;
  return low === 0 && (high & (high - 1)) === 0;
}

function setBits(w: number, low: number, high: number): void {
  i32[w + W_VALUE] = i32[w + W_VALUE]! | low;
  i32[w + W_VALUE + 1] = i32[w + W_VALUE + 1]! | high;
  i32[w + W_MASK] = i32[w + W_MASK]! & ~low;
  i32[w + W_MASK + 1] = i32[w + W_MASK + 1]! & ~high;
}
function clearBits(w: number, low: number, high: number): void {
  i32[w + W_VALUE] = i32[w + W_VALUE]! & ~low;
  i32[w + W_VALUE + 1] = i32[w + W_VALUE + 1]! & ~high;
  i32[w + W_MASK] = i32[w + W_MASK]! & ~low;
  i32[w + W_MASK + 1] = i32[w + W_MASK + 1]! & ~high;
}

/** An end of a range that is excluded moves by one. */
function trim64(w: number, low: number, high: number): void {
  for (let at = w + W_UMIN; at <= w + W_SMAX; at += 2) {
    if (i32[at] !== low || i32[at + 1] !== high) continue;
    // Minima are the even qwords.
    const up = ((at - w) & 2) === 0;
    i32[at] = up ? low + 1 : low - 1;
    i32[at + 1] = up ? high + (low === -1 ? 1 : 0) : high - (low === 0 ? 1 : 0);
  }
}
function trim32(w: number, value: number): void {
  for (let at = w + W_U32_MIN; at <= w + W_S32_MAX; at++) {
    if (i32[at] === value) i32[at] = ((at - w) & 1) === 0 ? value + 1 : value - 1;
  }
}

/** Equal: both lie in the intersection. */
function equal64(x: number, y: number): void {
  atMostU64(x, y, 0);
  atMostU64(y, x, 0);
  atMostS64(x, y, 0);
  atMostS64(y, x, 0);
  tnumIntersect(i32, x + W_VALUE, y + W_VALUE);
  for (let n = W_VALUE; n < W_VALUE + 4; n++) i32[y + n] = i32[x + n]!;
}
function equal32(x: number, y: number): void {
  atMostU32(x, y, 0);
  atMostU32(y, x, 0);
  atMostS32(x, y, 0);
  atMostS32(y, x, 0);
  const mask = i32[x + W_MASK]! & i32[y + W_MASK]!;
  const value = (i32[x + W_VALUE]! | i32[y + W_VALUE]!) & ~mask;
  i32[x + W_VALUE] = value;
  i32[y + W_VALUE] = value;
  i32[x + W_MASK] = mask;
  i32[y + W_MASK] = mask;
}

/**
 * x + gap ≤ y, gap 0 or 1: x's greatest is at most y's less the gap, y's least at least x's and the gap.
 * Neither wraps, or the jump would be decided.
 */
function atMostU64(x: number, y: number, gap: number): void {
  const top = i32[y + W_UMAX]!;
  const topHigh = i32[y + W_UMAX + 1]!;
  const bottom = i32[x + W_UMIN]!;
  const bottomHigh = i32[x + W_UMIN + 1]!;
  lowerU(u32, x + W_UMAX, top - gap, topHigh - (top === 0 ? gap : 0));
  raiseU(u32, y + W_UMIN, bottom + gap, bottomHigh + (bottom === -1 ? gap : 0));
}
function atMostS64(x: number, y: number, gap: number): void {
  const top = i32[y + W_SMAX]!;
  const topHigh = i32[y + W_SMAX + 1]!;
  const bottom = i32[x + W_SMIN]!;
  const bottomHigh = i32[x + W_SMIN + 1]!;
  lowerS(i32, x + W_SMAX, (top - gap) | 0, (topHigh - (top === 0 ? gap : 0)) | 0);
  raiseS(i32, y + W_SMIN, (bottom + gap) | 0, (bottomHigh + (bottom === -1 ? gap : 0)) | 0);
}
function atMostU32(x: number, y: number, gap: number): void {
  const bottom = u32[x + W_U32_MIN]!;
  lowerU32(u32, x + W_U32_MAX, (u32[y + W_U32_MAX]! - gap) >>> 0);
  raiseU32(u32, y + W_U32_MIN, (bottom + gap) >>> 0);
}
function atMostS32(x: number, y: number, gap: number): void {
  const bottom = i32[x + W_S32_MIN]!;
  lowerS32(i32, x + W_S32_MAX, (i32[y + W_S32_MAX]! - gap) | 0);
  raiseS32(i32, y + W_S32_MIN, (bottom + gap) | 0);
}
