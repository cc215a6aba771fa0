/**
 * Open-coded iterators: their state lives in slots of the stack, which only their three functions may touch,
 * and is a reference to give back. A step either finds the end, or goes round once more: then what changed
 * since the last time, and nothing relied upon, becomes unknown, so that the exploration ends
 * (process_iter_arg, process_iter_next_call).
 */
import { pushBranch } from './branches.ts';
import { isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { iteratorKinds } from './kfuncs.ts';
import { accessMemory } from './memory.ts';
import { acquireReference, releaseReference } from './references.ts';
import { setKnownImm, setNotInit, setPointer, typeOf } from './regs.ts';
import { type Frame, regAt, SLOT_BYTES, slotKinds, spilledAt } from './state/frame.ts';
import { AUX0, AUX1, FRAME_NO, iterProgress, OFF, REF_OBJ_ID, TNUM_VALUE, TYPE } from './state/layout.ts';
import { regTypes, typeFlags } from './state/reg-types.ts';
import type { State } from './state/state.ts';
import { previousEntry, widen } from './widen.ts';

export interface IteratorAt {
  readonly frame: number;
  /** The first slot, which has the facts; the others are below it in number. */
  readonly slot: number;
}

const ARG = regAt(1);

/** Where the argument points; undefined beyond the stack so far (iter_get_spi). */
function place(env: Env, slots: number): IteratorAt | undefined {
  const file = env.frame;
  env.touchReg(1);
  if (typeOf(file, ARG) !== regTypes.stack) {
    env.reject('EINVAL', 'arg#0 expected pointer to an iterator on stack');
  }
  if (!isConst(file, ARG)) {
    env.write('iter has to be at a constant offset\n');
    return undefined;
  }
  const off = (file.i32[2 * ARG + OFF] as number) + Number(file.i64[ARG + TNUM_VALUE]);
  const slot = (-off - 1) >> 3;
  if (off % SLOT_BYTES !== 0 || slot + 1 < slots) {
    env.write(`cannot pass in iter at an offset=${off}\n`);
    return undefined;
  }
  return { frame: file.i32[2 * ARG + FRAME_NO] as number, slot };
}

function frameOf(env: Env, at: IteratorAt): Frame {
  return env.state.frames[at.frame] as Frame;
}

function isIteratorSlot(frame: Frame, slot: number, part: 'all' | 'any'): boolean {
  const kinds = frame.kinds.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES);
  const isIter = (kind: number): boolean => kind === slotKinds.iter;
  return slot < frame.slots && (part === 'all' ? kinds.every(isIter) : kinds.some(isIter));
}

/** bpf_iter_NAME_new */
export function newIterator(env: Env, index: number): void {
  const { name, slots } = iteratorKinds[index] as (typeof iteratorKinds)[number];
  const at = place(env, slots);
  let free = at !== undefined;
  for (let i = 0; at !== undefined && i < slots; i++) {
    if (isIteratorSlot(frameOf(env, at), at.slot - i, 'any')) free = false;
  }
  if (at === undefined || !free) {
    env.reject('EINVAL', `expected uninitialized iter_${name} as arg #0`);
    return;
  }
  for (let i = 0; i < slots; i++) {
    accessMemory(env, { reg: 1, off: i * SLOT_BYTES, size: SLOT_BYTES, write: true, value: -1 });
  }
  const frame = frameOf(env, at);
  const ref = acquireReference(env);
  for (let i = 0; i < slots; i++) {
    const r = spilledAt(at.slot - i);
    setPointer(frame, r, regTypes.stack);
    frame.i32[2 * r + REF_OBJ_ID] = i === 0 ? ref : 0;
    frame.i32[2 * r + AUX0] = index;
    frame.i32[2 * r + AUX1] = iterProgress.active;
    fill(frame, at.slot - i, slotKinds.iter);
    env.touchSlot(at.slot - i);
  }
}

function fill(frame: Frame, slot: number, kind: number): void {
  frame.kinds.fill(kind, slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES);
}

