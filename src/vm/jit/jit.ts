/**
 * The compiling engine: each program becomes a WebAssembly module, which the JavaScript engine compiles and
 * optimises. It runs every program that the interpreter runs, with equal results. It checks no access against
 * what is allocated, as Linux does not: what the verifier let through cannot leave the kernel's Memory.
 */
import { ProgramFault } from '../faults.ts';
import { interpreter } from '../interp/interpreter.ts';
import { DEFAULT_BUDGET, type Run } from '../run.ts';
import { checkRunnable } from '../runnable.ts';
import type { Engine, Executable, RunContext, RunnableProgram, Runtime } from '../types.ts';
import { type Continuing, Host, type Workspace, workspaceOf } from './host.ts';
import { CALLBACK, ENTRY } from './translate/layout.ts';
import { type Translation, translate } from './translate/module.ts';

class Compiled implements Continuing {
  readonly program: RunnableProgram;
  private readonly host: Host;
  readonly workspace: Workspace;
  private readonly slotAt: Translation['slotAt'];
  private readonly code: (ctx: number, stack: number) => void;

  constructor(host: Host, { bytes, slotAt }: Translation) {
    this.program = host.program;
    this.workspace = host.workspace;
    this.host = host;
    this.slotAt = slotAt;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.host.imports());
    this.host.callBack = instance.exports[CALLBACK] as Host['callBack'];
    this.code = instance.exports[ENTRY] as (ctx: number, stack: number) => void;
  }

  run(context: RunContext): bigint {
    const { workspace } = this;
    const budget = context.budget ?? DEFAULT_BUDGET;
    // A helper may have started this run in the middle of another, whose fuel is then in the scratch block.
    const outerFuel = workspace.runs === 0 ? 0 : workspace.fuel;
    workspace.runs++;
    workspace.fuel = budget;
    try {
      this.continueRun({ context, budget, tailCalls: 0 });
      return workspace.u64[0]!;
    } finally {
      workspace.runs--;
      if (workspace.runs > 0) workspace.fuel = outerFuel;
    }
  }

  enter(run: Run): bigint {
    const { workspace } = this;
    const outerFuel = workspace.fuel;
    workspace.fuel = run.budget;
    workspace.runs++;
    try {
      this.continueRun(run);
      return workspace.u64[0]!;
    } finally {
      workspace.runs--;
      run.budget = workspace.fuel;
      workspace.fuel = outerFuel;
    }
  }

  continueRun(run: Run): void {
    const { host, workspace } = this;
    const stack = workspace.takeStack();
    const outer = host.run;
    host.run = run;
    try {
      this.code(run.context.ctx, stack);
    } catch (error) {
      throw error instanceof WebAssembly.RuntimeError ? this.trapped(error) : error;
    } finally {
      host.run = outer;
      workspace.giveStack(stack);
    }
  }

  /** Which instruction of the program trapped, by the place in the module that the engine tells. */
  private trapped(error: WebAssembly.RuntimeError): ProgramFault {
    const offset = /wasm-function\[\d+\]:0x([0-9a-f]+)/.exec(error.stack ?? '')?.[1];
    const slot = offset === undefined ? undefined : this.slotAt(Number.parseInt(offset, 16));
    return new ProgramFault(slot ?? -1, `trapped: ${error.message}`);
  }
}

export const jit: Engine = {
  name: 'jit',
  load(program: RunnableProgram, runtime: Runtime): Executable {
    checkRunnable(program);
    const workspace = workspaceOf(runtime.memory);
    const translation = translate(program, { scratch: workspace.scratch, view: runtime.memory.view });
    // A function of some 700,000 instructions is more than WebAssembly takes.
    if (!translation.fits) return interpreter.load(program, runtime);
    return new Compiled(new Host(program, runtime, workspace), translation);
  },
};
