/**
 * Accesses to the stack through pointers to it: reads that may restore a spilled register, writes that may
 * spill one, at known and at variable offsets, and what helpers do to it (check_stack_read, check_stack_write,
 * check_stack_range_initialized).
 */
import { constNumber, isConst } from './domain/index.ts';
import { destroyDynptrAt } from './dynptr.ts';
import type { Env } from './env.ts';
import { pushHistory } from './history.ts';
import { assignId, unlink } from './linked.ts';
import { tnumText } from './log/index.ts';
import { markPrecise } from './precision.ts';
import { copyReg, fitsBits, isNull, isScalar, setKnownImm, setNotInit, setScalar, typeOf } from './regs.ts';
import { type Frame, MAX_STACK, regAt, SLOT_BYTES, slotKinds, spilledAt } from './state/frame.ts';
import { FRAME_NO, SMAX, SMIN, SUBREG_DEF, TNUM_VALUE } from './state/layout.ts';
import { baseType, regTypes } from './state/reg-types.ts';
import { historyFlags } from './state/state.ts';

const MAX_OFFSET = 1n << 29n;

export interface StackAccess {
  readonly reg: number;
  /** The instruction's offset plus the pointer's. */
  readonly off: number;
  readonly size: number;
  /** The register read into or written; -1 is none, -2 an immediate (`imm`). */
  readonly value: number;
  readonly imm: number;
}

export const slotOf = (off: number): number => (-off - 1) >> 3;
export const kindAt = (off: number): number => -off - 1;

/** The frame that a stack pointer points into. */
export function pointee(env: Env, reg: number): Frame {
  const file = env.frame;
  return env.state.frames[file.i32[2 * regAt(reg) + FRAME_NO] as number] as Frame;
}

const accessFlags = (frame: Frame, slot: number): number =>
  historyFlags.stackAccess | (slot << historyFlags.slotShift) | frame.frameNo;

/** check_stack_access_within_bounds */
export function checkStackBounds(
  env: Env,
  access: Pick<StackAccess, 'reg' | 'off' | 'size'>,
  write: boolean,
): void {
  const file = env.frame;
  const { reg, off, size } = access;
  const r = regAt(reg);
  const frame = pointee(env, reg);
  const lowest = write || env.allowLeaks ? MAX_STACK : frame.slots * SLOT_BYTES;
  if (isConst(file, r)) {
    const min = constNumber(file, r) + off;
    // What is beyond the stack may be beyond exact numbers too.
    if (min < -lowest || min > -1 || min + size > 0) {
      const exact = (file.i64[r + TNUM_VALUE] as bigint) + BigInt(off);
      const errno = min < -lowest || min > -1 ? 'EACCES' : 'EINVAL';
      env.reject(errno, `invalid${direction(write)} stack R${reg} off=${exact} size=${size}`);
    }
    env.growStack(frame, -min);
    return;
  }
  const smin = file.i64[r + SMIN] as bigint;
  const smax = file.i64[r + SMAX] as bigint;
  if (smax >= MAX_OFFSET || smin <= -MAX_OFFSET) {
    env.reject('EACCES', `invalid unbounded variable-offset${direction(write)} stack R${reg}`);
  }
  const min = Number(smin) + off;
  const outside = min < -lowest || min > -1;
  if (outside || Number(smax) + off + size > 0) {
    env.reject(
      outside ? 'EACCES' : 'EINVAL',
      `invalid variable-offset${direction(write)} stack R${reg} var_off=${tnumText(file, r)} off=${off} size=${size}`,
    );
  }
  env.growStack(frame, -min);
}

const direction = (write: boolean): string => (write ? ' write to' : ' read from');

/** An access through a pointer that was moved by a constant. */
function moved({ reg, off, size, value, imm }: StackAccess, by: number): StackAccess {
  return { reg, off: off + by, size, value, imm };
}

export function readStack(env: Env, access: StackAccess): void {
  const file = env.frame;
  const r = regAt(access.reg);
  if (isConst(file, r)) {
    readFixed(env, moved(access, constNumber(file, r)));
    return;
  }
  const shown = tnumText(file, r);
  if (access.value < 0) {
    env.reject(
      'EACCES',
      `variable offset stack pointer cannot be passed into helper function; var_off=${shown} off=${access.off} size=${access.size}`,
    );
  }
  const min = Number(file.i64[r + SMIN]) + access.off;
  const max = Number(file.i64[r + SMAX]) + access.off;
  const frame = pointee(env, access.reg);
  checkStackRange(env, { reg: access.reg, off: access.off, size: access.size, write: false, raw: false });
  readBytes(env, frame, { min, max: max + access.size, value: access.value });
}

