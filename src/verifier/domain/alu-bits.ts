/**
 * The ranges of bitwise operations, A op B into A; A's tnum is the result's already. The signed ranges are
 * the unsigned ones where those have one sign, else unknown, and the 64-bit ones learn from the tnum
 * at once.
 */
import {
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
import { isConst, isConst32, setConst, setConst32, updateFromTnum } from './bounds.ts';
import { lowU, QWORD_SMAX, QWORD_SMIN, sq, sw, uq, WORD_SMAX, WORD_SMIN } from './width.ts';
import { A, B, work } from './work.ts';

const { u64, i64, u32, i32 } = work;
const AW = 2 * A;
const BW = 2 * B;

/** Where both operands are known so is the result, and there is nothing to compute. */
function known(): boolean {
  if (!isConst(work, A) || !isConst(work, B)) return false;
  setConst(work, A, u64[A + TNUM_VALUE]!);
  return true;
}

function knownWord(): boolean {
  if (!isConst32(work, A) || !isConst32(work, B)) return false;
  setConst32(work, A, lowU(u64[A + TNUM_VALUE]!));
  return true;
}

function finish(): void {
  const first = sq(u64[A + UMIN]!);
  const last = sq(u64[A + UMAX]!);
  i64[A + SMIN] = first <= last ? first : QWORD_SMIN;
  i64[A + SMAX] = first <= last ? last : QWORD_SMAX;
  updateFromTnum(work, A);
}

function finishWord(): void {
  const first = sw(u32[AW + U32_MIN]!);
  const last = sw(u32[AW + U32_MAX]!);
  i32[AW + S32_MIN] = first <= last ? first : WORD_SMIN;
  i32[AW + S32_MAX] = first <= last ? last : WORD_SMAX;
}

/** A conjunction is at most the smaller operand. */
export function andRanges(): void {
  if (known()) return;
  u64[A + UMIN] = u64[A + TNUM_VALUE]!;
  if (u64[B + UMAX]! < u64[A + UMAX]!) u64[A + UMAX] = u64[B + UMAX]!;
  finish();
}

export function andWords(): void {
  if (knownWord()) return;
  u32[AW + U32_MIN] = lowU(u64[A + TNUM_VALUE]!);
  if (u32[BW + U32_MAX]! < u32[AW + U32_MAX]!) u32[AW + U32_MAX] = u32[BW + U32_MAX]!;
  finishWord();
}

/** A disjunction is at least the larger operand. */
export function orRanges(): void {
  if (known()) return;
  if (u64[B + UMIN]! > u64[A + UMIN]!) u64[A + UMIN] = u64[B + UMIN]!;
  u64[A + UMAX] = uq(u64[A + TNUM_VALUE]! | u64[A + TNUM_MASK]!);
  finish();
}

export function orWords(): void {
  if (knownWord()) return;
  if (u32[BW + U32_MIN]! > u32[AW + U32_MIN]!) u32[AW + U32_MIN] = u32[BW + U32_MIN]!;
  u32[AW + U32_MAX] = lowU(uq(u64[A + TNUM_VALUE]! | u64[A + TNUM_MASK]!));
  finishWord();
}

/** Of an exclusive disjunction only the tnum says anything. */
export function xorRanges(): void {
  if (known()) return;
  u64[A + UMIN] = u64[A + TNUM_VALUE]!;
  u64[A + UMAX] = uq(u64[A + TNUM_VALUE]! | u64[A + TNUM_MASK]!);
  finish();
}

export function xorWords(): void {
  if (knownWord()) return;
  u32[AW + U32_MIN] = lowU(u64[A + TNUM_VALUE]!);
  u32[AW + U32_MAX] = lowU(uq(u64[A + TNUM_VALUE]! | u64[A + TNUM_MASK]!));
  finishWord();
}
