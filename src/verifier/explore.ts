/**
 * The exploration: from a state, instruction by instruction along every path, depth first, until each has
 * ended or is covered by an earlier one (do_check).
 */

import { Bug } from '../base/index.ts';
import { btfLinkages } from '../btf/index.ts';
import type { Insn } from '../isa/index.ts';
import type { Errno } from '../uapi/errno.ts';
import { helpers } from '../uapi/helpers.ts';
import { doAlu } from './alu.ts';
import { callSubprog, returnFromSubprog } from './calls.ts';
import { type Env, Rejection } from './env.ts';
import { checkReturn } from './exit.ts';
import { describeArgs, globalArgs, setGlobalArgs } from './global-args.ts';
import { callHelper } from './helper-call.ts';
import { pushHistory } from './history.ts';
import { doJump } from './jumps.ts';
import { callKfunc } from './kfunc-call.ts';
import { findKfunc } from './kfuncs.ts';
import { doMayGoto } from './may-goto.ts';
import { doAtomic, doLoad, doPacketLoad, doStore, doWideLoad } from './memory-insns.ts';
import { insnText, printChanges, printLine, printState } from './print.ts';
import { checkNothingHeld } from './references.ts';
import { newFrame, setPointer, word } from './regs.ts';
import { rejectInvalid } from './reserved.ts';
import { regAt } from './state/frame.ts';
import { REF_OBJ_ID } from './state/layout.ts';
import { regTypes } from './state/reg-types.ts';
import { State } from './state/state.ts';
import { isVisited } from './visited.ts';

/** Explore subprogram `index` from its entry, alone (do_check_common). */
export function explore(env: Env, index: number): void {
  const state = new State();
  state.frames.push(newFrame(0, { callsite: -1, subprog: index }));
  state.sleepable = env.sleepable;
  state.frame.inExceptionCallback = index === env.exceptionCallback;
  env.state = state;
  env.pending = [];
  env.checkpoints = new Array(env.count);
  env.insn = env.subprogs[index]?.start ?? 0;
  env.prevInsn = -1;
  state.firstInsn = env.insn;
  state.lastInsn = -1;
  env.touchAll();
  env.lines?.restart();
  if (index === 0) {
    if (env.btf !== undefined && (env.subprogs[0]?.btfId ?? 0) !== 0) describeMain(env);
    setPointer(state.frame, regAt(1), regTypes.ctx);
  } else beginGlobal(env, index);
  walk(env);
  for (const list of env.checkpoints) for (const checkpoint of list ?? []) checkpoint.state.release();
  if (!env.log.verbose) env.log.resetTo(0);
}

/** The entry's signature is only looked at; one that does not fit is said and ignored. */
function describeMain(env: Env): void {
  const id = env.subprogs[0]?.btfId ?? 0;
  const func = env.btf?.type(id);
  const args = describeArgs(env, id, func?.kind === 'func' && func.linkage === btfLinkages.global);
  if ('errno' in args && args.message !== '') env.write(`${args.message}\n`);
}

function beginGlobal(env: Env, index: number): void {
  const args = globalArgs(env, index);
  if ('errno' in args) {
    if (args.message !== '') env.write(`${args.message}\n`);
    env.fail(args.errno);
    return;
  }
  if (index === env.exceptionCallback && (args.length !== 1 || args[0]?.kind !== 'scalar')) {
    env.reject('EINVAL', 'exception cb only supports single integer argument');
  }
  setGlobalArgs(env, args);
}