/** The register becomes zero if every byte in [min, max) is, else unknown (mark_reg_stack_read). */
function readBytes(env: Env, frame: Frame, range: { min: number; max: number; value: number }): void {
  let zero = true;
  for (let off = range.min; off < range.max; off++) {
    if (frame.kinds[kindAt(off)] !== slotKinds.zero) zero = false;
  }
  const r = regAt(range.value);
  if (zero) setKnownImm(env.frame, r, 0);
  else setScalar(env.frame, r);
}

/** Bytes of a spilled register that a slot holds. */
function spillSize(frame: Frame, slot: number): number {
  let size = 0;
  for (let i = SLOT_BYTES - 1; i >= 0 && frame.kinds[slot * SLOT_BYTES + i] === slotKinds.spill; i--) size++;
  return size;
}

function readableByte(env: Env, kind: number): boolean {
  return kind === slotKinds.misc || kind === slotKinds.zero || (kind === slotKinds.invalid && env.allowLeaks);
}

function readFixed(env: Env, access: StackAccess): void {
  const { off, size, value } = access;
  const frame = pointee(env, access.reg);
  const slot = slotOf(off);
  const spilled = spilledAt(slot);
  env.touchSlot(slot);
  env.stackLiveness.read(frame.frameNo, slot);
  let isFill = true;
  if (frame.isSpilled(slot)) {
    if (size !== SLOT_BYTES || spillSize(frame, slot) !== SLOT_BYTES) {
      if (!isScalar(frame, spilled)) env.reject('EACCES', 'invalid size of register fill');
      if (value < 0) return;
      isFill = readPartialSpill(env, frame, access);
    } else if (value >= 0) {
      if (env.input.capabilities.bpf) assignId(env, frame, spilled);
      copyReg({ file: env.frame, r: regAt(value) }, frame, spilled);
    } else if (!env.allowLeaks && typeOf(frame, spilled) !== regTypes.scalar) {
      env.reject('EACCES', `leaking pointer from stack off ${off}`);
    }
  } else {
    for (let i = 0; i < size; i++) {
      if (readableByte(env, frame.kinds[kindAt(off + i)] as number)) continue;
      env.reject('EACCES', `invalid read from stack off ${off}+${i} size ${size}`);
    }
    if (value >= 0) readBytes(env, frame, { min: off, max: off + size, value });
    isFill = false;
  }
  if (isFill) pushHistory(env, accessFlags(frame, slot), undefined);
}

/** Part of a spilled scalar, or bytes that overlap one; whether the spilled value is what was read. */
function readPartialSpill(env: Env, frame: Frame, access: StackAccess): boolean {
  const { off, size, value } = access;
  const slot = slotOf(off);
  const spilled = spilledAt(slot);
  const to = regAt(value);
  const spillBytes = spillSize(frame, slot);
  if (size <= spillBytes && off % SLOT_BYTES === 0) {
    if (env.input.capabilities.bpf && size === 4 && spillBytes === 4 && fitsBits(frame, spilled, 32)) {
      assignId(env, frame, spilled);
    }
    const subreg = env.frame.i32[2 * to + SUBREG_DEF] as number;
    copyReg({ file: env.frame, r: to }, frame, spilled);
    env.frame.i32[2 * to + SUBREG_DEF] = subreg;
    if (!fitsBits(frame, spilled, size * 8)) unlink(env.frame, to);
    return true;
  }
  let spills = 0;
  let zeros = 0;
  for (let i = 0; i < size; i++) {
    const kind = frame.kinds[kindAt(off + i)] as number;
    if (kind === slotKinds.spill) spills++;
    else if (kind === slotKinds.zero) zeros++;
    else if (!readableByte(env, kind))
      env.reject('EACCES', `invalid read from stack off ${off}+${i} size ${size}`);
  }
  if (spills === size && isNull(frame, spilled)) {
    setKnownImm(env.frame, to, 0);
    return true;
  }
  if (zeros === size) setKnownImm(env.frame, to, 0);
  else setScalar(env.frame, to);
  return false;
}

/** Types that a slot can keep (is_spillable_regtype). */
function isSpillable(type: number): boolean {
  const base = baseType(type);
  return (
    base !== regTypes.notInit &&
    base !== regTypes.scalar &&
    base !== regTypes.tpBuffer &&
    base !== regTypes.constDynptr
  );
}

