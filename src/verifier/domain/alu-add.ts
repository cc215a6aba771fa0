/**
 * The ranges of sums and differences, A op B into A. Unsigned, the ends of a sum may both wrap and still be
 * the ends (adding 2^64 - 1 to what is never 0); only where one wraps and the other does not is the result no
 * range.
 */
import {
  borrowOf,
  carryOf,
  POSITIVE,
  SIGN,
  set64,
  W_S32_MAX,
  W_S32_MIN,
  W_SMAX,
  W_SMIN,
  W_U32_MAX,
  W_U32_MIN,
  W_UMAX,
  W_UMIN,
} from './words.ts';
import { AW, BW, work } from './work.ts';

const { i32, u32 } = work;

/** The qword at `a` becomes its sum with the one at `b`. Bit 0: it wrapped unsigned; bit 1: signed. */
function addTo(a: number, b: number): number {
  const x = i32[a + 1]!;
  const y = i32[b + 1]!;
  const low = (i32[a]! + i32[b]!) | 0;
  const carry = carryOf(i32[a]!, low);
  const high = (x + y + carry) | 0;
  const wrapped = high >>> 0 < x >>> 0 || (carry === 1 && high === x) ? 1 : 0;
  i32[a] = low;
  i32[a + 1] = high;
  return wrapped | (((x ^ high) & (y ^ high)) < 0 ? 2 : 0);
}

/** The qword at `a` becomes its difference from the one at `b`; the bits as of `addTo`. */
function subFrom(a: number, b: number): number {
  const x = i32[a + 1]!;
  const y = i32[b + 1]!;
  const borrow = borrowOf(i32[a]!, i32[b]!);
  const high = (x - y - borrow) | 0;
  const wrapped = x >>> 0 < y >>> 0 || (borrow === 1 && x === y) ? 1 : 0;
  i32[a] = (i32[a]! - i32[b]!) | 0;
  i32[a + 1] = high;
  return wrapped | (((x ^ y) & (x ^ high)) < 0 ? 2 : 0);
}

/** Makes unbounded what wrapped: a signed range of which an end did, an unsigned one of which one did. */
function settle(min: number, max: number, signed: number): void {
  if ((min ^ max) & 1) {
    set64(i32, AW + W_UMIN, 0, 0);
    set64(i32, AW + W_UMAX, -1, -1);
  }
  if (signed & 2) {
    set64(i32, AW + W_SMIN, 0, SIGN);
    set64(i32, AW + W_SMAX, -1, POSITIVE);
  }
}

export function addRanges(): void {
  const signed = addTo(AW + W_SMIN, BW + W_SMIN) | addTo(AW + W_SMAX, BW + W_SMAX);
  const min = addTo(AW + W_UMIN, BW + W_UMIN);
  settle(min, addTo(AW + W_UMAX, BW + W_UMAX), signed);
}

export function subRanges(): void {
  const signed = subFrom(AW + W_SMIN, BW + W_SMAX) | subFrom(AW + W_SMAX, BW + W_SMIN);
  const min = subFrom(AW + W_UMIN, BW + W_UMAX);
  settle(min, subFrom(AW + W_UMAX, BW + W_UMIN), signed);
}

/** The signed words' range, exact: where an end is no word it wrapped, and all is possible. */
function setSignedWords(min: number, max: number): void {
  const fits = min === (min | 0) && max === (max | 0);
  i32[AW + W_S32_MIN] = fits ? min : SIGN;
  i32[AW + W_S32_MAX] = fits ? max : POSITIVE;
}

/** The unsigned words' range, exact: both ends may have wrapped, or none. */
function setUnsignedWords(min: number, max: number): void {
  const split = (min === min >>> 0) !== (max === max >>> 0);
  u32[AW + W_U32_MIN] = split ? 0 : min;
  u32[AW + W_U32_MAX] = split ? -1 : max;
}

export function addWords(): void {
  setSignedWords(i32[AW + W_S32_MIN]! + i32[BW + W_S32_MIN]!, i32[AW + W_S32_MAX]! + i32[BW + W_S32_MAX]!);
  setUnsignedWords(u32[AW + W_U32_MIN]! + u32[BW + W_U32_MIN]!, u32[AW + W_U32_MAX]! + u32[BW + W_U32_MAX]!);
}

export function subWords(): void {
  setSignedWords(i32[AW + W_S32_MIN]! - i32[BW + W_S32_MAX]!, i32[AW + W_S32_MAX]! - i32[BW + W_S32_MIN]!);
  setUnsignedWords(u32[AW + W_U32_MIN]! - u32[BW + W_U32_MAX]!, u32[AW + W_U32_MAX]! - u32[BW + W_U32_MIN]!);
}
