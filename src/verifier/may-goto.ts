/** may_goto: a jump that is taken when the run has looped for too long, so that any loop through one ends. */
import { pushBranch } from './branches.ts';
import type { Env } from './env.ts';
import { previousEntry, widen } from './widen.ts';

export function doMayGoto(env: Env, off: number): void {
  const previous = env.state.parent === undefined ? undefined : previousEntry(env, env.state.parent);
  const through = pushBranch(env, { insn: env.insn + 1, prev: env.insn });
  through.mayGotoDepth++;
  if (previous !== undefined) widen(env, previous, through);
  env.insn += off;
}
