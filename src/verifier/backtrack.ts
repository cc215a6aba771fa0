/**
 * One step of backtracking: what was wanted after an instruction is wanted of its operands before it
 * (backtrack_insn). The walk itself is in precision.ts.
 */
import type { Insn, InvalidInsn } from '../isa/index.ts';
import { helpers } from '../uapi/helpers.ts';
import type { Env } from './env.ts';
import { insnText } from './print.ts';
import { FP } from './state/frame.ts';
import { type HistoryEntry, historyFlags, type LinkedReg } from './state/state.ts';
import { MAX_FRAMES, type Wanted } from './wanted.ts';

const ARGS = 0x3e;
const ALWAYS = 1 << 15;

/** Whether an instruction without history may have to do with what is wanted. Most have not. */
export function concerns(env: Env, slot: number, wanted: Wanted): boolean {
  let mask = env.backtracked[slot] as number;
  if (mask === 0) env.backtracked[slot] = mask = concernMask(env.insns[slot]);
  return (mask & ((wanted.regs[wanted.frame] as number) | ALWAYS)) !== 0;
}

/** Registers that an instruction, which did not touch the stack, passes on to others when they are wanted. */
function concernMask(insn: Insn | InvalidInsn | undefined): number {
  const seen = 1 << 14;
  switch (insn?.op) {
    case undefined:
    case 'ja':
    case 'mayGoto':
      return seen;
    case 'alu':
    case 'neg':
    case 'swap':
    case 'movsx':
    case 'addrSpaceCast':
    case 'load':
    case 'loadAcquire':
    case 'ldimm64':
    case 'store':
    case 'storeRelease':
      return seen | (1 << insn.dst);
    case 'jmp':
      return 'reg' in insn.src ? seen | (1 << insn.dst) | (1 << insn.src.reg) : seen;
    default:
      return ALWAYS;
  }
}

/** The instruction that a walk has come to; one object for all of it. */
export interface Step {
  at: number;
  /** The instruction after it. */
  subsequent: number;
  entry: HistoryEntry | undefined;
  readonly wanted: Wanted;
}

function syncLinkedWanted(entry: HistoryEntry | undefined, wanted: Wanted): void {
  const linked = entry?.linked;
  if (linked === undefined) return;
  let found = false;
  for (const one of linked) found ||= isWanted(one, wanted);
  if (!found) return;
  for (const one of linked) {
    if (one.isReg) wanted.setReg(one.index, one.frame);
    else wanted.setSlot(one.frame, one.index);
  }
}

function isWanted({ frame, isReg, index }: LinkedReg, wanted: Wanted): boolean {
  return isReg ? ((wanted.regs[frame] as number) & (1 << index)) !== 0 : wanted.hasSlot(frame, index);
}

/** What was wanted after an instruction is wanted of its operands before it (backtrack_insn); false: give up. */
export function backtrack(env: Env, step: Step): boolean {
  const { wanted } = step;
  const insn = env.insns[step.at];
  if (insn === undefined) return true;
  if (env.log.verbose) {
    const { frame } = wanted;
    env.write(
      `mark_precise: frame${frame}: regs=${wanted.regText(frame)} stack=${wanted.slotText(frame)} before ${step.at}: ${insnText(env, step.at)}\n`,
    );
  }
  syncLinkedWanted(step.entry, wanted);
  const result = backtrackInsn(env, insn, step);
  if (result === 'stop') return true;
  if (result === 'fallback') return false;
  syncLinkedWanted(step.entry, wanted);
  return true;
}

