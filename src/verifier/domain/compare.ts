/**
 * Comparisons of what is known of two registers: equality and inclusion for pruning, and the consistency
 * check that Linux makes after each refinement.
 */
import {
  type RegFile,
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
import { lowS, lowU, uq } from './width.ts';

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
  for (let i = 0; i < RANGE_WORDS; i++) if (x[2 * a.r + i] !== y[2 * b.r + i]) return false;
  return true;
}

/** Whether each of `inner`'s ranges lies in `outer`'s (range_within). */
export function rangeWithin(outer: RegRef, inner: RegRef): boolean {
  const { file: f, r } = outer;
  const { file: g, r: s } = inner;
  return (
    f.u64[r + UMIN]! <= g.u64[s + UMIN]! &&
    f.u64[r + UMAX]! >= g.u64[s + UMAX]! &&
    f.i64[r + SMIN]! <= g.i64[s + SMIN]! &&
    f.i64[r + SMAX]! >= g.i64[s + SMAX]! &&
    f.u32[2 * r + U32_MIN]! <= g.u32[2 * s + U32_MIN]! &&
    f.u32[2 * r + U32_MAX]! >= g.u32[2 * s + U32_MAX]! &&
    f.i32[2 * r + S32_MIN]! <= g.i32[2 * s + S32_MIN]! &&
    f.i32[2 * r + S32_MAX]! >= g.i32[2 * s + S32_MAX]!
  );
}

/** Whether every value that `inner`'s tnum allows is allowed by `outer`'s (tnum_in). */
export function tnumIn(outer: RegRef, inner: RegRef): boolean {
  const known = uq(~outer.file.u64[outer.r + TNUM_MASK]!);
  if (uq(inner.file.u64[inner.r + TNUM_MASK]! & known) !== 0n) return false;
  return outer.file.u64[outer.r + TNUM_VALUE] === uq(inner.file.u64[inner.r + TNUM_VALUE]! & known);
}

/** In what ranges and tnum contradict each other, in Linux's words; undefined where they do not. */
export function boundsViolation(file: RegFile, r: number): string | undefined {
  const { u64, i64, u32, i32 } = file;
  const w = 2 * r;
  if (
    u64[r + UMIN]! > u64[r + UMAX]! ||
    i64[r + SMIN]! > i64[r + SMAX]! ||
    u32[w + U32_MIN]! > u32[w + U32_MAX]! ||
    i32[w + S32_MIN]! > i32[w + S32_MAX]!
  ) {
    return 'range bounds violation';
  }
  const mask = u64[r + TNUM_MASK]!;
  const value = u64[r + TNUM_VALUE]!;
  if (mask === 0n) {
    for (let i = UMIN; i <= SMAX; i++) {
      if (u64[r + i] !== value) return 'const tnum out of sync with range bounds';
    }
  }
  if (lowU(mask) === 0) {
    for (let i = U32_MIN; i <= S32_MAX; i++) {
      if ((i32[w + i]! | 0) !== lowS(value)) return 'const subreg tnum out of sync with range bounds';
    }
  }
  return undefined;
}
