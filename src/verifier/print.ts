/**
 * Printing to the log as the exploration goes: states (all of one, or what changed), instructions, C lines.
 */
import { formatInsn, opcodeOf } from '../asm/index.ts';
import { KERNEL } from './btf-objects.ts';
import type { Env } from './env.ts';
import { findKfunc } from './kfuncs.ts';
import { type Scratched, type StateNames, stateText } from './log/index.ts';
import type { State } from './state/state.ts';

function names(env: Env): StateNames {
  return {
    map: (index) => env.map(index),
    btfType: (object, id) => env.types.name({ object, id }),
    iterator: (id) => env.types.name({ object: KERNEL, id }).replace(/^bpf_iter_/, ''),
  };
}

/** One frame of a state and a line's end (print_verifier_state). */
export function printState(env: Env, state: State, what: { frame: number; all: boolean }): void {
  const frame = state.frames[what.frame];
  if (env.log.level === 0 || frame === undefined) return;
  const scratched: Scratched | undefined = what.all
    ? undefined
    : { regs: env.scratchedRegs, slotsLow: env.scratchedLow, slotsHigh: env.scratchedHigh };
  env.write(
    `${stateText({ frame, names: names(env), scratched, refs: state.refs, suffix: frame.inCallback ? ' cb' : frame.inAsyncCallback ? ' async_cb' : '' })}\n`,
  );
  if (!what.all) env.scratchedRegs = env.scratchedLow = env.scratchedHigh = 0;
}

/** What the last instruction changed: on its line if nothing was printed since (print_insn_state). */
export function printChanges(env: Env): void {
  if (!env.log.on) return;
  if (!env.log.column()) env.write(`${env.insn}:`);
  printState(env, env.state, { frame: env.state.curFrame, all: false });
}

/** `(b7) r0 = 0`. */
export function insnText(env: Env, slot: number): string {
  const insn = env.insns[slot];
  if (insn === undefined) return '(00)';
  const opcode = opcodeOf(insn).toString(16).padStart(2, '0');
  // A function of the kernel that is not there has no name to Linux.
  if (insn.op === 'call' && insn.kind === 'kfunc' && findKfunc(env, insn.imm) === undefined) {
    return `(${opcode}) call #${insn.imm}`;
  }
  const text = formatInsn(insn, {
    wideLoad: () => wideLoadText(env, slot),
    kfunc: (call) => findKfunc(env, call.imm)?.name,
  });
  return text.startsWith('BUG_') ? text : `(${opcode}) ${text}`;
}

function wideLoadText(env: Env, slot: number): string | undefined {
  const load = env.wideLoads.get(slot);
  if (load === undefined) return undefined;
  if (!env.allowLeaks) return '0x0';
  if (load.kind === 'func') return `0x${env.raw(slot).imm.toString(16)}`;
  if (load.kind === 'variable') return '0x0';
  const map = env.map(load.map);
  const address = load.kind === 'map' ? map.address : (map.valueAddress ?? map.address) + load.offset;
  return `0x${address.toString(16)}`;
}

export function printLine(env: Env, slot: number): void {
  if (env.lines !== undefined && env.log.level !== 0) env.write(env.lines.show(slot));
}
