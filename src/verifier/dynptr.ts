/**
 * Dynptrs: memory whose size and kind are known at run time alone. One takes two slots of the stack, where only
 * helpers may touch it; slices of it are memory that ends with it (mark_stack_slots_dynptr and what undoes it).
 */
import type { Env } from './env.ts';
import { acquireReference, invalidate, releaseReference } from './references.ts';
import { forEachReg, setPointer, typeOf, word } from './regs.ts';
import { fillSlot, forgetSlot, frameAt, type StackPlace, slotIs, stackPlace } from './stack-objects.ts';
import { type Frame, regAt, SLOT_BYTES, slotKinds, spilledAt } from './state/frame.ts';
import { AUX0, AUX1, ID, REF_OBJ_ID } from './state/layout.ts';
import { baseType, type RegType, regTypes, typeFlags } from './state/reg-types.ts';

/** In AUX0 of a dynptr's slots, and of a const dynptr's register; enum bpf_dynptr_type. */
export const dynptrKinds = { local: 1, ringbuf: 2, skb: 3, xdp: 4, skbMeta: 5 } as const;
export type DynptrKind = (typeof dynptrKinds)[keyof typeof dynptrKinds];

/** In a dynptr's slots: which of the two is the first. The log takes it for an id of the dynptr's. */
export const FIRST = AUX1;
const SLOTS = 2;
export const DYNPTR_BYTES = SLOTS * SLOT_BYTES;

export const dynptrNames: Readonly<Record<DynptrKind, string>> = {
  [dynptrKinds.local]: 'local',
  [dynptrKinds.ringbuf]: 'ringbuf',
  [dynptrKinds.skb]: 'skb',
  [dynptrKinds.xdp]: 'xdp',
  [dynptrKinds.skbMeta]: 'skb_meta',
};

/** get_dynptr_type_flag */
export const dynptrFlags: Readonly<Record<DynptrKind, RegType>> = {
  [dynptrKinds.local]: typeFlags.dynptrLocal,
  [dynptrKinds.ringbuf]: typeFlags.dynptrRingbuf,
  [dynptrKinds.skb]: typeFlags.dynptrSkb,
  [dynptrKinds.xdp]: typeFlags.dynptrXdp,
  [dynptrKinds.skbMeta]: typeFlags.dynptrSkbMeta,
};

/** Only ring buffer records have to be given back. */
export const isRefcounted = (kind: number): boolean => kind === dynptrKinds.ringbuf;

/** Where the dynptr is that a register points to. */
export function dynptrPlace(env: Env, reg: number): StackPlace | undefined {
  return stackPlace(env, { reg, name: 'dynptr', slots: SLOTS });
}

/** What a dynptr's register or slot says. */
export interface DynptrFacts {
  readonly id: number;
  readonly kind: DynptrKind;
  readonly refObjId: number;
}

/** Of an initialised dynptr that a register points to, or is (dynptr_id, dynptr_get_type). */
export function dynptrFacts(env: Env, reg: number): DynptrFacts {
  const r = regAt(reg);
  if (typeOf(env.frame, r) === regTypes.constDynptr) return factsOf(env.frame, r);
  const place = dynptrPlace(env, reg);
  return place === undefined
    ? { id: 0, kind: dynptrKinds.local, refObjId: 0 }
    : factsOf(frameAt(env, place.frame), spilledAt(place.slot));
}

function factsOf(frame: Frame, r: number): DynptrFacts {
  return {
    id: word(frame, r, ID),
    kind: word(frame, r, AUX0) as DynptrKind,
    refObjId: word(frame, r, REF_OBJ_ID),
  };
}

/** is_dynptr_reg_valid_init */
export function isInitialised(env: Env, reg: number): boolean {
  if (typeOf(env.frame, regAt(reg)) === regTypes.constDynptr) return true;
  const place = dynptrPlace(env, reg);
  if (place === undefined || place.beyond) return false;
  const frame = frameAt(env, place.frame);
  if (word(frame, spilledAt(place.slot), FIRST) !== 1) return false;
  return [0, 1].every((i) => slotIs(frame, place.slot - i, { kind: slotKinds.dynptr, part: 'all' }));
}

