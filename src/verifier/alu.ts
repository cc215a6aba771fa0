/**
 * Arithmetic instructions: what is allowed (check_alu_op), and what becomes of scalars. The numbers themselves
 * are domain/; pointers that move are pointer-alu.ts.
 */
import type { Insn } from '../isa/index.ts';
import { pushBranch } from './branches.ts';
import { checkRead, checkWrite, isSecret, overwrite } from './checks.ts';
import {
  isConst,
  isConst32,
  moveWord,
  scalarAlu,
  scalarAluImm,
  scalarNeg,
  setLowConst,
  signExtend,
  signMaskBits,
} from './domain/index.ts';
import type { Env } from './env.ts';
import { assignId, unlink } from './linked.ts';
import { ID_ADD_CONST, ID_ADD_CONST32, ID_MOVED } from './log/index.ts';
import { doPointer, IMM, operators } from './pointer-alu.ts';
import { markPrecise } from './precision.ts';
import { copyReg, fitsBits, isScalar, setKnownImm, setKnownPair, setScalar, typeOf } from './regs.ts';
import { type AluInsn, OFFSET, samePath } from './speculation.ts';
import { type Frame, regAt } from './state/frame.ts';
import { ID, OFF, PRECISE, SUBREG_DEF, TNUM_VALUE, TYPE } from './state/layout.ts';
import { regTypes } from './state/reg-types.ts';
import { swapScalar } from './swap.ts';

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
      castAddressSpace(env, insn);
      break;
    default:
      break;
  }
}

/** A number becomes a pointer into the program's arena, or a pointer a number that user space knows it by. */
function castAddressSpace(env: Env, insn: Extract<Insn, { op: 'addrSpaceCast' }>): void {
  if ((insn.from !== 1 || insn.to !== 0) && (insn.from !== 0 || insn.to !== 1)) {
    env.reject('EINVAL', 'addr_space_cast insn can only convert between address space 1 and 0');
  }
  if (!env.hasArena) {
    env.reject('EINVAL', 'addr_space_cast insn can only be used in a program that has an associated arena');
  }
  checkRead(env, insn.src);
  overwrite(env, insn.dst);
  const r = regAt(insn.dst);
  if (insn.to !== 0) return;
  env.frame.i32[2 * r + TYPE] = regTypes.arena;
  env.frame.i32[2 * r + SUBREG_DEF] = env.insn + 1;
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
  // It has that order already, and stays what it is.
  if (insn.op === 'swap' && insn.kind === 'le' && insn.width === 64) return;
  if (insn.op === 'neg') scalarNeg(env.frame, r, insn.bits);
  else swapScalar(env.frame, r, insn);
  unlink(env.frame, r);
}

function doMov(env: Env, insn: AluInsn): void {
  const frame = env.frame;
  if (!('reg' in insn.src)) {
    checkWrite(env, insn.dst);
    const { imm } = insn.src;
    setKnownPair(frame, regAt(insn.dst), imm, insn.bits === 64 ? imm >> 31 : 0);
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
    if (!fits) unlink(frame, to);
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
  if (!unchanged) unlink(frame, to);
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
  // Wherever a pointer into the arena is moved to, it stays in the arena.
  if (typeOf(frame, dst) === regTypes.arena) return;
  if (!('reg' in insn.src)) {
    if (dstIsPointer) {
      setKnownImm(env.fake, IMM, insn.src.imm);
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
  const { alu, src } = insn;
  const fork = alu === 'and' || alu === 'or';
  if (!('reg' in src)) {
    if (fork) forkOnSignMask(env, insn);
    const whole = keepsUpperHalf(frame, dst, insn);
    scalarAluImm(frame, dst, src.imm, insn);
    if (!whole) unlink(frame, dst);
    else if (frame.i32[2 * dst + ID] !== 0) linkByConstant(env, insn, src.imm);
    else frame.i32[2 * dst + OFF] = 0;
    return;
  }
  // What it was before the operation, which may change it.
  copyReg({ file: env.fake, r: OFFSET }, frame, regAt(src.reg));
  if (!env.allowLeaks && (alu === 'add' || alu === 'sub')) samePath(env, insn, 'scalar');
  if (fork && isConst(env.fake, OFFSET)) forkOnSignMask(env, insn);
  const whole = keepsUpperHalf(frame, dst, insn);
  scalarAlu(frame, dst, regAt(src.reg), insn);
  if (whole && src.reg !== insn.dst) linkByConstant(env, insn, addedBy(env, insn));
  else unlink(frame, dst);
}

/** Whether what an operation makes of a number tells of it: one of 32 bits loses an upper half. */
function keepsUpperHalf(frame: Frame, dst: number, insn: AluInsn): boolean {
  return insn.bits === 64 || frame.i32[2 * dst + ID] === 0 || fitsBits(frame, dst, 32);
}

/** The second operand of an addition or subtraction, where it is known; some number beyond a word where it is one. */
function addedBy(env: Env, insn: AluInsn): number | undefined {
  const { i32 } = env.fake;
  const at = 2 * (OFFSET + TNUM_VALUE);
  const low = i32[at] as number;
  if (insn.bits === 32) return isConst32(env.fake, OFFSET) ? low : undefined;
  if (!isConst(env.fake, OFFSET)) return undefined;
  return i32[at + 1] === low >> 31 ? low : Number.MAX_SAFE_INTEGER;
}

/**
 * A copy that moved by a constant stays linked to what it was copied from. `added` is the second operand, undefined
 * where it is not known.
 */
function linkByConstant(env: Env, insn: AluInsn, added: number | undefined): void {
  const frame = env.frame;
  const w = 2 * regAt(insn.dst);
  const id = frame.i32[w + ID] as number;
  frame.i32[w + ID] = 0;
  if ((id & ID_MOVED) !== 0 || id === 0) frame.i32[w + OFF] = 0;
  if (id === 0 || !env.input.capabilities.bpf) return;
  if ((insn.alu !== 'add' && insn.alu !== 'sub') || added === undefined) return;
  const delta = insn.alu === 'add' ? added : -added;
  if ((id & ID_MOVED) !== 0 || (added | 0) !== added || (delta | 0) !== delta) {
    frame.i32[w + OFF] = 0;
    return;
  }
  frame.i32[w + ID] = id | (insn.bits === 32 ? ID_ADD_CONST32 : ID_ADD_CONST);
  frame.i32[w + OFF] = delta;
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