export function writeStack(env: Env, access: StackAccess): void {
  const file = env.frame;
  const r = regAt(access.reg);
  if (isConst(file, r)) writeFixed(env, moved(access, constNumber(file, r)));
  else writeVariable(env, access);
}

const IMMEDIATE = -2;

function writesZero(env: Env, access: StackAccess): boolean {
  if (access.value >= 0) return isNull(env.frame, regAt(access.value));
  return access.value === IMMEDIATE && access.imm === 0;
}

/** A byte that no longer belongs to a spilled register keeps what is known of it but that. */
function scrub(frame: Frame, slot: number): void {
  for (let i = 0; i < SLOT_BYTES; i++) {
    const at = slot * SLOT_BYTES + i;
    if (frame.kinds[at] !== slotKinds.invalid) frame.kinds[at] = slotKinds.misc;
  }
}

function save(frame: Frame, slot: number, size: number): void {
  const base = slot * SLOT_BYTES;
  for (let i = SLOT_BYTES - 1; i >= 0; i--) {
    if (i >= SLOT_BYTES - size) frame.kinds[base + i] = slotKinds.spill;
    else if (frame.kinds[base + i] !== slotKinds.zero && frame.kinds[base + i] !== slotKinds.invalid) {
      frame.kinds[base + i] = slotKinds.misc;
    }
  }
}

/** A load may be speculated past a store: one that hides a pointer, or what was a spilled one, is fenced. */
function fenceStore(env: Env, frame: Frame, store: { off: number; size: number; from: number }): void {
  let fence = store.from >= 0 && isSpillable(typeOf(env.frame, store.from));
  for (let i = 0; i < store.size; i++) {
    const kind = frame.kinds[kindAt(store.off + i)];
    if (kind !== slotKinds.misc && kind !== slotKinds.zero) fence = true;
  }
  if (fence) env.fences[env.insn] = (env.fences[env.insn] as number) | 2;
}

function writeFixed(env: Env, access: StackAccess): void {
  const { off, size, value } = access;
  const frame = pointee(env, access.reg);
  const cur = env.frame;
  const slot = slotOf(off);
  const spilled = spilledAt(slot);
  const caps = env.input.capabilities;
  if (!env.allowLeaks && size !== SLOT_BYTES && frame.isSpilled(slot) && !isScalar(frame, spilled)) {
    env.reject('EACCES', 'attempt to corrupt spilled pointer on stack');
  }
  destroyDynptrAt(env, frame.frameNo, slot);
  env.touchSlot(slot);
  if (size === SLOT_BYTES) env.stackLiveness.write(frame.frameNo, slot);
  const from = value >= 0 ? regAt(value) : -1;
  if (!env.allowLeaks) fenceStore(env, frame, { off, size, from });
  const aligned = off % SLOT_BYTES === 0;
  if (from >= 0 && aligned && isScalar(cur, from) && caps.bpf) {
    const fits = fitsBits(cur, from, size * 8);
    if (fits) assignId(env, cur, from);
    copyReg({ file: frame, r: spilled }, cur, from);
    save(frame, slot, size);
    if (!fits) unlink(frame, spilled);
  } else if (value === IMMEDIATE && aligned && caps.bpf) {
    setKnownImm(frame, spilled, access.imm);
    save(frame, slot, size);
  } else if (from >= 0 && isSpillable(typeOf(cur, from))) {
    if (size !== SLOT_BYTES) env.reject('EACCES', 'invalid size of register spill');
    if (frame !== cur && typeOf(cur, from) === regTypes.stack) {
      env.reject('EINVAL', 'cannot spill pointers to stack into stack frame of the caller');
    }
    copyReg({ file: frame, r: spilled }, cur, from);
    save(frame, slot, size);
  } else {
    const last = frame.kinds[(slot + 1) * SLOT_BYTES - 1];
    const wasSpilled = frame.isSpilled(slot) || last === slotKinds.iter || last === slotKinds.irqFlag;
    setNotInit(frame, spilled);
    if (wasSpilled) scrub(frame, slot);
    let kind: number = slotKinds.misc;
    if (writesZero(env, access)) {
      if (value >= 0) markPrecise(env, value);
      kind = slotKinds.zero;
    }
    for (let i = 0; i < size; i++) frame.kinds[kindAt(off + i)] = kind;
    return;
  }
  pushHistory(env, accessFlags(frame, slot), undefined);
}

