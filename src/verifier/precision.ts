/**
 * Precision: where a check relied on the exact value of a scalar, every state that the value came through
 * must say so, or a later, different value could be taken for the same (mark_chain_precision). Walks the
 * history of the current path backwards, instruction by instruction, checkpoint by checkpoint.
 */
import type { Insn, InvalidInsn } from '../isa/index.ts';
import { helpers } from '../uapi/helpers.ts';
import type { Env } from './env.ts';
import { insnText, printState } from './print.ts';
import { isScalar } from './regs.ts';
import { FP, type Frame, regAt, spilledAt } from './state/frame.ts';
import { PRECISE } from './state/layout.ts';
import { type HistoryEntry, historyFlags, type State } from './state/state.ts';

const MAX_FRAMES = 8;
const ARGS = 0x3e;

/** Registers and slots whose origin is looked for, by frame: a mask of registers, two words of slots. */
class Wanted {
  frame = 0;
  readonly regs = new Int32Array(MAX_FRAMES);
  private readonly slots = new Int32Array(2 * MAX_FRAMES);

  get empty(): boolean {
    for (let i = 0; i <= this.frame; i++) if (this.regs[i] !== 0 || this.hasSlots(i)) return false;
    return true;
  }

  clear(frame: number): void {
    this.regs[frame] = this.slots[2 * frame] = this.slots[2 * frame + 1] = 0;
  }

  hasReg(reg: number): boolean {
    return ((this.regs[this.frame] as number) & (1 << reg)) !== 0;
  }

  setReg(reg: number, frame = this.frame): void {
    this.regs[frame] = (this.regs[frame] as number) | (1 << reg);
  }

  clearReg(reg: number, frame = this.frame): void {
    this.regs[frame] = (this.regs[frame] as number) & ~(1 << reg);
  }

  hasSlots(frame: number): boolean {
    return ((this.slots[2 * frame] as number) | (this.slots[2 * frame + 1] as number)) !== 0;
  }

  hasSlot(frame: number, slot: number): boolean {
    return ((this.slots[2 * frame + (slot >> 5)] as number) & (1 << (slot & 31))) !== 0;
  }

  setSlot(frame: number, slot: number): void {
    const at = 2 * frame + (slot >> 5);
    this.slots[at] = (this.slots[at] as number) | (1 << (slot & 31));
  }

  clearSlot(frame: number, slot: number): void {
    const at = 2 * frame + (slot >> 5);
    this.slots[at] = (this.slots[at] as number) & ~(1 << (slot & 31));
  }

  regText(frame: number): string {
    const names: string[] = [];
    for (let reg = 0; reg < 32; reg++) if ((this.regs[frame] as number) & (1 << reg)) names.push(`r${reg}`);
    return names.join(',');
  }

  slotText(frame: number): string {
    const names: string[] = [];
    for (let slot = 0; slot < 64; slot++) if (this.hasSlot(frame, slot)) names.push(`-${(slot + 1) * 8}`);
    return names.join(',');
  }
}

/** Used anew by every search; one ends before the next begins. */
const search = new Wanted();

function startSearch(frame: number): Wanted {
  for (let no = 0; no < MAX_FRAMES; no++) search.clear(no);
  search.frame = frame;
  return search;
}

/** A register of the current frame was relied upon. */
export function markPrecise(env: Env, reg: number): void {
  if (!env.input.capabilities.bpf) return;
  const wanted = startSearch(env.state.curFrame);
  wanted.setReg(reg);
  markChain(env, env.state, wanted);
}

/** A stack slot was relied upon. */
export function markSlotPrecise(env: Env, frame: number, slot: number): void {
  if (!env.input.capabilities.bpf) return;
  const wanted = startSearch(env.state.curFrame);
  wanted.setSlot(frame, slot);
  markChain(env, env.state, wanted);
}

/** What was precise in an equal, older state is so in the current one (propagate_precision). */
export function propagatePrecision(env: Env, old: State): void {
  if (!env.input.capabilities.bpf) return;
  const wanted = startSearch(env.state.curFrame);
  for (let no = old.curFrame; no >= 0; no--) {
    const frame = old.frames[no] as Frame;
    const names: string[] = [];
    for (let reg = 0; reg < FP; reg++) {
      if (!isPreciseScalar(frame, regAt(reg))) continue;
      wanted.setReg(reg, no);
      names.push(`r${reg}`);
    }
    for (let slot = 0; slot < frame.slots; slot++) {
      if (!frame.isSpilled(slot) || !isPreciseScalar(frame, spilledAt(slot))) continue;
      wanted.setSlot(no, slot);
      names.push(`fp${-(slot + 1) * 8}`);
    }
    if (names.length > 0 && env.log.verbose) env.write(`frame ${no}: propagating ${names.join(',')}\n`);
  }
  markChain(env, env.state, wanted);
}

