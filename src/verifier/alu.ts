/**
 * Arithmetic instructions: what is allowed (check_alu_op, adjust_ptr_min_max_vals), and what becomes of scalars
 * and of pointers. The numbers themselves are domain/.
 */
import type { AluOp, Insn } from '../isa/index.ts';
import { pushBranch } from './branches.ts';
import { checkRead, checkWrite, isSecret, overwrite } from './checks.ts';
import {
  isConst,
  moveWord,
  scalarAlu,
  scalarNeg,
  setLowConst,
  signExtend,
  signMaskBits,
  syncBounds,
  unbound32,
} from './domain/index.ts';
import type { Env } from './env.ts';
import { assignId } from './linked.ts';
import { ID_ADD_CONST } from './log/index.ts';
import { markPrecise } from './precision.ts';
import { copyReg, fitsBits, isPacket, isScalar, setKnown, setScalar, typeOf } from './regs.ts';
import { type Frame, regAt } from './state/frame.ts';
import {
  AUX0,
  ID,
  OFF,
  PRECISE,
  SMAX,
  SMIN,
  SUBREG_DEF,
  TNUM_VALUE,
  TYPE,
  UMAX,
  UMIN,
} from './state/layout.ts';
import { baseType, mayBeNull, type RegType, regTypeName, regTypes } from './state/reg-types.ts';
import { swapScalar } from './swap.ts';

type AluInsn = Extract<Insn, { op: 'alu' }>;

