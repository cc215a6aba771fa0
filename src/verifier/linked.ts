/**
 * Scalars that share an id hold the same value, or one that differs by a constant: what a branch teaches of
 * one of them holds for the others (collect_linked_regs, sync_linked_regs).
 */
import { isConst, scalarAluImm } from './domain/index.ts';
import type { Env } from './env.ts';
import { ID_ADD_CONST32, ID_MOVED } from './log/index.ts';
import { copyReg, fitsBits, isScalar } from './regs.ts';
import { type Frame, regAt, spilledAt } from './state/frame.ts';
import { ID, OFF, type RegFile, SUBREG_DEF, TYPE } from './state/layout.ts';
import { regTypes } from './state/reg-types.ts';
import type { LinkedReg, State } from './state/state.ts';

const MAX_LINKED = 6;

/** A scalar is linked to no other any more (clear_scalar_id). */
export function unlink(file: RegFile, r: number): void {
  file.i32[2 * r + ID] = 0;
  file.i32[2 * r + OFF] = 0;
}

/** Give a scalar that is about to be copied an id, so that the copies stay linked (assign_scalar_id_before_mov). */
export function assignId(env: Env, file: RegFile, r: number): void {
  const w = 2 * r;
  if (file.i32[w + TYPE] !== regTypes.scalar) return;
  if ((file.i32[w + ID] as number) & ID_MOVED) unlink(file, r);
  if (file.i32[w + ID] !== 0 || isConst(file, r)) return;
  file.i32[w + ID] = env.newId();
  file.i32[w + OFF] = 0;
}

export function linkedIndex(linked: LinkedReg): number {
  return linked.isReg ? regAt(linked.index) : spilledAt(linked.index);
}

/** Every live register and every slot of scalar id `id`; those beyond the sixth lose it. */
export function collectLinked(env: Env, id: number, into: LinkedReg[]): void {
  const { state } = env;
  const base = id & ~ID_MOVED;
  const visit = (frame: Frame, r: number, linked: LinkedReg): void => {
    const w = 2 * r;
    if (frame.i32[w + TYPE] !== regTypes.scalar) return;
    if (((frame.i32[w + ID] as number) & ~ID_MOVED) !== base) return;
    if (into.length < MAX_LINKED) into.push(linked);
    else unlink(frame, r);
  };
  for (let no = state.curFrame; no >= 0; no--) {
    const frame = state.frames[no] as Frame;
    const insn = no === state.curFrame ? env.insn : (state.frames[no + 1] as Frame).callsite;
    const live = env.liveRegs[insn] as number;
    for (let reg = 0; reg < 10; reg++) {
      if (live & (1 << reg)) visit(frame, regAt(reg), { frame: no, isReg: true, index: reg });
    }
    for (let slot = 0; slot < frame.slots; slot++) {
      if (frame.isSpilled(slot)) visit(frame, spilledAt(slot), { frame: no, isReg: false, index: slot });
    }
  }
}

/** The other linked registers of `state` learn what is now known of register `r` of its current frame. */
export function syncLinked(state: State, known: { r: number; linked: readonly LinkedReg[] }): void {
  const { r, linked } = known;
  const from = state.frame;
  const w = 2 * r;
  const id = from.i32[w + ID] as number;
  // An offset counts only where the id says so.
  const off = id & ID_MOVED ? (from.i32[w + OFF] as number) : 0;
  for (const entry of linked) {
    const frame = state.frames[entry.frame] as Frame;
    const to = linkedIndex(entry);
    const v = 2 * to;
    if (!isScalar(frame, to) || (frame === from && to === r)) continue;
    const otherId = frame.i32[v + ID] as number;
    if ((otherId & ~ID_MOVED) !== (id & ~ID_MOVED) || !follows(frame, to, id)) continue;
    const otherOff = otherId & ID_MOVED ? (frame.i32[v + OFF] as number) : 0;
    const subreg = frame.i32[v + SUBREG_DEF] as number;
    const bits = ((otherId | id) & ID_ADD_CONST32) !== 0 ? 32 : 64;
    const plain = ((otherId | id) & ID_MOVED) === 0 || (otherOff === off && (bits === 64 || otherId === id));
    const delta = otherOff - off;
    // What does not fit an immediate is not followed.
    if (!plain && bits === 64 && delta !== (delta | 0)) continue;
    copyReg({ file: frame, r: to }, from, r);
    frame.i32[v + SUBREG_DEF] = subreg;
    if (plain) continue;
    frame.i32[v + OFF] = otherOff;
    frame.i32[v + ID] = otherId;
    scalarAluImm(frame, to, delta | 0, { alu: 'add', bits });
  }
}

/**
 * Whether a register is the known one, of scalar id `id`, plus a constant. Sums of 32 bits lost their upper
 * half: they do not tell of sums of 64 bits, nor of a value that may have an upper half.
 */
function follows(frame: Frame, r: number, id: number): boolean {
  const other = (frame.i32[2 * r + ID] as number) & ID_MOVED;
  const known = id & ID_MOVED;
  if (known !== 0 && other !== 0) return known === other;
  return known !== ID_ADD_CONST32 || fitsBits(frame, r, 32);
}
