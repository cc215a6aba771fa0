/**
 * Conditional jumps: is the outcome known, and what does each outcome teach (check_cond_jmp_op).
 */
import type { Insn, JmpCond } from '../isa/index.ts';
import { pushBranch, pushSpeculative } from './branches.ts';
import { checkRead, isSecret } from './checks.ts';
import {
  boundsViolation,
  branchTaken,
  branchTakenImm,
  isConst,
  isConst32,
  refine,
  refineImm,
  type Taken,
  unbound,
} from './domain/index.ts';
import type { Env } from './env.ts';
import { ways } from './facts.ts';
import { pushHistory } from './history.ts';
import { collectLinked, syncLinked } from './linked.ts';
import { violationLine } from './log/index.ts';
import { markNotNull, markNull } from './null.ts';
import { matchPackets } from './packet-ranges.ts';
import { markPrecise } from './precision.ts';
import { printChanges } from './print.ts';
import { isPacketOrEnd, isScalar, setScalar, typeOf, word } from './regs.ts';
import { type Frame, regAt } from './state/frame.ts';
import { AUX0, ID, TNUM_VALUE } from './state/layout.ts';
import { baseType, mayBeNull, regTypes } from './state/reg-types.ts';
import { historyFlags, type LinkedReg, type State } from './state/state.ts';
import { isNonNull } from './trust.ts';

type Jump = Extract<Insn, { op: 'jmp' }>;

const flipped: Readonly<Partial<Record<JmpCond, JmpCond>>> = {
  gt: 'lt',
  lt: 'gt',
  ge: 'le',
  le: 'ge',
  sgt: 'slt',
  slt: 'sgt',
  sge: 'sle',
  sle: 'sge',
};

/** Where to go on; the other way, if it is possible, is put aside. */
export function doJump(env: Env, insn: Jump): void {
  checkRead(env, insn.dst);
  const frame = env.frame;
  const dst = regAt(insn.dst);
  const srcReg = 'reg' in insn.src ? insn.src.reg : -1;
  let flags = 0;
  if (srcReg >= 0) {
    checkRead(env, srcReg);
    const bothPackets = isPacketOrEnd(typeOf(frame, dst)) && isPacketOrEnd(typeOf(frame, regAt(srcReg)));
    if (!bothPackets && isSecret(env, srcReg))
      env.reject('EACCES', `R${srcReg} pointer comparison prohibited`);
    if (typeOf(frame, regAt(srcReg)) === regTypes.stack) flags |= historyFlags.srcStack;
  }
  if (typeOf(frame, dst) === regTypes.stack) flags |= historyFlags.dstStack;
  if (flags !== 0) pushHistory(env, flags, undefined);
  const taken = isTaken(env, insn);
  if (taken >= 0) {
    if (isScalar(frame, dst)) markPrecise(env, insn.dst);
    if (srcReg >= 0 && isScalar(frame, regAt(srcReg))) markPrecise(env, srcReg);
    if (!env.allowLeaks) speculate(env, insn, taken === 1 ? 0 : insn.off);
    if (!env.state.speculative) env.facts.jump(env.insn, taken === 1 ? ways.jumps : ways.falls);
    printChanges(env);
    if (taken === 1) env.insn += insn.off;
    return;
  }
  if (!env.state.speculative) env.facts.jump(env.insn, ways.jumps | ways.falls);
  split(env, insn, srcReg);
  printChanges(env);
}

/** The processor may take the way that the program does not, knowing nothing of the operands. */
function speculate(env: Env, insn: Jump, off: number): void {
  const { frame } = pushSpeculative(env, { insn: env.insn + off + 1, prev: env.insn, errno: 'EFAULT' });
  setScalar(frame, regAt(insn.dst));
  if ('reg' in insn.src) setScalar(frame, regAt(insn.src.reg));
}

/** is_branch_taken */
function isTaken(env: Env, insn: Jump): Taken {
  const { frame } = env;
  const { dst, src, bits, cond } = insn;
  const left = regAt(dst);
  const leftType = typeOf(frame, left);
  if (!('reg' in src)) {
    if (leftType === regTypes.scalar) return branchTakenImm(frame, left, src.imm, insn);
    // One pointer: only a comparison with zero can be decided.
    return src.imm === 0 && isNonNull(frame, left) ? neverNull(cond) : -1;
  }
  const right = regAt(src.reg);
  const rightType = typeOf(frame, right);
  if (isPacketOrEnd(leftType) && isPacketOrEnd(rightType) && bits === 64) {
    return packetTaken(frame, insn, { left, right });
  }
  const leftScalar = leftType === regTypes.scalar;
  const rightScalar = rightType === regTypes.scalar;
  if (leftScalar && rightScalar) return branchTaken(frame, left, right, insn);
  if (!leftScalar && !rightScalar) return -1;
  const scalar = leftScalar ? left : right;
  return isZero(frame, scalar, bits) && isNonNull(frame, leftScalar ? right : left) ? neverNull(cond) : -1;
}

/** Whether a number, or its low word, is known to be zero. */
function isZero(frame: Frame, r: number, bits: 32 | 64): boolean {
  const known = bits === 32 ? isConst32(frame, r) : isConst(frame, r);
  const low = word(frame, r, 2 * TNUM_VALUE);
  return known && low === 0 && (bits === 32 || word(frame, r, 2 * TNUM_VALUE + 1) === 0);
}

/** Of a pointer that is valid and zero. */
function neverNull(cond: JmpCond): Taken {
  if (cond === 'eq') return 0;
  return cond === 'ne' ? 1 : -1;
}

