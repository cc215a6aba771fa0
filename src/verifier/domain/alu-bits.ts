/**
 * The ranges of bitwise operations, A op B into A; A's tnum is the result's already. The signed ranges are the
 * unsigned ones where those have one sign, else unknown, and the 64-bit ones learn from the tnum at once.
 */
import { isConst, isConst32, setConst32, setPair } from './bounds.ts';
import { updateFromTnum } from './sync.ts';
import {
  atMostS,
  atMostU,
  copy64,
  POSITIVE,
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
import { A, AW, B, BW, work } from './work.ts';

const { i32, u32 } = work;

/** Where operand and result are known there is nothing to compute. */
function known(): boolean {
  if (!isConst(work, A) || !isConst(work, B)) return false;
  setPair(work, A, i32[AW + W_VALUE]!, i32[AW + W_VALUE + 1]!);
  return true;
}

function knownWord(): boolean {
  if (!isConst32(work, A) || !isConst32(work, B)) return false;
  setConst32(work, A, i32[AW + W_VALUE]!);
  return true;
}

/** The greatest value that the tnum allows, as the unsigned maximum. */
function maxFromTnum(): void {
  const low = i32[AW + W_VALUE]! | i32[AW + W_MASK]!;
  set64(i32, AW + W_UMAX, low, i32[AW + W_VALUE + 1]! | i32[AW + W_MASK + 1]!);
}

function finish(): void {
  if (atMostS(i32, AW + W_UMIN, AW + W_UMAX)) {
    copy64(i32, AW + W_SMIN, AW + W_UMIN);
    copy64(i32, AW + W_SMAX, AW + W_UMAX);
  } else {
    set64(i32, AW + W_SMIN, 0, SIGN);
    set64(i32, AW + W_SMAX, -1, POSITIVE);
  }
  updateFromTnum(work, A);
}

function finishWord(): void {
  const first = i32[AW + W_U32_MIN]!;
  const last = i32[AW + W_U32_MAX]!;
  i32[AW + W_S32_MIN] = first <= last ? first : SIGN;
  i32[AW + W_S32_MAX] = first <= last ? last : POSITIVE;
}

/** A conjunction is at most the smaller operand. */
export function andRanges(): void {
  if (known()) return;
  copy64(i32, AW + W_UMIN, AW + W_VALUE);
  if (atMostU(u32, BW + W_UMAX, AW + W_UMAX)) copy64(i32, AW + W_UMAX, BW + W_UMAX);
  finish();
}

export function andWords(): void {
  if (knownWord()) return;
  i32[AW + W_U32_MIN] = i32[AW + W_VALUE]!;
  u32[AW + W_U32_MAX] = Math.min(u32[AW + W_U32_MAX]!, u32[BW + W_U32_MAX]!);
  finishWord();
}

/** A disjunction is at least the larger operand. */
export function orRanges(): void {
  if (known()) return;
  if (atMostU(u32, AW + W_UMIN, BW + W_UMIN)) copy64(i32, AW + W_UMIN, BW + W_UMIN);
  maxFromTnum();
  finish();
}

export function orWords(): void {
  if (knownWord()) return;
  u32[AW + W_U32_MIN] = Math.max(u32[AW + W_U32_MIN]!, u32[BW + W_U32_MIN]!);
  i32[AW + W_U32_MAX] = i32[AW + W_VALUE]! | i32[AW + W_MASK]!;
  finishWord();
}

/** Of an exclusive disjunction only the tnum says anything. */
export function xorRanges(): void {
  if (known()) return;
  copy64(i32, AW + W_UMIN, AW + W_VALUE);
  maxFromTnum();
  finish();
}

export function xorWords(): void {
  if (knownWord()) return;
  i32[AW + W_U32_MIN] = i32[AW + W_VALUE]!;
  i32[AW + W_U32_MAX] = i32[AW + W_VALUE]! | i32[AW + W_MASK]!;
  finishWord();
}
