/**
 * Truncation and sign extension of a register in place: what loads, spills and fills of fewer than eight bytes
 * and the sign-extending moves do.
 */
import type { RegFile } from '../state/layout.ts';
import { isConst, setConst32, setImm, setUnknown, unbound32, zext32 } from './bounds.ts';
import { syncBounds } from './sync.ts';
import { tnumCast, tnumRange } from './tnum.ts';
import {
  copy64,
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

/** Truncate to the low `bytes` (1, 2 or 4), as a load of that size does (coerce_reg_to_size). */
export function coerceSize(file: RegFile, r: number, bytes: number): void {
  const { i32 } = file;
  const w = 2 * r;
  const bits = 8 * bytes;
  const keep = bytes === 4 ? -1 : (1 << bits) - 1;
  const min = i32[w + W_UMIN]!;
  const max = i32[w + W_UMAX]!;
  tnumCast(i32, w + W_VALUE, bits);
  const sameTop = (min & ~keep) === (max & ~keep) && i32[w + W_UMIN + 1] === i32[w + W_UMAX + 1];
  set64(i32, w + W_UMIN, sameTop ? min & keep : 0, 0);
  set64(i32, w + W_UMAX, sameTop ? max & keep : keep, 0);
  copy64(i32, w + W_SMIN, w + W_UMIN);
  copy64(i32, w + W_SMAX, w + W_UMAX);
  if (bytes < 4) unbound32(file, r);
  syncBounds(file, r);
}

/** Sign-extend the low `bytes` (1, 2 or 4) to 64 bits (coerce_reg_to_size_sx). */
export function coerceSizeSx(file: RegFile, r: number, bytes: number): void {
  signExtend64(file, r, 8 * bytes);
}

function signExtend64(file: RegFile, r: number, bits: number): void {
  const { i32 } = file;
  const w = 2 * r;
  const pad = 32 - bits;
  if (isConst(file, r)) {
    setImm(file, r, (i32[w + W_VALUE]! << pad) >> pad);
    return;
  }
  const smin = i32[w + W_SMIN]!;
  const smax = i32[w + W_SMAX]!;
  // The bits above the ones that stay; a shift by 32 would be one by 0.
  const sameTop =
    i32[w + W_SMIN + 1] === i32[w + W_SMAX + 1] && (bits === 32 || smin >> bits === smax >> bits);
  const first = (smin << pad) >> pad;
  const last = (smax << pad) >> pad;
  if (sameTop && first < 0 === last < 0) {
    setSignedRange(file, r, Math.min(first, last), Math.max(first, last));
    return;
  }
  setUnknown(file, r);
  const least = SIGNED_LEAST >> pad;
  set64(i32, w + W_SMIN, least, -1);
  set64(i32, w + W_SMAX, ~least, 0);
  i32[w + W_S32_MIN] = least;
  i32[w + W_S32_MAX] = ~least;
}

const SIGNED_LEAST = 0x8000_0000 | 0;

/** All ranges and the tnum of a value between two words of one sign, sign-extended. */
function setSignedRange(file: RegFile, r: number, min: number, max: number): void {
  const { i32 } = file;
  const w = 2 * r;
  set64(i32, w + W_SMIN, min, min >> 31);
  set64(i32, w + W_SMAX, max, max >> 31);
  set64(i32, w + W_UMIN, min, min >> 31);
  set64(i32, w + W_UMAX, max, max >> 31);
  setWordRange(file, r, min, max);
  set64(i32, w + W_VALUE, min, min >> 31);
  set64(i32, w + W_MASK, max, max >> 31);
  tnumRange(i32, w + W_VALUE);
}

function setWordRange(file: RegFile, r: number, min: number, max: number): void {
  const { i32 } = file;
  const w = 2 * r;
  i32[w + W_S32_MIN] = min;
  i32[w + W_S32_MAX] = max;
  i32[w + W_U32_MIN] = min;
  i32[w + W_U32_MAX] = max;
}

/**
 * Sign-extend the low `bits` (8 or 16) to 32 (coerce_subreg_to_size_sx). The upper half is left for the caller
 * to clear.
 */
function signExtend32(file: RegFile, r: number, bits: number): void {
  const { i32 } = file;
  const w = 2 * r;
  const pad = 32 - bits;
  if (isConst(file, r)) {
    const value = (i32[w + W_VALUE]! << pad) >> pad;
    i32[w + W_VALUE] = value;
    setConst32(file, r, value);
    return;
  }
  const smin = i32[w + W_S32_MIN]!;
  const smax = i32[w + W_S32_MAX]!;
  const first = (smin << pad) >> pad;
  const last = (smax << pad) >> pad;
  if (smin >> bits === smax >> bits && first < 0 === last < 0) {
    const min = Math.min(first, last);
    const max = Math.max(first, last);
    setWordRange(file, r, min, max);
    set64(i32, w + W_VALUE, min, min >> 31);
    set64(i32, w + W_MASK, max, max >> 31);
    tnumRange(i32, w + W_VALUE);
    return;
  }
  const least = SIGNED_LEAST >> pad;
  i32[w + W_S32_MIN] = least;
  i32[w + W_S32_MAX] = ~least;
  i32[w + W_U32_MIN] = 0;
  i32[w + W_U32_MAX] = -1;
  set64(i32, w + W_VALUE, 0, 0);
  set64(i32, w + W_MASK, -1, 0);
}

/** What a sign-extending move leaves in `r`, which holds a copy of its source. */
export function signExtend(
  file: RegFile,
  r: number,
  insn: { readonly from: number; readonly bits: 32 | 64 },
): void {
  if (insn.bits === 64) {
    signExtend64(file, r, insn.from);
    return;
  }
  signExtend32(file, r, insn.from);
  moveWord(file, r);
}

/** What a 32-bit move leaves in `r`, which holds a copy of its source. */
export function moveWord(file: RegFile, r: number): void {
  zext32(file, r);
  syncBounds(file, r);
}
