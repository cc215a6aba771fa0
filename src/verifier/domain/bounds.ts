/**
 * The ranges of a scalar register: unsigned and signed, of 64 bits and of the low 32, beside its tnum. The
 * five describe one value, and `syncBounds` lets each learn from the others, in the order in which Linux does
 * (reg_bounds_sync): the order decides which numbers come out, and so what log and verdict say.
 * A register is named by its file and the index of its first qword (../state/layout.ts); everything happens
 * in place. What kind of value it is and its ids are the caller's business.
 */
import {
  type RegFile,
  S32_MAX,
  S32_MIN,
  SMAX,
  SMIN,
  TNUM_MASK,
  TNUM_VALUE,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
} from '../state/layout.ts';
import { tnumIntersect, tnumNext, tnumRange, tnumSubreg, tnumWithSubreg } from './tnum.ts';
import {
  HIGH_HALF,
  highU,
  LOW_HALF,
  lowS,
  QWORD_SMAX,
  QWORD_SMIN,
  QWORD_UMAX,
  sq,
  sw,
  uq,
  uw,
  WORD_SMAX,
  WORD_SMIN,
  WORD_UMAX,
} from './width.ts';

/** Forget the 64-bit ranges. */
export function unbound64(file: RegFile, r: number): void {
  file.u64[r + UMIN] = 0n;
  file.u64[r + UMAX] = QWORD_UMAX;
  file.i64[r + SMIN] = QWORD_SMIN;
  file.i64[r + SMAX] = QWORD_SMAX;
}

/** Forget the 32-bit ranges. */
export function unbound32(file: RegFile, r: number): void {
  const w = 2 * r;
  file.u32[w + U32_MIN] = 0;
  file.u32[w + U32_MAX] = WORD_UMAX;
  file.i32[w + S32_MIN] = WORD_SMIN;
  file.i32[w + S32_MAX] = WORD_SMAX;
}

/** Forget the ranges, not the tnum. */
export function unbound(file: RegFile, r: number): void {
  unbound64(file, r);
  unbound32(file, r);
}

/** Any value at all. */
export function setUnknown(file: RegFile, r: number): void {
  unbound(file, r);
  file.u64[r + TNUM_VALUE] = 0n;
  file.u64[r + TNUM_MASK] = QWORD_UMAX;
}

/** Exactly `value`, taken modulo 2^64. */
export function setConst(file: RegFile, r: number, value: bigint): void {
  file.u64[r + UMIN] = uq(value);
  file.u64[r + UMAX] = uq(value);
  file.i64[r + SMIN] = sq(value);
  file.i64[r + SMAX] = sq(value);
  file.u64[r + TNUM_VALUE] = uq(value);
  file.u64[r + TNUM_MASK] = 0n;
  setConst32(file, r, lowS(value));
}

/** The 32-bit ranges of a known low word. */
export function setConst32(file: RegFile, r: number, value: number): void {
  const w = 2 * r;
  file.u32[w + U32_MIN] = uw(value);
  file.u32[w + U32_MAX] = uw(value);
  file.i32[w + S32_MIN] = sw(value);
  file.i32[w + S32_MAX] = sw(value);
}

/** Whether the value is known: whether its tnum is, which is what Linux asks. */
export function isConst(file: RegFile, r: number): boolean {
  return file.u64[r + TNUM_MASK] === 0n;
}

/** Whether the low word is known. */
export function isConst32(file: RegFile, r: number): boolean {
  return uq(file.u64[r + TNUM_MASK]! & LOW_HALF) === 0n;
}

/** The known value, unsigned; meaningful where `isConst`. */
export function constValue(file: RegFile, r: number): bigint {
  return file.u64[r + TNUM_VALUE]!;
}

/** The known value, signed; meaningful where `isConst`. */
export function constSigned(file: RegFile, r: number): bigint {
  return file.i64[r + TNUM_VALUE]!;
}

/** The 32-bit ranges learn from the tnum (__update_reg32_bounds). */
export function update32FromTnum(file: RegFile, r: number): void {
  const { u32, i32, u64 } = file;
  const w = 2 * r;
  const value = lowS(u64[r + TNUM_VALUE]!);
  const mask = lowS(u64[r + TNUM_MASK]!);
  const smallest = sw(value | (mask & WORD_SMIN));
  const largest = sw(value | (mask & WORD_SMAX));
  if (smallest > i32[w + S32_MIN]!) i32[w + S32_MIN] = smallest;
  if (largest < i32[w + S32_MAX]!) i32[w + S32_MAX] = largest;
  if (uw(value) > u32[w + U32_MIN]!) u32[w + U32_MIN] = uw(value);
  if (uw(value | mask) < u32[w + U32_MAX]!) u32[w + U32_MAX] = uw(value | mask);
}

