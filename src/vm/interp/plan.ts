/**
 * A program as the interpreter steps through it: what compile.ts makes and machine.ts runs.
 *
 *      one slot of code:  operation │ d │ s │ x      (operations.ts)
 */
import type { RunnableProgram } from '../types.ts';

/** Words of code for one slot. */
export const WORDS = 4;

/** r0 … r10 come before it in the register file, the program's constants from it on. */
export const FIRST_CONSTANT = 11;

export interface Plan {
  readonly program: RunnableProgram;
  /** WORDS for each slot, and for two more past the end. */
  readonly code: Int32Array;
  readonly constants: BigInt64Array;
}
