/**
 * How an engine calls a helper: arguments are in registers 1 … 5 and the result goes into register 0 of a
 * register file, seen as 64-bit and as 32-bit values (word 2n is the low half of register n). No 64-bit value
 * crosses as an argument, which generated code could not pass without allocating.
 */
import type { RunContext, Runtime } from '../types.ts';

export interface HelperCall {
  readonly i64: BigInt64Array;
  readonly u64: BigUint64Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly runtime: Runtime;
  readonly context: RunContext;
  /** The pointer in `register`; an engine that checks makes sure that `size` bytes are the program's there. */
  argument(register: number, size: number): number;
  /** Whether the program is of type XDP. */
  readonly xdp: boolean;
  /** Calls the program's function at `slot` with registers 1 … 5; its result is then in register 0. */
  callback(slot: number): void;
  /** For what a verified program cannot do. */
  fault(message: string): never;
}

export type Helper = (call: HelperCall) => void;

/** Result: a C `int`, such as 0 or a negative errno. */
export function returnInt(call: HelperCall, value: number): void {
  call.i32[0] = value;
  call.i32[1] = value >> 31;
}

/** Result: an unsigned 32-bit value or an address. */
export function returnU32(call: HelperCall, value: number): void {
  call.u32[0] = value;
  call.u32[1] = 0;
}
