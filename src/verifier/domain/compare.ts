/**
 * Comparisons of what is known of two registers: equality and inclusion for pruning, and the consistency
 * check that Linux makes after each refinement.
 */
import type { RegFile } from '../state/layout.ts';
import {
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

/** A register: its file and the index of its first qword. */
export interface RegRef {
  readonly file: RegFile;
  readonly r: number;
}

/** The words of a register that hold its ranges and tnum, the first ones. */
export const RANGE_WORDS = 16;

/** Whether ranges and tnum are the same numbers. */
export function boundsEqual(a: RegRef, b: RegRef): boolean {
  const x = a.file.i32;
  const y = b.file.i32;
  for (let n = 0; n < RANGE_WORDS; n++) if (x[2 * a.r + n] !== y[2 * b.r + n]) return false;
  return true;
}

/**
 * Whether the number at word `a` of one file is at most the one at `b` of another, unsigned or signed. Through the
 * signed view alone: states that are only compared need no other.
 */
function leU(x: Int32Array, a: number, y: Int32Array, b: number): boolean {
  const p = x[a + 1]! >>> 0;
  const q = y[b + 1]! >>> 0;
  return p < q || (p === q && x[a]! >>> 0 <= y[b]! >>> 0);
}
function leS(x: Int32Array, a: number, y: Int32Array, b: number): boolean {
  const p = x[a + 1]!;
  const q = y[b + 1]!;
  return p < q || (p === q && x[a]! >>> 0 <= y[b]! >>> 0);
}

/** Whether each of `inner`'s ranges lies in `outer`'s (range_within). */
export function rangeWithin(outer: RegRef, inner: RegRef): boolean {
  const o = 2 * outer.r;
  const n = 2 * inner.r;
  const oi = outer.file.i32;
  const ni = inner.file.i32;
  return (
    leU(oi, o + W_UMIN, ni, n + W_UMIN) &&
    leU(ni, n + W_UMAX, oi, o + W_UMAX) &&
    leS(oi, o + W_SMIN, ni, n + W_SMIN) &&
    leS(ni, n + W_SMAX, oi, o + W_SMAX) &&
    oi[o + W_U32_MIN]! >>> 0 <= ni[n + W_U32_MIN]! >>> 0 &&
    oi[o + W_U32_MAX]! >>> 0 >= ni[n + W_U32_MAX]! >>> 0 &&
    oi[o + W_S32_MIN]! <= ni[n + W_S32_MIN]! &&
    oi[o + W_S32_MAX]! >= ni[n + W_S32_MAX]!
  );
}

/** Whether every value that `inner`'s tnum allows is allowed by `outer`'s (tnum_in). */
export function tnumIn(outer: RegRef, inner: RegRef): boolean {
  const x = outer.file.i32;
  const y = inner.file.i32;
  const o = 2 * outer.r;
  const n = 2 * inner.r;
  const low = ~x[o + W_MASK]!;
  const high = ~x[o + W_MASK + 1]!;
  if (((y[n + W_MASK]! & low) | (y[n + W_MASK + 1]! & high)) !== 0) return false;
  return x[o + W_VALUE] === (y[n + W_VALUE]! & low) && x[o + W_VALUE + 1] === (y[n + W_VALUE + 1]! & high);
}

/** In what ranges and tnum contradict each other, in Linux's words; undefined where they do not. */
export function boundsViolation(file: RegFile, r: number): string | undefined {
  const { i32 } = file;
  const w = 2 * r;
  if (
    !leU(i32, w + W_UMIN, i32, w + W_UMAX) ||
    !leS(i32, w + W_SMIN, i32, w + W_SMAX) ||
    i32[w + W_U32_MIN]! >>> 0 > i32[w + W_U32_MAX]! >>> 0 ||
    i32[w + W_S32_MIN]! > i32[w + W_S32_MAX]!
  ) {
    return 'range bounds violation';
  }
  if (i32[w + W_MASK] !== 0) return undefined;
  const low = i32[w + W_VALUE];
  const high = i32[w + W_VALUE + 1];
  if (i32[w + W_MASK + 1] === 0) {
    for (let at = w; at < w + W_VALUE; at += 2) {
      if (i32[at] !== low || i32[at + 1] !== high) return 'const tnum out of sync with range bounds';
    }
  }
  for (let at = w + W_U32_MIN; at <= w + W_S32_MAX; at++) {
    if (i32[at] !== low) return 'const subreg tnum out of sync with range bounds';
  }
  return undefined;
}