function isPreciseScalar(frame: Frame, r: number): boolean {
  return isScalar(frame, r) && frame.i32[2 * r + PRECISE] === 1;
}

/** Walks back from `start` until everything wanted is found, marking it in each checkpoint passed. */
function markChain(env: Env, start: State, wanted: Wanted): void {
  if (wanted.empty) return;
  let state = start;
  let first = start.firstInsn;
  let last = env.insn;
  let subsequent = -1;
  let skip = true;
  for (;;) {
    if (env.log.verbose) {
      env.write(
        `mark_precise: frame${wanted.frame}: last_idx ${last} first_idx ${first} subseq_idx ${subsequent} \n`,
      );
    }
    if (last < 0) {
      markArguments(state, wanted);
      return;
    }
    let left = state.history.length;
    for (let at = last; ; ) {
      if (skip) skip = false;
      else {
        const entry = left > 0 && state.history[left - 1]?.insn === at ? state.history[left - 1] : undefined;
        if (entry !== undefined || env.log.verbose || concerns(env, at, wanted)) {
          if (!backtrack(env, { at, subsequent, entry }, wanted)) {
            markAllPrecise(env, start);
            return;
          }
          if (wanted.empty) return;
        }
      }
      subsequent = at;
      if (at === state.firstInsn && (left === 0 || (left === 1 && state.history[0]?.insn === at))) break;
      const entry = state.history[left - 1];
      if (left > 0 && entry?.insn === at) {
        at = entry.prev;
        left--;
      } else at--;
      if (at < 0) break;
    }
    const parent = state.parent;
    if (parent === undefined) break;
    state = parent;
    markCheckpoint(env, state, wanted);
    if (wanted.empty) return;
    subsequent = first;
    last = state.lastInsn;
    first = state.firstInsn;
  }
  if (!wanted.empty) markAllPrecise(env, start);
}

/** At the entry of a function that is verified by itself, its arguments are what was wanted. */
function markArguments(state: State, wanted: Wanted): void {
  const frame = state.frames[0] as Frame;
  for (let reg = 0; reg < FP; reg++) {
    if (!wanted.hasReg(reg)) continue;
    if (isScalar(frame, regAt(reg))) frame.i32[2 * regAt(reg) + PRECISE] = 1;
  }
}

function markCheckpoint(env: Env, state: State, wanted: Wanted): void {
  for (let no = wanted.frame; no >= 0; no--) {
    const frame = state.frames[no] as Frame;
    for (let reg = 0; reg < FP; reg++) {
      if (((wanted.regs[no] as number) & (1 << reg)) === 0) continue;
      if (!markOne(frame, regAt(reg))) wanted.clearReg(reg, no);
    }
    if (wanted.hasSlots(no)) {
      for (let slot = 0; slot < 64; slot++) {
        if (!wanted.hasSlot(no, slot)) continue;
        if (slot >= frame.slots || !frame.isSpilled(slot) || !markOne(frame, spilledAt(slot))) {
          wanted.clearSlot(no, slot);
        }
      }
    }
    if (!env.log.verbose) continue;
    env.write(
      `mark_precise: frame${no}: parent state regs=${wanted.regText(no)} stack=${wanted.slotText(no)}: `,
    );
    printState(env, state, { frame: no, all: true });
  }
}

/** False where nothing further is wanted: no scalar, or precise already. */
function markOne(frame: Frame, r: number): boolean {
  if (!isScalar(frame, r) || frame.i32[2 * r + PRECISE] === 1) return false;
  frame.i32[2 * r + PRECISE] = 1;
  return true;
}

/** The fallback: every scalar of every checkpoint on the way (mark_all_scalars_precise). */
function markAllPrecise(env: Env, start: State): void {
  if (env.log.verbose) {
    env.write(`mark_precise: frame${start.curFrame}: falling back to forcing all scalars precise\n`);
  }
  for (let state = start.parent; state !== undefined; state = state.parent) {
    for (let no = 0; no <= state.curFrame; no++) {
      const frame = state.frames[no] as Frame;
      for (let reg = 0; reg < FP; reg++) {
        if (markOne(frame, regAt(reg)) && env.log.verbose) {
          env.write(`force_precise: frame${no}: forcing r${reg} to be precise\n`);
        }
      }
      for (let slot = 0; slot < frame.slots; slot++) {
        if (!frame.isSpilled(slot) || !markOne(frame, spilledAt(slot)) || !env.log.verbose) continue;
        env.write(`force_precise: frame${no}: forcing fp${-(slot + 1) * 8} to be precise\n`);
      }
    }
  }
}

