/**
 * What a comparison with the packet's end says of pointers into the packet: how many bytes after them are
 * there (try_match_pkt_pointers, find_good_pkt_pointers).
 */
import type { Insn, JmpCond } from '../isa/index.ts';
import { isConst } from './domain/index.ts';
import { forEachReg, typeOf, word } from './regs.ts';
import { type Frame, regAt } from './state/frame.ts';
import { AUX0, ID, OFF, TNUM_VALUE, TYPE, UMAX } from './state/layout.ts';
import { regTypes } from './state/reg-types.ts';
import type { State } from './state/state.ts';

const MAX_PACKET_OFF = 0xffffn;
const AT_END = -1;
const BEYOND_END = -2;

type Jump = Extract<Insn, { op: 'jmp' }>;

/** A pointer that is exactly the packet's start (reg_is_init_pkt_pointer). */
function isStart(frame: Frame, r: number): boolean {
  return (
    typeOf(frame, r) === regTypes.packet &&
    word(frame, r, ID) === 0 &&
    word(frame, r, OFF) === 0 &&
    isConst(frame, r) &&
    frame.u64[r + TNUM_VALUE] === 0n
  );
}

/** By comparison `pkt ? end`: in which branch the range is known and whether it is one byte more. */
const forward: Readonly<Partial<Record<JmpCond, { goodTaken: boolean; open: boolean }>>> = {
  gt: { goodTaken: false, open: false },
  lt: { goodTaken: true, open: true },
  ge: { goodTaken: false, open: true },
  le: { goodTaken: true, open: false },
};

const flipped: Readonly<Partial<Record<JmpCond, JmpCond>>> = { gt: 'lt', lt: 'gt', ge: 'le', le: 'ge' };

export function matchPackets(insn: Jump, here: State, there: State): boolean {
  if (!('reg' in insn.src) || insn.bits === 32 || forward[insn.cond] === undefined) return false;
  const frame = here.frame;
  const dst = regAt(insn.dst);
  const src = regAt(insn.src.reg);
  const left = typeOf(frame, dst);
  const right = typeOf(frame, src);
  let pointer = -1;
  let cond: JmpCond = insn.cond;
  if (
    (left === regTypes.packet && right === regTypes.packetEnd) ||
    (left === regTypes.packetMeta && isStart(frame, src))
  ) {
    pointer = dst;
  } else if (
    (left === regTypes.packetEnd && right === regTypes.packet) ||
    (isStart(frame, dst) && right === regTypes.packetMeta)
  ) {
    pointer = src;
    cond = flipped[cond] as JmpCond;
  }
  const rule = forward[cond];
  if (pointer < 0 || rule === undefined) return false;
  const good = rule.goodTaken ? there : here;
  const bad = rule.goodTaken ? here : there;
  findGood(good, pointer, rule.open);
  // Where `pkt < end` or `pkt <= end` is false the pointer is at the end, or beyond it.
  markEnd(bad, pointer, !rule.open);
  return true;
}

function findGood(state: State, r: number, open: boolean): void {
  const from = state.frame;
  const off = word(from, r, OFF);
  const type = typeOf(from, r);
  const id = word(from, r, ID);
  const umax = from.u64[r + UMAX] as bigint;
  if (off < 0 || (off === 0 && open)) return;
  if (umax > MAX_PACKET_OFF || umax + BigInt(off) > MAX_PACKET_OFF) return;
  const range = open ? off + 1 : off;
  const visit = (frame: Frame, at: number): void => {
    const w = 2 * at;
    if (frame.i32[w + TYPE] !== type || frame.i32[w + ID] !== id) return;
    frame.i32[w + AUX0] = Math.max(frame.i32[w + AUX0] as number, range);
  };
  forEachReg(state, visit);
}

function markEnd(state: State, r: number, beyond: boolean): void {
  if (typeOf(state.frame, r) !== regTypes.packet) return;
  state.frame.i32[2 * r + AUX0] = beyond ? BEYOND_END : AT_END;
}
