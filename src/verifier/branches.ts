/** Branches put aside for later (push_stack), and the next one to go on with (pop_stack). */
import type { Errno } from '../uapi/errno.ts';
import type { Env } from './env.ts';
import type { Frame } from './state/frame.ts';
import { State } from './state/state.ts';

export interface BranchPoint {
  readonly insn: number;
  readonly prev: number;
  /** What too many of them end in: callers of push_stack() differ. */
  readonly errno?: Errno;
}

/** The current state, to be continued at `insn`; the caller may still change it. */
export function pushBranch(env: Env, at: BranchPoint): State {
  const state = env.state.clone();
  env.pending.push({ state, insn: at.insn, prevInsn: at.prev, logLength: env.log.length });
  if (env.pending.length > env.rules.pendingJumps) {
    env.reject(at.errno ?? 'ENOMEM', `The sequence of ${env.pending.length} jumps is too complex.`);
  }
  if (state.parent !== undefined) state.parent.branches++;
  return state;
}

/** A function that nothing of the current state reaches, to be explored with a frame of its own. */
export function pushAsync(
  env: Env,
  at: { readonly frame: Frame; readonly insn: number; readonly sleepable: boolean },
): void {
  const state = new State();
  state.frames.push(at.frame);
  state.sleepable = at.sleepable;
  env.pending.push({ state, insn: at.insn, prevInsn: env.insn, logLength: env.log.length });
  if (env.pending.length > env.rules.pendingJumps) {
    env.reject('EFAULT', `The sequence of ${env.pending.length} jumps is too complex for async cb.`);
  }
}

/** The current state, as speculation may go on with it at `insn` (sanitize_speculative_path). */
export function pushSpeculative(env: Env, at: BranchPoint): State {
  const state = pushBranch(env, at);
  state.speculative = true;
  return state;
}
