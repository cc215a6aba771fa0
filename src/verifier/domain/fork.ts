/**
 * The sign mask: a value that is 0 or -1, as an arithmetic shift by all but one bit leaves it. Masking a
 * constant with it picks that constant or nothing, which no range can say; so Linux explores the two values
 * as two paths (maybe_fork_scalars). The caller forks where `and` or `or` has a known second operand: the
 * pending path runs the same instruction with 0, the current one goes on with -1.
 */
import type { RegFile } from '../state/layout.ts';
import { setConst32, setImm } from './bounds.ts';
import { W_MASK, W_S32_MAX, W_S32_MIN, W_SMAX, W_SMIN, W_VALUE } from './words.ts';

/** The width in which the register is a sign mask; 0 if it is none. */
export function signMaskBits(file: RegFile, r: number): 0 | 32 | 64 {
  const { i32 } = file;
  const w = 2 * r;
  const min = i32[w + W_SMIN]! & i32[w + W_SMIN + 1]!;
  const max = i32[w + W_SMAX]! | i32[w + W_SMAX + 1]!;
  if (min === -1 && max === 0) return 64;
  return i32[w + W_S32_MIN] === -1 && i32[w + W_S32_MAX] === 0 ? 32 : 0;
}

/** The register, or its low word alone, becomes `value`. Without a sync. */
export function setLowConst(
  file: RegFile,
  r: number,
  low: { readonly bits: 32 | 64; readonly value: number },
): void {
  if (low.bits === 64) {
    setImm(file, r, low.value);
    return;
  }
  file.i32[2 * r + W_VALUE] = low.value;
  file.i32[2 * r + W_MASK] = 0;
  setConst32(file, r, low.value);
}
