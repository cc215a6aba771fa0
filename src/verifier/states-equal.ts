/**
 * Is what is known now covered by a state that was already found safe (states_equal)? Compares live registers
 * and the stack; ids only need to be related in the same way, for which pairs of them are remembered.
 */
import { rangeWithin, tnumIn } from './domain/index.ts';
import { FIRST } from './dynptr.ts';
import type { Env } from './env.ts';
import { ID_MOVED } from './log/index.ts';
import { isScalar, setScalar } from './regs.ts';
import { Frame, regAt, SLOT_BYTES, slotKinds, spilledAt } from './state/frame.ts';
import { AUX0, AUX1, FRAME_NO, ID, iterProgress, OFF, PRECISE, REF_OBJ_ID, TYPE } from './state/layout.ts';
import { baseType, regTypes } from './state/reg-types.ts';
import type { Held, State } from './state/state.ts';

/** `exact`: nothing may differ (loop detection). `range`: as if every scalar were precise. */
export type Exactness = 'exact' | 'range' | 'usual';

/** A register that nothing is known of, standing for eight bytes of unknown data. */
const unbound = new Frame(0);
setScalar(unbound, 0);

/** Words of ranges and tnum. */
const RANGE_WORDS = 16;

/** The ids found to be related, of the one comparison that goes on. */
const oldIds: number[] = [];
const curIds: number[] = [];

/** Of two states, or of parts of them: one at a time. */
export class Comparison {
  readonly env: Env;
  readonly exact: Exactness;
  /** Whether a scalar that nothing relied upon equals every other. */
  private readonly lenient: boolean;
  private pairs = 0;
  private tmpId: number;

  constructor(env: Env, exact: Exactness) {
    this.env = env;
    this.exact = exact;
    this.lenient = exact === 'usual' && env.input.capabilities.bpf && !env.exploreAluLimits;
    this.tmpId = env.idGen;
  }

  /** check_ids */
  ids(old: number, cur: number): boolean {
    if ((old === 0) !== (cur === 0)) return false;
    if (old === 0) return true;
    for (let i = 0; i < this.pairs; i++) {
      if (oldIds[i] === old) return curIds[i] === cur;
      if (curIds[i] === cur) return false;
    }
    oldIds[this.pairs] = old;
    curIds[this.pairs++] = cur;
    return true;
  }

  /** check_scalar_ids */
  private scalarIds(old: number, cur: number): boolean {
    return this.ids(old === 0 ? ++this.tmpId : old, cur === 0 ? ++this.tmpId : cur);
  }

  /** regs_exact: type, offsets, ranges and tnum the same, ids related. */
  private same(old: Frame, o: number, cur: Frame, c: number): boolean {
    return this.sameWords(old, o, cur, c) && this.samePointer(old, o, cur, c);
  }

  private sameWords(old: Frame, o: number, cur: Frame, c: number): boolean {
    const a = old.i32;
    const b = cur.i32;
    for (let i = 0; i < RANGE_WORDS; i++) if (a[2 * o + i] !== b[2 * c + i]) return false;
    return true;
  }

  private samePointer(old: Frame, o: number, cur: Frame, c: number): boolean {
    const a = old.i32;
    const b = cur.i32;
    for (const word of [TYPE, OFF, AUX0, AUX1, FRAME_NO])
      if (a[2 * o + word] !== b[2 * c + word]) return false;
    return (
      this.ids(a[2 * o + ID] as number, b[2 * c + ID] as number) &&
      this.ids(a[2 * o + REF_OBJ_ID] as number, b[2 * c + REF_OBJ_ID] as number)
    );
  }

  private within(old: Frame, o: number, cur: Frame, c: number): boolean {
    const outer = { file: old, r: o };
    const inner = { file: cur, r: c };
    return rangeWithin(outer, inner) && tnumIn(outer, inner);
  }