/** A dynptr begins in two slots; a clone shares the reference of what it is a clone of. */
export function beginDynptr(
  env: Env,
  place: StackPlace,
  made: { readonly kind: DynptrKind; readonly cloneOf: number },
): void {
  destroyDynptrAt(env, place.frame, place.slot);
  destroyDynptrAt(env, place.frame, place.slot - 1);
  const frame = frameAt(env, place.frame);
  const id = env.newId();
  for (let i = 0; i < SLOTS; i++) {
    const slot = place.slot - i;
    fillSlot(frame, slot, slotKinds.dynptr);
    const r = spilledAt(slot);
    setPointer(frame, r, regTypes.constDynptr);
    frame.i32[2 * r + ID] = id;
    frame.i32[2 * r + AUX0] = made.kind;
    frame.i32[2 * r + FIRST] = i === 0 ? 1 : 0;
    env.stackLiveness.write(place.frame, slot);
    env.touchSlot(slot);
  }
  if (!isRefcounted(made.kind)) return;
  const ref = made.cloneOf !== 0 ? made.cloneOf : acquireReference(env);
  for (let i = 0; i < SLOTS; i++) frame.i32[2 * spilledAt(place.slot - i) + REF_OBJ_ID] = ref;
}

/** A write to part of a dynptr ends it, unless it has to be given back (destroy_if_dynptr_stack_slot). */
export function destroyDynptrAt(env: Env, frameNo: number, at: number): void {
  const frame = frameAt(env, frameNo);
  if (at >= frame.slots || frame.kinds[at * SLOT_BYTES] !== slotKinds.dynptr) return;
  const slot = word(frame, spilledAt(at), FIRST) === 1 ? at : at + 1;
  const { id, kind } = factsOf(frame, spilledAt(slot));
  if (isRefcounted(kind)) env.reject('EINVAL', 'cannot overwrite referenced dynptr');
  forget(env, { frame: frameNo, slot });
  endSlices(env, id);
}

function forget(env: Env, at: { frame: number; slot: number }): void {
  for (let i = 0; i < SLOTS; i++) forgetSlot(env, { frame: at.frame, slot: at.slot - i });
}

function endSlices(env: Env, id: number): void {
  forEachReg(env.state, (frame, r) => {
    if (baseType(typeOf(frame, r)) === regTypes.mem && word(frame, r, AUX1) === id && id !== 0) {
      invalidate(env, frame, r);
    }
  });
}

/** A dynptr is given back; its clones and slices end with it (unmark_stack_slots_dynptr). */
export function releaseDynptr(env: Env, reg: number): boolean {
  const place = dynptrPlace(env, reg);
  if (place === undefined || place.beyond) return false;
  const frame = frameAt(env, place.frame);
  const { kind, refObjId } = factsOf(frame, spilledAt(place.slot));
  if (!isRefcounted(kind)) {
    forget(env, place);
    return true;
  }
  releaseReference(env, refObjId);
  for (let slot = 1; slot < frame.slots; slot++) {
    const r = spilledAt(slot);
    const isClone = slotIs(frame, slot, { kind: slotKinds.dynptr, part: 'all' });
    if (isClone && word(frame, r, REF_OBJ_ID) === refObjId && word(frame, r, FIRST) === 1) {
      forget(env, { frame: place.frame, slot });
    }
  }
  return true;
}

/** A helper reads a dynptr (mark_dynptr_read). */
export function noteDynptrRead(env: Env, reg: number): void {
  if (typeOf(env.frame, regAt(reg)) === regTypes.constDynptr) return;
  const place = dynptrPlace(env, reg);
  if (place === undefined) return;
  for (let i = 0; i < SLOTS; i++) {
    env.stackLiveness.read(place.frame, place.slot - i);
    env.touchSlot(place.slot - i);
  }
}
