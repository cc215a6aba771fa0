/**
 * Pointers that move (adjust_ptr_min_max_vals): by constants, which are added to the fixed offset, and by
 * scalars, which become part of the variable one. Which pointers may, and by how much.
 */
import type { AluOp } from '../isa/index.ts';
import { pushSpeculative } from './branches.ts';
import { isConst, scalarAlu, syncBounds, unbound32 } from './domain/index.ts';
import type { Env } from './env.ts';
import { copyReg, isPacket, isUnmoved, setScalar, typeOf } from './regs.ts';
import {
  type AluInsn,
  checkSpeculation,
  checkUnprivileged,
  commitSpeculation,
  OFFSET,
  POINTER,
} from './speculation.ts';
import { type Frame, regAt } from './state/frame.ts';
import { AUX0, ID, OFF, SMAX, SMIN, TNUM_VALUE, TYPE, UMAX, UMIN } from './state/layout.ts';
import { baseType, mayBeNull, type RegType, regTypeName, regTypes, typeFlags } from './state/reg-types.ts';

/** A scratch register of env.fake: an immediate. */
export const IMM = regAt(0);

/** bpf_alu_string */
export const operators: Readonly<Record<AluOp, string>> = {
  add: '+=',
  sub: '-=',
  mul: '*=',
  div: '/=',
  sdiv: '/=',
  mod: '%=',
  smod: '%=',
  or: '|=',
  and: '&=',
  xor: '^=',
  lsh: '<<=',
  rsh: '>>=',
  arsh: 's>>=',
  mov: '=',
};

const MAX_VAR_OFF = 1n << 29n;
const MAX_OFF = 2 ** 29;
const S64_MIN = -(1n << 63n);

/** check_reg_sane_offset */
function checkSane(env: Env, type: RegType, at: { file: Frame; r: number; off: number }): void {
  const { file, r, off } = at;
  if (isUnmoved(file, r) && off > -MAX_OFF && off < MAX_OFF) return;
  const name = regTypeName(type);
  const value = file.i64[r + TNUM_VALUE] as bigint;
  const smin = file.i64[r + SMIN] as bigint;
  if (isConst(file, r) && (value >= MAX_VAR_OFF || value <= -MAX_VAR_OFF)) {
    env.reject('EINVAL', `math between ${name} pointer and ${value} is not allowed`);
  }
  if (BigInt(off) >= MAX_VAR_OFF || BigInt(off) <= -MAX_VAR_OFF) {
    env.reject('EINVAL', `${name} pointer offset ${off} is not allowed`);
  }
  if (smin === S64_MIN) {
    env.reject('EINVAL', `math between ${name} pointer and register with unbounded min value is not allowed`);
  }
  if (smin >= MAX_VAR_OFF || smin <= -MAX_VAR_OFF) {
    env.reject('EINVAL', `value ${smin} makes ${name} pointer be out of bounds`);
  }
}

const movable: ReadonlySet<number> = new Set([
  regTypes.ctx,
  regTypes.mapValue,
  regTypes.mapKey,
  regTypes.stack,
  regTypes.packetMeta,
  regTypes.packet,
  regTypes.tpBuffer,
  regTypes.mem,
  regTypes.buf,
  regTypes.func,
  regTypes.btfId,
  regTypes.constDynptr,
]);

interface PointerMath {
  /** Which register of the frame is the pointer. */
  readonly pointer: number;
  readonly file: Frame;
  readonly offset: number;
}