  /** regsafe */
  reg(old: Frame, o: number, cur: Frame, c: number): boolean {
    if (this.exact === 'exact') return this.same(old, o, cur, c);
    const a = old.i32;
    const b = cur.i32;
    const type = a[2 * o + TYPE] as number;
    if (type === regTypes.notInit) return true;
    if (type !== b[2 * c + TYPE]) return false;
    const oldId = a[2 * o + ID] as number;
    const curId = b[2 * c + ID] as number;
    switch (baseType(type)) {
      case regTypes.scalar:
        if (this.env.exploreAluLimits) {
          return (
            this.sameWords(old, o, cur, c) &&
            a[2 * o + OFF] === b[2 * c + OFF] &&
            this.scalarIds(oldId, curId)
          );
        }
        if (this.lenient && a[2 * o + PRECISE] !== 1) return true;
        // What was independent of other registers may be linked to some now.
        if (oldId === 0) return this.within(old, o, cur, c);
        if ((oldId & ID_MOVED) !== (curId & ID_MOVED)) return false;
        if ((oldId & ID_MOVED) !== 0 && a[2 * o + OFF] !== b[2 * c + OFF]) return false;
        return this.within(old, o, cur, c) && this.scalarIds(oldId, curId);
      case regTypes.mapKey:
      case regTypes.mapValue:
      case regTypes.mem:
      case regTypes.buf:
      case regTypes.tpBuffer:
        return this.within(old, o, cur, c) && this.samePointer(old, o, cur, c);
      case regTypes.packet:
      case regTypes.packetMeta:
        if (!rangeCovers(a[2 * o + AUX0] as number, b[2 * c + AUX0] as number)) return false;
        if (a[2 * o + OFF] !== b[2 * c + OFF] || !this.ids(oldId, curId)) return false;
        return this.within(old, o, cur, c);
      case regTypes.arena:
        return true;
      default:
        return this.same(old, o, cur, c);
    }
  }

  /** The registers `live` of a frame; what most of them say at a glance is asked here. */
  regs(old: Frame, cur: Frame, live: number): boolean {
    const a = old.i32;
    const b = cur.i32;
    for (let rest = live; rest !== 0; rest &= rest - 1) {
      const r = regAt(31 - Math.clz32(rest & -rest));
      if (this.exact !== 'exact') {
        const type = a[2 * r + TYPE] as number;
        if (type === regTypes.notInit) continue;
        if (type !== b[2 * r + TYPE]) return false;
        if (this.lenient && type === regTypes.scalar && a[2 * r + PRECISE] !== 1) continue;
      }
      if (!this.reg(old, r, cur, r)) return false;
    }
    return true;
  }

  /** stacksafe */
  stack(old: Frame, cur: Frame): boolean {
    for (let slot = 0; slot < old.slots; slot++) if (!this.slot(old, cur, slot)) return false;
    return true;
  }

  private slot(old: Frame, cur: Frame, slot: number): boolean {
    const base = slot * SLOT_BYTES;
    const lenient = this.env.allowLeaks;
    const missing = slot >= cur.slots;
    for (let i = 0; i < SLOT_BYTES; i++) {
      const kind = old.kinds[base + i] as number;
      const now = missing ? slotKinds.invalid : (cur.kinds[base + i] as number);
      if (this.exact === 'exact' && (missing || kind !== now)) return false;
      if (kind === slotKinds.invalid || (lenient && kind === slotKinds.misc)) continue;
      if (missing) return false;
      const oldReg = this.wholeScalar(old, slot);
      const curReg = this.wholeScalar(cur, slot);
      if (oldReg !== undefined && curReg !== undefined) {
        return this.reg(
          oldReg,
          oldReg === old ? spilledAt(slot) : 0,
          curReg,
          curReg === cur ? spilledAt(slot) : 0,
        );
      }
      if (kind === slotKinds.misc && now === slotKinds.zero) continue;
      if (kind !== now) return false;
    }
    const last = old.kinds[base + SLOT_BYTES - 1];
    if (last === slotKinds.dynptr) return this.dynptr(old, cur, spilledAt(slot));
    if (last === slotKinds.irqFlag) return this.irqFlag(old, cur, spilledAt(slot));
    if (last === slotKinds.iter) return this.iterator(old, cur, spilledAt(slot));
    if (last !== slotKinds.spill) return true;
    return this.reg(old, spilledAt(slot), cur, spilledAt(slot));
  }

