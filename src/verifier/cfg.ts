/**
 * The control flow of the raw program (check_cfg): every instruction is reachable, no jump leaves the program
 * or lands inside a two-slot load, and, for loaders that may not loop, nothing jumps back. On the way it marks
 * where the exploration remembers and compares states (prune points) and where it keeps history (jump points).
 */

import {
  helperChangesPacket,
  helperSleeps,
  insnCallsBack,
  insnCallsLater,
  markSubprogChangesPacket,
  markSubprogSleeps,
} from './effects.ts';
import type { Env } from './env.ts';
import { findKfunc } from './kfuncs.ts';

const DISCOVERED = 0x10;
const EXPLORED = 0x20;
const FALLTHROUGH = 1;
const BRANCH = 2;

const CLASS_JMP = 5;
const CLASS_JMP32 = 6;
const WIDE_LOAD = 0x18;
const OP_JA = 0x00;
const OP_CALL = 0x80;
const OP_EXIT = 0x90;
const OP_JCOND = 0xe0;
const SRC_SUBPROG = 1;
const SRC_KFUNC = 2;
const SRC_FUNC = 4;

class Walk {
  readonly env: Env;
  readonly state: Uint8Array;
  private readonly stack: Int32Array;
  private depth = 0;

  constructor(env: Env) {
    this.env = env;
    this.state = new Uint8Array(env.count);
    this.stack = new Int32Array(env.count);
  }

  run(start: number): void {
    this.state[start] = DISCOVERED;
    this.stack[this.depth++] = start;
    while (this.depth > 0) {
      const slot = this.stack[this.depth - 1] as number;
      if (this.visit(slot)) continue;
      this.state[slot] = EXPLORED;
      this.depth--;
    }
  }

  /** Follow an edge; whether there is something new to explore at its end. */
  private push(from: number, to: number, edge: number): boolean {
    const { env, state } = this;
    if ((state[from] as number) >= (DISCOVERED | edge)) return false;
    if (to < 0 || to >= env.count) env.reject('EINVAL', `jump out of range from insn ${from} to ${to}`);
    if (edge === BRANCH) mark(env, to);
    const there = state[to] as number;
    if (there === 0) {
      state[from] = DISCOVERED | edge;
      state[to] = DISCOVERED;
      this.stack[this.depth++] = to;
      return true;
    }
    if ((there & 0xf0) === DISCOVERED) {
      if (env.input.capabilities.bpf) return false;
      env.reject('EINVAL', `back-edge from insn ${from} to ${to}`);
    }
    state[from] = DISCOVERED | edge;
    return false;
  }

  private visit(slot: number): boolean {
    const { env } = this;
    const opcode = env.opcode(slot);
    const cls = opcode & 7;
    if (cls !== CLASS_JMP && cls !== CLASS_JMP32) {
      if (opcode === WIDE_LOAD && env.src(slot) === SRC_FUNC) return this.visitCallee(slot, 2);
      return this.push(slot, slot + (opcode === WIDE_LOAD ? 2 : 1), FALLTHROUGH);
    }
    switch (opcode & 0xf0) {
      case OP_EXIT:
        return false;
      case OP_CALL:
        return this.visitCall(slot);
      case OP_JA: {
        if ((opcode & 0x08) !== 0) env.reject('EINVAL', `unknown opcode ${opcode.toString(16)}`);
        const target = slot + 1 + (cls === CLASS_JMP32 ? env.imm(slot) : env.off(slot));
        if (this.push(slot, target, FALLTHROUGH)) return true;
        mark(env, target);
        return false;
      }
      default: {
        env.prunePoint[slot] = 1;
        if ((opcode & 0xf0) === OP_JCOND) env.forceCheckpoint[slot] = 1;
        return this.push(slot, slot + 1, FALLTHROUGH) || this.push(slot, slot + 1 + env.off(slot), BRANCH);
      }
    }
  }

  private visitCall(slot: number): boolean {
    const { env } = this;
    const raw = env.raw(slot);
    if (raw.src === 0 && helperChangesPacket(raw.imm)) markSubprogChangesPacket(env, slot);
    const kind = callKinds[raw.src] ?? 'helper';
    if (insnCallsLater(env, { kind, imm: raw.imm })) env.prunePoint[slot] = 1;
    if (insnCallsBack(env, { kind, imm: raw.imm })) {
      // Callbacks come back to the call itself, where the exploration sees whether they converge.
      mark(env, slot);
      env.forceCheckpoint[slot] = env.callsBack[slot] = 1;
    }
    if (raw.src === SRC_KFUNC) visitKfunc(env, slot, raw.imm);
    if (raw.src === 0 && helperSleeps(raw.imm)) markSubprogSleeps(env, slot);
    if (raw.src === SRC_SUBPROG) return this.visitCallee(slot, 1);
    if (this.push(slot, slot + 1, FALLTHROUGH)) return true;
    mark(env, slot + 1);
    return false;
  }

  /** An instruction of `slots` slots that calls a subprogram, or takes its address to call it. */
  private visitCallee(slot: number, slots: number): boolean {
    const { env } = this;
    if (this.push(slot, slot + slots, FALLTHROUGH)) return true;
    mark(env, slot + slots);
    const callee = slot + 1 + env.imm(slot);
    env.prunePoint[slot] = 1;
    const target = env.subprogs[env.subprogAt(callee)];
    if (target?.changesPacket === true) markSubprogChangesPacket(env, slot);
    if (target?.mightSleep === true) markSubprogSleeps(env, slot);
    return this.push(slot, callee, BRANCH);
  }

  checkAllExplored(): void {
    const { env, state } = this;
    for (let slot = 0; slot < env.count; slot++) {
      if (state[slot] !== EXPLORED) env.reject('EINVAL', `unreachable insn ${slot}`);
      if (env.opcode(slot) !== WIDE_LOAD) continue;
      if (state[slot + 1] !== 0) env.reject('EINVAL', `jump into the middle of ldimm64 insn ${slot}`);
      slot++;
    }
  }
}

const callKinds: readonly ('helper' | 'subprog' | 'kfunc')[] = ['helper', 'subprog', 'kfunc'];

function visitKfunc(env: Env, slot: number, id: number): void {
  const kfunc = findKfunc(env, id);
  if (kfunc?.iterator?.step === 'next') {
    env.prunePoint[slot] = env.forceCheckpoint[slot] = env.iteratorSteps[slot] = 1;
  }
  if (kfunc?.facts?.flags.includes('sleepable') === true) markSubprogSleeps(env, slot);
  if (kfunc?.name === 'bpf_xdp_pull_data') markSubprogChangesPacket(env, slot);
}

function mark(env: Env, slot: number): void {
  env.prunePoint[slot] = 1;
  env.jumpPoint[slot] = 1;
}

export function checkCfg(env: Env): void {
  const walk = new Walk(env);
  walk.run(0);
  // What runs when the program throws is reached, though nothing calls it.
  const callback = env.subprogs[env.exceptionCallback]?.start;
  if (callback !== undefined && walk.state[callback] === 0) walk.run(callback);
  walk.checkAllExplored();
}
