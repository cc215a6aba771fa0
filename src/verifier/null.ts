/** Pointers that were compared with NULL: what they are where it was not (mark_ptr_not_null_reg). */
import { mapTypes } from '../uapi/map-types.ts';
import type { Env } from './env.ts';
import { fieldOf, mapFields } from './fields.ts';
import { mayHoldLock } from './objects.ts';
import { dropReference } from './references.ts';
import { forEachReg, word } from './regs.ts';
import { type Frame, regAt } from './state/frame.ts';
import { AUX0, AUX1, ID, REF_OBJ_ID, TYPE } from './state/layout.ts';
import { baseType, mayBeNull, regTypes, typeFlags } from './state/reg-types.ts';
import type { State } from './state/state.ts';

/** What a checked pointer is depends on the map that it came from. */
export function markNotNull(env: Env, frame: Frame, r: number): void {
  const w = 2 * r;
  const type = frame.i32[w + TYPE] as number;
  frame.i32[w + TYPE] = type & ~typeFlags.maybeNull;
  if (baseType(type) !== regTypes.mapValue) return;
  const map = env.map(frame.i32[w + AUX0] as number);
  if (map.innerMap !== undefined) {
    const inner = env.innerMap(map);
    frame.i32[w + TYPE] = regTypes.constMapPtr;
    frame.i32[w + AUX0] = inner;
    const fields = mapFields(env.map(inner));
    // What belongs to one of many inner maps is told apart by the lookup that found it.
    const hasOwner = (['timer', 'wq', 'taskWork'] as const).some(
      (kind) => fieldOf(fields, kind) !== undefined,
    );
    if (hasOwner) frame.i32[w + AUX1] = frame.i32[w + ID] as number;
  } else if (map.type === mapTypes.xskmap.id) frame.i32[w + TYPE] = regTypes.xdpSock;
  else if (map.type === mapTypes.sockmap.id || map.type === mapTypes.sockhash.id) {
    frame.i32[w + TYPE] = regTypes.socket;
  }
}

/** Every copy of the pointer is NULL, or is not (mark_ptr_or_null_regs). */
export function markNull(env: Env, state: State, mark: { reg: number; isNull: boolean }): void {
  const id = word(state.frame, regAt(mark.reg), ID);
  const ref = word(state.frame, regAt(mark.reg), REF_OBJ_ID);
  if (ref !== 0 && ref === id && mark.isNull) dropReference(state, id);
  forEachReg(state, (frame, r) => {
    const w = 2 * r;
    if (!mayBeNull(frame.i32[w + TYPE] as number) || frame.i32[w + ID] !== id) return;
    if (mark.isNull) {
      frame.i32[w + TYPE] = regTypes.scalar;
      frame.i32[w + ID] = 0;
      frame.i32[w + REF_OBJ_ID] = 0;
    } else {
      markNotNull(env, frame, r);
      if (!mayHoldLock(env, frame, r)) frame.i32[w + ID] = 0;
    }
  });
}
