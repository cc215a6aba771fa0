/**
 * Helpers and kernel functions that call functions of the program. How often they do is not known, so the
 * exploration looks at both: the call is done, or it calls (once more), after which the function comes back to the
 * call itself (push_callback_call). What changed from one round to the next, and nothing relied upon, becomes
 * unknown. Timers and work queues call later, when nothing of the caller is left: their functions are explored by
 * themselves.
 */
import { mapTypeName } from '../uapi/map-types.ts';
import { pushAsync, pushBranch } from './branches.ts';
import { KERNEL } from './btf-objects.ts';
import { dynptrKinds, FIRST } from './dynptr.ts';
import { asyncSleeps } from './effects.ts';
import type { Env, Subprog } from './env.ts';
import { checkRange } from './exit.ts';
import { setNode, setNonOwning } from './graph.ts';
import type { CallFacts } from './helper-args.ts';
import type { KfuncCall } from './kfunc-facts.ts';
import { markPrecise } from './precision.ts';
import { isNull, isScalar, newFrame, setPointer, setScalar, word } from './regs.ts';
import { type Frame, regAt } from './state/frame.ts';
import { AUX0, AUX1, ID, UMAX } from './state/layout.ts';
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

type Fill = (caller: Frame, callee: Frame) => void;

/** A helper with a callback is called, its arguments are fine. */
export function callBack(env: Env, facts: CallFacts): void {
  switch (facts.helper) {
    case 'loop':
      callLoop(env, facts.callback);
      return;
    case 'timer_set_callback':
      later(env, {
        subprog: facts.callback,
        results: [0, 0],
        fill: elementOf(1),
      });
      return;
    case 'find_vma':
      enter(env, facts.callback, (caller, callee) => {
        callee.copyReg(regAt(1), regAt(1), caller);
        setPointer(callee, regAt(2), regTypes.btfId);
        callee.i32[2 * regAt(2) + AUX0] = env.types.kernelStruct('vm_area_struct');
        callee.i32[2 * regAt(2) + AUX1] = KERNEL;
        callee.copyReg(regAt(3), regAt(4), caller);
      });
      return;
    case 'user_ringbuf_drain':
      enter(env, facts.callback, (caller, callee) => {
        setPointer(callee, regAt(1), regTypes.constDynptr);
        callee.i32[2 * regAt(1) + AUX0] = dynptrKinds.local;
        callee.i32[2 * regAt(1) + FIRST] = 1;
        callee.i32[2 * regAt(1) + ID] = env.newId();
        callee.copyReg(regAt(2), regAt(3), caller);
      });
      return;
    default: {
      const map = mapOf(env, facts.map);
      enter(env, facts.callback, (caller, callee) => {
        callee.copyReg(regAt(1), regAt(1), caller);
        setElement(callee, { key: 2, value: 3, map, uid: 0 });
        callee.copyReg(regAt(4), regAt(3), caller);
      });
    }
  }
}

/** … of a kernel function. */
export function callBackKfunc(env: Env, call: KfuncCall): void {
  (env.subprogs[call.callback] as Subprog).isCallback = true;
  const { name } = call.kfunc;
  const { callback: subprog, root } = call;
  if (name === 'bpf_rbtree_add_impl') {
    if (root === undefined) return;
    enter(env, subprog, (_caller, callee) => {
      for (const reg of [1, 2]) {
        setNode(callee, { r: regAt(reg), root });
        setNonOwning(env, callee, regAt(reg));
      }
    });
    return;
  }
  const isWork = name.startsWith('bpf_task_work');
  later(env, {
    subprog,
    results: isWork ? [-(2 ** 31), 2 ** 31 - 1] : [0, 0],
    fill: elementOf(isWork ? 3 : 1),
  });
}

function setElement(callee: Frame, at: { key: number; value: number; map: number; uid: number }): void {
  for (const [reg, type] of [
    [at.key, regTypes.mapKey],
    [at.value, regTypes.mapValue],
  ] as const) {
    setPointer(callee, regAt(reg), type);
    callee.i32[2 * regAt(reg) + AUX0] = at.map;
    callee.i32[2 * regAt(reg) + AUX1] = at.uid;
  }
}

/** The map that a register of the caller's is, or is a value of, and the key and value of an element. */
function elementOf(owner: number): Fill {
  return (caller, callee) => {
    const map = word(caller, regAt(owner), AUX0);
    const uid = word(caller, regAt(owner), AUX1);
    setPointer(callee, regAt(1), regTypes.constMapPtr);
    callee.i32[2 * regAt(1) + AUX0] = map;
    callee.i32[2 * regAt(1) + AUX1] = uid;
    setElement(callee, { key: 2, value: 3, map, uid });
  };
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
function enter(env: Env, index: number, fill: Fill): void {
  const subprog = env.subprogs[index] as Subprog;
  const state = pushBranch(env, { insn: subprog.start, prev: env.insn });
  if (state.curFrame + 1 >= MAX_FRAMES) {
    env.reject('E2BIG', `the call stack of ${state.curFrame + 2} frames is too deep`);
  }
  const caller = state.frame;
  const callee = newFrame(state.curFrame + 1, { callsite: env.insn, subprog: index });
  fill(caller, callee);
  callee.inCallback = true;
  callee.results = [0, 1];
  caller.callbackDepth++;
  state.frames.push(callee);
  state.curFrame++;
  state.callbackDepth++;
  env.frame.callbackDepth = 0;
  env.touchAll();
}

interface Later {
  readonly subprog: number;
  /** What it may return. */
  readonly results: readonly [min: number, max: number];
  readonly fill: Fill;
}

/** A function that is called when the program is over (push_async_cb). */
function later(env: Env, call: Later): void {
  const subprog = env.subprogs[call.subprog] as Subprog;
  subprog.isAsync = true;
  const callee = newFrame(0, { callsite: -1, subprog: call.subprog });
  callee.inAsyncCallback = true;
  callee.results = call.results;
  call.fill(env.frame, callee);
  env.touchAll();
  pushAsync(env, { frame: callee, insn: subprog.start, sleepable: asyncSleeps(env, env.insn) });
}

/** What a callback returns: 0 to be called again, 1 to be done. */
export function checkCallbackResult(env: Env): void {
  const { frame } = env;
  if (!isScalar(frame, regAt(0))) env.reject('EACCES', 'R0 not a scalar value');
  markPrecise(env, 0);
  checkRange(env, { range: frame.results ?? [0, 1], where: 'At callback return', reg: 0 });
}
