/**
 * Open-coded iterators: their state lies in slots of the stack, which only their three functions may touch, and is
 * a reference to give back. A step either finds the end, or goes round once more: then what changed since the last
 * time, and nothing relied upon, becomes unknown, so that the exploration ends (process_iter_arg,
 * process_iter_next_call).
 */
import { pushBranch } from './branches.ts';
import type { Env } from './env.ts';
import type { KfuncCall } from './kfunc-facts.ts';
import type { IteratorKind } from './kfuncs.ts';
import { accessMemory } from './memory.ts';
import { acquireReference, releaseReference } from './references.ts';
import { setKnownImm, setPointer, typeOf } from './regs.ts';
import { fillSlot, forgetSlot, frameAt, slotIs, stackPlace } from './stack-objects.ts';
import { type Frame, regAt, SLOT_BYTES, slotKinds, spilledAt } from './state/frame.ts';
import { AUX0, AUX1, FRAME_NO, iterProgress, OFF, REF_OBJ_ID, TNUM_VALUE, TYPE } from './state/layout.ts';
import { regTypes, typeFlags } from './state/reg-types.ts';
import type { State } from './state/state.ts';
import { inRcu } from './trust.ts';
import { previousEntry, widen } from './widen.ts';

export interface IteratorAt {
  readonly frame: number;
  /** The first slot, which has the facts; the others are below it in number. */
  readonly slot: number;
}

const REG = 1;
const ARG = regAt(REG);

/** The iterator argument of one of the three functions. */
export function processIterator(env: Env, call: KfuncCall): void {
  const kind = call.kfunc.iterator as IteratorKind;
  env.touchReg(REG);
  if (typeOf(env.frame, ARG) !== regTypes.stack) {
    env.reject('EINVAL', 'arg#0 expected pointer to an iterator on stack');
  }
  if (kind.step === 'new') {
    call.iterator = begin(env, call, kind);
    return;
  }
  call.iterator = find(env, call, kind);
  const first = spilledAt(call.iterator.slot);
  call.refObjId = frameAt(env, call.iterator.frame).i32[2 * first + REF_OBJ_ID] as number;
  if (kind.step === 'destroy') end(env, call.iterator, kind.slots);
}

function begin(env: Env, call: KfuncCall, kind: IteratorKind): IteratorAt {
  const { name, slots } = kind;
  const at = stackPlace(env, { reg: REG, name: 'iter', slots });
  let free = at !== undefined;
  for (let i = 0; at !== undefined && i < slots; i++) {
    if (slotIs(frameAt(env, at.frame), at.slot - i, { kind: slotKinds.iter, part: 'any' })) free = false;
  }
  if (at === undefined || !free) {
    return env.reject('EINVAL', `expected uninitialized ${name} as arg #0`);
  }
  for (let i = 0; i < slots; i++) {
    accessMemory(env, { reg: REG, off: i * SLOT_BYTES, size: SLOT_BYTES, write: true, value: -1 });
  }
  const frame = frameAt(env, at.frame);
  const ref = acquireReference(env);
  for (let i = 0; i < slots; i++) {
    const r = spilledAt(at.slot - i);
    setPointer(frame, r, regTypes.stack | rcuFlags(env, call));
    frame.i32[2 * r + REF_OBJ_ID] = i === 0 ? ref : 0;
    frame.i32[2 * r + AUX0] = kind.btfId;
    frame.i32[2 * r + AUX1] = iterProgress.active;
    fillSlot(frame, at.slot - i, slotKinds.iter);
    env.stackLiveness.write(at.frame, at.slot - i);
    env.touchSlot(at.slot - i);
  }
  return at;
}

/** An iterator over what RCU protects ends with the critical section that it began in. */
function rcuFlags(env: Env, call: KfuncCall): number {
  if (call.kfunc.facts?.flags.includes('rcuProtected') !== true) return 0;
  return inRcu(env) ? typeFlags.rcu : typeFlags.untrusted;
}

/** The initialised iterator that r1 points to (is_iter_reg_valid_init). */
function find(env: Env, call: KfuncCall, kind: IteratorKind): IteratorAt {
  const { name, slots } = kind;
  const at = stackPlace(env, { reg: REG, name: 'iter', slots });
  const state =
    at === undefined ? 'none' : stateOf(frameAt(env, at.frame), { slot: at.slot, slots, id: kind.btfId });
  if (at === undefined || state === 'none') {
    return env.reject('EINVAL', `expected an initialized ${name} as arg #0`);
  }
  if (state === 'untrusted') env.reject('EPROTO', `expected an RCU CS when using ${call.kfunc.name}`);
  for (let i = 0; i < slots; i++) {
    env.stackLiveness.read(at.frame, at.slot - i);
    env.touchSlot(at.slot - i);
  }
  return at;
}

function stateOf(
  frame: Frame,
  at: { slot: number; slots: number; id: number },
): 'fine' | 'none' | 'untrusted' {
  for (let i = 0; i < at.slots; i++) {
    const w = 2 * spilledAt(at.slot - i);
    if (at.slot - i >= frame.slots) return 'none';
    if (((frame.i32[w + TYPE] as number) & typeFlags.untrusted) !== 0) return 'untrusted';
    if (!slotIs(frame, at.slot - i, { kind: slotKinds.iter, part: 'all' })) return 'none';
    if (frame.i32[w + AUX0] !== at.id || (frame.i32[w + REF_OBJ_ID] !== 0) !== (i === 0)) return 'none';
  }
  return 'fine';
}

function end(env: Env, at: IteratorAt, slots: number): void {
  const frame = frameAt(env, at.frame);
  releaseReference(env, frame.i32[2 * spilledAt(at.slot) + REF_OBJ_ID] as number);
  for (let i = 0; i < slots; i++) forgetSlot(env, { frame: at.frame, slot: at.slot - i });
}

/** Whether what an iterator yields is protected by RCU alone. */
export function yieldsRcu(env: Env, at: IteratorAt): boolean {
  return ((frameAt(env, at.frame).i32[2 * spilledAt(at.slot) + TYPE] as number) & typeFlags.rcu) !== 0;
}

/** The function that moves on: r0 is NULL on this path, and an item on the other one. */
export function stepIterator(env: Env, at: IteratorAt): void {
  const w = 2 * spilledAt(at.slot) + AUX1;
  const frame = frameAt(env, at.frame);
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
  if (frame === undefined || !slotIs(frame, slot, { kind: slotKinds.iter, part: 'all' })) return false;
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