/** The initialised iterator that r1 points to (is_iter_reg_valid_init). */
export function findIterator(env: Env, index: number): IteratorAt {
  const { name, slots } = iteratorKinds[index] as (typeof iteratorKinds)[number];
  const at = place(env, slots);
  if (at === undefined || !isInitialised(frameOf(env, at), { slot: at.slot, slots, index })) {
    return env.reject('EINVAL', `expected an initialized iter_${name} as arg #0`);
  }
  for (let i = 0; i < slots; i++) {
    env.stackLiveness.read(at.frame, at.slot - i);
    env.touchSlot(at.slot - i);
  }
  return at;
}

function isInitialised(frame: Frame, at: { slot: number; slots: number; index: number }): boolean {
  for (let i = 0; i < at.slots; i++) {
    const w = 2 * spilledAt(at.slot - i);
    if (!isIteratorSlot(frame, at.slot - i, 'all') || frame.i32[w + AUX0] !== at.index) return false;
    if ((frame.i32[w + REF_OBJ_ID] !== 0) !== (i === 0)) return false;
  }
  return true;
}

/** bpf_iter_NAME_destroy */
export function destroyIterator(env: Env, at: IteratorAt, slots: number): void {
  const frame = frameOf(env, at);
  releaseReference(env, frame.i32[2 * spilledAt(at.slot) + REF_OBJ_ID] as number);
  for (let i = 0; i < slots; i++) {
    setNotInit(frame, spilledAt(at.slot - i));
    fill(frame, at.slot - i, slotKinds.invalid);
    env.stackLiveness.write(at.frame, at.slot - i);
    env.touchSlot(at.slot - i);
  }
}

/** bpf_iter_NAME_next: r0 is NULL on this path, and an item on the other one. */
export function stepIterator(env: Env, at: IteratorAt): void {
  const w = 2 * spilledAt(at.slot) + AUX1;
  const frame = frameOf(env, at);
  const progress = frame.i32[w] as number;
  if ((progress & iterProgress.mask) === iterProgress.active) {
    const { parent } = env.state;
    const previous = parent === undefined ? undefined : previousEntry(env, parent);
    const again = pushBranch(env, { insn: env.insn + 1, prev: env.insn });
    (again.frames[at.frame] as Frame).i32[w] = progress + iterProgress.depth;
    if (previous !== undefined) widen(env, previous, again);
    const r0 = 2 * regAt(0) + TYPE;
    again.frame.i32[r0] = (again.frame.i32[r0] as number) & ~typeFlags.maybeNull;
  }
  frame.i32[w] = (progress & ~iterProgress.mask) | iterProgress.drained;
  setKnownImm(env.frame, regAt(0), 0);
}

/** Whether the iterator that r1 points to may have more. */
export function iteratorIsActive(env: Env): boolean {
  const file = env.frame;
  const slot = (-((file.i32[2 * ARG + OFF] as number) + Number(file.i64[ARG + TNUM_VALUE])) - 1) >> 3;
  const frame = env.state.frames[file.i32[2 * ARG + FRAME_NO] as number];
  if (frame === undefined || !isIteratorSlot(frame, slot, 'all')) return false;
  return ((frame.i32[2 * spilledAt(slot) + AUX1] as number) & iterProgress.mask) === iterProgress.active;
}

/** Whether an active iterator went round more often since (iter_active_depths_differ). */
export function iteratorsMoved(old: State, cur: State): boolean {
  for (let no = 0; no <= old.curFrame; no++) {
    const before = old.frames[no] as Frame;
    for (let slot = 0; slot < before.slots; slot++) {
      if (before.kinds[slot * SLOT_BYTES] !== slotKinds.iter) continue;
      const w = 2 * spilledAt(slot) + AUX1;
      const progress = before.i32[w] as number;
      if ((progress & iterProgress.mask) === iterProgress.active && cur.frames[no]?.i32[w] !== progress)
        return true;
    }
  }
  return false;
}