  private dynptr(old: Frame, cur: Frame, r: number): boolean {
    const a = old.i32;
    const b = cur.i32;
    if (a[2 * r + AUX0] !== b[2 * r + AUX0] || a[2 * r + FIRST] !== b[2 * r + FIRST]) return false;
    return this.ids(a[2 * r + REF_OBJ_ID] as number, b[2 * r + REF_OBJ_ID] as number);
  }

  private irqFlag(old: Frame, cur: Frame, r: number): boolean {
    if (old.i32[2 * r + AUX0] !== cur.i32[2 * r + AUX0]) return false;
    return this.ids(old.i32[2 * r + REF_OBJ_ID] as number, cur.i32[2 * r + REF_OBJ_ID] as number);
  }

  /** The same kind and progress; how often it went round does not matter. */
  private iterator(old: Frame, cur: Frame, r: number): boolean {
    const a = old.i32;
    const b = cur.i32;
    const progress = (a[2 * r + AUX1] as number) ^ (b[2 * r + AUX1] as number);
    if (a[2 * r + AUX0] !== b[2 * r + AUX0] || (progress & iterProgress.mask) !== 0) return false;
    return this.ids(a[2 * r + REF_OBJ_ID] as number, b[2 * r + REF_OBJ_ID] as number);
  }

  /** The frame whose register stands for the slot: a whole spilled scalar, or eight unknown bytes. */
  private wholeScalar(frame: Frame, slot: number): Frame | undefined {
    const base = slot * SLOT_BYTES;
    if (frame.kinds[base] === slotKinds.spill) return isScalar(frame, spilledAt(slot)) ? frame : undefined;
    for (let i = 0; i < SLOT_BYTES; i++) {
      const kind = frame.kinds[base + i];
      if (kind !== slotKinds.misc && !(kind === slotKinds.invalid && this.env.allowLeaks)) return undefined;
    }
    return unbound;
  }
}

/** Of the bytes known to be there after a pointer into the packet: a pointer at its end, or beyond, is no other. */
function rangeCovers(old: number, cur: number): boolean {
  return old < 0 || cur < 0 ? old === cur : old <= cur;
}

/** What is held, and the critical sections that are open (refsafe). */
function sameHeld(comparison: Comparison, old: State, cur: State): boolean {
  if (old.refs.length !== cur.refs.length || old.locks !== cur.locks) return false;
  if (old.rcuLocks !== cur.rcuLocks || old.preemptLocks !== cur.preemptLocks) return false;
  if (old.sleepable !== cur.sleepable || !comparison.ids(old.irqId, cur.irqId)) return false;
  return old.refs.every((held, i) => {
    const now = cur.refs[i] as Held;
    return held.kind === now.kind && held.owner === now.owner && comparison.ids(held.id, now.id);
  });
}

/** Whether everything that can happen from `cur` was already seen from `old`, both at slot `insn`. */
export function statesEqual(env: Env, old: State, at: { insn: number; exact: Exactness }): boolean {
  const cur = env.state;
  if (old.curFrame !== cur.curFrame || (old.speculative && !cur.speculative)) return false;
  const comparison = new Comparison(env, at.exact);
  if (!sameHeld(comparison, old, cur)) return false;
  for (let no = 0; no <= old.curFrame; no++) {
    const a = old.frames[no] as Frame;
    const b = cur.frames[no] as Frame;
    if (a.callsite !== b.callsite || a.callbackDepth > b.callbackDepth) return false;
    const insn = no === old.curFrame ? at.insn : (old.frames[no + 1] as Frame).callsite;
    const live = (env.liveRegs[insn] as number) | (1 << 10);
    if (!comparison.regs(a, b, live) || !comparison.stack(a, b)) return false;
  }
  return true;
}