const BEYOND_END = -2;

/** is_pkt_ptr_branch_taken */
function packetTaken(frame: Frame, insn: Jump, { left, right }: { left: number; right: number }): Taken {
  let { cond } = insn;
  let pkt = left;
  if (typeOf(frame, right) !== regTypes.packetEnd) {
    if (typeOf(frame, left) !== regTypes.packetEnd) return -1;
    pkt = right;
    cond = flipped[cond] ?? cond;
  }
  if (typeOf(frame, pkt) === regTypes.packetEnd) return -1;
  const range = word(frame, pkt, AUX0);
  if (range >= 0) return -1;
  if ((cond === 'le' || cond === 'gt') && range === BEYOND_END) return cond === 'gt' ? 1 : 0;
  if (cond === 'lt' || cond === 'ge') return cond === 'ge' ? 1 : 0;
  return -1;
}

function split(env: Env, insn: Jump, srcReg: number): void {
  const here = env.state;
  const frame = here.frame;
  const dst = regAt(insn.dst);
  const src = srcReg >= 0 ? regAt(srcReg) : -1;
  const unique = linkedOf(env, src, dst);
  if (unique.length > 1) pushHistory(env, 0, unique);
  const there = pushBranch(env, { insn: env.insn + insn.off + 1, prev: env.insn, errno: 'EFAULT' });
  refineBoth(env, insn, there);
  if (unique.length > 0) {
    for (const r of [src, dst]) {
      if (linkId(frame, r) === 0) continue;
      syncLinked(here, { r, linked: unique });
      syncLinked(there, { r, linked: unique });
    }
  }
  liftNull(env, insn, there);
  const nullTest =
    insn.bits === 64 && 'imm' in insn.src && insn.src.imm === 0 && (insn.cond === 'eq' || insn.cond === 'ne');
  if (nullTest && mayBeNull(typeOf(frame, dst))) {
    markNull(env, here, { reg: insn.dst, isNull: insn.cond === 'ne' });
    markNull(env, there, { reg: insn.dst, isNull: insn.cond === 'eq' });
    return;
  }
  if (matchPackets(insn, here, there)) return;
  if (isSecret(env, insn.dst)) env.reject('EACCES', `R${insn.dst} pointer comparison prohibited`);
}

function linkId(frame: Frame, r: number): number {
  return r >= 0 && isScalar(frame, r) ? word(frame, r, ID) : 0;
}

const none: readonly LinkedReg[] = [];

/** Everything that is linked to one of the operands. */
function linkedOf(env: Env, src: number, dst: number): readonly LinkedReg[] {
  const ids = [linkId(env.frame, src), linkId(env.frame, dst)] as const;
  if (ids[0] === 0 && ids[1] === 0) return none;
  const linked: LinkedReg[] = [];
  for (const id of ids) if (id !== 0) collectLinked(env, id, linked);
  return dedupe(linked);
}

function dedupe(linked: readonly LinkedReg[]): LinkedReg[] {
  return linked.filter(
    (one, i) =>
      linked.findIndex(
        (two) => two.frame === one.frame && two.isReg === one.isReg && two.index === one.index,
      ) === i,
  );
}

/** reg_set_min_max */
function refineBoth(env: Env, insn: Jump, there: State): void {
  const { frame } = env;
  if (!isScalar(frame, regAt(insn.dst))) return;
  if ('reg' in insn.src && !isScalar(frame, regAt(insn.src.reg))) return;
  refineSide(there.frame, insn, true);
  refineSide(env.frame, insn, false);
  checkSide(env, there.frame, { insn, holds: true });
  checkSide(env, env.frame, { insn, holds: false });
}

function refineSide(frame: Frame, { dst, src, cond, bits }: Jump, holds: boolean): void {
  // Linux narrows a register that is compared with itself, on the impossible side too, and its numbers show it.
  if ('reg' in src) refine(frame, regAt(dst), regAt(src.reg), { cond, bits, holds });
  else refineImm(frame, regAt(dst), src.imm, { cond, bits, holds });
}

function checkSide(env: Env, frame: Frame, { insn, holds }: { insn: Jump; holds: boolean }): void {
  checkBounds(env, { file: frame, r: regAt(insn.dst), holds, no: 1 });
  if ('reg' in insn.src) checkBounds(env, { file: frame, r: regAt(insn.src.reg), holds, no: 2 });
}

/** A side that no value takes may have ranges that contradict each other: they are forgotten (reg_bounds_sanity_check). */
function checkBounds(env: Env, reg: { file: Frame; r: number; holds: boolean; no: number }): void {
  if (boundsViolation(reg.file, reg.r) === undefined) return;
  env.write(`${violationLine(reg.file, reg.r, `${reg.holds}_reg${reg.no}`)}\n`);
  unbound(reg.file, reg.r);
}

/** Two pointers that compare equal are both valid where one is. */
function liftNull(env: Env, insn: Jump, there: State): void {
  if (insn.bits === 32 || !('reg' in insn.src) || (insn.cond !== 'eq' && insn.cond !== 'ne')) return;
  const frame = env.frame;
  const types = [typeOf(frame, regAt(insn.dst)), typeOf(frame, regAt(insn.src.reg))] as const;
  if (types.some((type) => type === regTypes.scalar || baseType(type) === regTypes.btfId)) return;
  if (mayBeNull(types[0]) === mayBeNull(types[1])) return;
  const equal = insn.cond === 'eq' ? there : env.state;
  const reg = mayBeNull(types[1]) ? insn.src.reg : insn.dst;
  markNotNull(env, equal.frame, regAt(reg));
}
