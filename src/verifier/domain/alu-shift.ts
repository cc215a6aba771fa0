/**
 * Shifts of A by a known amount below the width, B. What a shift says of the other width's ranges, or of the
 * signed ones, is mostly left to the tnum: they become unbounded first.
 */
import { S32_MAX, S32_MIN, SMAX, SMIN, TNUM_VALUE, U32_MAX, U32_MIN, UMAX, UMIN } from '../state/layout.ts';
import { unbound32, unbound64, update32FromTnum, updateFromTnum } from './bounds.ts';
import { tnumArshift, tnumArshift32, tnumLshift, tnumRshift, tnumSubreg } from './tnum.ts';
import {
  QWORD_BITS,
  QWORD_SMAX,
  QWORD_SMIN,
  QWORD_UMAX,
  uq,
  WORD_BITS,
  WORD_SMAX,
  WORD_SMIN,
  WORD_UMAX,
} from './width.ts';
import { A, B, work } from './work.ts';

const { u64, i64, u32, i32 } = work;
const AW = 2 * A;
const BW = 2 * B;
const TNUM = A + TNUM_VALUE;

/** The amount: of a 64-bit shift, of a 32-bit one. */
function amount(): number {
  return Number(u64[B + UMIN]!);
}
function amountWord(): number {
  return u32[BW + U32_MIN]!;
}

/** The 32-bit ranges shifted left; nothing is known where a bit may be shifted out. */
function shiftWordsLeft(by: number): void {
  const lost = by > WORD_BITS - 1 || u32[AW + U32_MAX]! > 2 ** (WORD_BITS - 1 - by);
  u32[AW + U32_MIN] = lost ? 0 : u32[AW + U32_MIN]! * 2 ** by;
  u32[AW + U32_MAX] = lost ? WORD_UMAX : u32[AW + U32_MAX]! * 2 ** by;
  i32[AW + S32_MIN] = WORD_SMIN;
  i32[AW + S32_MAX] = WORD_SMAX;
}

export function lshWord(): void {
  const by = amountWord();
  shiftWordsLeft(by);
  tnumSubreg(u64, TNUM);
  tnumLshift(u64, TNUM, by);
  tnumSubreg(u64, TNUM);
  unbound64(work, A);
  update32FromTnum(work, A);
}

export function lsh(): void {
  const by = amount();
  // A shift by the word's width, half of a sign extension, keeps the order of signed words.
  const wordUp = by === WORD_BITS;
  i64[A + SMIN] = wordUp ? BigInt(i32[AW + S32_MIN]!) << BigInt(WORD_BITS) : QWORD_SMIN;
  i64[A + SMAX] = wordUp ? BigInt(i32[AW + S32_MAX]!) << BigInt(WORD_BITS) : QWORD_SMAX;
  const lost = u64[A + UMAX]! > 1n << BigInt(QWORD_BITS - 1 - by);
  u64[A + UMIN] = lost ? 0n : uq(u64[A + UMIN]! << BigInt(by));
  u64[A + UMAX] = lost ? QWORD_UMAX : uq(u64[A + UMAX]! << BigInt(by));
  shiftWordsLeft(by);
  tnumLshift(u64, TNUM, by);
  updateFromTnum(work, A);
}

export function rshWord(): void {
  const by = amountWord();
  i32[AW + S32_MIN] = WORD_SMIN;
  i32[AW + S32_MAX] = WORD_SMAX;
  tnumSubreg(u64, TNUM);
  tnumRshift(u64, TNUM, by);
  u32[AW + U32_MIN] = u32[AW + U32_MIN]! >>> by;
  u32[AW + U32_MAX] = u32[AW + U32_MAX]! >>> by;
  unbound64(work, A);
  update32FromTnum(work, A);
}

export function rsh(): void {
  const by = amount();
  i64[A + SMIN] = QWORD_SMIN;
  i64[A + SMAX] = QWORD_SMAX;
  tnumRshift(u64, TNUM, by);
  u64[A + UMIN] = u64[A + UMIN]! >> BigInt(by);
  u64[A + UMAX] = u64[A + UMAX]! >> BigInt(by);
  unbound32(work, A);
  updateFromTnum(work, A);
}

export function arshWord(): void {
  const by = amountWord();
  i32[AW + S32_MIN] = i32[AW + S32_MIN]! >> by;
  i32[AW + S32_MAX] = i32[AW + S32_MAX]! >> by;
  tnumArshift32(u64, TNUM, by);
  u32[AW + U32_MIN] = 0;
  u32[AW + U32_MAX] = WORD_UMAX;
  unbound64(work, A);
  update32FromTnum(work, A);
}

export function arsh(): void {
  const by = amount();
  i64[A + SMIN] = i64[A + SMIN]! >> BigInt(by);
  i64[A + SMAX] = i64[A + SMAX]! >> BigInt(by);
  tnumArshift(u64, TNUM, by);
  u64[A + UMIN] = 0n;
  u64[A + UMAX] = QWORD_UMAX;
  unbound32(work, A);
  updateFromTnum(work, A);
}
