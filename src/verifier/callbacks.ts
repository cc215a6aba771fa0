/**
 * Helpers that call functions of the program. How often they do is not known, so the exploration looks at both:
 * the helper is done, or it calls (once more), after which the function comes back to the call itself
 * (push_callback_call). What changed from one round to the next, and nothing relied upon, becomes unknown.
 */
import { mapTypeName } from '../uapi/map-types.ts';
import { pushBranch } from './branches.ts';
import type { Env, Subprog } from './env.ts';
import { checkRange } from './exit.ts';
import type { CallFacts } from './helper-args.ts';
import { markPrecise } from './precision.ts';
import { isNull, isScalar, newFrame, setPointer, setScalar } from './regs.ts';
import { type Frame, regAt } from './state/frame.ts';
import { AUX0, UMAX } from './state/layout.ts';
import { regTypes } from './state/reg-types.ts';
import { MAX_FRAMES } from './subprogs.ts';

/** Maps whose elements can be gone over. */
const iterable: readonly (string | undefined)[] = [
  'array',
  'percpu_array',
  'hash',
  'percpu_hash',
  'lru_hash',
  'lru_percpu_hash',
];

/** A helper with a callback is called, its arguments are fine. */
export function callBack(env: Env, facts: CallFacts): void {
  if (facts.helper === 'loop') {
    callLoop(env, facts.callback);
    return;
  }
  const map = mapOf(env, facts.map);
  enter(env, facts.callback, (caller, callee) => {
    callee.copyReg(regAt(1), regAt(1), caller);
    for (const [reg, type] of [
      [2, regTypes.mapKey],
      [3, regTypes.mapValue],
    ] as const) {
      setPointer(callee, regAt(reg), type);
      callee.i32[2 * regAt(reg) + AUX0] = map;
    }
    callee.copyReg(regAt(4), regAt(3), caller);
  });
}

/** The one map that this call goes over on every path (set_map_elem_callback_state). */
function mapOf(env: Env, map: number): number {
  const before = env.forEachMaps.get(env.insn) ?? map;
  env.forEachMaps.set(env.insn, before === map ? map : -1);
  if (before !== map) env.reject('EINVAL', 'tail_call abusing map_ptr');
  if (!iterable.includes(mapTypeName(env.map(map).type))) {
    env.reject('ENOTSUPP', 'callback function not allowed for map');
  }
  return map;
}

/** bpf_loop calls no more often than its first argument says. */
function callLoop(env: Env, subprog: number): void {
  const frame = env.frame;
  // Whether it can be inlined depends on the flags and the function being the same each time.
  const known = env.loopCallbacks.get(env.insn);
  const flagless = known === undefined || known >= 0 ? isNull(frame, regAt(4)) : false;
  if (flagless) markPrecise(env, 4);
  env.loopCallbacks.set(env.insn, flagless && (known ?? subprog) === subprog ? subprog : -1);
  markPrecise(env, 1);
  if (BigInt(frame.callbackDepth) >= (frame.u64[regAt(1) + UMAX] as bigint)) {
    frame.callbackDepth = 0;
    if (env.log.verbose) env.write(`frame${env.state.curFrame} bpf_loop iteration limit reached\n`);
    return;
  }
  enter(env, subprog, (caller, callee) => {
    setScalar(callee, regAt(1));
    callee.copyReg(regAt(2), regAt(3), caller);
  });
}

/** Put the callback's first instruction aside, to be explored with the arguments that `fill` gives it. */
function enter(env: Env, index: number, fill: (caller: Frame, callee: Frame) => void): void {
  const subprog = env.subprogs[index] as Subprog;
  const state = pushBranch(env, { insn: subprog.start, prev: env.insn });
  if (state.curFrame + 1 >= MAX_FRAMES) {
    env.reject('E2BIG', `the call stack of ${state.curFrame + 2} frames is too deep`);
  }
  const caller = state.frame;
  const callee = newFrame(state.curFrame + 1, { callsite: env.insn, subprog: index });
  fill(caller, callee);
  callee.inCallback = true;
  caller.callbackDepth++;
  state.frames.push(callee);
  state.curFrame++;
  state.callbackDepth++;
  env.frame.callbackDepth = 0;
  env.touchAll();
}

/** What a callback returns: 0 to be called again, 1 to be done. */
export function checkCallbackResult(env: Env): void {
  if (!isScalar(env.frame, regAt(0))) env.reject('EACCES', 'R0 not a scalar value');
  markPrecise(env, 0);
  checkRange(env, [0, 1], 'At callback return');
}