/** adjust_ptr_min_max_vals: the destination becomes the pointer moved by the offset. */
export function doPointer(env: Env, insn: AluInsn, math: PointerMath): void {
  const frame = env.frame;
  const dst = regAt(insn.dst);
  const fake = env.fake;
  const reversed = math.pointer !== dst;
  if (math.file !== fake || math.offset !== OFFSET)
    copyReg({ file: fake, r: OFFSET }, math.file, math.offset);
  copyReg({ file: fake, r: POINTER }, frame, math.pointer);
  const known = isConst(fake, OFFSET);
  const smin = fake.i64[OFFSET + SMIN] as bigint;
  const smax = fake.i64[OFFSET + SMAX] as bigint;
  const umin = fake.u64[OFFSET + UMIN] as bigint;
  const umax = fake.u64[OFFSET + UMAX] as bigint;
  if ((known && (smin !== smax || umin !== umax)) || smin > smax || umin > umax) {
    setScalar(frame, dst);
    return;
  }
  // 32 bits of a pointer less something are a number like any other.
  if (insn.bits === 32 && insn.alu === 'sub' && env.allowLeaks) {
    setScalar(frame, dst);
    return;
  }
  checkPointerOp(env, insn, { known, smin });
  const type = typeOf(fake, POINTER);
  // What is read through it may be anything, so where it points does not matter.
  if (baseType(type) === regTypes.mem && (type & typeFlags.untrusted) !== 0) {
    if (reversed) copyReg({ file: frame, r: dst }, fake, POINTER);
    return;
  }
  const off = fake.i32[2 * POINTER + OFF] as number;
  checkSane(env, type, { file: fake, r: OFFSET, off: fake.i32[2 * OFFSET + OFF] as number });
  checkSane(env, type, { file: fake, r: POINTER, off });
  const masked = !env.allowLeaks && 'reg' in insn.src && ((env.fences[env.insn] as number) & 1) === 0;
  const window =
    masked && !env.state.speculative
      ? checkSpeculation(env, insn, { reversed, known, smin, smax })
      : undefined;
  if (insn.alu === 'sub') {
    if (reversed) env.reject('EACCES', `R${insn.dst} tried to subtract pointer from scalar`);
    if (type === regTypes.stack)
      env.reject('EACCES', `R${insn.dst} subtraction from stack pointer prohibited`);
  }
  if (masked && !known) {
    // Masking may make the offset zero: then the pointer stays where it is.
    const branch = pushSpeculative(env, { insn: env.insn + 1, prev: env.insn });
    copyReg({ file: branch.frame, r: dst }, fake, POINTER);
  }
  const moved = insn.alu === 'add' ? BigInt(off) + smin : BigInt(off) - smin;
  unbound32(fake, POINTER);
  if (known && BigInt.asIntN(32, moved) === moved) {
    fake.i32[2 * POINTER + OFF] = Number(moved);
  } else {
    scalarAlu(fake, POINTER, OFFSET, { alu: insn.alu, bits: 64 });
    if (isPacket(type)) {
      fake.i32[2 * POINTER + ID] = env.newId();
      if (insn.alu === 'add' || smin < 0n) fake.i32[2 * POINTER + AUX0] = 0;
    }
  }
  checkSane(env, type, { file: fake, r: POINTER, off: fake.i32[2 * POINTER + OFF] as number });
  syncBounds(fake, POINTER);
  copyReg({ file: frame, r: dst }, fake, POINTER);
  frame.i32[2 * dst + TYPE] = type;
  if (!env.allowLeaks) checkUnprivileged(env, insn.dst);
  if (window !== undefined) commitSpeculation(env, insn, window);
}

function checkPointerOp(env: Env, insn: AluInsn, offset: { known: boolean; smin: bigint }): void {
  const dst = insn.dst;
  const type = typeOf(env.fake, POINTER);
  if (insn.bits === 32) {
    env.reject('EACCES', `R${dst} 32-bit pointer arithmetic prohibited`);
  }
  if (mayBeNull(type)) {
    env.reject(
      'EACCES',
      `R${dst} pointer arithmetic on ${regTypeName(type)} prohibited, null-check it first`,
    );
  }
  const base = baseType(type);
  const nothing = offset.known && offset.smin === 0n && insn.alu === 'add';
  const allowed =
    movable.has(base) ||
    (base === regTypes.flowKeys && (offset.known || nothing)) ||
    (base === regTypes.constMapPtr && nothing);
  if (!allowed) env.reject('EACCES', `R${dst} pointer arithmetic on ${regTypeName(type)} prohibited`);
  if (insn.alu === 'add' || insn.alu === 'sub') return;
  if (insn.alu === 'and' || insn.alu === 'or' || insn.alu === 'xor') {
    checkSaneOperands(env, type);
    env.reject('EACCES', `R${dst} bitwise operator ${operators[insn.alu]} on pointer prohibited`);
  }
  checkSaneOperands(env, type);
  env.reject('EACCES', `R${dst} pointer arithmetic with ${operators[insn.alu]} operator prohibited`);
}

/** Offsets are looked at before operators are. */
function checkSaneOperands(env: Env, type: RegType): void {
  for (const r of [OFFSET, POINTER]) {
    checkSane(env, type, { file: env.fake, r, off: env.fake.i32[2 * r + OFF] as number });
  }
}