function backtrackInsn(env: Env, insn: Insn | InvalidInsn, step: Step): 'on' | 'stop' | 'fallback' {
  const { entry, wanted } = step;
  const onStack = entry !== undefined && (entry.flags & historyFlags.stackAccess) !== 0;
  const slot = entry === undefined ? 0 : (entry.flags >> historyFlags.slotShift) & historyFlags.slotMask;
  const frame = entry === undefined ? 0 : entry.flags & historyFlags.frameMask;
  switch (insn.op) {
    case 'neg':
    case 'swap':
      return wanted.hasReg(insn.dst) ? 'on' : 'stop';
    case 'movsx':
    case 'addrSpaceCast':
      return moveWanted(insn.dst, insn.src, wanted);
    case 'alu':
      if (!wanted.hasReg(insn.dst)) return 'stop';
      if (insn.alu === 'mov') return moveWanted(insn.dst, 'reg' in insn.src ? insn.src.reg : -1, wanted);
      if ('reg' in insn.src && insn.src.reg !== FP) wanted.setReg(insn.src.reg);
      return 'on';
    case 'load':
    case 'loadAcquire':
      if (!wanted.hasReg(insn.dst)) return 'stop';
      wanted.clearReg(insn.dst);
      if (!onStack) return 'stop';
      wanted.setSlot(frame, slot);
      return 'on';
    case 'atomic':
      // The old value comes from memory. Linux 6.18 goes on with the register alone, as if it came from before, and
      // misses what was relied upon of a number that was spilled there.
      if (insn.fetch && onStack && wanted.hasReg(insn.atomic === 'cmpxchg' ? 0 : insn.src)) {
        wanted.setSlot(frame, slot);
      }
      return wanted.hasReg(insn.dst) ? 'fallback' : 'stop';
    case 'store':
    case 'storeRelease': {
      if (wanted.hasReg(insn.dst)) return 'fallback';
      if (!onStack || !wanted.hasSlot(frame, slot)) return 'stop';
      wanted.clearSlot(frame, slot);
      const src = insn.op === 'storeRelease' ? insn.src : 'reg' in insn.src ? insn.src.reg : -1;
      if (src >= 0) wanted.setReg(src);
      return 'on';
    }
    case 'ldimm64':
      if (!wanted.hasReg(insn.dst)) return 'stop';
      wanted.clearReg(insn.dst);
      return 'on';
    case 'ldPacket':
      if (!wanted.hasReg(0)) return 'stop';
      return 'fallback';
    case 'jmp':
      return backtrackJump(insn, step);
    case 'call':
      return backtrackCall(env, insn, step);
    case 'exit':
      return backtrackExit(env, step);
    default:
      return 'on';
  }
}

function moveWanted(dst: number, src: number, wanted: Wanted): 'on' | 'stop' {
  if (!wanted.hasReg(dst)) return 'stop';
  wanted.clearReg(dst);
  if (src >= 0 && src !== FP) wanted.setReg(src);
  return 'on';
}

function backtrackJump(insn: Extract<Insn, { op: 'jmp' }>, { entry, wanted }: Step): 'on' | 'stop' {
  if (!('reg' in insn.src)) return 'on';
  const src = insn.src.reg;
  if (!wanted.hasReg(insn.dst) && !wanted.hasReg(src)) return 'stop';
  const flags = entry?.flags ?? 0;
  if ((flags & historyFlags.srcStack) === 0) wanted.setReg(src);
  if ((flags & historyFlags.dstStack) === 0) wanted.setReg(insn.dst);
  return 'on';
}

function backtrackCall(
  env: Env,
  insn: Extract<Insn, { op: 'call' }>,
  { at, subsequent, wanted }: Step,
): 'on' | 'stop' | 'fallback' {
  if (insn.kind === 'subprog') {
    const subprog = env.subprogs[env.subprogStarting(at + insn.imm + 1)];
    if (subprog?.isGlobal === true) {
      wanted.clearReg(0);
      return 'stop';
    }
    // The callee's entry: its arguments are the caller's.
    if (wanted.frame === 0) return 'fallback';
    for (let reg = 1; reg <= 5; reg++) {
      if (!wanted.hasReg(reg)) continue;
      wanted.clearReg(reg);
      wanted.setReg(reg, wanted.frame - 1);
    }
    if (wanted.regs[wanted.frame] !== 0 || wanted.hasSlots(wanted.frame)) return 'fallback';
    wanted.frame--;
    return 'stop';
  }
  // Of a call of nothing, nothing is known.
  if (insn.kind === 'kfunc' && insn.imm === 0) return 'fallback';
  if (env.callsBack[at] === 1 && at !== subsequent - 1) return leaveCallback(wanted);
  wanted.clearReg(0);
  if (((wanted.regs[wanted.frame] as number) & ARGS) !== 0) return 'fallback';
  if (insn.kind === 'helper' && insn.imm === helpers.tail_call.id && subsequent - at !== 1) {
    wanted.frame++;
  }
  return 'on';
}

/** Back from the entry of a callback to the call of its helper, which made up its arguments. */
function leaveCallback(wanted: Wanted): 'stop' | 'fallback' {
  const regs = (wanted.regs[wanted.frame] as number) & ~ARGS;
  if (regs !== 0 || wanted.hasSlots(wanted.frame) || wanted.frame === 0) return 'fallback';
  wanted.clear(wanted.frame);
  wanted.frame--;
  return 'stop';
}

function backtrackExit(env: Env, { subsequent, wanted }: Step): 'stop' | 'fallback' {
  const before = env.insns[subsequent - 1];
  const fromCall = before?.op === 'call' && before.kind === 'subprog';
  const r0 = fromCall && wanted.hasReg(0);
  wanted.clearReg(0);
  if (subsequent >= 0 && env.callsBack[subsequent] === 1) {
    for (let reg = 1; reg <= 5; reg++) wanted.clearReg(reg);
  }
  if (wanted.frame + 1 >= MAX_FRAMES) return 'fallback';
  wanted.frame++;
  wanted.clear(wanted.frame);
  if (r0) wanted.setReg(0);
  return 'stop';
}