/** bpf_alu_string */
const operators: Readonly<Record<AluOp, string>> = {
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
const S64_MIN = -(1n << 63n);
/** Scratch registers of env.fake. */
const IMM = regAt(0);
const POINTER = regAt(1);
const OFFSET = regAt(2);

export function doAlu(env: Env, insn: Insn): void {
  const subreg = (bits: 32 | 64): number => (bits === 64 ? 0 : env.insn + 1);
  switch (insn.op) {
    case 'neg':
    case 'swap':
      doUnary(env, insn);
      break;
    case 'movsx':
      doMovsx(env, insn);
      env.frame.i32[2 * regAt(insn.dst) + SUBREG_DEF] = subreg(insn.bits);
      break;
    case 'alu':
      if (insn.alu === 'mov') doMov(env, insn);
      else doBinary(env, insn);
      env.frame.i32[2 * regAt(insn.dst) + SUBREG_DEF] = subreg(insn.bits);
      break;
    case 'addrSpaceCast':
      env.reject('EINVAL', 'addr_space_cast insn can only be used in a program that has an associated arena');
      break;
    default:
      break;
  }
}

function doUnary(env: Env, insn: Extract<Insn, { op: 'neg' | 'swap' }>): void {
  checkRead(env, insn.dst);
  if (isSecret(env, insn.dst)) env.reject('EACCES', `R${insn.dst} pointer arithmetic prohibited`);
  const r = regAt(insn.dst);
  if (!isScalar(env.frame, r)) {
    overwrite(env, insn.dst);
    return;
  }
  checkWrite(env, insn.dst);
  if (insn.op === 'neg') scalarNeg(env.frame, r, insn.bits);
  else swapScalar(env.frame, r, insn);
  env.frame.i32[2 * r + ID] = 0;
  env.frame.i32[2 * r + OFF] = 0;
}

function doMov(env: Env, insn: AluInsn): void {
  const frame = env.frame;
  if (!('reg' in insn.src)) {
    checkWrite(env, insn.dst);
    const imm = BigInt(insn.src.imm);
    setKnown(frame, regAt(insn.dst), insn.bits === 64 ? imm : BigInt.asUintN(32, imm));
    return;
  }
  const src = insn.src.reg;
  checkRead(env, src);
  checkWrite(env, insn.dst);
  const from = regAt(src);
  const to = regAt(insn.dst);
  if (insn.bits === 64) {
    assignId(env, frame, from);
    frame.copyReg(to, from);
    return;
  }
  if (isSecret(env, src)) env.reject('EACCES', `R${src} partial copy of pointer`);
  if (!isScalar(frame, from)) {
    setScalar(frame, to);
  } else {
    const fits = fitsBits(frame, from, 32);
    if (fits) assignId(env, frame, from);
    frame.copyReg(to, from);
    if (!fits) frame.i32[2 * to + ID] = 0;
  }
  moveWord(frame, to);
}

function doMovsx(env: Env, insn: Extract<Insn, { op: 'movsx' }>): void {
  const frame = env.frame;
  checkRead(env, insn.src);
  checkWrite(env, insn.dst);
  const from = regAt(insn.src);
  const to = regAt(insn.dst);
  if (isSecret(env, insn.src)) {
    env.reject(
      'EACCES',
      insn.bits === 64
        ? `R${insn.src} sign-extension part of pointer`
        : `R${insn.src} partial copy of pointer`,
    );
  }
  if (!isScalar(frame, from)) {
    setScalar(frame, to);
    if (insn.bits === 32) moveWord(frame, to);
    return;
  }
  const unchanged = fitsBits(frame, from, insn.from - 1);
  if (unchanged) assignId(env, frame, from);
  frame.copyReg(to, from);
  if (!unchanged) frame.i32[2 * to + ID] = 0;
  signExtend(frame, to, insn);
}

function checkOperands(env: Env, insn: AluInsn): void {
  if ('reg' in insn.src) checkRead(env, insn.src.reg);
  checkRead(env, insn.dst);
  if ('imm' in insn.src) {
    const { imm } = insn.src;
    const divides = insn.alu === 'div' || insn.alu === 'mod' || insn.alu === 'sdiv' || insn.alu === 'smod';
    if (divides && imm === 0) env.reject('EINVAL', 'div by zero');
    const shifts = insn.alu === 'lsh' || insn.alu === 'rsh' || insn.alu === 'arsh';
    if (shifts && (imm < 0 || imm >= insn.bits)) env.reject('EINVAL', `invalid shift ${imm}`);
  }
  checkWrite(env, insn.dst);
}

/** adjust_reg_min_max_vals */
function doBinary(env: Env, insn: AluInsn): void {
  checkOperands(env, insn);
  const frame = env.frame;
  const dst = regAt(insn.dst);
  const dstIsPointer = !isScalar(frame, dst);
  if (!('reg' in insn.src)) {
    setKnown(env.fake, IMM, BigInt(insn.src.imm));
    if (dstIsPointer) {
      doPointer(env, insn, { pointer: dst, file: env.fake, offset: IMM });
      return;
    }
  } else {
    const src = regAt(insn.src.reg);
    if (!isScalar(frame, src)) {
      if (dstIsPointer) {
        if (insn.alu === 'sub' && env.allowLeaks) {
          setScalar(frame, dst);
          return;
        }
        env.reject('EACCES', `R${insn.dst} pointer ${operators[insn.alu]} pointer prohibited`);
      }
      markPrecise(env, insn.dst);
      doPointer(env, insn, { pointer: src, file: frame, offset: dst });
      return;
    }
    if (dstIsPointer) {
      markPrecise(env, insn.src.reg);
      doPointer(env, insn, { pointer: dst, file: frame, offset: src });
      return;
    }
    if (frame.i32[2 * dst + PRECISE] === 1) markPrecise(env, insn.src.reg);
  }
  doScalars(env, insn);
}

function doScalars(env: Env, insn: AluInsn): void {
  const frame = env.frame;
  const dst = regAt(insn.dst);
  const fake = env.fake;
  copyReg({ file: fake, r: POINTER }, frame, dst);
  if ('reg' in insn.src) copyReg({ file: fake, r: OFFSET }, frame, regAt(insn.src.reg));
  else setKnown(fake, OFFSET, BigInt(insn.src.imm));
  if (!env.allowLeaks && 'reg' in insn.src && (insn.alu === 'add' || insn.alu === 'sub')) {
    samePath(env, insn, 'scalar');
  }
  if ((insn.alu === 'and' || insn.alu === 'or') && isConst(fake, OFFSET)) forkOnSignMask(env, insn);
  copyReg({ file: fake, r: POINTER }, frame, dst);
  scalarAlu(fake, POINTER, OFFSET, insn);
  copyReg({ file: frame, r: dst }, fake, POINTER);
  linkByConstant(env, insn);
}

/** A copy that moved by a constant stays linked to what it was copied from. */
function linkByConstant(env: Env, insn: AluInsn): void {
  const frame = env.frame;
  const w = 2 * regAt(insn.dst);
  const id = frame.i32[w + ID] as number;
  frame.i32[w + ID] = 0;
  if ((id & ID_ADD_CONST) !== 0 || id === 0) frame.i32[w + OFF] = 0;
  if (id === 0 || insn.bits === 32 || !env.input.capabilities.bpf) return;
  if ((insn.alu !== 'add' && insn.alu !== 'sub') || !isConst(env.fake, OFFSET)) return;
  const value = env.fake.i64[OFFSET + TNUM_VALUE] as bigint;
  const delta = insn.alu === 'add' ? value : -value;
  if ((id & ID_ADD_CONST) !== 0 || BigInt.asIntN(32, value) !== value || BigInt.asIntN(32, delta) !== delta) {
    frame.i32[w + OFF] = 0;
    return;
  }
  frame.i32[w + ID] = id | ID_ADD_CONST;
  frame.i32[w + OFF] = Number(delta);
}

/** A value that is 0 or -1 is looked at as both, one after the other (maybe_fork_scalars). */
function forkOnSignMask(env: Env, insn: AluInsn): void {
  const dst = regAt(insn.dst);
  const bits = signMaskBits(env.frame, dst);
  if (bits === 0) return;
  const branch = pushBranch(env, { insn: env.insn, prev: env.insn });
  const other = branch.frame;
  // The other path does this instruction again, with 0.
  setLowConst(other, dst, { bits, value: 0 });
  setLowConst(env.frame, dst, { bits, value: -1 });
}

/** check_reg_sane_offset */
function checkSane(env: Env, type: RegType, at: { file: Frame; r: number; off: number }): void {
  const { file, r, off } = at;
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
]);