function writeVariable(env: Env, access: StackAccess): void {
  const file = env.frame;
  const r = regAt(access.reg);
  const min = Number(file.i64[r + SMIN]) + access.off;
  const max = Number(file.i64[r + SMAX]) + access.off + access.size;
  const frame = pointee(env, access.reg);
  if (!env.allowLeaks) {
    env.reject(
      'EACCES',
      `R${access.reg} variable stack access prohibited for !root, var_off=${tnumText(file, r)} off=${access.off}`,
    );
  }
  const zero = writesZero(env, access);
  let zeroUsed = false;
  for (let off = min; off < max; off++) destroyDynptrAt(env, frame.frameNo, slotOf(off));
  for (let off = min; off < max; off++) {
    const slot = slotOf(off);
    const spilled = spilledAt(slot);
    const kind = frame.kinds[kindAt(off)] as number;
    env.touchSlot(slot);
    if (zero && kind === slotKinds.spill && isNull(frame, spilled)) {
      zeroUsed = true;
      continue;
    }
    if (frame.isSpilled(slot)) scrub(frame, slot);
    setNotInit(frame, spilled);
    let next: number = slotKinds.misc;
    if (zero && kind === slotKinds.zero) {
      next = slotKinds.zero;
      zeroUsed = true;
    }
    frame.kinds[kindAt(off)] = next;
  }
  if (zeroUsed && access.value >= 0) markPrecise(env, access.value);
}

export interface StackRange {
  readonly reg: number;
  readonly off: number;
  readonly size: number;
  readonly write: boolean;
  /** The callee writes all of it: what is there before does not matter. */
  readonly raw: boolean;
}

/**
 * Memory on the stack that a helper, or a load at a variable offset, may touch: true where a raw write still
 * has to be carried out byte by byte.
 */
export function checkStackRange(env: Env, range: StackRange): boolean {
  const file = env.frame;
  const { reg, off, size, write } = range;
  const r = regAt(reg);
  checkStackBounds(env, { reg, off, size }, write);
  const constant = isConst(file, r);
  if (!constant && !env.allowLeaks) {
    env.reject(
      'EACCES',
      `R${reg} variable offset stack access prohibited for !root, var_off=${tnumText(file, r)}`,
    );
  }
  if (constant && range.raw) {
    rejectDynptrs(env, range, off + constNumber(file, r));
    return true;
  }
  const min = off + (constant ? constNumber(file, r) : Number(file.i64[r + SMIN]));
  const max = off + (constant ? constNumber(file, r) : Number(file.i64[r + SMAX]));
  const frame = pointee(env, reg);
  for (let at = min; at < max + size; at++) {
    const slot = slotOf(at);
    env.stackLiveness.read(frame.frameNo, slot);
    const kind = frame.kinds[kindAt(at)] as number;
    if (kind === slotKinds.misc) continue;
    if (kind === slotKinds.zero || (kind === slotKinds.invalid && env.allowLeaks)) {
      if (write) frame.kinds[kindAt(at)] = slotKinds.misc;
      continue;
    }
    const spilled = spilledAt(slot);
    if (frame.isSpilled(slot) && (isScalar(frame, spilled) || env.allowLeaks)) {
      if (write) {
        setScalar(frame, spilled);
        scrub(frame, slot);
      }
      continue;
    }
    env.reject(
      'EACCES',
      constant
        ? `invalid read from stack R${reg} off ${min}+${at - min} size ${size}`
        : `invalid read from stack R${reg} var_off ${tnumText(file, r)}+${at - min} size ${size}`,
    );
  }
  return false;
}

/** What a call fills must not be one of the dynptrs that it may be given too. */
function rejectDynptrs(env: Env, range: StackRange, min: number): void {
  const frame = pointee(env, range.reg);
  for (let off = min; off < min + range.size; off++) {
    if (slotOf(off) >= frame.slots || frame.kinds[kindAt(off)] !== slotKinds.dynptr) continue;
    env.reject('EACCES', `potential write to dynptr at off=${off} disallowed`);
  }
}

/** A helper wrote bytes at a known offset: whatever was there is gone. */
export function clobberStack(env: Env, reg: number, range: { off: number; size: number }): void {
  for (let i = 0; i < range.size; i++) {
    const off = range.off + i;
    checkStackBounds(env, { reg, off, size: 1 }, true);
    writeStack(env, { reg, off, size: 1, value: -1, imm: 0 });
  }
}
