/**
 * The registers that a transfer works on: operands are copied in from whatever state they are in, and the
 * result is copied back. So an operator has its operands at fixed places, an immediate is a register like any
 * other, and a source that is also the destination is no special case.
 */
import { REG_BYTES, REG_QWORDS, type RegFile, regFile } from '../state/layout.ts';

export const work: RegFile = regFile(new ArrayBuffer(2 * REG_BYTES));
/** The first operand and result, and the second operand: as registers, and their first words. */
export const A = 0;
export const B = REG_QWORDS;
export const AW = 2 * A;
export const BW = 2 * B;

/** Ranges and tnum are a register's first words. */
const RANGE_WORDS = 16;

/** Copies ranges and tnum of a register to the work register `to`. */
export function take(file: RegFile, r: number, to: number): void {
  const from = file.i32;
  const into = work.i32;
  for (let n = 0; n < RANGE_WORDS; n++) into[2 * to + n] = from[2 * r + n]!;
}

/** Copies ranges and tnum of the work register `from` back to a register. */
export function give(file: RegFile, r: number, from: number): void {
  const into = file.i32;
  const out = work.i32;
  for (let n = 0; n < RANGE_WORDS; n++) into[2 * r + n] = out[2 * from + n]!;
}
