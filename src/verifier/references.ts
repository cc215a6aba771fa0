/** Resources that a program must give back: sockets looked up, ring buffer records (acquire_reference). */
import type { Env } from './env.ts';
import { forEachReg, setNotInit, setScalar, word } from './regs.ts';
import { REF_OBJ_ID } from './state/layout.ts';
import type { State } from './state/state.ts';

export function acquireReference(env: Env): number {
  const id = env.newId();
  env.state.refs = [...env.state.refs, { id, insn: env.insn }];
  return id;
}

/** Forget a reference, leaving registers alone (release_reference_nomark); false if there is no such one. */
export function dropReference(state: State, id: number): boolean {
  const kept = state.refs.filter((ref) => ref.id !== id);
  if (kept.length === state.refs.length) return false;
  state.refs = kept;
  return true;
}

/** Give a reference back: every pointer to it is gone. */
export function releaseReference(env: Env, id: number): boolean {
  if (!dropReference(env.state, id)) return false;
  forEachReg(env.state, (frame, r) => {
    if (word(frame, r, REF_OBJ_ID) !== id) return;
    if (env.allowLeaks) setScalar(frame, r);
    else setNotInit(frame, r);
  });
  return true;
}

/** Nothing may be held at `where` (check_resource_leak). */
export function checkNothingHeld(env: Env, where: string): void {
  const { refs } = env.state;
  if (refs.length === 0) return;
  for (const ref of refs) env.write(`Unreleased reference id=${ref.id} alloc_insn=${ref.insn}\n`);
  env.reject('EINVAL', `${where} would lead to reference leak`);
}
