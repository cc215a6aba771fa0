/**
 * Shifts of A by a known amount below the width, B. What a shift says of the other width's ranges, or of the
 * signed ones, is mostly left to the tnum: they become unbounded first.
 */
import { unbound32, unbound64 } from './bounds.ts';
import { update32FromTnum, updateFromTnum } from './sync.ts';
import {
  shiftLeft,
  shiftRight,
  shiftRightSigned,
  tnumArshift,
  tnumArshift32,
  tnumLshift,
  tnumRshift,
  tnumSubreg,
} from './tnum.ts';
import {
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
  W_VALUE,
} from './words.ts';
import { A, AW, BW, work } from './work.ts';

const { i32, u32 } = work;
const TNUM = AW + W_VALUE;

/** The amount; of a known second operand both widths have it. */
function amount(): number {
  return i32[BW + W_U32_MIN]!;
}

/** The 32-bit ranges shifted left; nothing is known where a bit may be shifted out. */
function shiftWordsLeft(by: number): void {
  const lost = by > 31 || u32[AW + W_U32_MAX]! > 2 ** (31 - by);
  i32[AW + W_U32_MIN] = lost ? 0 : i32[AW + W_U32_MIN]! << by;
  i32[AW + W_U32_MAX] = lost ? -1 : i32[AW + W_U32_MAX]! << by;
  i32[AW + W_S32_MIN] = SIGN;
  i32[AW + W_S32_MAX] = POSITIVE;
}

export function lshWord(): void {
  const by = amount();
  shiftWordsLeft(by);
  tnumSubreg(i32, TNUM);
  tnumLshift(i32, TNUM, by);
  tnumSubreg(i32, TNUM);
  unbound64(work, A);
  update32FromTnum(work, A);
}

/** Whether the unsigned maximum is above 2^(63 - by): then a bit may be shifted out. */
function losesBit(by: number): boolean {
  const bit = 63 - by;
  const limit = bit >= 32 ? 2 ** (bit - 32) : 0;
  const high = u32[AW + W_UMAX + 1]!;
  if (high !== limit) return high > limit;
  return u32[AW + W_UMAX]! > (bit >= 32 ? 0 : 2 ** bit);
}

export function lsh(): void {
  const by = amount();
  if (by === 32) {
    // Half of a sign extension: it keeps the order of signed words.
    set64(i32, AW + W_SMIN, 0, i32[AW + W_S32_MIN]!);
    set64(i32, AW + W_SMAX, 0, i32[AW + W_S32_MAX]!);
  } else {
    set64(i32, AW + W_SMIN, 0, SIGN);
    set64(i32, AW + W_SMAX, -1, POSITIVE);
  }
  if (losesBit(by)) {
    set64(i32, AW + W_UMIN, 0, 0);
    set64(i32, AW + W_UMAX, -1, -1);
  } else {
    shiftLeft(i32, AW + W_UMIN, by);
    shiftLeft(i32, AW + W_UMAX, by);
  }
  shiftWordsLeft(by);
  tnumLshift(i32, TNUM, by);
  updateFromTnum(work, A);
}

export function rshWord(): void {
  const by = amount();
  i32[AW + W_S32_MIN] = SIGN;
  i32[AW + W_S32_MAX] = POSITIVE;
  tnumSubreg(i32, TNUM);
  tnumRshift(i32, TNUM, by);
  i32[AW + W_U32_MIN] = i32[AW + W_U32_MIN]! >>> by;
  i32[AW + W_U32_MAX] = i32[AW + W_U32_MAX]! >>> by;
  unbound64(work, A);
  update32FromTnum(work, A);
}

export function rsh(): void {
  const by = amount();
  set64(i32, AW + W_SMIN, 0, SIGN);
  set64(i32, AW + W_SMAX, -1, POSITIVE);
  tnumRshift(i32, TNUM, by);
  shiftRight(i32, AW + W_UMIN, by);
  shiftRight(i32, AW + W_UMAX, by);
  unbound32(work, A);
  updateFromTnum(work, A);
}

export function arshWord(): void {
  const by = amount();
  i32[AW + W_S32_MIN] = i32[AW + W_S32_MIN]! >> by;
  i32[AW + W_S32_MAX] = i32[AW + W_S32_MAX]! >> by;
  tnumArshift32(i32, TNUM, by);
  i32[AW + W_U32_MIN] = 0;
  i32[AW + W_U32_MAX] = -1;
  unbound64(work, A);
  update32FromTnum(work, A);
}

export function arsh(): void {
  const by = amount();
  shiftRightSigned(i32, AW + W_SMIN, by);
  shiftRightSigned(i32, AW + W_SMAX, by);
  tnumArshift(i32, TNUM, by);
  set64(i32, AW + W_UMIN, 0, 0);
  set64(i32, AW + W_UMAX, -1, -1);
  unbound32(work, A);
  updateFromTnum(work, A);
}
