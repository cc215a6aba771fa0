/**
 * The ranges of sums, differences and products, A op B into A. Unsigned, the ends of a sum may both wrap and
 * still be the ends (adding 2^64 - 1 to what is never 0); only where one wraps and the other does not
 * is the result a range no more.
 */
import { S32_MAX, S32_MIN, SMAX, SMIN, U32_MAX, U32_MIN, UMAX, UMIN } from '../state/layout.ts';
import {
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
import { A, B, work } from './work.ts';

const { u64, i64, u32, i32 } = work;
/** The first words of the two work registers. */
const AW = 2 * A;
const BW = 2 * B;

/** Whether a + b = sum wrapped, signed: the operands have a sign that the sum has not. */
function sumWrapped(a: bigint, b: bigint, sum: bigint): boolean {
  return sq(sq(a ^ sum) & sq(b ^ sum)) < 0n;
}

/** Whether a - b = difference wrapped, signed. */
function differenceWrapped(a: bigint, b: bigint, difference: bigint): boolean {
  return sq(sq(a ^ b) & sq(a ^ difference)) < 0n;
}

export function addRanges(): void {
  const smin = sq(i64[A + SMIN]! + i64[B + SMIN]!);
  const smax = sq(i64[A + SMAX]! + i64[B + SMAX]!);
  const wrapped =
    sumWrapped(i64[A + SMIN]!, i64[B + SMIN]!, smin) || sumWrapped(i64[A + SMAX]!, i64[B + SMAX]!, smax);
  i64[A + SMIN] = wrapped ? QWORD_SMIN : smin;
  i64[A + SMAX] = wrapped ? QWORD_SMAX : smax;
  const umin = uq(u64[A + UMIN]! + u64[B + UMIN]!);
  const umax = uq(u64[A + UMAX]! + u64[B + UMAX]!);
  const split = umin >= u64[A + UMIN]! && umax < u64[A + UMAX]!;
  u64[A + UMIN] = split ? 0n : umin;
  u64[A + UMAX] = split ? QWORD_UMAX : umax;
}

export function addWords(): void {
  const smin = i32[AW + S32_MIN]! + i32[BW + S32_MIN]!;
  const smax = i32[AW + S32_MAX]! + i32[BW + S32_MAX]!;
  const wrapped = smin !== sw(smin) || smax !== sw(smax);
  i32[AW + S32_MIN] = wrapped ? WORD_SMIN : smin;
  i32[AW + S32_MAX] = wrapped ? WORD_SMAX : smax;
  const umin = u32[AW + U32_MIN]! + u32[BW + U32_MIN]!;
  const umax = u32[AW + U32_MAX]! + u32[BW + U32_MAX]!;
  const split = umin <= WORD_UMAX && umax > WORD_UMAX;
  u32[AW + U32_MIN] = split ? 0 : uw(umin);
  u32[AW + U32_MAX] = split ? WORD_UMAX : uw(umax);
}

export function subRanges(): void {
  const smin = sq(i64[A + SMIN]! - i64[B + SMAX]!);
  const smax = sq(i64[A + SMAX]! - i64[B + SMIN]!);
  const wrapped =
    differenceWrapped(i64[A + SMIN]!, i64[B + SMAX]!, smin) ||
    differenceWrapped(i64[A + SMAX]!, i64[B + SMIN]!, smax);
  i64[A + SMIN] = wrapped ? QWORD_SMIN : smin;
  i64[A + SMAX] = wrapped ? QWORD_SMAX : smax;
  const umin = uq(u64[A + UMIN]! - u64[B + UMAX]!);
  const umax = uq(u64[A + UMAX]! - u64[B + UMIN]!);
  const split = u64[A + UMIN]! < u64[B + UMAX]! && u64[A + UMAX]! >= u64[B + UMIN]!;
  u64[A + UMIN] = split ? 0n : umin;
  u64[A + UMAX] = split ? QWORD_UMAX : umax;
}

export function subWords(): void {
  const smin = i32[AW + S32_MIN]! - i32[BW + S32_MAX]!;
  const smax = i32[AW + S32_MAX]! - i32[BW + S32_MIN]!;
  const wrapped = smin !== sw(smin) || smax !== sw(smax);
  i32[AW + S32_MIN] = wrapped ? WORD_SMIN : smin;
  i32[AW + S32_MAX] = wrapped ? WORD_SMAX : smax;
  const umin = u32[AW + U32_MIN]! - u32[BW + U32_MAX]!;
  const umax = u32[AW + U32_MAX]! - u32[BW + U32_MIN]!;
  const split = umin < 0 && umax >= 0;
  u32[AW + U32_MIN] = split ? 0 : uw(umin);
  u32[AW + U32_MAX] = split ? WORD_UMAX : uw(umax);
}

/** The least and the greatest of the four products of ends, and their exact values: none may wrap. */
export function mulRanges(): void {
  const umax = u64[A + UMAX]! * u64[B + UMAX]!;
  const unsigned = umax <= QWORD_UMAX;
  u64[A + UMIN] = unsigned ? u64[A + UMIN]! * u64[B + UMIN]! : 0n;
  u64[A + UMAX] = unsigned ? umax : QWORD_UMAX;
  let smin = i64[A + SMIN]! * i64[B + SMIN]!;
  let smax = smin;
  for (let i = 1; i < 4; i++) {
    const product = i64[A + SMIN + (i & 1)]! * i64[B + SMIN + (i >> 1)]!;
    if (product < smin) smin = product;
    if (product > smax) smax = product;
  }
  const signed = smin >= QWORD_SMIN && smax <= QWORD_SMAX;
  i64[A + SMIN] = signed ? smin : QWORD_SMIN;
  i64[A + SMAX] = signed ? smax : QWORD_SMAX;
}

/** A product of words is exact as a number wherever it is a word, and beyond a word's range wherever not. */
export function mulWords(): void {
  const umax = u32[AW + U32_MAX]! * u32[BW + U32_MAX]!;
  const unsigned = umax <= WORD_UMAX;
  u32[AW + U32_MIN] = unsigned ? u32[AW + U32_MIN]! * u32[BW + U32_MIN]! : 0;
  u32[AW + U32_MAX] = unsigned ? umax : WORD_UMAX;
  let smin = i32[AW + S32_MIN]! * i32[BW + S32_MIN]!;
  let smax = smin;
  for (let i = 1; i < 4; i++) {
    const product = i32[AW + S32_MIN + (i & 1)]! * i32[BW + S32_MIN + (i >> 1)]!;
    if (product < smin) smin = product;
    if (product > smax) smax = product;
  }
  const signed = smin >= WORD_SMIN && smax <= WORD_SMAX;
  i32[AW + S32_MIN] = signed ? smin : WORD_SMIN;
  i32[AW + S32_MAX] = signed ? smax : WORD_SMAX;
}
