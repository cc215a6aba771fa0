/**
 * The registers that a transfer works on: operands are copied in from whatever state they are in, and the
 * result is copied back. So an operator has its operands at fixed places, an immediate is a register like any
 * other, and a source that is also the destination is no special case.
 */
import { REG_BYTES, REG_QWORDS, type RegFile, regFile } from '../state/layout.ts';

export const work: RegFile = regFile(new ArrayBuffer(3 * REG_BYTES));
/** The first operand and result, and the second operand. */
export const A = 0;
export const B = REG_QWORDS;
/** Two tnums. */
export const T = 2 * REG_QWORDS;
export const T2 = T + 2;

/** Ranges and tnum are a register's first eight qwords. */
const RANGE_QWORDS = 8;

/** Copies ranges and tnum of a register to the work register `to`. */
export function take(file: RegFile, r: number, to: number): void {
  for (let i = 0; i < RANGE_QWORDS; i++) work.u64[to + i] = file.u64[r + i]!;
}

/** Copies ranges and tnum of the work register `from` back to a register. */
export function give(file: RegFile, r: number, from: number): void {
  for (let i = 0; i < RANGE_QWORDS; i++) file.u64[r + i] = work.u64[from + i]!;
}
