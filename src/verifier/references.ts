/**
 * What a program must give back: sockets looked up, ring buffer records, objects, interrupts switched off
 * (acquire_reference and its relatives), and where it may not hold any.
 */
import type { Env } from './env.ts';
import { forEachReg, setNotInit, setScalar, word } from './regs.ts';
import type { Frame } from './state/frame.ts';
import { REF_OBJ_ID } from './state/layout.ts';
import type { Held, State } from './state/state.ts';

export function hold(env: Env, held: Omit<Held, 'insn'>): void {
  env.state.refs = [...env.state.refs, { ...held, insn: env.insn }];
}

export function acquireReference(env: Env): number {
  const id = env.newId();
  hold(env, { id, kind: 'object' });
  return id;
}

/** Forget a reference, leaving registers alone (release_reference_nomark); false if there is no such one. */
export function dropReference(state: State, id: number): boolean {
  const kept = state.refs.filter((ref) => ref.id !== id || ref.kind !== 'object');
  if (kept.length === state.refs.length) return false;
  state.refs = kept;
  return true;
}

/** What a register held is gone (mark_reg_invalid). */
export function invalidate(env: Env, frame: Frame, r: number): void {
  if (env.allowLeaks) setScalar(frame, r);
  else setNotInit(frame, r);
}

/** Give a reference back: every pointer to it is gone. */
export function releaseReference(env: Env, id: number): boolean {
  if (!dropReference(env.state, id)) return false;
  forEachReg(env.state, (frame, r) => {
    if (word(frame, r, REF_OBJ_ID) === id) invalidate(env, frame, r);
  });
  return true;
}

export interface LeakCheck {
  /** How messages call what happens. */
  readonly where: string;
  /** An exception unwinds every frame. */
  readonly exception?: boolean;
  /** Whether critical sections must be closed too. */
  readonly locks: boolean;
  /** A reference that is handed over. */
  readonly returned?: number;
}

/** Nothing may be held (check_resource_leak). */
export function checkNothingHeld(env: Env, check: LeakCheck): void {
  const { state } = env;
  const { where } = check;
  if (check.locks && state.locks > 0) {
    env.reject('EINVAL', `${where} cannot be used inside bpf_spin_lock-ed region`);
  }
  if (check.exception === true || state.curFrame === 0) {
    const left = state.refs.filter((ref) => ref.kind === 'object' && ref.id !== check.returned);
    for (const ref of left) env.write(`Unreleased reference id=${ref.id} alloc_insn=${ref.insn}\n`);
    if (left.length > 0) env.reject('EINVAL', `${where} would lead to reference leak`);
  }
  if (!check.locks) return;
  if (state.irqId !== 0) {
    env.reject('EINVAL', `${where} cannot be used inside bpf_local_irq_save-ed region`);
  }
  if (state.rcuLocks > 0) {
    env.reject('EINVAL', `${where} cannot be used inside bpf_rcu_read_lock-ed region`);
  }
  if (state.preemptLocks > 0) {
    env.reject('EINVAL', `${where} cannot be used inside bpf_preempt_disable-ed region`);
  }
}
