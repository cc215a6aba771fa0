/**
 * What the ranges and the tnum of a register learn from each other, in the order in which Linux lets them
 * (reg_bounds_sync): the order decides which numbers come out, and so what log and verdict say.
 */
import type { RegFile } from '../state/layout.ts';
import { setPair } from './bounds.ts';
import { meetsInOneValue } from './meet.ts';
import { tnumRange } from './tnum.ts';
import {
  atMostS,
  atMostU,
  beginNarrowing,
  hasNarrowed,
  lowerS,
  lowerS32,
  lowerU,
  lowerU32,
  POSITIVE,
  raiseS,
  raiseS32,
  raiseU,
  raiseU32,
  replace,
  replaceWord,
  SIGN,
  set64,
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

/** The 32-bit ranges learn from the tnum (__update_reg32_bounds). */
export function update32FromTnum(file: RegFile, r: number): void {
  const { u32, i32 } = file;
  const w = 2 * r;
  const value = i32[w + W_VALUE]!;
  const mask = i32[w + W_MASK]!;
  raiseS32(i32, w + W_S32_MIN, value | (mask & SIGN));
  lowerS32(i32, w + W_S32_MAX, value | (mask & POSITIVE));
  raiseU32(u32, w + W_U32_MIN, value >>> 0);
  lowerU32(u32, w + W_U32_MAX, (value | mask) >>> 0);
}

const met = new Uint32Array(2);

/** The 64-bit ranges learn from the tnum (__update_reg64_bounds). */
function update64FromTnum(file: RegFile, r: number): void {
  const { u32, i32 } = file;
  const w = 2 * r;
  const value = i32[w + W_VALUE]!;
  const valueHigh = i32[w + W_VALUE + 1]!;
  const mask = i32[w + W_MASK]!;
  const maskHigh = i32[w + W_MASK + 1]!;
  raiseS(i32, w + W_SMIN, value, valueHigh | (maskHigh & SIGN));
  lowerS(i32, w + W_SMAX, value | mask, valueHigh | (maskHigh & POSITIVE));
  raiseU(u32, w + W_UMIN, value, valueHigh);
  lowerU(u32, w + W_UMAX, value | mask, valueHigh | maskHigh);
  if (meetsInOneValue(u32, w, met)) setPair(file, r, met[0]!, met[1]!);
}

/** All ranges learn from the tnum (__update_reg_bounds). */
export function updateFromTnum(file: RegFile, r: number): void {
  update32FromTnum(file, r);
  update64FromTnum(file, r);
}

/**
 * The 32-bit ranges learn from the 64-bit range at word `at`: where its ends have the same upper half, the
 * low halves are a range of words; where the upper halves are neighbours, the words may still be a signed
 * range around zero.
 */
function narrowWords(file: RegFile, w: number, at: number): void {
  const { u32, i32 } = file;
  const min = i32[at]!;
  const max = i32[at + 2]!;
  const high = i32[at + 1]!;
  const sameHalf = high === i32[at + 3];
  if (sameHalf && min >>> 0 <= max >>> 0) {
    raiseU32(u32, w + W_U32_MIN, min >>> 0);
    lowerU32(u32, w + W_U32_MAX, max >>> 0);
  }
  if (sameHalf ? min <= max : ((high + 1) | 0) === i32[at + 3] && min < 0 && max >= 0) {
    raiseS32(i32, w + W_S32_MIN, min);
    lowerS32(i32, w + W_S32_MAX, max);
  }
}

/** The 32-bit ranges learn from the 64-bit ones and from each other (__reg32_deduce_bounds). */
function deduce32(file: RegFile, r: number): void {
  const { u32, i32 } = file;
  const w = 2 * r;
  narrowWords(file, w, w + W_UMIN);
  narrowWords(file, w, w + W_SMIN);
  const first = i32[w + W_U32_MIN]!;
  const last = i32[w + W_U32_MAX]!;
  if (first <= last) {
    raiseS32(i32, w + W_S32_MIN, first);
    lowerS32(i32, w + W_S32_MAX, last);
  }
  const lowest = u32[w + W_S32_MIN]!;
  const highest = u32[w + W_S32_MAX]!;
  if (lowest <= highest) {
    raiseU32(u32, w + W_U32_MIN, lowest);
    lowerU32(u32, w + W_U32_MAX, highest);
  } else if (u32[w + W_U32_MAX]! < lowest) {
    // The signed range has both signs, and the unsigned one none of its negative numbers …
    replaceWord(i32, w + W_S32_MIN, i32[w + W_U32_MIN]!);
    lowerU32(u32, w + W_U32_MAX, highest);
  } else if (highest < u32[w + W_U32_MIN]!) {
    // … or none of its others.
    replaceWord(i32, w + W_S32_MAX, i32[w + W_U32_MAX]!);
    raiseU32(u32, w + W_U32_MIN, lowest);
  }
}

/** The 64-bit ranges learn from each other (__reg64_deduce_bounds). */
function deduce64(file: RegFile, r: number): void {
  const { u32, i32 } = file;
  const w = 2 * r;
  const umin = w + W_UMIN;
  const umax = w + W_UMAX;
  const smin = w + W_SMIN;
  const smax = w + W_SMAX;
  if (atMostS(i32, umin, umax)) {
    raiseS(i32, smin, i32[umin]!, i32[umin + 1]!);
    lowerS(i32, smax, i32[umax]!, i32[umax + 1]!);
  }
  if (atMostU(u32, smin, smax)) {
    raiseU(u32, umin, i32[smin]!, i32[smin + 1]!);
    lowerU(u32, umax, i32[smax]!, i32[smax + 1]!);
  } else if (!atMostU(u32, smin, umax)) {
    // As in deduce32.
    replace(i32, smin, i32[umin]!, i32[umin + 1]!);
    lowerU(u32, umax, i32[smax]!, i32[smax + 1]!);
  } else if (!atMostU(u32, umin, smax)) {
    replace(i32, smax, i32[umax]!, i32[umax + 1]!);
    raiseU(u32, umin, i32[smin]!, i32[smin + 1]!);
  }
}

/** The 64-bit ranges learn from the 32-bit ones (__reg_deduce_mixed_bounds). */
function deduceMixed(file: RegFile, r: number): void {
  const { u32, i32 } = file;
  const w = 2 * r;
  const low = i32[w + W_U32_MIN]!;
  const high = i32[w + W_U32_MAX]!;
  raiseU(u32, w + W_UMIN, low, i32[w + W_UMIN + 1]!);
  lowerU(u32, w + W_UMAX, high, i32[w + W_UMAX + 1]!);
  raiseS(i32, w + W_SMIN, low, i32[w + W_SMIN + 1]!);
  lowerS(i32, w + W_SMAX, high, i32[w + W_SMAX + 1]!);
  const first = i32[w + W_S32_MIN]!;
  if (first < 0) return;
  // As after a sign extension: a value in the range of signed words whose low word is not negative is that
  // word.
  const minHigh = i32[w + W_SMIN + 1]!;
  const fromMin = minHigh >= 0 || (minHigh === -1 && i32[w + W_SMIN]! < 0);
  const maxHigh = i32[w + W_SMAX + 1]!;
  const toMax = maxHigh < 0 || (maxHigh === 0 && i32[w + W_SMAX]! >= 0);
  if (!fromMin || !toMax) return;
  const last = i32[w + W_S32_MAX]!;
  replace(i32, w + W_SMIN, first, 0);
  replace(i32, w + W_SMAX, last, last >> 31);
  replace(i32, w + W_UMIN, first, 0);
  replace(i32, w + W_UMAX, last, last >> 31);
  intersectRange(i32, w);
}

/** A tnum to compute with. */
const range = new Int32Array(4);

/** The tnum learns from the unsigned 64-bit range. */
function intersectRange(i32: Int32Array, w: number): void {
  for (let n = 0; n < 4; n++) range[n] = i32[w + W_UMIN + n]!;
  tnumRange(range, 0);
  learn(i32, w + W_VALUE, range[0]!, range[2]!);
  learn(i32, w + W_VALUE + 1, range[1]!, range[3]!);
}

/** One word of a tnum, its value at `at`, learns from that word of another: their intersection. */
function learn(i32: Int32Array, at: number, value: number, mask: number): void {
  const known = i32[at + 2]! & mask;
  replaceWord(i32, at, (i32[at]! | value) & ~known);
  replaceWord(i32, at + 2, known);
}

/** The tnum learns from the unsigned ranges (__reg_bound_offset). */
function boundOffset(i32: Int32Array, w: number): void {
  intersectRange(i32, w);
  set64(range, 0, i32[w + W_U32_MIN]!, 0);
  set64(range, 2, i32[w + W_U32_MAX]!, 0);
  tnumRange(range, 0);
  learn(i32, w + W_VALUE, range[0]!, range[2]!);
}

/** Whether all four ranges are one and the same range of non-negative words: they cannot teach each other. */
function agree(i32: Int32Array, w: number): boolean {
  const min = i32[w + W_UMIN]!;
  const max = i32[w + W_UMAX]!;
  return (
    max >= 0 &&
    min >= 0 &&
    (i32[w + W_UMIN + 1]! | i32[w + W_UMAX + 1]! | i32[w + W_SMIN + 1]! | i32[w + W_SMAX + 1]!) === 0 &&
    i32[w + W_SMIN] === min &&
    i32[w + W_SMAX] === max &&
    i32[w + W_U32_MIN] === min &&
    i32[w + W_U32_MAX] === max &&
    i32[w + W_S32_MIN] === min &&
    i32[w + W_S32_MAX] === max
  );
}

/** Deduction rounds, as many as Linux makes; one that learns nothing is the last. */
const ROUNDS = 3;

/** Every range and the tnum learn what they can from each other (reg_bounds_sync). */
export function syncBounds(file: RegFile, r: number): void {
  updateFromTnum(file, r);
  beginNarrowing();
  let round = 0;
  while (round < ROUNDS && !agree(file.i32, 2 * r)) {
    beginNarrowing();
    deduce32(file, r);
    deduce64(file, r);
    deduceMixed(file, r);
    if (!hasNarrowed()) break;
    round++;
  }
  boundOffset(file.i32, 2 * r);
  // Where nothing was learnt since the tnum's first word, its second would be the same.
  if (round > 0 || hasNarrowed()) updateFromTnum(file, r);
}
