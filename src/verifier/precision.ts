/**
 * Precision: where a check relied on the exact value of a scalar, every state that the value came through
 * must say so, or a later, different value could be taken for the same (mark_chain_precision). Walks the
 * history of the current path backwards, instruction by instruction, checkpoint by checkpoint.
 */
import { backtrack, concerns, type Step } from './backtrack.ts';
import type { Env } from './env.ts';
import { printState } from './print.ts';
import { isScalar } from './regs.ts';
import { FP, type Frame, regAt, spilledAt } from './state/frame.ts';
import { PRECISE } from './state/layout.ts';
import type { State } from './state/state.ts';
import { MAX_FRAMES, Wanted } from './wanted.ts';

/** Used anew by every search; one ends before the next begins. */
const search = new Wanted();

function startSearch(frame: number): Wanted {
  for (let no = 0; no < MAX_FRAMES; no++) search.clear(no);
  search.frame = frame;
  return search;
}

/** A register of the current frame was relied upon. */
export function markPrecise(env: Env, reg: number): void {
  if (!env.input.capabilities.bpf) return;
  // Linux finds fault with itself where the first argument of bpf_loop is no number.
  if (!isScalar(env.frame, regAt(reg))) env.reject('EFAULT', 'verifier bug: backtracking misuse');
  const wanted = startSearch(env.state.curFrame);
  wanted.setReg(reg);
  markChain(env, env.state, wanted);
}

/** A stack slot was relied upon. */
export function markSlotPrecise(env: Env, frame: number, slot: number): void {
  if (!env.input.capabilities.bpf) return;
  const wanted = startSearch(env.state.curFrame);
  wanted.setSlot(frame, slot);
  markChain(env, env.state, wanted);
}

/** What was precise in an equal, older state is so in `cur` (propagate_precision); whether that was news. */
export function propagatePrecision(env: Env, old: State, cur: State = env.state): boolean {
  if (!env.input.capabilities.bpf) return false;
  const wanted = startSearch(cur.curFrame);
  for (let no = old.curFrame; no >= 0; no--) {
    const frame = old.frames[no] as Frame;
    const names: string[] = [];
    for (let reg = 0; reg < FP; reg++) {
      if (!isPreciseScalar(frame, regAt(reg))) continue;
      wanted.setReg(reg, no);
      names.push(`r${reg}`);
    }
    for (let slot = 0; slot < frame.slots; slot++) {
      if (!frame.isSpilled(slot) || !isPreciseScalar(frame, spilledAt(slot))) continue;
      wanted.setSlot(no, slot);
      names.push(`fp${-(slot + 1) * 8}`);
    }
    if (names.length > 0 && env.log.verbose) env.write(`frame ${no}: propagating ${names.join(',')}\n`);
  }
  return markChain(env, cur, wanted);
}

function isPreciseScalar(frame: Frame, r: number): boolean {
  return isScalar(frame, r) && frame.i32[2 * r + PRECISE] === 1;
}

/** Walks back from `start` until everything wanted is found, marking it in each checkpoint passed; whether any mark is new. */
function markChain(env: Env, start: State, wanted: Wanted): boolean {
  if (wanted.empty) return false;
  let changed = false;
  let state = start;
  let first = start.firstInsn;
  let last = start === env.state ? env.insn : start.insn;
  let skip = true;
  const step: Step = { at: last, subsequent: -1, entry: undefined, wanted };
  for (;;) {
    if (env.log.verbose) {
      env.write(
        `mark_precise: frame${wanted.frame}: last_idx ${last} first_idx ${first} subseq_idx ${step.subsequent} \n`,
      );
    }
    if (last < 0) {
      markArguments(state, wanted);
      return changed;
    }
    const { history } = state;
    let left = history.length;
    for (let at = last; at >= 0; ) {
      const newest = left > 0 ? history[left - 1] : undefined;
      const entry = newest?.insn === at ? newest : undefined;
      if (skip) skip = false;
      else if (entry !== undefined || env.log.verbose || concerns(env, at, wanted)) {
        step.at = at;
        step.entry = entry;
        if (!backtrack(env, step)) {
          markAllPrecise(env, start);
          return true;
        }
        if (wanted.empty) return changed;
      }
      step.subsequent = at;
      if (at === state.firstInsn && (left === 0 || (left === 1 && entry !== undefined))) break;
      at = entry === undefined ? at - 1 : entry.prev;
      if (entry !== undefined) left--;
    }
    const parent = state.parent;
    if (parent === undefined) break;
    state = parent;
    if (markCheckpoint(env, state, wanted)) changed = true;
    if (wanted.empty) return changed;
    step.subsequent = first;
    last = state.lastInsn;
    first = state.firstInsn;
  }
  if (wanted.empty) return changed;
  markAllPrecise(env, start);
  return true;
}