function walk(env: Env): void {
  let entered = false;
  for (;;) {
    env.history = undefined;
    if (++env.processed > env.rules.instructions) {
      env.reject('E2BIG', `BPF program is too large. Processed ${env.processed} insn`);
    }
    env.state.lastInsn = env.prevInsn;
    env.state.insn = env.insn;
    let done = false;
    if (env.prunePoint[env.insn] === 1 && isVisited(env)) {
      printSafe(env, entered);
      done = true;
    } else {
      if (env.jumpPoint[env.insn] === 1) pushHistory(env, 0, undefined);
      if (env.log.on) {
        if (env.log.verbose && entered) {
          printFrom(env, '');
          printState(env, env.state, { frame: env.state.curFrame, all: true });
          entered = false;
        }
        printInsn(env);
      }
      if (!env.state.speculative) {
        env.seen[env.insn] = 1;
        env.facts.at(env.insn, env.frame);
      }
      const at = env.insn;
      env.returnNow = false;
      const outcome = env.state.speculative ? stepInSpeculation(env) : step(env);
      env.prevInsn = at;
      if (outcome === 'returned') entered = true;
      done = outcome === 'ended';
    }
    if (!done) continue;
    env.stackLiveness.update(env.state);
    env.touchAll();
    finishPath(env);
    if (!resume(env)) return;
    entered = true;
  }
}

function printFrom(env: Env, what: string): void {
  const how = env.state.speculative ? ' (speculative execution)' : '';
  env.write(`\nfrom ${env.prevInsn} to ${env.insn}${how}:${what}`);
}

function printSafe(env: Env, entered: boolean): void {
  if (!env.log.on) return;
  if (entered) printFrom(env, ' safe\n');
  else env.write(`${env.insn}: safe\n`);
}

function printInsn(env: Env): void {
  if (env.scratched) printChanges(env);
  printLine(env, env.insn);
  env.log.instruction(`${env.insn}: ${insnText(env, env.insn)}\n`);
}

type Outcome = 'on' | 'returned' | 'ended';

/** Errors that a fence before the instruction keeps speculation from (error_recoverable_with_nospec). */
const fenced: readonly Errno[] = ['EPERM', 'EACCES', 'EINVAL'];

/** On a path that only speculation takes, what must not happen is fenced off, and the path ends there. */
function stepInSpeculation(env: Env): Outcome {
  const at = env.insn;
  if (((env.fences[at] as number) & 1) !== 0) return 'ended';
  try {
    const outcome = step(env);
    return ((env.fences[at] as number) & 2) !== 0 ? 'ended' : outcome;
  } catch (error) {
    if (!(error instanceof Rejection) || !fenced.includes(error.errno)) throw error;
    env.fences[at] = (env.fences[at] as number) | 1;
    env.sanitized.delete(at);
    return 'ended';
  }
}

/** One instruction; `env.insn` is where to go on. */
function step(env: Env): Outcome {
  const insn = env.insns[env.insn];
  if (insn === undefined) throw new Bug(`slot ${env.insn} is no instruction`);
  if (insn.op === 'invalid') return rejectInvalid(env, insn);
  const { op } = insn;
  if (op === 'exit') {
    env.jumpsProcessed++;
    return doExit(env);
  }
  const stores = mayStore(insn, op);
  if (stores) env.stackLiveness.begin();
  doInsn(env, insn);
  if (stores) env.stackLiveness.commit(env.state, env.insn);
  if (env.threw) {
    env.threw = false;
    checkNothingHeld(env, { where: 'bpf_throw', locks: true, exception: true });
    return 'ended';
  }
  if (env.returnNow) {
    returnFromSubprog(env);
    return 'on';
  }
  env.insn += op === 'ldimm64' ? 2 : 1;
  return 'on';
}

/** Instructions whose writes stack liveness is told of. */
function mayStore(insn: Insn, op: Insn['op']): boolean {
  if (op === 'store' || op === 'storeRelease' || op === 'atomic') return true;
  return op === 'call' && isStoringCall(insn as Call);
}

type Call = Extract<Insn, { op: 'call' }>;

function isStoringCall(insn: Call): boolean {
  return insn.kind === 'kfunc' || (insn.kind === 'helper' && makesDynptr(insn.imm));
}

/** Helpers that begin or end a dynptr, which takes slots of the stack whole. */
function makesDynptr(id: number): boolean {
  return id >= helpers.dynptr_from_mem.id && id <= helpers.ringbuf_discard_dynptr.id;
}

