/**
 * Whole registers: what a register becomes when it is set, and the few questions that every part asks of one.
 * A register is a frame (or another register file) and an index (state/layout.ts).
 */
import { isConst, setConst, setImm, setPair, setUnknown } from './domain/index.ts';
import { FP, Frame, regAt, SLOT_BYTES, slotKinds, spilledAt } from './state/frame.ts';
import { FRAME_NO, REG_QWORDS, type RegFile, SPARE, TNUM_VALUE, TYPE, UMAX } from './state/layout.ts';
import { type RegType, regTypes } from './state/reg-types.ts';
import type { State } from './state/state.ts';

export function typeOf(file: RegFile, r: number): RegType {
  return file.i32[2 * r + TYPE] as number;
}

/** Everything but ranges and tnum becomes zero, then the type is set. */
function retype(file: RegFile, r: number, type: RegType): void {
  const { i32 } = file;
  const w = 2 * r;
  i32[w + TYPE] = type;
  for (let at = w + TYPE + 1; at <= w + SPARE; at++) i32[at] = 0;
}

export function setNotInit(file: RegFile, r: number): void {
  setUnknown(file, r);
  retype(file, r, regTypes.notInit);
}

export function setScalar(file: RegFile, r: number): void {
  setUnknown(file, r);
  retype(file, r, regTypes.scalar);
}

export function setKnown(file: RegFile, r: number, value: bigint): void {
  setConst(file, r, value);
  retype(file, r, regTypes.scalar);
}

/** The number `imm`, a signed 32-bit one. */
export function setKnownImm(file: RegFile, r: number, imm: number): void {
  setImm(file, r, imm);
  retype(file, r, regTypes.scalar);
}

/** The number of these two words. */
export function setKnownPair(file: RegFile, r: number, low: number, high: number): void {
  setPair(file, r, low, high);
  retype(file, r, regTypes.scalar);
}

/** A pointer without offset. */
export function setPointer(file: RegFile, r: number, type: RegType): void {
  setImm(file, r, 0);
  retype(file, r, type);
}

/** Word `word` (layout.ts) of a register. */
export function word(file: RegFile, r: number, at: number): number {
  return file.i32[2 * r + at] as number;
}

export function setWord(file: RegFile, r: number, set: { readonly at: number; readonly to: number }): void {
  file.i32[2 * r + set.at] = set.to;
}

export function isScalar(file: RegFile, r: number): boolean {
  return typeOf(file, r) === regTypes.scalar;
}

/** A scalar that is known to be zero (register_is_null). */
export function isNull(file: RegFile, r: number): boolean {
  return isScalar(file, r) && isUnmoved(file, r);
}

export function isPacket(type: RegType): boolean {
  return type === regTypes.packet || type === regTypes.packetMeta;
}

export function isPacketOrEnd(type: RegType): boolean {
  return isPacket(type) || type === regTypes.packetEnd;
}

export function isSock(type: RegType): boolean {
  return (
    type === regTypes.socket ||
    type === regTypes.sockCommon ||
    type === regTypes.tcpSock ||
    type === regTypes.xdpSock
  );
}

/** A pointer without variable offset: its constant one (OFF) is all. */
export function isUnmoved(file: RegFile, r: number): boolean {
  const w = 2 * (r + TNUM_VALUE);
  return isConst(file, r) && ((file.i32[w] as number) | (file.i32[w + 1] as number)) === 0;
}

/** How many low bits of a scalar may be set (get_reg_width). */
export function widthOf(file: RegFile, r: number): number {
  const low = file.i32[2 * (r + UMAX)] as number;
  const high = file.i32[2 * (r + UMAX) + 1] as number;
  return high === 0 ? 32 - Math.clz32(low) : 64 - Math.clz32(high);
}

/** Whether at most the low `bits` bits may be set. */
export function fitsBits(file: RegFile, r: number, bits: number): boolean {
  return bits >= 64 || widthOf(file, r) <= bits;
}

export function copyReg(to: { file: RegFile; r: number }, file: RegFile, r: number): void {
  const src = file.i32;
  const dst = to.file.i32;
  let d = to.r * 2;
  let s = r * 2;
  for (let i = 0; i < REG_QWORDS * 2; i++) dst[d++] = src[s++] as number;
}

/** Whether what a register adds up to is the same constant offset: no variable part. */
export function varOff(file: RegFile, r: number): bigint {
  return file.i64[r + TNUM_VALUE] as bigint;
}

const blank = new Frame(0);
for (let reg = 0; reg < FP; reg++) setNotInit(blank, regAt(reg));
setPointer(blank, regAt(FP), regTypes.stack);

/** A fresh frame: nothing initialised but the frame pointer. */
export function newFrame(frameNo: number, at: { callsite: number; subprog: number }): Frame {
  const frame = blank.clone();
  frame.i32[2 * regAt(FP) + FRAME_NO] = frameNo;
  frame.frameNo = frameNo;
  frame.callsite = at.callsite;
  frame.subprog = at.subprog;
  return frame;
}

/** Every register and spilled register of every frame; the slots of iterators too where that is asked for. */
export function forEachReg(
  state: State,
  visit: (frame: Frame, r: number) => void,
  also: { readonly iterators: boolean } = { iterators: false },
): void {
  for (let no = 0; no <= state.curFrame; no++) {
    const frame = state.frames[no] as Frame;
    for (let reg = 0; reg < 11; reg++) visit(frame, regAt(reg));
    for (let slot = 0; slot < frame.slots; slot++) {
      const kind = frame.kinds[slot * SLOT_BYTES];
      const iter = also.iterators && kind === slotKinds.iter;
      if (frame.isSpilled(slot) || iter) visit(frame, spilledAt(slot));
    }
  }
}
