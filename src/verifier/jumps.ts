/**
 * Conditional jumps: is the outcome known, and what does each outcome teach (check_cond_jmp_op).
 */
import type { Insn, JmpCond } from '../isa/index.ts';
import { pushBranch, pushSpeculative } from './branches.ts';
import { checkRead, isSecret } from './checks.ts';
import {
  boundsViolation,
  branchTaken,
  isConst,
  isConst32,
  refine,
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
import { copyReg, isPacketOrEnd, isScalar, setKnownImm, setScalar, typeOf, word } from './regs.ts';
import { type Frame, regAt } from './state/frame.ts';
import { AUX0, ID, TNUM_VALUE } from './state/layout.ts';
import { baseType, mayBeNull, regTypes } from './state/reg-types.ts';
import { historyFlags, type LinkedReg, type State } from './state/state.ts';
import { isNonNull } from './trust.ts';

type Jump = Extract<Insn, { op: 'jmp' }>;

/** Scratch registers of env.fake: both operands. */
const LEFT = regAt(0);
const RIGHT = regAt(1);

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
  loadOperands(env, insn);
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
  const { frame } = pushSpeculative(env, { insn: env.insn + off + 1, prev: env.insn });
  setScalar(frame, regAt(insn.dst));
  if ('reg' in insn.src) setScalar(frame, regAt(insn.src.reg));
}

function loadOperands(env: Env, insn: Jump): void {
  copyReg({ file: env.fake, r: LEFT }, env.frame, regAt(insn.dst));
  if ('reg' in insn.src) copyReg({ file: env.fake, r: RIGHT }, env.frame, regAt(insn.src.reg));
  else setKnownImm(env.fake, RIGHT, insn.src.imm);
}

/** is_branch_taken */
function isTaken(env: Env, insn: Jump): Taken {
  const { fake } = env;
  const left = typeOf(fake, LEFT);
  const right = typeOf(fake, RIGHT);
  if (isPacketOrEnd(left) && isPacketOrEnd(right) && insn.bits === 64) return packetTaken(env, insn.cond);
  const leftScalar = left === regTypes.scalar;
  const rightScalar = right === regTypes.scalar;
  if (leftScalar && rightScalar) return branchTaken(fake, LEFT, RIGHT, insn);
  if (!leftScalar && !rightScalar) return -1;
  // One pointer: only a comparison with zero can be decided.
  const scalar = leftScalar ? LEFT : RIGHT;
  const known = insn.bits === 32 ? isConst32(fake, scalar) : isConst(fake, scalar);
  const mask = insn.bits === 32 ? 0xffff_ffffn : 0xffff_ffff_ffff_ffffn;
  if (
    !known ||
    ((fake.u64[scalar + TNUM_VALUE] as bigint) & mask) !== 0n ||
    !isNonNull(fake, leftScalar ? RIGHT : LEFT)
  )
    return -1;
  if (insn.cond === 'eq') return 0;
  return insn.cond === 'ne' ? 1 : -1;
}

const BEYOND_END = -2;

/** is_pkt_ptr_branch_taken */
function packetTaken(env: Env, given: JmpCond): Taken {
  const { fake } = env;
  let cond = given;
  let pkt = LEFT;
  if (typeOf(fake, RIGHT) !== regTypes.packetEnd) {
    if (typeOf(fake, LEFT) !== regTypes.packetEnd) return -1;
    pkt = RIGHT;
    cond = flipped[given] ?? given;
  }
  if (typeOf(fake, pkt) === regTypes.packetEnd) return -1;
  const range = word(fake, pkt, AUX0);
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
  const linked: LinkedReg[] = [];
  const linkId = (r: number): number => (r >= 0 && isScalar(frame, r) ? word(frame, r, ID) : 0);
  if (linkId(src) !== 0) collectLinked(env, linkId(src), linked);
  if (linkId(dst) !== 0) collectLinked(env, linkId(dst), linked);
  const unique = dedupe(linked);
  if (unique.length > 1) pushHistory(env, 0, unique);
  const there = pushBranch(env, { insn: env.insn + insn.off + 1, prev: env.insn });
  refineBoth(env, insn, there);
  for (const r of [src, dst]) {
    if (linkId(r) === 0) continue;
    syncLinked(here, { r, linked: unique });
    syncLinked(there, { r, linked: unique });
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
  const { fake } = env;
  if (!isScalar(fake, LEFT) || !isScalar(fake, RIGHT)) return;
  const sides = [
    { state: there, holds: true },
    { state: env.state, holds: false },
  ];
  const same = 'reg' in insn.src && insn.src.reg === insn.dst;
  for (const { state, holds } of sides) {
    if (same) {
      // Linux narrows the one register by itself, on the impossible side too, and its numbers show it.
      refine(state.frame, regAt(insn.dst), regAt(insn.dst), { cond: insn.cond, bits: insn.bits, holds });
      continue;
    }
    loadOperandsOf(env, state, insn);
    refine(fake, LEFT, RIGHT, { cond: insn.cond, bits: insn.bits, holds });
    copyReg({ file: state.frame, r: regAt(insn.dst) }, fake, LEFT);
    if ('reg' in insn.src) copyReg({ file: state.frame, r: regAt(insn.src.reg) }, fake, RIGHT);
  }
  for (const { state, holds } of sides) {
    checkBounds(env, { file: state.frame, r: regAt(insn.dst), where: `${holds}_reg1` });
    if ('reg' in insn.src) {
      checkBounds(env, { file: state.frame, r: regAt(insn.src.reg), where: `${holds}_reg2` });
    }
  }
}

/** A side that no value takes may have ranges that contradict each other: they are forgotten (reg_bounds_sanity_check). */
function checkBounds(env: Env, reg: { file: Frame; r: number; where: string }): void {
  if (boundsViolation(reg.file, reg.r) === undefined) return;
  env.write(`${violationLine(reg.file, reg.r, reg.where)}\n`);
  unbound(reg.file, reg.r);
}

function loadOperandsOf(env: Env, state: State, insn: Jump): void {
  copyReg({ file: env.fake, r: LEFT }, state.frame, regAt(insn.dst));
  if ('reg' in insn.src) copyReg({ file: env.fake, r: RIGHT }, state.frame, regAt(insn.src.reg));
  else setKnownImm(env.fake, RIGHT, insn.src.imm);
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
