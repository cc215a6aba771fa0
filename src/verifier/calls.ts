/** Calls of subprograms and returns from them (check_func_call, prepare_func_exit). */

import type { Errno } from '../uapi/errno.ts';
import { checkCallbackResult } from './callbacks.ts';
import { forgetPackets } from './effects.ts';
import type { Env, Subprog } from './env.ts';
import { globalArgs, matchArgs } from './global-args.ts';
import { printState } from './print.ts';
import { newFrame, setNotInit, setScalar, typeOf } from './regs.ts';
import { regAt } from './state/frame.ts';
import { regTypes } from './state/reg-types.ts';
import { MAX_FRAMES } from './subprogs.ts';
import { previousEntry, widen } from './widen.ts';

const CALLER_SAVED = 6;

function forgetCallerSaved(env: Env): void {
  for (let reg = 0; reg < CALLER_SAVED; reg++) {
    setNotInit(env.frame, regAt(reg));
    env.touchReg(reg);
  }
}

export function callSubprog(env: Env, offset: number): void {
  const { state } = env;
  const target = env.insn + offset + 1;
  const index = env.subprogStarting(target);
  const subprog = env.subprogs[index] as Subprog;
  const bad = matchCall(env, index);
  if (subprog.isGlobal) {
    callGlobal(env, { subprog, index, bad });
    return;
  }
  if (state.curFrame + 1 >= MAX_FRAMES) {
    env.reject('E2BIG', `the call stack of ${state.curFrame + 2} frames is too deep`);
  }
  const caller = env.frame;
  const callee = newFrame(state.curFrame + 1, { callsite: env.insn, subprog: index });
  env.touchAll();
  for (let reg = 1; reg <= 5; reg++) callee.copyReg(regAt(reg), regAt(reg), caller);
  forgetCallerSaved(env);
  state.curFrame++;
  state.frames[state.curFrame] = callee;
  env.insn = target - 1;
  if (!env.log.on) return;
  env.write('caller:\n');
  printState(env, state, { frame: caller.frameNo, all: true });
  env.write('callee:\n');
  printState(env, state, { frame: callee.frameNo, all: true });
}

/** What is passed, against the function's BTF; of a static function that is no matter. */
function matchCall(env: Env, index: number): Errno | undefined {
  const subprog = env.subprogs[index] as Subprog;
  if (subprog.btfId === 0 || env.btf === undefined) return undefined;
  if (!subprog.isGlobal && subprog.unreliable) return undefined;
  const fresh = subprog.args === undefined;
  const args = globalArgs(env, index);
  if ('errno' in args) {
    if (fresh && args.message !== '') env.write(`${args.message}\n`);
    subprog.unreliable = true;
    return args.errno;
  }
  for (let reg = 1; reg <= args.length; reg++) env.touchReg(reg);
  const errno = matchArgs(env, args);
  if (errno !== undefined) subprog.unreliable = true;
  return errno;
}

/** Verified by itself; all that its caller learns is that there is a result. */
function callGlobal(
  env: Env,
  call: { readonly subprog: Subprog; readonly index: number; readonly bad: Errno | undefined },
): void {
  const { subprog, index, bad } = call;
  const { state } = env;
  if (state.locks > 0) {
    env.write('global function calls are not allowed while holding a lock,\n');
    env.reject('EINVAL', 'use static function instead');
  }
  const awake = state.rcuLocks > 0 || state.preemptLocks > 0 || state.irqId !== 0 || !state.sleepable;
  if (subprog.mightSleep && awake) {
    env.write('global functions that may sleep are not allowed in non-sleepable context,\n');
    env.write('i.e., in a RCU/IRQ/preempt-disabled section, or in\n');
    env.reject('EINVAL', 'a non-sleepable BPF program context');
  }
  if (bad !== undefined) env.reject(bad, `Caller passes invalid args into func#${index} ('${subprog.name}')`);
  if (env.log.on) env.write(`Func#${index} ('${subprog.name}') is global and assumed valid.\n`);
  if (subprog.changesPacket) forgetPackets(env);
  env.calledGlobals.add(index);
  forgetCallerSaved(env);
  setScalar(env.frame, regAt(0));
}

export function returnFromSubprog(env: Env): void {
  const { state } = env;
  const callee = env.frame;
  const caller = state.frames[state.curFrame - 1];
  if (caller === undefined) return;
  env.stackLiveness.update(state);
  if (typeOf(callee, regAt(0)) === regTypes.stack) {
    env.reject('EINVAL', 'cannot return stack pointer to the caller');
  }
  if (callee.inCallback) checkCallbackResult(env);
  else caller.copyReg(regAt(0), regAt(0), callee);
  env.insn = callee.inCallback ? callee.callsite : callee.callsite + 1;
  if (env.log.on) {
    env.write('returning from callee:\n');
    printState(env, state, { frame: callee.frameNo, all: true });
    env.write(`to caller at ${env.insn}:\n`);
    printState(env, state, { frame: caller.frameNo, all: true });
  }
  state.frames.length = state.curFrame;
  state.curFrame--;
  if (!callee.inCallback) return;
  const previous = previousEntry(env, state);
  if (previous !== undefined) widen(env, previous, state);
}
