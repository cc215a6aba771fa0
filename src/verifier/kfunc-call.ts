/** A call of a kernel function: may this program make it, here, with these arguments (check_kfunc_call). */
import { pushBranch } from './branches.ts';
import { callBackKfunc } from './callbacks.ts';
import { syncBounds } from './domain/index.ts';
import { releaseDynptr } from './dynptr.ts';
import { forgetPackets } from './effects.ts';
import type { Env } from './env.ts';
import { checkReturn } from './exit.ts';
import { giveUp, inTreeCallback } from './graph.ts';
import { checkKfuncArgs } from './kfunc-args.ts';
import { type KfuncCall, newKfuncCall } from './kfunc-facts.ts';
import { setKfuncResult } from './kfunc-result.ts';
import { type Kfunc, mayCall } from './kfuncs.ts';
import { releaseReference } from './references.ts';
import { forEachReg, setNotInit, setScalar, word } from './regs.ts';
import { regAt } from './state/frame.ts';
import { REF_OBJ_ID, S32_MAX, S32_MIN, SMAX, SMIN, TYPE } from './state/layout.ts';
import { typeFlags } from './state/reg-types.ts';
import { inRcu } from './trust.ts';

const CALLER_SAVED = 6;
const MAX_ERRNO = 4095;

/** Whether the program ends here, in an exception. */
export function callKfunc(env: Env, kfunc: Kfunc): boolean {
  const { name } = kfunc;
  if (!mayCall(env, kfunc)) env.reject('EACCES', `calling kernel function ${name} is not allowed`);
  if (name === 'bpf_res_spin_lock' || name === 'bpf_res_spin_lock_irqsave') failToLock(env);
  else if (name === '__bpf_trap') {
    env.reject('EFAULT', 'unexpected __bpf_trap() due to uninitialized variable?');
  }
  const sleeps = kfunc.facts?.flags.includes('sleepable') === true;
  if (sleeps && !env.state.sleepable) {
    env.reject('EACCES', `program must be sleepable to call sleepable kfunc ${name}`);
  }
  const call = newKfuncCall(kfunc);
  checkKfuncArgs(env, call);
  if (call.callback >= 0) callBackKfunc(env, call);
  enterSections(env, kfunc, sleeps);
  release(env, call);
  if (name === 'bpf_throw' && env.exceptionCallback < 0) checkReturn(env, 1);
  for (let reg = 0; reg < CALLER_SAVED; reg++) {
    setNotInit(env.frame, regAt(reg));
    env.touchReg(reg);
  }
  setKfuncResult(env, call);
  if (name === 'bpf_xdp_pull_data') forgetPackets(env);
  return name === 'bpf_throw';
}

/** The lock could not be taken: the other way on, with an error. */
function failToLock(env: Env): void {
  const { frame } = pushBranch(env, { insn: env.insn + 1, prev: env.insn });
  for (let reg = 0; reg < CALLER_SAVED; reg++) setNotInit(frame, regAt(reg));
  const r0 = regAt(0);
  setScalar(frame, r0);
  frame.i64[r0 + SMIN] = BigInt(-MAX_ERRNO);
  frame.i64[r0 + SMAX] = -1n;
  frame.i32[2 * r0 + S32_MIN] = -MAX_ERRNO;
  frame.i32[2 * r0 + S32_MAX] = -1;
  syncBounds(frame, r0);
}

/** Critical sections of RCU and without preemption, and what must not happen in them. */
function enterSections(env: Env, kfunc: Kfunc, sleeps: boolean): void {
  const { state } = env;
  const { name } = kfunc;
  const lock = name === 'bpf_rcu_read_lock';
  const unlock = name === 'bpf_rcu_read_unlock';
  if ((lock || unlock) && state.rcuLocks > 0 && inTreeCallback(env)) {
    env.reject('EACCES', 'Calling bpf_rcu_read_{lock,unlock} in unnecessary rbtree callback');
  }
  if (lock) {
    if (state.rcuLocks > 0) env.reject('EINVAL', `nested rcu read lock (kernel function ${name})`);
    state.rcuLocks++;
  } else if (unlock) {
    if (state.rcuLocks === 0) env.reject('EINVAL', `unmatched rcu read unlock (kernel function ${name})`);
    state.rcuLocks--;
    if (state.rcuLocks === 0) endRcu(env);
  } else if (sleeps && state.rcuLocks > 0) {
    env.reject('EACCES', `kernel func ${name} is sleepable within rcu_read_lock region`);
  }
  if (name === 'bpf_preempt_disable') state.preemptLocks++;
  else if (name === 'bpf_preempt_enable') {
    if (state.preemptLocks === 0) {
      env.reject('EINVAL', `unmatched attempt to enable preemption (kernel function ${name})`);
    }
    state.preemptLocks--;
  } else if (sleeps && state.preemptLocks > 0) {
    env.reject('EACCES', `kernel func ${name} is sleepable within non-preemptible region`);
  }
  if (sleeps && state.irqId !== 0) {
    env.reject('EACCES', `kernel func ${name} is sleepable within IRQ-disabled region`);
  }
  if (kfunc.facts?.flags.includes('rcuProtected') === true && !inRcu(env)) {
    env.reject('EACCES', `kernel func ${name} requires RCU critical section protection`);
  }
}

/** What RCU protected may be gone any time, iterators too. */
function endRcu(env: Env): void {
  const visit = (i32: Int32Array, at: number): void => {
    const type = i32[at] as number;
    if ((type & typeFlags.rcu) === 0) return;
    i32[at] = (type & ~(typeFlags.rcu | typeFlags.maybeNull)) | typeFlags.untrusted;
  };
  forEachReg(env.state, (frame, r) => visit(frame.i32, 2 * r + TYPE), { iterators: true });
}

const puts: ReadonlySet<string> = new Set([
  'bpf_list_push_front_impl',
  'bpf_list_push_back_impl',
  'bpf_rbtree_add_impl',
]);

function release(env: Env, call: KfuncCall): void {
  const { name, id } = call.kfunc;
  if (call.releaseReg >= 0) {
    const reg = call.releaseReg;
    if (call.dynptr !== undefined && call.dynptr.refObjId !== 0) releaseDynptr(env, reg);
    else if (!releaseReference(env, word(env.frame, regAt(reg), REF_OBJ_ID))) {
      env.reject('EINVAL', `kfunc ${name}#${id} reference has not been acquired before`);
    }
  }
  if (puts.has(name)) giveUp(env, 2);
}
