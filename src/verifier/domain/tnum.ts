/**
 * Tristate numbers: what is known of each bit of a 64-bit value. A tnum is four words of an array, `value`
 * (the bits known to be one) and `mask` (the bits not known), low word first; a bit is never in both. It is
 * named by the index of its first word, and every operator replaces its first operand, so that nothing is
 * allocated. All are sound, and all but `tnumMul` optimal (Vishwanathan et al., "Sound, Precise, and Fast
 * Abstract Interpretation with Tristate Numbers", CGO 2022); they give bit for bit what Linux computes
 * (kernel/bpf/tnum.c).
 */
import { borrowOf, carryOf, smear } from './words.ts';

/** Words `a`, `a + 1` are the value, `a + 2`, `a + 3` the mask. */
export type Tnums = Int32Array;

export function tnumSet(t: Tnums, a: number, b: number): void {
  t[a] = t[b]!;
  t[a + 1] = t[b + 1]!;
  t[a + 2] = t[b + 2]!;
  t[a + 3] = t[b + 3]!;
}

/** The pair (min, max) of unsigned numbers at `a` becomes what all numbers between them have in common. */
export function tnumRange(t: Tnums, a: number): void {
  const high = smear(t[a + 1]! ^ t[a + 3]!);
  const low = high === 0 ? smear(t[a]! ^ t[a + 2]!) : -1;
  t[a] = t[a]! & ~low;
  t[a + 1] = t[a + 1]! & ~high;
  t[a + 2] = low;
  t[a + 3] = high;
}

export function tnumIsConst(t: Tnums, a: number): boolean {
  return (t[a + 2]! | t[a + 3]!) === 0;
}

export function tnumIsUnknown(t: Tnums, a: number): boolean {
  return (t[a + 2]! & t[a + 3]!) === -1;
}

/** Whether every value of `b` is one of `a`. */
export function tnumContains(t: Tnums, a: number, b: number): boolean {
  const low = ~t[a + 2]!;
  const high = ~t[a + 3]!;
  if (((t[b + 2]! & low) | (t[b + 3]! & high)) !== 0) return false;
  return t[a] === (t[b]! & low) && t[a + 1] === (t[b + 1]! & high);
}

/** Whether `a` and `b` may be the same value: no bit is known to differ. */
export function tnumOverlap(t: Tnums, a: number, b: number): boolean {
  const low = (t[a]! ^ t[b]!) & ~(t[a + 2]! | t[b + 2]!);
  const high = (t[a + 1]! ^ t[b + 1]!) & ~(t[a + 3]! | t[b + 3]!);
  return (low | high) === 0;
}

/** Whether every value is a multiple of `size`, a power of two of at most 2^30. */
export function tnumIsAligned(t: Tnums, a: number, size: number): boolean {
  return ((t[a]! | t[a + 2]!) & (size - 1)) === 0;
}

export function tnumAdd(t: Tnums, a: number, b: number): void {
  const value = (t[a]! + t[b]!) | 0;
  const valueHigh = (t[a + 1]! + t[b + 1]! + carryOf(t[a]!, value)) | 0;
  const unknown = (t[a + 2]! + t[b + 2]!) | 0;
  const unknownHigh = (t[a + 3]! + t[b + 3]! + carryOf(t[a + 2]!, unknown)) | 0;
  const largest = (value + unknown) | 0;
  const largestHigh = (valueHigh + unknownHigh + carryOf(value, largest)) | 0;
  const mask = (largest ^ value) | t[a + 2]! | t[b + 2]!;
  const maskHigh = (largestHigh ^ valueHigh) | t[a + 3]! | t[b + 3]!;
  t[a] = value & ~mask;
  t[a + 1] = valueHigh & ~maskHigh;
  t[a + 2] = mask;
  t[a + 3] = maskHigh;
}

export function tnumSub(t: Tnums, a: number, b: number): void {
  const value = (t[a]! - t[b]!) | 0;
  const valueHigh = (t[a + 1]! - t[b + 1]! - borrowOf(t[a]!, t[b]!)) | 0;
  const most = (value + t[a + 2]!) | 0;
  const mostHigh = (valueHigh + t[a + 3]! + carryOf(value, most)) | 0;
  const least = (value - t[b + 2]!) | 0;
  const leastHigh = (valueHigh - t[b + 3]! - borrowOf(value, t[b + 2]!)) | 0;
  const mask = (most ^ least) | t[a + 2]! | t[b + 2]!;
  const maskHigh = (mostHigh ^ leastHigh) | t[a + 3]! | t[b + 3]!;
  t[a] = value & ~mask;
  t[a + 1] = valueHigh & ~maskHigh;
  t[a + 2] = mask;
  t[a + 3] = maskHigh;
}

export function tnumAnd(t: Tnums, a: number, b: number): void {
  for (let n = 0; n < 2; n++) {
    const mayBeOne = (t[a + n]! | t[a + n + 2]!) & (t[b + n]! | t[b + n + 2]!);
    const value = t[a + n]! & t[b + n]!;
    t[a + n] = value;
    t[a + n + 2] = mayBeOne & ~value;
  }
}

export function tnumOr(t: Tnums, a: number, b: number): void {
  for (let n = 0; n < 2; n++) {
    const value = t[a + n]! | t[b + n]!;
    t[a + n] = value;
    t[a + n + 2] = (t[a + n + 2]! | t[b + n + 2]!) & ~value;
  }
}

export function tnumXor(t: Tnums, a: number, b: number): void {
  for (let n = 0; n < 2; n++) {
    const mask = t[a + n + 2]! | t[b + n + 2]!;
    t[a + n] = (t[a + n]! ^ t[b + n]!) & ~mask;
    t[a + n + 2] = mask;
  }
}

