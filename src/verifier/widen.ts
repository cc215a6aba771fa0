/**
 * Loops that something bounds at run time: each time round, scalars that changed, and that nothing relied upon,
 * become unknown, so that the exploration ends.
 */
import type { Checkpoint, Env } from './env.ts';
import { isScalar, setScalar } from './regs.ts';
import { type Frame, REGS, regAt, spilledAt } from './state/frame.ts';
import { PRECISE } from './state/layout.ts';
import type { State } from './state/state.ts';
import { Comparison } from './states-equal.ts';

/** The list of states that a slot and call site share (explored_state). */
export function bucketOf(env: Env): number {
  const callsite = env.frame.callsite;
  return ((env.insn ^ callsite) >>> 0) % env.count;
}

/** The state of the last time round: here, in the same calls, and still open (find_prev_entry). */
export function previousEntry(env: Env, cur: State): State | undefined {
  const list: readonly Checkpoint[] = env.checkpoints[bucketOf(env)] ?? [];
  for (let i = list.length - 1; i >= 0; i--) {
    const { state } = list[i] as Checkpoint;
    if (state.insn !== env.insn || state.branches === 0 || state.dfsDepth >= cur.dfsDepth) continue;
    if (sameCalls(state, cur)) return state;
  }
  return undefined;
}

/** same_callsites */
function sameCalls(a: State, b: State): boolean {
  if (a.curFrame !== b.curFrame) return false;
  for (let no = a.curFrame; no >= 0; no--) {
    if (a.frames[no]?.callsite !== b.frames[no]?.callsite) return false;
  }
  return true;
}

/** Scalars that differ from the last time round, and that nothing relies on, may be anything (widen_imprecise_scalars). */
export function widen(env: Env, old: State, cur: State): void {
  const comparison = new Comparison(env, 'exact');
  for (let no = old.curFrame; no >= 0; no--) {
    const before = old.frames[no] as Frame;
    const now = cur.frames[no] as Frame;
    for (let reg = 0; reg < REGS; reg++) widenOne(comparison, before, now, regAt(reg));
    const slots = Math.min(before.slots, now.slots);
    for (let slot = 0; slot < slots; slot++) {
      if (before.isSpilled(slot) && now.isSpilled(slot)) widenOne(comparison, before, now, spilledAt(slot));
    }
  }
}

function widenOne(comparison: Comparison, before: Frame, now: Frame, r: number): void {
  if (!isScalar(before, r) || !isScalar(now, r)) return;
  if (before.i32[2 * r + PRECISE] === 1 || now.i32[2 * r + PRECISE] === 1) return;
  if (!comparison.reg(before, r, now, r)) setScalar(now, r);
}