/** The 64-bit ranges learn from the tnum (__update_reg64_bounds). */
export function update64FromTnum(file: RegFile, r: number): void {
  const { u64, i64 } = file;
  const value = u64[r + TNUM_VALUE]!;
  const mask = u64[r + TNUM_MASK]!;
  const all = uq(value | mask);
  const smallest = sq(value | uq(mask & uq(QWORD_SMIN)));
  const largest = sq(value | uq(mask & QWORD_SMAX));
  if (smallest > i64[r + SMIN]!) i64[r + SMIN] = smallest;
  if (largest < i64[r + SMAX]!) i64[r + SMAX] = largest;
  if (value > u64[r + UMIN]!) u64[r + UMIN] = value;
  if (all < u64[r + UMAX]!) u64[r + UMAX] = all;
  meetInOneValue(file, r);
}

/** Where the unsigned range and the tnum have one value in common, that is the value. */
function meetInOneValue(file: RegFile, r: number): void {
  const { u64 } = file;
  const min = u64[r + UMIN]!;
  const max = u64[r + UMAX]!;
  const next = tnumNext(u64, r + TNUM_VALUE, min);
  const value = u64[r + TNUM_VALUE]!;
  const mask = u64[r + TNUM_MASK]!;
  if (uq(min & uq(~mask)) === value) {
    if (next > max) setConst(file, r, min);
  } else if (next === uq(value | mask)) {
    setConst(file, r, next);
  } else if (next <= max && tnumNext(u64, r + TNUM_VALUE, next) > max) {
    setConst(file, r, next);
  }
}

/** All ranges learn from the tnum (__update_reg_bounds). */
export function updateFromTnum(file: RegFile, r: number): void {
  update32FromTnum(file, r);
  update64FromTnum(file, r);
}

/**
 * The 32-bit ranges learn from one 64-bit range, the pair at qword `at`: where its ends have the same upper
 * half, the low halves are a range of words; where the upper halves are neighbours, the words may still be a
 * signed range around zero.
 */
function narrowWords(file: RegFile, r: number, at: number): void {
  const { u32, i32, u64 } = file;
  const w = 2 * r;
  const min = lowS(u64[r + at]!);
  const max = lowS(u64[r + at + 1]!);
  const highMin = highU(u64[r + at]!);
  const highMax = highU(u64[r + at + 1]!);
  const sameHalf = highMin === highMax;
  if (sameHalf && uw(min) <= uw(max)) {
    if (uw(min) > u32[w + U32_MIN]!) u32[w + U32_MIN] = uw(min);
    if (uw(max) < u32[w + U32_MAX]!) u32[w + U32_MAX] = uw(max);
  }
  if (sameHalf ? min <= max : uw(highMin + 1) === highMax && min < 0 && max >= 0) {
    if (min > i32[w + S32_MIN]!) i32[w + S32_MIN] = min;
    if (max < i32[w + S32_MAX]!) i32[w + S32_MAX] = max;
  }
}

/** The 32-bit ranges learn from the 64-bit ones and from each other (__reg32_deduce_bounds). */
function deduce32(file: RegFile, r: number): void {
  const { u32, i32 } = file;
  const w = 2 * r;
  narrowWords(file, r, UMIN);
  narrowWords(file, r, SMIN);
  const first = sw(u32[w + U32_MIN]!);
  const last = sw(u32[w + U32_MAX]!);
  if (first <= last) {
    if (first > i32[w + S32_MIN]!) i32[w + S32_MIN] = first;
    if (last < i32[w + S32_MAX]!) i32[w + S32_MAX] = last;
  }
  const lowest = uw(i32[w + S32_MIN]!);
  const highest = uw(i32[w + S32_MAX]!);
  if (lowest <= highest) {
    if (lowest > u32[w + U32_MIN]!) u32[w + U32_MIN] = lowest;
    if (highest < u32[w + U32_MAX]!) u32[w + U32_MAX] = highest;
  } else if (u32[w + U32_MAX]! < lowest) {
    // The signed range has both signs, and the unsigned one none of its negative numbers …
    i32[w + S32_MIN] = sw(u32[w + U32_MIN]!);
    if (highest < u32[w + U32_MAX]!) u32[w + U32_MAX] = highest;
  } else if (highest < u32[w + U32_MIN]!) {
    // … or none of its others.
    i32[w + S32_MAX] = sw(u32[w + U32_MAX]!);
    if (lowest > u32[w + U32_MIN]!) u32[w + U32_MIN] = lowest;
  }
}

/** The 64-bit ranges learn from each other (__reg64_deduce_bounds). */
function deduce64(file: RegFile, r: number): void {
  const { u64, i64 } = file;
  const first = sq(u64[r + UMIN]!);
  const last = sq(u64[r + UMAX]!);
  if (first <= last) {
    if (first > i64[r + SMIN]!) i64[r + SMIN] = first;
    if (last < i64[r + SMAX]!) i64[r + SMAX] = last;
  }
  const lowest = uq(i64[r + SMIN]!);
  const highest = uq(i64[r + SMAX]!);
  if (lowest <= highest) {
    if (lowest > u64[r + UMIN]!) u64[r + UMIN] = lowest;
    if (highest < u64[r + UMAX]!) u64[r + UMAX] = highest;
  } else if (u64[r + UMAX]! < lowest) {
    // As in deduce32.
    i64[r + SMIN] = sq(u64[r + UMIN]!);
    if (highest < u64[r + UMAX]!) u64[r + UMAX] = highest;
  } else if (highest < u64[r + UMIN]!) {
    i64[r + SMAX] = sq(u64[r + UMAX]!);
    if (lowest > u64[r + UMIN]!) u64[r + UMIN] = lowest;
  }
}

