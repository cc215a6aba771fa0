/**
 * How the functions of a program are called for nothing (jit/warm-up.ts): with zeros. No frame and no key is at
 * address 0, so that means nothing else; the function leaves by its very end, as if it had done all.
 */
import { Bug } from '../../../base/errors.ts';
import type { Code, FunctionRef, ModuleBuilder, ValueType } from '../wasm/index.ts';
import { WARM, warmType } from './layout.ts';

/** The parameters that are 0 only in such a call. */
const telling: readonly string[] = ['stack', 'key'];

/** Writes the body of a function, and around it the way out. */
export function writeWithEmptyRun(code: Code, body: () => void): void {
  const parameter = code.locals.find(({ name }) => telling.includes(name));
  if (parameter === undefined) throw new Bug(`${code.name} has no parameter that tells an empty run`);
  const nothing = code.block();
  code.get(parameter);
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
