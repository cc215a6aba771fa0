/**
 * Byte swaps of a scalar (scalar_byte_swap): known bits move with their bytes, ranges are forgotten and learnt
 * again from the bits. On a little-endian machine `le` only truncates.
 */
import { coerceSize, syncBounds, unbound } from './domain/index.ts';
import { type RegFile, TNUM_MASK, TNUM_VALUE } from './state/layout.ts';

function swapBytes(value: bigint, bits: number): bigint {
  let out = 0n;
  for (let i = 0; i < bits; i += 8) out = (out << 8n) | ((value >> BigInt(i)) & 0xffn);
  return out;
}

export function swapScalar(
  file: RegFile,
  r: number,
  insn: { readonly kind: 'le' | 'be' | 'bswap'; readonly width: 16 | 32 | 64 },
): void {
  if (insn.kind !== 'le') {
    file.u64[r + TNUM_VALUE] = swapBytes(file.u64[r + TNUM_VALUE] as bigint, insn.width);
    file.u64[r + TNUM_MASK] = swapBytes(file.u64[r + TNUM_MASK] as bigint, insn.width);
    unbound(file, r);
  }
  if (insn.width < 64) coerceSize(file, r, insn.width / 8);
  else syncBounds(file, r);
}
