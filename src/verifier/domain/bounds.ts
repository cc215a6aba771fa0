/**
 * The ranges of a scalar register: unsigned and signed, of 64 bits and of the low 32, beside its tnum. The
 * five describe one value, and `syncBounds` (sync.ts) lets each learn from the others. A register is named by
 * its file and the index of its first qword (../state/layout.ts); everything happens in place. What kind of
 * value it is and its ids are the caller's business.
 */
import { type RegFile, TNUM_VALUE } from '../state/layout.ts';
import {
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

/** Forget the 64-bit ranges. */
export function unbound64(file: RegFile, r: number): void {
  const { i32 } = file;
  const w = 2 * r;
  set64(i32, w + W_UMIN, 0, 0);
  set64(i32, w + W_UMAX, -1, -1);
  set64(i32, w + W_SMIN, 0, SIGN);
  set64(i32, w + W_SMAX, -1, POSITIVE);
}

/** Forget the 32-bit ranges. */
export function unbound32(file: RegFile, r: number): void {
  const { i32 } = file;
  const w = 2 * r;
  i32[w + W_U32_MIN] = 0;
  i32[w + W_U32_MAX] = -1;
  i32[w + W_S32_MIN] = SIGN;
  i32[w + W_S32_MAX] = POSITIVE;
}

/** Forget the ranges, not the tnum. */
export function unbound(file: RegFile, r: number): void {
  unbound64(file, r);
  unbound32(file, r);
}

/** Any value at all. */
export function setUnknown(file: RegFile, r: number): void {
  unbound(file, r);
  set64(file.i32, 2 * r + W_VALUE, 0, 0);
  set64(file.i32, 2 * r + W_MASK, -1, -1);
}

/** Exactly `value`, taken modulo 2^64. */
export function setConst(file: RegFile, r: number, value: bigint): void {
  setPair(file, r, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
}

/** Exactly `imm`, a signed 32-bit number. */
export function setImm(file: RegFile, r: number, imm: number): void {
  setPair(file, r, imm | 0, imm >> 31);
}

/** Exactly the number of these two words. */
export function setPair(file: RegFile, r: number, low: number, high: number): void {
  const { i32 } = file;
  const w = 2 * r;
  // Four ends and the tnum's value.
  for (let at = w; at <= w + W_VALUE; at += 2) set64(i32, at, low, high);
  set64(i32, w + W_MASK, 0, 0);
  setConst32(file, r, low);
}

/** The 32-bit ranges of a known low word. */
export function setConst32(file: RegFile, r: number, value: number): void {
  const at = 2 * r + W_U32_MIN;
  for (let n = 0; n < 4; n++) file.i32[at + n] = value;
}

/** Whether the value is known: whether its tnum is, which is what Linux asks. */
export function isConst(file: RegFile, r: number): boolean {
  return (file.i32[2 * r + W_MASK]! | file.i32[2 * r + W_MASK + 1]!) === 0;
}

/** Whether the low word is known. */
export function isConst32(file: RegFile, r: number): boolean {
  return file.i32[2 * r + W_MASK] === 0;
}

/** The known value, unsigned; meaningful where `isConst`. */
export function constValue(file: RegFile, r: number): bigint {
  return file.u64[r + TNUM_VALUE]!;
}

/** The known value, signed; meaningful where `isConst`. */
export function constSigned(file: RegFile, r: number): bigint {
  return file.i64[r + TNUM_VALUE]!;
}

/** The same as a number, exact up to 53 bits. */
export function constNumber(file: RegFile, r: number): number {
  const low = file.i32[2 * r + W_VALUE]!;
  const high = file.i32[2 * r + W_VALUE + 1]!;
  return high === low >> 31 ? low : high * 2 ** 32 + (low >>> 0);
}

/** The 64-bit ranges of a value whose upper half is zero, from its 32-bit ones (__reg_assign_32_into_64). */
export function assign32Into64(file: RegFile, r: number): void {
  const { i32 } = file;
  const w = 2 * r;
  set64(i32, w + W_UMIN, i32[w + W_U32_MIN]!, 0);
  set64(i32, w + W_UMAX, i32[w + W_U32_MAX]!, 0);
  const smin = i32[w + W_S32_MIN]!;
  const smax = i32[w + W_S32_MAX]!;
  const negative = (smin | smax) < 0;
  set64(i32, w + W_SMIN, negative ? 0 : smin, 0);
  set64(i32, w + W_SMAX, negative ? -1 : smax, 0);
}

/** The upper half becomes zero, as every 32-bit operation leaves it (zext_32_to_64). Without a sync. */
export function zext32(file: RegFile, r: number): void {
  file.i32[2 * r + W_VALUE + 1] = 0;
  file.i32[2 * r + W_MASK + 1] = 0;
  assign32Into64(file, r);
}
