/**
 * What a run is to every engine: its limits, what the programs that it passes through share, and how it is
 * stopped. Engines may be mixed: a tail call goes from one to another through `Enterable`.
 */
import { SkepError } from '../base/errors.ts';
import type { KernelMemory } from '../memory/types.ts';
import type { Batch, Executable, RunContext, RunnableProgram } from './types.ts';

/** MAX_CALL_FRAMES. */
export const MAX_FRAMES = 8;
/** BPF_MAX_LOOPS: how often a frame's may_goto goes on. */
export const MAX_LOOPS = 8 * 1024 * 1024;
/** MAX_TAIL_CALL_CNT, for one run. */
export const MAX_TAIL_CALLS = 33;
/** MAX_BPF_STACK: bytes of one frame. */
export const STACK_BYTES = 512;
/** The id of bpf_tail_call(), which engines do themselves. */
export const TAIL_CALL = 12;

/** Instructions that a run may take where its context does not say. */
export const DEFAULT_BUDGET = 1_000_000_000;

/** What all programs that one run passes through share. */
export interface Run {
  readonly context: RunContext;
  /** Instructions left. */
  budget: number;
  tailCalls: number;
}

/** An executable that a tail call can enter within a run. */
export interface Enterable extends Executable {
  enter(run: Run): bigint;
}

/** The runs of a batch, each by itself. */
export function runOneByOne(
  program: Executable,
  { ctx, stride, count, results, packet }: Batch,
  memory: KernelMemory,
): void {
  for (let done = 0; done < count; done++) {
    const r0 = program.run({ ctx: ctx + done * stride, packet });
    // The memory may have grown since.
    memory.view.setUint32(results + 4 * (done + 1), Number(BigInt.asUintN(32, r0)), true);
    memory.view.setUint32(results, done + 1, true);
  }
}

/** The error of a run whose budget is used up before the instruction at `slot`. */
export function overBudget(program: RunnableProgram, slot: number): SkepError {
  return new SkepError({
    code: 'budget',
    message: `program ${program.name} was stopped: it took more instructions than a run may`,
    where: `instruction ${slot}`,
    hint: 'give the run a larger budget, or the program a shorter loop',
  });
}