function doInsn(env: Env, insn: Exclude<Insn, { op: 'exit' }>): void {
  switch (insn.op) {
    case 'alu':
    case 'neg':
    case 'swap':
    case 'movsx':
    case 'addrSpaceCast':
      doAlu(env, insn);
      return;
    case 'load':
    case 'loadAcquire':
      doLoad(env, insn);
      return;
    case 'store':
    case 'storeRelease':
      doStore(env, insn);
      return;
    case 'atomic':
      doAtomic(env, insn);
      return;
    case 'ldimm64':
      doWideLoad(env, insn);
      return;
    case 'ldPacket':
      doPacketLoad(env, insn);
      return;
    case 'jmp':
      env.jumpsProcessed++;
      doJump(env, insn);
      return;
    case 'ja':
      env.jumpsProcessed++;
      env.insn += insn.off;
      return;
    case 'mayGoto':
      env.jumpsProcessed++;
      doMayGoto(env, insn.off);
      return;
    case 'call':
      env.jumpsProcessed++;
      doCall(env, insn);
      return;
  }
}

/** Kernel functions that may be called while a lock is held (kfunc_spin_allowed). */
const underLock =
  /^(bpf_(list|rbtree)_.*|bpf_refcount_acquire_impl|bpf_iter_num_.*|bpf_res_spin_.*|bpf_arena_.*|bpf_stream_vprintk_impl)$/;

function mayCallLocked(env: Env, insn: Extract<Insn, { op: 'call' }>): boolean {
  switch (insn.kind) {
    case 'helper':
      return insn.imm === helpers.spin_unlock.id || insn.imm === helpers.kptr_xchg.id;
    case 'kfunc':
      return underLock.test(findKfunc(env, insn.imm)?.name ?? '');
    case 'subprog':
      return true;
  }
}

function doCall(env: Env, insn: Extract<Insn, { op: 'call' }>): void {
  if (env.state.locks > 0 && !mayCallLocked(env, insn)) {
    env.reject('EINVAL', 'function calls are not allowed while holding a lock');
  }
  switch (insn.kind) {
    case 'helper':
      callHelper(env, insn.imm);
      return;
    case 'subprog':
      callSubprog(env, insn.imm);
      return;
    case 'kfunc': {
      const kfunc = findKfunc(env, insn.imm);
      if (kfunc === undefined) {
        env.missingKfunc = true;
        env.touchReg(0);
      } else if (callKfunc(env, kfunc)) env.threw = true;
      return;
    }
  }
}

function doExit(env: Env): Outcome {
  const inner = env.state.curFrame > 0;
  const where = 'BPF_EXIT instruction in main prog';
  checkNothingHeld(env, { where, locks: !inner, returned: returnedReference(env) });
  if (inner) {
    returnFromSubprog(env);
    return 'returned';
  }
  checkReturn(env);
  return 'ended';
}

/** The kernel takes over an object that a member of a struct of functions returns. */
function returnedReference(env: Env): number {
  return env.progType === 'struct_ops' ? word(env.frame, regAt(0), REF_OBJ_ID) : 0;
}

/** A path has ended: checkpoints that it came through may be complete now (update_branch_counts). */
function finishPath(env: Env): void {
  let state: State | undefined = env.state;
  while (state !== undefined) {
    state.branches--;
    if (state.branches > 0) return;
    const done: State = state;
    env.loops.exit(done);
    if (done !== env.state && isDropped(env, done)) env.freeStates--;
    state = done.parent;
  }
}

function isDropped(env: Env, state: State): boolean {
  return env.droppedStates.delete(state);
}

/** Go on with the branch put aside last; false if there is none. */
function resume(env: Env): boolean {
  const next = env.pending.pop();
  env.state.release();
  if (next === undefined) return false;
  env.state = next.state;
  env.insn = next.insn;
  env.prevInsn = next.prevInsn;
  if (!env.log.verbose) env.log.resetTo(next.logLength);
  return true;
}
