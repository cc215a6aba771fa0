/**
 * How functions of a program are called for nothing (jit/warm-up.ts): with zeros. No frame and no key of a program is
 * at address 0, so a function may then leave by its very end, as if it had done all. Lookups that change nothing have
 * no such way out, of which each call would feel the cost: they look up the zeros that are at address 0.
 */
import type { Code, FunctionRef, Local, ModuleBuilder, ValueType } from '../wasm/index.ts';
import { WARM, warmType } from './layout.ts';

/** Writes the body of a function, and around it the way out for calls with a zero for `address`. */
export function writeWithEmptyRun(code: Code, address: Local, body: () => void): void {
  const nothing = code.block();
  code.get(address);
  code.op('i32.eqz');
  code.brIf(nothing);
  body();
  code.op('return');
  code.end();
  for (const type of code.type.results) writeZero(code, type);
}

/** A function, of one result, that can be called for nothing. */
export interface Warmed {
  readonly ref: FunctionRef;
  readonly code: Code;
}

/** Exports a function that calls these for nothing, so many times. */
export function writeWarmUp(module: ModuleBuilder, functions: readonly Warmed[]): void {
  const { ref, code } = module.define(WARM, warmType, ['times']);
  const times = code.locals[0]!;
  const again = code.loop();
  for (const { ref: callee, code: called } of functions) {
    for (const type of called.type.params) writeZero(code, type);
    code.call(callee);
    code.op('drop');
  }
  code.get(times);
  code.i32(1);
  code.op('i32.sub');
  code.tee(times);
  code.brIf(again);
  code.end();
  module.export(WARM, ref);
}

function writeZero(code: Code, type: ValueType): void {
  if (type === 'i64') code.i64(0n);
  else code.i32(0);
}