/** A new checkpoint starts with nothing precise in the path that goes on from it. */
export function forgetPrecision(state: State): void {
  for (let no = 0; no <= state.curFrame; no++) {
    const frame = state.frames[no] as Frame;
    for (let reg = 0; reg < FP; reg++) frame.i32[2 * regAt(reg) + PRECISE] = 0;
    for (let slot = 0; slot < frame.slots; slot++) frame.i32[2 * spilledAt(slot) + PRECISE] = 0;
  }
}

const ALWAYS = 1 << 15;

/** Whether an instruction without history may have to do with what is wanted. Most have not. */
function concerns(env: Env, slot: number, wanted: Wanted): boolean {
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

interface Step {
  readonly at: number;
  readonly subsequent: number;
  readonly entry: HistoryEntry | undefined;
}

function syncLinkedWanted(entry: HistoryEntry | undefined, wanted: Wanted): void {
  const linked = entry?.linked;
  if (linked === undefined) return;
  const isWanted = (one: (typeof linked)[number]): boolean =>
    one.isReg
      ? ((wanted.regs[one.frame] as number) & (1 << one.index)) !== 0
      : wanted.hasSlot(one.frame, one.index);
  if (!linked.some(isWanted)) return;
  for (const one of linked) {
    if (one.isReg) wanted.setReg(one.index, one.frame);
    else wanted.setSlot(one.frame, one.index);
  }
}

/** What was wanted after an instruction is wanted of its operands before it (backtrack_insn); false: give up. */
function backtrack(env: Env, step: Step, wanted: Wanted): boolean {
  const insn = env.insns[step.at];
  if (insn === undefined) return true;
  if (env.log.verbose) {
    const { frame } = wanted;
    env.write(
      `mark_precise: frame${frame}: regs=${wanted.regText(frame)} stack=${wanted.slotText(frame)} before ${step.at}: ${insnText(env, step.at)}\n`,
    );
  }
  syncLinkedWanted(step.entry, wanted);
  const result = backtrackInsn(env, { ...step, insn }, wanted);
  if (result === 'stop') return true;
  if (result === 'fallback') return false;
  syncLinkedWanted(step.entry, wanted);
  return true;
}

function backtrackInsn(
  env: Env,
  step: Step & { insn: Insn | InvalidInsn },
  wanted: Wanted,
): 'on' | 'stop' | 'fallback' {
  const { insn, entry } = step;
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
      return backtrackAtomic(step, wanted);
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
      return backtrackJump(step, insn, wanted);
    case 'call':
      return backtrackCall(env, { ...step, insn }, wanted);
    case 'exit':
      return backtrackExit(env, step, wanted);
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

/** The old value of a fetching atomic comes from memory; the memory written is no spill any more. */
function backtrackAtomic(
  step: Step & { insn: Insn | InvalidInsn },
  wanted: Wanted,
): 'on' | 'stop' | 'fallback' {
  const { insn, entry } = step;
  if (insn.op !== 'atomic') return 'on';
  if (insn.fetch) {
    const loaded = insn.atomic === 'cmpxchg' ? 0 : insn.src;
    if (wanted.hasReg(loaded)) {
      wanted.clearReg(loaded);
      if (entry !== undefined && (entry.flags & historyFlags.stackAccess) !== 0) return 'fallback';
    }
  }
  return wanted.hasReg(insn.dst) ? 'fallback' : 'stop';
}

function backtrackJump(step: Step, insn: Extract<Insn, { op: 'jmp' }>, wanted: Wanted): 'on' | 'stop' {
  if (!('reg' in insn.src)) return 'on';
  const src = insn.src.reg;
  if (!wanted.hasReg(insn.dst) && !wanted.hasReg(src)) return 'stop';
  const flags = step.entry?.flags ?? 0;
  if ((flags & historyFlags.srcStack) === 0) wanted.setReg(src);
  if ((flags & historyFlags.dstStack) === 0) wanted.setReg(insn.dst);
  return 'on';
}

function backtrackCall(
  env: Env,
  step: Step & { insn: Extract<Insn, { op: 'call' }> },
  wanted: Wanted,
): 'on' | 'stop' | 'fallback' {
  const { insn, at } = step;
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
  wanted.clearReg(0);
  if (((wanted.regs[wanted.frame] as number) & ARGS) !== 0) return 'fallback';
  if (insn.kind === 'helper' && insn.imm === helpers.tail_call.id && step.subsequent - at !== 1) {
    wanted.frame++;
  }
  return 'on';
}

function backtrackExit(env: Env, step: Step, wanted: Wanted): 'stop' | 'fallback' {
  const before = env.insns[step.subsequent - 1];
  const fromCall = before?.op === 'call' && before.kind === 'subprog';
  const r0 = fromCall && wanted.hasReg(0);
  wanted.clearReg(0);
  if (wanted.frame + 1 >= MAX_FRAMES) return 'fallback';
  wanted.frame++;
  wanted.clear(wanted.frame);
  if (r0) wanted.setReg(0);
  return 'stop';
}