/** At the entry of a function that is verified by itself, its arguments are what was wanted. */
function markArguments(state: State, wanted: Wanted): void {
  const frame = state.frames[0] as Frame;
  for (let reg = 0; reg < FP; reg++) {
    if (!wanted.hasReg(reg)) continue;
    if (isScalar(frame, regAt(reg))) frame.i32[2 * regAt(reg) + PRECISE] = 1;
  }
}

function markCheckpoint(env: Env, state: State, wanted: Wanted): boolean {
  let changed = false;
  for (let no = wanted.frame; no >= 0; no--) {
    const frame = state.frames[no] as Frame;
    for (let reg = 0; reg < FP; reg++) {
      if (((wanted.regs[no] as number) & (1 << reg)) === 0) continue;
      if (markOne(frame, regAt(reg))) changed = true;
      else wanted.clearReg(reg, no);
    }
    if (wanted.hasSlots(no)) {
      for (let slot = 0; slot < 64; slot++) {
        if (!wanted.hasSlot(no, slot)) continue;
        if (frame.isSpilled(slot) && markOne(frame, spilledAt(slot))) changed = true;
        else wanted.clearSlot(no, slot);
      }
    }
    if (!env.log.verbose) continue;
    env.write(
      `mark_precise: frame${no}: parent state regs=${wanted.regText(no)} stack=${wanted.slotText(no)}: `,
    );
    printState(env, state, { frame: no, all: true });
  }
  return changed;
}

/** False where nothing further is wanted: no scalar, or precise already. */
function markOne(frame: Frame, r: number): boolean {
  if (!isScalar(frame, r) || frame.i32[2 * r + PRECISE] === 1) return false;
  frame.i32[2 * r + PRECISE] = 1;
  return true;
}

/** The fallback: every scalar of every checkpoint on the way (mark_all_scalars_precise). */
export function markAllPrecise(env: Env, start: State): void {
  if (env.log.verbose) {
    env.write(`mark_precise: frame${start.curFrame}: falling back to forcing all scalars precise\n`);
  }
  // Where it has been before, all that came earlier is marked, too: a loop would walk its own past each time.
  for (let state = start.parent; state !== undefined && !state.allPrecise; state = state.parent) {
    state.allPrecise = true;
    for (let no = 0; no <= state.curFrame; no++) {
      const frame = state.frames[no] as Frame;
      for (let reg = 0; reg < FP; reg++) {
        if (markOne(frame, regAt(reg)) && env.log.verbose) {
          env.write(`force_precise: frame${no}: forcing r${reg} to be precise\n`);
        }
      }
      for (let slot = 0; slot < frame.slots; slot++) {
        if (!frame.isSpilled(slot) || !markOne(frame, spilledAt(slot)) || !env.log.verbose) continue;
        env.write(`force_precise: frame${no}: forcing fp${-(slot + 1) * 8} to be precise\n`);
      }
    }
  }
}

/** A new checkpoint starts with nothing precise in the path that goes on from it. */
export function forgetPrecision(state: State): void {
  for (let no = 0; no <= state.curFrame; no++) {
    const frame = state.frames[no] as Frame;
    for (let reg = 0; reg < FP; reg++) frame.i32[2 * regAt(reg) + PRECISE] = 0;
    for (let slot = 0; slot < frame.slots; slot++) frame.i32[2 * spilledAt(slot) + PRECISE] = 0;
  }
}
