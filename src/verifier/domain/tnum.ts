/**
 * Tristate numbers: what is known of each bit of a 64-bit value. A tnum is two adjacent qwords of an array,
 * `value` (the bits known to be one) and `mask` (the bits not known); a bit is never in both. It is named by
 * the index of its value, as a register is by its first qword, and every operator replaces its first
 * operand, so that nothing is allocated. All are sound, and all but `tnumMul` optimal (Vishwanathan et al.,
 * "Sound, Precise, and Fast Abstract Interpretation with Tristate Numbers", CGO 2022); they give bit for bit
 * what Linux computes (kernel/bpf/tnum.c).
 */
import { HIGH_HALF, LOW_HALF, QWORD_BITS, sq, uq, WORD_BITS } from './width.ts';

/** Tnums by index: `t[a]` is the value, `t[a + 1]` the mask. */
export type Tnums = BigUint64Array;

export function tnumConst(t: Tnums, a: number, value: bigint): void {
  t[a] = uq(value);
  t[a + 1] = 0n;
}

export function tnumUnknown(t: Tnums, a: number): void {
  t[a] = 0n;
  t[a + 1] = uq(-1n);
}

/** The pair (min, max) at `a` becomes what all numbers of that unsigned range have in common. */
export function tnumRange(t: Tnums, a: number): void {
  const min = t[a]!;
  const delta = smear(uq(min ^ t[a + 1]!));
  t[a] = uq(min & uq(~delta));
  t[a + 1] = delta;
}

/** All bits up to and including the highest one that is set. */
function smear(x: bigint): bigint {
  let y = uq(x | uq(x >> 1n));
  y = uq(y | uq(y >> 2n));
  y = uq(y | uq(y >> 4n));
  y = uq(y | uq(y >> 8n));
  y = uq(y | uq(y >> 16n));
  return uq(y | uq(y >> 32n));
}

export function tnumIsConst(t: Tnums, a: number): boolean {
  return t[a + 1] === 0n;
}

export function tnumIsUnknown(t: Tnums, a: number): boolean {
  return uq(~t[a + 1]!) === 0n;
}

export function tnumEqual(t: Tnums, a: number, b: number): boolean {
  return t[a] === t[b] && t[a + 1] === t[b + 1];
}

/** Whether every value of `b` is one of `a`. */
export function tnumContains(t: Tnums, a: number, b: number): boolean {
  const known = uq(~t[a + 1]!);
  return uq(t[b + 1]! & known) === 0n && t[a] === uq(t[b]! & known);
}

/** Whether `a` and `b` may be the same value: no bit is known to differ. */
export function tnumOverlap(t: Tnums, a: number, b: number): boolean {
  const bothKnown = uq(~uq(t[a + 1]! | t[b + 1]!));
  return uq(uq(t[a]! ^ t[b]!) & bothKnown) === 0n;
}

/** Whether every value is a multiple of `size`, a power of two. */
export function tnumIsAligned(t: Tnums, a: number, size: bigint): boolean {
  return uq(uq(t[a]! | t[a + 1]!) & uq(size - 1n)) === 0n;
}

/**
 * The smallest value of `a` above `z`; its largest where there is none, its smallest where `z` is below all.
 * Let d be the highest known bit in which `z` differs from `a`. Where `z` lacks a one there, the successor is
 * `z` above d and the least possible from d down; else it counts up in the unknown bits above d.
 */
export function tnumNext(t: Tnums, a: number, z: bigint): bigint {
  const value = t[a]!;
  const mask = t[a + 1]!;
  const known = uq(~mask);
  const largest = uq(value | mask);
  if (z >= largest) return largest;
  if (z < value) return value;
  const differs = uq(uq(z ^ value) & known);
  const below = smear(differs);
  const top = uq(below ^ uq(below >> 1n));
  if (uq(value & top) !== 0n) return uq(uq(z & uq(~below)) | uq(value & below));
  return uq(value | uq(uq(uq(uq(z | known) | below) + 1n) & mask));
}

export function tnumAdd(t: Tnums, a: number, b: number): void {
  const unknown = uq(t[a + 1]! | t[b + 1]!);
  const smallest = uq(t[a]! + t[b]!);
  const largest = uq(smallest + uq(t[a + 1]! + t[b + 1]!));
  const mask = uq(uq(largest ^ smallest) | unknown);
  t[a] = uq(smallest & uq(~mask));
  t[a + 1] = mask;
}

export function tnumSub(t: Tnums, a: number, b: number): void {
  const unknown = uq(t[a + 1]! | t[b + 1]!);
  const difference = uq(t[a]! - t[b]!);
  const borrows = uq(uq(difference + t[a + 1]!) ^ uq(difference - t[b + 1]!));
  const mask = uq(borrows | unknown);
  t[a] = uq(difference & uq(~mask));
  t[a + 1] = mask;
}

export function tnumNeg(t: Tnums, a: number): void {
  tnumConst(scratch, ACC, 0n);
  scratch[SUM] = t[a]!;
  scratch[SUM + 1] = t[a + 1]!;
  tnumSub(scratch, ACC, SUM);
  t[a] = scratch[ACC]!;
  t[a + 1] = scratch[ACC + 1]!;
}

