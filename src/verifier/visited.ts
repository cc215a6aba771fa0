/**
 * Prune points: is the current state covered by one remembered here (then this path is done), is it a loop
 * without progress (then the program is refused), or should it be remembered too (is_state_visited).
 */
import type { Checkpoint, Env } from './env.ts';
import { pushHistory } from './history.ts';
import { iteratorIsActive, iteratorsMoved } from './iterators.ts';
import { forgetPrecision, propagatePrecision } from './precision.ts';
import { printLine, printState } from './print.ts';
import { setNotInit } from './regs.ts';
import { type Frame, REGS, regAt, SLOT_BYTES, slotKinds, spilledAt } from './state/frame.ts';
import { ID } from './state/layout.ts';
import type { State } from './state/state.ts';
import { statesEqual } from './states-equal.ts';
import { bucketOf } from './widen.ts';

const MAX_HISTORY = 40;
const UNPRIVILEGED_STATES = 64;

/** Whether the path may stop here. */
export function isVisited(env: Env): boolean {
  const at = env.insn;
  const force = env.testStateFreq || env.forceCheckpoint[at] === 1 || env.state.history.length > MAX_HISTORY;
  let add = force;
  const jumps = env.jumpsProcessed - env.prevJumpsProcessed;
  const insns = env.processed - env.prevProcessed;
  if (jumps >= 2 && insns >= 8) add = true;
  const bucket = bucketOf(env);
  let list = env.checkpoints[bucket];
  if (list === undefined) list = env.checkpoints[bucket] = [];
  let count = 0;
  let dropped = false;
  // The newest is first.
  for (let i = list.length - 1; i >= 0; i--) {
    const checkpoint = list[i] as Checkpoint;
    count++;
    if (checkpoint.state.insn !== at) continue;
    const open = checkpoint.state.branches > 0;
    const incomplete = open || env.loops.isIncomplete(checkpoint.state);
    if (open ? convergesTo(env, checkpoint.state) : isCovered(env, checkpoint, incomplete)) {
      checkpoint.hits++;
      if (env.jumpPoint[at] === 1) pushHistory(env, 0, undefined);
      propagatePrecision(env, checkpoint.state);
      if (incomplete) env.loops.addBackedge(checkpoint.state);
      if (dropped) prune(env, bucket);
      return true;
    }
    if (open && !force && jumps < 20 && insns < 100) add = false;
    if (add) checkpoint.misses++;
    const patience = env.forceCheckpoint[at] === 1 && checkpoint.state.branches > 0 ? 64 : 3;
    if (checkpoint.misses > checkpoint.hits * patience + patience) {
      checkpoint.dropped = true;
      dropped = true;
      env.exploredStates--;
      if (checkpoint.state.branches > 0) {
        env.freeStates++;
        env.droppedStates.add(checkpoint.state);
      }
    }
  }
  if (dropped) prune(env, bucket);
  env.maxStatesPerInsn = Math.max(env.maxStatesPerInsn, count);
  if (!env.input.capabilities.bpf && count > UNPRIVILEGED_STATES) return false;
  if (add) remember(env, bucket);
  return false;
}

/** A finished state forgets what nothing reads any more before it is compared (clean_verifier_state). */
function isCovered(env: Env, checkpoint: Checkpoint, incomplete: boolean): boolean {
  if (!checkpoint.cleaned && !incomplete) {
    checkpoint.cleaned = true;
    env.stackLiveness.clean(checkpoint.state, forgetSlot);
  }
  return statesEqual(env, checkpoint.state, { insn: env.insn, exact: incomplete ? 'range' : 'usual' });
}

/**
 * On the way from a state, the same place again: where something bounds the loop at run time, is the state
 * covered by the earlier one? Otherwise the same state again would go on for ever.
 */
function convergesTo(env: Env, old: State): boolean {
  if (env.iteratorSteps[env.insn] === 1) {
    return statesEqual(env, old, { insn: env.insn, exact: 'range' }) && iteratorIsActive(env);
  }
  const isMayGoto = env.insns[env.insn]?.op === 'mayGoto';
  if (isMayGoto && old.mayGotoDepth !== env.state.mayGotoDepth) {
    if (statesEqual(env, old, { insn: env.insn, exact: 'range' })) return true;
  }
  if (env.callsBack[env.insn] === 1) return statesEqual(env, old, { insn: env.insn, exact: 'range' });
  if (isLoop(env, old)) rejectLoop(env, old);
  return false;
}

function forgetSlot(frame: Frame, slot: number): void {
  for (let i = 0; i < SLOT_BYTES; i++) frame.kinds[slot * SLOT_BYTES + i] = slotKinds.invalid;
  setNotInit(frame, spilledAt(slot));
}

function prune(env: Env, bucket: number): void {
  env.checkpoints[bucket] = (env.checkpoints[bucket] ?? []).filter((one) => !one.dropped);
}

/** The same state again on the way from itself. */
function isLoop(env: Env, old: State): boolean {
  if (!maybeLooping(env, old)) return false;
  return (
    statesEqual(env, old, { insn: env.insn, exact: 'exact' }) &&
    !iteratorsMoved(old, env.state) &&
    old.mayGotoDepth === env.state.mayGotoDepth &&
    old.callbackDepth === env.state.callbackDepth
  );
}

/** states_maybe_looping: registers are bit for bit the same. */
function maybeLooping(env: Env, old: State): boolean {
  const cur = env.state;
  if (old.curFrame !== cur.curFrame) return false;
  const a = old.frame.i32;
  const b = cur.frame.i32;
  // What counts the rounds differs each time, and is mostly the same.
  if (a[lastDifference] !== b[lastDifference]) return false;
  // Everything but precision and the like, which comes last.
  for (let reg = 0; reg < REGS; reg++) {
    const w = 2 * regAt(reg);
    for (let i = w; i < w + COMPARED_WORDS; i++) {
      if (a[i] === b[i]) continue;
      lastDifference = i;
      return false;
    }
  }
  return true;
}

/** The words of a register up to its id. */
const COMPARED_WORDS = ID + 1;
/** Of two registers files: where they differed last. */
let lastDifference = 0;

function rejectLoop(env: Env, old: State): never {
  printLine(env, env.insn);
  env.write(`infinite loop detected at insn ${env.insn}\n`);
  env.write('cur state:');
  printState(env, env.state, { frame: env.state.curFrame, all: true });
  env.write('old state:');
  printState(env, old, { frame: env.state.curFrame, all: true });
  env.message = `infinite loop detected at insn ${env.insn}`;
  return env.fail('EINVAL');
}

function remember(env: Env, bucket: number): void {
  env.totalStates++;
  env.exploredStates++;
  env.notePeak();
  env.prevJumpsProcessed = env.jumpsProcessed;
  env.prevProcessed = env.processed;
  const cur = env.state;
  if (env.input.capabilities.bpf) forgetPrecision(cur);
  const history = cur.history;
  cur.history = [];
  const saved = cur.clone();
  saved.history = history;
  saved.insn = env.insn;
  env.loops.enter(saved);
  cur.parent = saved;
  cur.firstInsn = env.insn;
  cur.dfsDepth = saved.dfsDepth + 1;
  (env.checkpoints[bucket] ??= []).push({ state: saved, hits: 0, misses: 0, dropped: false, cleaned: false });
}