/** The 64-bit ranges learn from the 32-bit ones (__reg_deduce_mixed_bounds). */
function deduceMixed(file: RegFile, r: number): void {
  const { u32, i32, u64, i64 } = file;
  const w = 2 * r;
  const low = BigInt(u32[w + U32_MIN]!);
  const high = BigInt(u32[w + U32_MAX]!);
  const umin = uq(uq(u64[r + UMIN]! & HIGH_HALF) | low);
  const umax = uq(uq(u64[r + UMAX]! & HIGH_HALF) | high);
  const smin = sq(uq(u64[r + SMIN]! & HIGH_HALF) | low);
  const smax = sq(uq(u64[r + SMAX]! & HIGH_HALF) | high);
  if (umin > u64[r + UMIN]!) u64[r + UMIN] = umin;
  if (umax < u64[r + UMAX]!) u64[r + UMAX] = umax;
  if (smin > i64[r + SMIN]!) i64[r + SMIN] = smin;
  if (smax < i64[r + SMAX]!) i64[r + SMAX] = smax;
  // As after a sign extension: a value in the range of signed words whose low word is not negative is that
  // word.
  if (i32[w + S32_MIN]! >= 0 && i64[r + SMIN]! >= BigInt(WORD_SMIN) && i64[r + SMAX]! <= BigInt(WORD_SMAX)) {
    i64[r + SMIN] = BigInt(i32[w + S32_MIN]!);
    i64[r + SMAX] = BigInt(i32[w + S32_MAX]!);
    u64[r + UMIN] = uq(i64[r + SMIN]!);
    u64[r + UMAX] = uq(i64[r + SMAX]!);
    intersectRange(file, r, SMIN);
  }
}

/** A tnum and another for `intersectRange` and `boundOffset`. */
const scratch = new BigUint64Array(4);

/** The tnum learns from the range at qword `at`. */
function intersectRange(file: RegFile, r: number, at: number): void {
  const { u64 } = file;
  scratch[0] = u64[r + TNUM_VALUE]!;
  scratch[1] = u64[r + TNUM_MASK]!;
  scratch[2] = u64[r + at]!;
  scratch[3] = u64[r + at + 1]!;
  tnumRange(scratch, 2);
  tnumIntersect(scratch, 0, 2);
  u64[r + TNUM_VALUE] = scratch[0]!;
  u64[r + TNUM_MASK] = scratch[1]!;
}

/** The tnum learns from the unsigned ranges (__reg_bound_offset). */
function boundOffset(file: RegFile, r: number): void {
  const { u64, u32 } = file;
  const w = 2 * r;
  intersectRange(file, r, UMIN);
  scratch[0] = u64[r + TNUM_VALUE]!;
  scratch[1] = u64[r + TNUM_MASK]!;
  scratch[2] = BigInt(u32[w + U32_MIN]!);
  scratch[3] = BigInt(u32[w + U32_MAX]!);
  tnumRange(scratch, 2);
  tnumIntersect(scratch, 2, 0);
  tnumWithSubreg(scratch, 0, 2);
  u64[r + TNUM_VALUE] = scratch[0]!;
  u64[r + TNUM_MASK] = scratch[1]!;
}

function deduce(file: RegFile, r: number): void {
  deduce32(file, r);
  deduce64(file, r);
  deduceMixed(file, r);
}

/** Every range and the tnum learn what they can from each other (reg_bounds_sync). */
export function syncBounds(file: RegFile, r: number): void {
  updateFromTnum(file, r);
  deduce(file, r);
  deduce(file, r);
  deduce(file, r);
  boundOffset(file, r);
  updateFromTnum(file, r);
}

/** The 64-bit ranges of a value whose upper half is zero, from its 32-bit ones (__reg_assign_32_into_64). */
export function assign32Into64(file: RegFile, r: number): void {
  const w = 2 * r;
  file.u64[r + UMIN] = BigInt(file.u32[w + U32_MIN]!);
  file.u64[r + UMAX] = BigInt(file.u32[w + U32_MAX]!);
  if (file.i32[w + S32_MIN]! >= 0 && file.i32[w + S32_MAX]! >= 0) {
    file.i64[r + SMIN] = BigInt(file.i32[w + S32_MIN]!);
    file.i64[r + SMAX] = BigInt(file.i32[w + S32_MAX]!);
  } else {
    file.i64[r + SMIN] = 0n;
    file.i64[r + SMAX] = LOW_HALF;
  }
}

/** The upper half becomes zero, as every 32-bit operation leaves it (zext_32_to_64). Without a sync. */
export function zext32(file: RegFile, r: number): void {
  tnumSubreg(file.u64, r + TNUM_VALUE);
  assign32Into64(file, r);
}
