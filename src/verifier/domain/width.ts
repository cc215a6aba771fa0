/**
 * The two widths of a register, and truncation to them. Everything in this folder truncates through these
 * functions, so that the tests can load the same code at a width small enough to check every operand.
 * 64-bit numbers are bigints (V8 keeps them unboxed from a typed array's load through `BigInt.asUintN` to its
 * store), 32-bit ones are numbers.
 */

export const QWORD_BITS = 64;
export const WORD_BITS = 32;

/** Bits of a number's 32 that a word leaves unused. */
const PAD = 32 - WORD_BITS;

export const QWORD_UMAX = BigInt.asUintN(QWORD_BITS, -1n);
export const QWORD_SMAX = QWORD_UMAX >> 1n;
export const QWORD_SMIN = -QWORD_SMAX - 1n;
export const WORD_UMAX = 2 ** WORD_BITS - 1;
export const WORD_SMAX = 2 ** (WORD_BITS - 1) - 1;
export const WORD_SMIN = -(2 ** (WORD_BITS - 1));
/** The bits of a qword in its low word, and above it. */
export const LOW_HALF = BigInt(WORD_UMAX);
export const HIGH_HALF = QWORD_UMAX ^ LOW_HALF;

/** Truncate to an unsigned, signed 64-bit number. */
export function uq(x: bigint): bigint {
  return BigInt.asUintN(QWORD_BITS, x);
}
export function sq(x: bigint): bigint {
  return BigInt.asIntN(QWORD_BITS, x);
}

/** Truncate to an unsigned, signed 32-bit number. */
export function uw(x: number): number {
  return (x << PAD) >>> PAD;
}
export function sw(x: number): number {
  return (x << PAD) >> PAD;
}

/** The low word of a qword, unsigned, signed. */
export function lowU(x: bigint): number {
  return Number(BigInt.asUintN(WORD_BITS, x));
}
export function lowS(x: bigint): number {
  return Number(BigInt.asIntN(WORD_BITS, x));
}
/** The upper half of a qword, unsigned. */
export function highU(x: bigint): number {
  return Number(BigInt.asUintN(WORD_BITS, x >> BigInt(WORD_BITS)));
}