interface PointerMath {
  /** Which register of the frame is the pointer. */
  readonly pointer: number;
  readonly file: Frame;
  readonly offset: number;
}

/** adjust_ptr_min_max_vals: the destination becomes the pointer moved by the offset. */
function doPointer(env: Env, insn: AluInsn, math: PointerMath): void {
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
  const off = fake.i32[2 * POINTER + OFF] as number;
  checkSane(env, type, { file: fake, r: OFFSET, off: fake.i32[2 * OFFSET + OFF] as number });
  checkSane(env, type, { file: fake, r: POINTER, off });
  if (insn.alu === 'sub') {
    if (reversed) env.reject('EACCES', `R${insn.dst} tried to subtract pointer from scalar`);
    if (type === regTypes.stack)
      env.reject('EACCES', `R${insn.dst} subtraction from stack pointer prohibited`);
  }
  if (!env.allowLeaks && 'reg' in insn.src) checkSpeculation(env, insn, { reversed, known, smin, smax });
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
}

function checkPointerOp(env: Env, insn: AluInsn, offset: { known: boolean; smin: bigint }): void {
  const dst = insn.dst;
  const type = typeOf(env.fake, POINTER);
  if (insn.bits === 32) {
    env.reject('EACCES', `R${dst} 32-bit pointer arithmetic prohibited`);
  }
  const name = regTypeName(type);
  if (mayBeNull(type)) {
    env.reject('EACCES', `R${dst} pointer arithmetic on ${name} prohibited, null-check it first`);
  }
  const base = baseType(type);
  const nothing = offset.known && offset.smin === 0n && insn.alu === 'add';
  const allowed =
    movable.has(base) ||
    (base === regTypes.flowKeys && (offset.known || nothing)) ||
    (base === regTypes.constMapPtr && nothing);
  if (!allowed) env.reject('EACCES', `R${dst} pointer arithmetic on ${name} prohibited`);
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

/** A loader without CAP_PERFMON may not move pointers out of their objects, even unused (sanitize_check_bounds). */
function checkUnprivileged(env: Env, reg: number): void {
  const frame = env.frame;
  const r = regAt(reg);
  const type = typeOf(frame, r);
  const off = BigInt(frame.i32[2 * r + OFF] as number);
  if (type === regTypes.stack) {
    const at = off + (frame.i64[r + TNUM_VALUE] as bigint);
    if (!isConst(frame, r)) {
      env.reject('EACCES', `R${reg} variable stack access prohibited for !root, var_off=unknown off=${off}`);
    }
    if (at < -512n || at >= 0n) {
      env.reject(
        'EACCES',
        `R${reg} stack pointer arithmetic goes out of range, prohibited for !root; off=${at}`,
      );
    }
  } else if (type === regTypes.mapValue) {
    const map = env.map(frame.i32[2 * r + AUX0] as number);
    const low = (frame.i64[r + SMIN] as bigint) + off;
    const high = (frame.u64[r + UMAX] as bigint) + off;
    if (low < 0n || high >= BigInt(map.valueSize)) {
      env.reject('EACCES', `R${reg} pointer arithmetic of map value goes out of range, prohibited for !root`);
    }
  }
}

const FOR_ROOT = 'pointer arithmetic with it prohibited for !root';
const MAX_STACK_LIMIT = 512n;

/** What one addition does must be the same on every path, for it is masked in one way (sanitize_ptr_alu). */
function samePath(env: Env, insn: AluInsn, what: string): void {
  const before = env.sanitized.get(env.insn);
  if (before === undefined) env.sanitized.set(env.insn, what);
  else if (before !== what) {
    env.reject(
      'EACCES',
      `R${insn.dst} tried to ${insn.alu} from different maps, paths or scalars, ${FOR_ROOT}`,
    );
  }
}

interface Offset {
  readonly reversed: boolean;
  readonly known: boolean;
  readonly smin: bigint;
  readonly smax: bigint;
}

/** A loader without CAP_PERFMON: pointers may not leave their objects in speculation either. */
function checkSpeculation(env: Env, insn: AluInsn, offset: Offset): void {
  const src = 'reg' in insn.src ? insn.src.reg : insn.dst;
  const [scalarReg, pointerReg] = offset.reversed ? [insn.dst, src] : [src, insn.dst];
  if (!offset.known && offset.smin < 0n !== offset.smax < 0n) {
    env.reject('EACCES', `R${scalarReg} has unknown scalar with mixed signed bounds, ${FOR_ROOT}`);
  }
  const { fake } = env;
  const type = typeOf(fake, POINTER);
  const off = BigInt(fake.i32[2 * POINTER + OFF] as number);
  const negative = offset.smin < 0n;
  const left = (insn.alu === 'add') === negative;
  let max: bigint;
  let limit: bigint;
  if (type === regTypes.stack) {
    max = MAX_STACK_LIMIT + (left ? 1n : 0n);
    limit = -((fake.i64[POINTER + TNUM_VALUE] as bigint) + off);
  } else if (type === regTypes.mapValue) {
    max = BigInt(env.map(fake.i32[2 * POINTER + AUX0] as number).valueSize);
    limit = (left ? (fake.i64[POINTER + SMIN] as bigint) : (fake.u64[POINTER + UMAX] as bigint)) + off;
  } else {
    env.reject('EACCES', `R${pointerReg} has pointer with unsupported alu operation, ${FOR_ROOT}`);
    return;
  }
  if (limit >= max)
    env.reject('EACCES', `R${insn.dst} tried to ${insn.alu} beyond pointer bounds, ${FOR_ROOT}`);
  const amount = offset.known ? (offset.smin < 0n ? -offset.smin : offset.smin) : limit;
  samePath(env, insn, `${offset.reversed} ${negative} ${offset.known} ${amount}`);
}