/** What is known when both describe one value. Where they contradict each other, ones win. */
export function tnumIntersect(t: Tnums, a: number, b: number): void {
  for (let n = 0; n < 2; n++) {
    const mask = t[a + n + 2]! & t[b + n + 2]!;
    t[a + n] = (t[a + n]! | t[b + n]!) & ~mask;
    t[a + n + 2] = mask;
  }
}

/** What is known of a value that one of the two describes. */
export function tnumUnion(t: Tnums, a: number, b: number): void {
  for (let n = 0; n < 2; n++) {
    const mask = (t[a + n]! ^ t[b + n]!) | t[a + n + 2]! | t[b + n + 2]!;
    t[a + n] = t[a + n]! & t[b + n]! & ~mask;
    t[a + n + 2] = mask;
  }
}

/** Places for multiplication and negation: an accumulator, a sum, and two operands. */
const scratch = new Int32Array(16);
const ACC = 0;
const SUM = 4;
const MULTIPLIER = 8;
const MULTIPLICAND = 12;

export function tnumNeg(t: Tnums, a: number): void {
  const s = scratch;
  s.fill(0, ACC, ACC + 4);
  for (let n = 0; n < 4; n++) s[SUM + n] = t[a + n]!;
  tnumSub(s, ACC, SUM);
  for (let n = 0; n < 4; n++) t[a + n] = s[ACC + n]!;
}

/** Long multiplication: an unknown bit of `a` gives the union of adding `b` and leaving it out. */
export function tnumMul(t: Tnums, a: number, b: number): void {
  const s = scratch;
  for (let n = 0; n < 4; n++) {
    s[ACC + n] = 0;
    s[MULTIPLIER + n] = t[a + n]!;
    s[MULTIPLICAND + n] = t[b + n]!;
  }
  while ((s[MULTIPLIER]! | s[MULTIPLIER + 1]! | s[MULTIPLIER + 2]! | s[MULTIPLIER + 3]!) !== 0) {
    if (s[MULTIPLIER]! & 1) {
      tnumAdd(s, ACC, MULTIPLICAND);
    } else if (s[MULTIPLIER + 2]! & 1) {
      tnumSet(s, SUM, ACC);
      tnumAdd(s, SUM, MULTIPLICAND);
      tnumUnion(s, ACC, SUM);
    }
    tnumRshift(s, MULTIPLIER, 1);
    tnumLshift(s, MULTIPLICAND, 1);
  }
  for (let n = 0; n < 4; n++) t[a + n] = s[ACC + n]!;
}

/** Shifts are by a known amount, 0 to 63. */
export function tnumLshift(t: Tnums, a: number, by: number): void {
  shiftLeft(t, a, by);
  shiftLeft(t, a + 2, by);
}

export function tnumRshift(t: Tnums, a: number, by: number): void {
  shiftRight(t, a, by);
  shiftRight(t, a + 2, by);
}

/** Shifts in copies of the sign bit, where that is known, and else unknown bits. */
export function tnumArshift(t: Tnums, a: number, by: number): void {
  shiftRightSigned(t, a, by);
  shiftRightSigned(t, a + 2, by);
}

/** `tnumArshift` of the low word; the upper half becomes zero. */
export function tnumArshift32(t: Tnums, a: number, by: number): void {
  t[a] = t[a]! >> by;
  t[a + 2] = t[a + 2]! >> by;
  t[a + 1] = 0;
  t[a + 3] = 0;
}

/** The qword at `a` shifted in place. */
export function shiftLeft(t: Tnums, a: number, by: number): void {
  if (by === 0) return;
  if (by >= 32) {
    t[a + 1] = t[a]! << (by - 32);
    t[a] = 0;
  } else {
    t[a + 1] = (t[a + 1]! << by) | (t[a]! >>> (32 - by));
    t[a] = t[a]! << by;
  }
}
export function shiftRight(t: Tnums, a: number, by: number): void {
  if (by === 0) return;
  if (by >= 32) {
    t[a] = t[a + 1]! >>> (by - 32);
    t[a + 1] = 0;
  } else {
    t[a] = (t[a]! >>> by) | (t[a + 1]! << (32 - by));
    t[a + 1] = t[a + 1]! >>> by;
  }
}
export function shiftRightSigned(t: Tnums, a: number, by: number): void {
  if (by === 0) return;
  if (by >= 32) {
    t[a] = t[a + 1]! >> (by - 32);
    t[a + 1] = t[a + 1]! >> 31;
  } else {
    t[a] = (t[a]! >>> by) | (t[a + 1]! << (32 - by));
    t[a + 1] = t[a + 1]! >> by;
  }
}

/** Truncate to `bits`, 1 to 64. */
export function tnumCast(t: Tnums, a: number, bits: number): void {
  const low = bits >= 32 ? -1 : (1 << bits) - 1;
  const high = bits <= 32 ? 0 : bits === 64 ? -1 : (1 << (bits - 32)) - 1;
  t[a] = t[a]! & low;
  t[a + 1] = t[a + 1]! & high;
  t[a + 2] = t[a + 2]! & low;
  t[a + 3] = t[a + 3]! & high;
}

/** Keep the low word alone. */
export function tnumSubreg(t: Tnums, a: number): void {
  t[a + 1] = 0;
  t[a + 3] = 0;
}

/** Replace the low word of `a` by that of `b`. */
export function tnumWithSubreg(t: Tnums, a: number, b: number): void {
  t[a] = t[b]!;
  t[a + 2] = t[b + 2]!;
}
