/**
 * 64-bit numbers as pairs of words. V8 computes with 32-bit integers at full speed in every tier, with
 * bigints only where its last optimiser proves their width; so the domain reads a register's qwords as two
 * words each, low word first, and a pair `low, high` counts as one parameter here. `u` and `i` are the
 * unsigned and the signed view of one file's words.
 */

/** Word offsets within a register of the low words of its qwords (the high word follows). */
export const W_UMIN = 0;
export const W_UMAX = 2;
export const W_SMIN = 4;
export const W_SMAX = 6;
/** A tnum is four words: value, mask. */
export const W_VALUE = 8;
export const W_MASK = 10;
export const W_U32_MIN = 12;
export const W_U32_MAX = 13;
export const W_S32_MIN = 14;
export const W_S32_MAX = 15;

export const SIGN = 0x8000_0000 | 0;
export const POSITIVE = 0x7fff_ffff;

/** Whether anything was narrowed since `beginNarrowing`; further rounds of deduction need not run if not. */
let narrowed = false;
export function beginNarrowing(): void {
  narrowed = false;
}
export function hasNarrowed(): boolean {
  return narrowed;
}

/** The unsigned number at `at` becomes at least `low, high`. */
export function raiseU(u: Uint32Array, at: number, low: number, high: number): void {
  const h = high >>> 0;
  const l = low >>> 0;
  const old = u[at + 1]!;
  if (h > old || (h === old && l > u[at]!)) {
    u[at] = l;
    u[at + 1] = h;
    narrowed = true;
  }
}

/** … at most. */
export function lowerU(u: Uint32Array, at: number, low: number, high: number): void {
  const h = high >>> 0;
  const l = low >>> 0;
  const old = u[at + 1]!;
  if (h < old || (h === old && l < u[at]!)) {
    u[at] = l;
    u[at + 1] = h;
    narrowed = true;
  }
}

/** The signed number at `at` becomes at least `low, high`. */
export function raiseS(i: Int32Array, at: number, low: number, high: number): void {
  const old = i[at + 1]!;
  if (high > old || (high === old && low >>> 0 > i[at]! >>> 0)) {
    i[at] = low;
    i[at + 1] = high;
    narrowed = true;
  }
}

/** … at most. */
export function lowerS(i: Int32Array, at: number, low: number, high: number): void {
  const old = i[at + 1]!;
  if (high < old || (high === old && low >>> 0 < i[at]! >>> 0)) {
    i[at] = low;
    i[at + 1] = high;
    narrowed = true;
  }
}

/** The qword at `at` becomes `low, high`, narrower or not. */
export function replace(i: Int32Array, at: number, low: number, high: number): void {
  if (i[at] === low && i[at + 1] === high) return;
  i[at] = low;
  i[at + 1] = high;
  narrowed = true;
}

export function replaceWord(i: Int32Array, at: number, value: number): void {
  if (i[at] === value) return;
  i[at] = value;
  narrowed = true;
}

/** The unsigned, the signed word at `at` becomes at least, at most `value`. */
export function raiseU32(u: Uint32Array, at: number, value: number): void {
  if (value > u[at]!) {
    u[at] = value;
    narrowed = true;
  }
}
export function lowerU32(u: Uint32Array, at: number, value: number): void {
  if (value < u[at]!) {
    u[at] = value;
    narrowed = true;
  }
}
export function raiseS32(i: Int32Array, at: number, value: number): void {
  if (value > i[at]!) {
    i[at] = value;
    narrowed = true;
  }
}
export function lowerS32(i: Int32Array, at: number, value: number): void {
  if (value < i[at]!) {
    i[at] = value;
    narrowed = true;
  }
}

/** Whether the number at `a` is at most the one at `b`. */
export function atMostU(u: Uint32Array, a: number, b: number): boolean {
  const x = u[a + 1]!;
  const y = u[b + 1]!;
  return x < y || (x === y && u[a]! <= u[b]!);
}
export function atMostS(i: Int32Array, a: number, b: number): boolean {
  const x = i[a + 1]!;
  const y = i[b + 1]!;
  return x < y || (x === y && i[a]! >>> 0 <= i[b]! >>> 0);
}

/** Whether the qwords at `a` and `b` are the same. */
export function same64(i: Int32Array, a: number, b: number): boolean {
  return i[a] === i[b] && i[a + 1] === i[b + 1];
}

/** The qword at `to` becomes that at `from`. */
export function copy64(i: Int32Array, to: number, from: number): void {
  i[to] = i[from]!;
  i[to + 1] = i[from + 1]!;
}

export function set64(i: Int32Array, at: number, low: number, high: number): void {
  i[at] = low;
  i[at + 1] = high;
}

/** The carry of the sum of two words that came out as `sum`. */
export function carryOf(a: number, sum: number): number {
  return sum >>> 0 < a >>> 0 ? 1 : 0;
}
/** The borrow of a - b. */
export function borrowOf(a: number, b: number): number {
  return a >>> 0 < b >>> 0 ? 1 : 0;
}

/** All bits up to and including the highest one of a word. */
export function smear(x: number): number {
  const lead = Math.clz32(x);
  return lead === 32 ? 0 : -1 >>> lead;
}
