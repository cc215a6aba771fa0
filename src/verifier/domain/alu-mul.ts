/**
 * The ranges of products, A op B into A: the products of the ends, where none wraps. 64-bit products are
 * computed with bigints; multiplication is rare.
 */
import { SMAX, SMIN, UMAX, UMIN } from '../state/layout.ts';
import { POSITIVE, SIGN, W_S32_MAX, W_S32_MIN, W_U32_MAX, W_U32_MIN } from './words.ts';
import { A, AW, B, BW, work } from './work.ts';

const { u64, i64, u32, i32 } = work;
const U64_MAX = (1n << 64n) - 1n;
const S64_MAX = (1n << 63n) - 1n;
const S64_MIN = -(1n << 63n);
const WORD_MAX = 2 ** 32 - 1;

export function mulRanges(): void {
  const umax = u64[A + UMAX]! * u64[B + UMAX]!;
  const unsigned = umax <= U64_MAX;
  u64[A + UMIN] = unsigned ? u64[A + UMIN]! * u64[B + UMIN]! : 0n;
  u64[A + UMAX] = unsigned ? umax : U64_MAX;
  let smin = i64[A + SMIN]! * i64[B + SMIN]!;
  let smax = smin;
  for (let n = 1; n < 4; n++) {
    const product = i64[A + SMIN + (n & 1)]! * i64[B + SMIN + (n >> 1)]!;
    if (product < smin) smin = product;
    if (product > smax) smax = product;
  }
  const signed = smin >= S64_MIN && smax <= S64_MAX;
  i64[A + SMIN] = signed ? smin : S64_MIN;
  i64[A + SMAX] = signed ? smax : S64_MAX;
}

/** A product of words is exact as a number where it is a word, and outside a word's range where it is not. */
export function mulWords(): void {
  const umax = u32[AW + W_U32_MAX]! * u32[BW + W_U32_MAX]!;
  const unsigned = umax <= WORD_MAX;
  u32[AW + W_U32_MIN] = unsigned ? u32[AW + W_U32_MIN]! * u32[BW + W_U32_MIN]! : 0;
  u32[AW + W_U32_MAX] = unsigned ? umax : WORD_MAX;
  const a = i32[AW + W_S32_MIN]! * i32[BW + W_S32_MIN]!;
  const b = i32[AW + W_S32_MIN]! * i32[BW + W_S32_MAX]!;
  const c = i32[AW + W_S32_MAX]! * i32[BW + W_S32_MIN]!;
  const d = i32[AW + W_S32_MAX]! * i32[BW + W_S32_MAX]!;
  const smin = Math.min(a, b, c, d);
  const smax = Math.max(a, b, c, d);
  const signed = smin >= SIGN && smax <= POSITIVE;
  i32[AW + W_S32_MIN] = signed ? smin : SIGN;
  i32[AW + W_S32_MAX] = signed ? smax : POSITIVE;
}
