/**
 * The sign mask: a value that is 0 or -1, as an arithmetic shift by all but one bit leaves it. Masking a
 * constant with it picks that constant or nothing, which no range can say; so Linux explores the two values
 * as two paths (maybe_fork_scalars). The caller forks where `and` or `or` has a known second operand.
 */
import { type RegFile, S32_MAX, S32_MIN, SMAX, SMIN, TNUM_MASK, TNUM_VALUE } from '../state/layout.ts';
import { setConst, setConst32 } from './bounds.ts';
import { HIGH_HALF, LOW_HALF, uq } from './width.ts';

/** The width in which the register is a sign mask; 0 if it is none. */
export function signMaskBits(file: RegFile, r: number): 0 | 32 | 64 {
  if (file.i64[r + SMIN] === -1n && file.i64[r + SMAX] === 0n) return 64;
  return file.i32[2 * r + S32_MIN] === -1 && file.i32[2 * r + S32_MAX] === 0 ? 32 : 0;
}

/** The register, or its low word alone, becomes `value`. Without a sync. */
export function setLowConst(
  file: RegFile,
  r: number,
  low: { readonly bits: 32 | 64; readonly value: number },
): void {
  if (low.bits === 64) {
    setConst(file, r, BigInt(low.value));
    return;
  }
  const word = uq(BigInt(low.value) & LOW_HALF);
  file.u64[r + TNUM_VALUE] = uq(uq(file.u64[r + TNUM_VALUE]! & HIGH_HALF) | word);
  file.u64[r + TNUM_MASK] = uq(file.u64[r + TNUM_MASK]! & HIGH_HALF);
  setConst32(file, r, low.value);
}
