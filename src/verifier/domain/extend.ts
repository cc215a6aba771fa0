/**
 * Truncation and sign extension of a register in place: what loads, spills and fills smaller than eight
 * bytes and the sign-extending moves do. `…Bits` functions take any width up to the register's, the others
 * bytes.
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
import { isConst, setConst, setConst32, setUnknown, syncBounds, unbound32, zext32 } from './bounds.ts';
import { tnumCast, tnumRange, tnumSubreg } from './tnum.ts';
import { LOW_HALF, lowS, lowU, QWORD_BITS, QWORD_UMAX, sw, uq, uw, WORD_BITS, WORD_UMAX } from './width.ts';

/** Truncate to the low `bytes` (1, 2 or 4), as a load of that size does (coerce_reg_to_size). */
export function coerceSize(file: RegFile, r: number, bytes: number): void {
  coerceBits(file, r, 8 * bytes);
}

export function coerceBits(file: RegFile, r: number, bits: number): void {
  const { u64, i64 } = file;
  const keep = QWORD_UMAX >> BigInt(QWORD_BITS - bits);
  tnumCast(u64, r + TNUM_VALUE, bits);
  if (u64[r + UMIN]! >> BigInt(bits) === u64[r + UMAX]! >> BigInt(bits)) {
    u64[r + UMIN] = u64[r + UMIN]! & keep;
    u64[r + UMAX] = u64[r + UMAX]! & keep;
  } else {
    u64[r + UMIN] = 0n;
    u64[r + UMAX] = keep;
  }
  i64[r + SMIN] = u64[r + UMIN]!;
  i64[r + SMAX] = u64[r + UMAX]!;
  if (bits < WORD_BITS) unbound32(file, r);
  syncBounds(file, r);
}

/** Sign-extend the low `bytes` (1, 2 or 4) to 64 bits (coerce_reg_to_size_sx). */
export function coerceSizeSx(file: RegFile, r: number, bytes: number): void {
  coerceBitsSx(file, r, 8 * bytes);
}

export function coerceBitsSx(file: RegFile, r: number, bits: number): void {
  const { u64, i64, u32, i32 } = file;
  const w = 2 * r;
  if (isConst(file, r)) {
    setConst(file, r, BigInt.asIntN(bits, u64[r + TNUM_VALUE]!));
    return;
  }
  const by = BigInt(bits);
  const first = BigInt.asIntN(bits, i64[r + SMIN]!);
  const last = BigInt.asIntN(bits, i64[r + SMAX]!);
  const sameTop = i64[r + SMIN]! >> by === i64[r + SMAX]! >> by;
  if (sameTop && first >= 0n === last >= 0n) {
    const min = first < last ? first : last;
    const max = first < last ? last : first;
    i64[r + SMIN] = min;
    i64[r + SMAX] = max;
    u64[r + UMIN] = uq(min);
    u64[r + UMAX] = uq(max);
    i32[w + S32_MIN] = lowS(min);
    i32[w + S32_MAX] = lowS(max);
    u32[w + U32_MIN] = lowU(min);
    u32[w + U32_MAX] = lowU(max);
    u64[r + TNUM_VALUE] = uq(min);
    u64[r + TNUM_MASK] = uq(max);
    tnumRange(u64, r + TNUM_VALUE);
    return;
  }
  setUnknown(file, r);
  const limit = 1n << (by - 1n);
  i64[r + SMIN] = -limit;
  i64[r + SMAX] = limit - 1n;
  i32[w + S32_MIN] = Number(-limit);
  i32[w + S32_MAX] = Number(limit - 1n);
}

/**
 * Sign-extend the low `bits` to 32 (coerce_subreg_to_size_sx). The upper half is left for the caller to
 * clear.
 */
function coerceWordSx(file: RegFile, r: number, bits: number): void {
  const { u64, u32, i32 } = file;
  const w = 2 * r;
  const pad = 32 - bits;
  if (isConst(file, r)) {
    const value = (lowS(u64[r + TNUM_VALUE]!) << pad) >> pad;
    u64[r + TNUM_VALUE] = uq(BigInt(value));
    setConst32(file, r, value);
    return;
  }
  const first = (i32[w + S32_MIN]! << pad) >> pad;
  const last = (i32[w + S32_MAX]! << pad) >> pad;
  const sameTop = i32[w + S32_MIN]! >> bits === i32[w + S32_MAX]! >> bits;
  if (sameTop && first >= 0 === last >= 0) {
    const min = Math.min(first, last);
    const max = Math.max(first, last);
    i32[w + S32_MIN] = min;
    i32[w + S32_MAX] = max;
    u32[w + U32_MIN] = uw(min);
    u32[w + U32_MAX] = uw(max);
    u64[r + TNUM_VALUE] = uq(BigInt(min));
    u64[r + TNUM_MASK] = uq(BigInt(max));
    tnumRange(u64, r + TNUM_VALUE);
    tnumSubreg(u64, r + TNUM_VALUE);
    return;
  }
  const limit = 2 ** (bits - 1);
  i32[w + S32_MIN] = sw(-limit);
  i32[w + S32_MAX] = limit - 1;
  u32[w + U32_MIN] = 0;
  u32[w + U32_MAX] = WORD_UMAX;
  u64[r + TNUM_VALUE] = 0n;
  u64[r + TNUM_MASK] = LOW_HALF;
}

/** What a sign-extending move leaves in `r`, which holds a copy of its source. */
export function signExtend(
  file: RegFile,
  r: number,
  insn: { readonly from: number; readonly bits: 32 | 64 },
): void {
  if (insn.bits === 64) {
    coerceBitsSx(file, r, insn.from);
    return;
  }
  coerceWordSx(file, r, insn.from);
  zext32(file, r);
  syncBounds(file, r);
}

/** What a 32-bit move leaves in `r`, which holds a copy of its source. */
export function moveWord(file: RegFile, r: number): void {
  zext32(file, r);
  syncBounds(file, r);
}
