/**
 * Objects whose state lies in slots of the stack and that only their functions may touch: dynptrs, iterators,
 * saved interrupt flags. Here: where one is that a register points to (stack_slot_obj_get_spi).
 */
import { isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { setNotInit } from './regs.ts';
import { type Frame, regAt, SLOT_BYTES, type SlotKind, slotKinds, spilledAt } from './state/frame.ts';
import { FRAME_NO, OFF, TNUM_VALUE } from './state/layout.ts';

export interface StackPlace {
  readonly frame: number;
  /** The first slot, which has the facts; the others are below it in number. */
  readonly slot: number;
  /** Not all of it is within the stack so far. */
  readonly beyond: boolean;
}

/** Where a register points on the stack; undefined, and said in the log, where no object can be. */
export function stackPlace(
  env: Env,
  object: { readonly reg: number; readonly name: string; readonly slots: number },
): StackPlace | undefined {
  const file = env.frame;
  const r = regAt(object.reg);
  if (!isConst(file, r)) {
    env.write(`${object.name} has to be at a constant offset\n`);
    return undefined;
  }
  const off = (file.i32[2 * r + OFF] as number) + Number(file.i64[r + TNUM_VALUE]);
  const slot = (-off - 1) >> 3;
  if (off % SLOT_BYTES !== 0 || slot + 1 < object.slots) {
    env.write(`cannot pass in ${object.name} at an offset=${off}\n`);
    return undefined;
  }
  const frame = file.i32[2 * r + FRAME_NO] as number;
  return { frame, slot, beyond: slot >= frameAt(env, frame).slots };
}

export function frameAt(env: Env, frame: number): Frame {
  return env.state.frames[frame] as Frame;
}

/** Whether all bytes, or any, of a slot are of a kind. */
export function slotIs(frame: Frame, slot: number, want: { kind: SlotKind; part: 'all' | 'any' }): boolean {
  if (slot < 0 || slot >= frame.slots) return false;
  const { kind, part } = want;
  for (let i = 0; i < SLOT_BYTES; i++) {
    const same = frame.kinds[slot * SLOT_BYTES + i] === kind;
    if (part === 'any' ? same : !same) return part === 'any';
  }
  return part === 'all';
}

export function fillSlot(frame: Frame, slot: number, kind: SlotKind): void {
  frame.kinds.fill(kind, slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES);
}

/** The slot holds nothing any more. */
export function forgetSlot(env: Env, at: { readonly frame: number; readonly slot: number }): void {
  const frame = frameAt(env, at.frame);
  setNotInit(frame, spilledAt(at.slot));
  fillSlot(frame, at.slot, slotKinds.invalid);
  env.stackLiveness.write(at.frame, at.slot);
  env.touchSlot(at.slot);
}
