/** The steps since the last checkpoint that backtracking needs to know (push_jmp_history). */
import type { Env } from './env.ts';
import type { LinkedReg } from './state/state.ts';

export function pushHistory(env: Env, flags: number, linked: readonly LinkedReg[] | undefined): void {
  const entry = env.history;
  if (entry !== undefined) {
    entry.flags |= flags;
    if (linked !== undefined) entry.linked = linked;
    return;
  }
  const fresh = { insn: env.insn, prev: env.prevInsn, flags, linked };
  env.state.history.push(fresh);
  env.history = fresh;
}
