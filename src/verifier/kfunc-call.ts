/** A call of a kernel function: its arguments, and what comes back (check_kfunc_call). */
import type { Env } from './env.ts';
import { destroyIterator, findIterator, newIterator, stepIterator } from './iterators.ts';
import { type IteratorKind, iteratorKinds, type Kfunc } from './kfuncs.ts';
import { isScalar, setNotInit, setPointer, setScalar } from './regs.ts';
import { type Frame, regAt, spilledAt } from './state/frame.ts';
import { AUX0, ID, REF_OBJ_ID } from './state/layout.ts';
import { regTypes, typeFlags } from './state/reg-types.ts';

const CALLER_SAVED = 6;

export function callKfunc(env: Env, kfunc: Kfunc): void {
  const kind = iteratorKinds[kfunc.iterator] as IteratorKind;
  let ref = 0;
  let at = { frame: 0, slot: 0 };
  if (kfunc.step === 'new') newIterator(env, kfunc.iterator);
  else {
    at = findIterator(env, kfunc.iterator);
    ref = (env.state.frames[at.frame] as Frame).i32[2 * spilledAt(at.slot) + REF_OBJ_ID] as number;
    if (kfunc.step === 'destroy') destroyIterator(env, at, kind.slots);
  }
  if (kfunc.step === 'new') checkScalars(env, kind);
  for (let reg = 0; reg < CALLER_SAVED; reg++) {
    setNotInit(env.frame, regAt(reg));
    env.touchReg(reg);
  }
  const r0 = regAt(0);
  if (kfunc.step === 'new') setScalar(env.frame, r0);
  if (kfunc.step !== 'next') return;
  setPointer(env.frame, r0, regTypes.mem | typeFlags.rdonly | typeFlags.maybeNull);
  env.frame.i32[2 * r0 + AUX0] = kind.itemSize;
  env.frame.i32[2 * r0 + REF_OBJ_ID] = ref;
  env.frame.i32[2 * r0 + ID] = env.newId();
  stepIterator(env, at);
}

function checkScalars(env: Env, kind: IteratorKind): void {
  for (const [i, arg] of kind.args.entries()) {
    if (arg === 'ignored' || isScalar(env.frame, regAt(i + 2))) continue;
    env.reject('EINVAL', `R${i + 2} is not a scalar`);
  }
}