export function tnumAnd(t: Tnums, a: number, b: number): void {
  const mayBeOne = uq(uq(t[a]! | t[a + 1]!) & uq(t[b]! | t[b + 1]!));
  const value = uq(t[a]! & t[b]!);
  t[a] = value;
  t[a + 1] = uq(mayBeOne & uq(~value));
}

export function tnumOr(t: Tnums, a: number, b: number): void {
  const value = uq(t[a]! | t[b]!);
  t[a + 1] = uq(uq(t[a + 1]! | t[b + 1]!) & uq(~value));
  t[a] = value;
}

export function tnumXor(t: Tnums, a: number, b: number): void {
  const mask = uq(t[a + 1]! | t[b + 1]!);
  t[a] = uq(uq(t[a]! ^ t[b]!) & uq(~mask));
  t[a + 1] = mask;
}

/** Places for multiplication and negation: an accumulator, a sum, and two operands. */
const scratch = new BigUint64Array(8);
const ACC = 0;
const SUM = 2;
const MULTIPLIER = 4;
const MULTIPLICAND = 6;

/** Long multiplication: an unknown bit of `a` gives the union of adding `b` and leaving it out. */
export function tnumMul(t: Tnums, a: number, b: number): void {
  const s = scratch;
  tnumConst(s, ACC, 0n);
  s[MULTIPLIER] = t[a]!;
  s[MULTIPLIER + 1] = t[a + 1]!;
  s[MULTIPLICAND] = t[b]!;
  s[MULTIPLICAND + 1] = t[b + 1]!;
  while (uq(s[MULTIPLIER]! | s[MULTIPLIER + 1]!) !== 0n) {
    if (uq(s[MULTIPLIER]! & 1n) !== 0n) {
      tnumAdd(s, ACC, MULTIPLICAND);
    } else if (uq(s[MULTIPLIER + 1]! & 1n) !== 0n) {
      s[SUM] = s[ACC]!;
      s[SUM + 1] = s[ACC + 1]!;
      tnumAdd(s, SUM, MULTIPLICAND);
      tnumUnion(s, ACC, SUM);
    }
    tnumRshift(s, MULTIPLIER, 1);
    tnumLshift(s, MULTIPLICAND, 1);
  }
  t[a] = s[ACC]!;
  t[a + 1] = s[ACC + 1]!;
}

/** Shifts are by a known amount below the width. */
export function tnumLshift(t: Tnums, a: number, shift: number): void {
  const by = BigInt(shift);
  t[a] = uq(t[a]! << by);
  t[a + 1] = uq(t[a + 1]! << by);
}

export function tnumRshift(t: Tnums, a: number, shift: number): void {
  const by = BigInt(shift);
  t[a] = uq(t[a]! >> by);
  t[a + 1] = uq(t[a + 1]! >> by);
}

/** Shifts in copies of the sign bit, where that is known, and else unknown bits. */
export function tnumArshift(t: Tnums, a: number, shift: number): void {
  const by = BigInt(shift);
  t[a] = uq(sq(t[a]!) >> by);
  t[a + 1] = uq(sq(t[a + 1]!) >> by);
}

/** `tnumArshift` of the low word; the upper half becomes zero. */
export function tnumArshift32(t: Tnums, a: number, shift: number): void {
  const by = BigInt(shift);
  t[a] = BigInt.asUintN(WORD_BITS, BigInt.asIntN(WORD_BITS, t[a]!) >> by);
  t[a + 1] = BigInt.asUintN(WORD_BITS, BigInt.asIntN(WORD_BITS, t[a + 1]!) >> by);
}

/** What is known when both describe one value. Where they contradict each other, ones win. */
export function tnumIntersect(t: Tnums, a: number, b: number): void {
  const value = uq(t[a]! | t[b]!);
  const mask = uq(t[a + 1]! & t[b + 1]!);
  t[a] = uq(value & uq(~mask));
  t[a + 1] = mask;
}

/** What is known of a value that one of the two describes. */
export function tnumUnion(t: Tnums, a: number, b: number): void {
  const mask = uq(uq(t[a]! ^ t[b]!) | uq(t[a + 1]! | t[b + 1]!));
  t[a] = uq(uq(t[a]! & t[b]!) & uq(~mask));
  t[a + 1] = mask;
}

/** Truncate to `bits`. */
export function tnumCast(t: Tnums, a: number, bits: number): void {
  const keep = uq(-1n) >> BigInt(QWORD_BITS - bits);
  t[a] = uq(t[a]! & keep);
  t[a + 1] = uq(t[a + 1]! & keep);
}

/** Keep the low word alone. */
export function tnumSubreg(t: Tnums, a: number): void {
  t[a] = uq(t[a]! & LOW_HALF);
  t[a + 1] = uq(t[a + 1]! & LOW_HALF);
}

/** Replace the low word of `a` by that of `b`. */
export function tnumWithSubreg(t: Tnums, a: number, b: number): void {
  t[a] = uq(uq(t[a]! & HIGH_HALF) | uq(t[b]! & LOW_HALF));
  t[a + 1] = uq(uq(t[a + 1]! & HIGH_HALF) | uq(t[b + 1]! & LOW_HALF));
}
