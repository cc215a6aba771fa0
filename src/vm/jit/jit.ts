/**
 * The compiling engine: each program becomes a WebAssembly module, which the JavaScript engine compiles and
 * optimises. It runs every program that the interpreter runs, with equal results. It checks no access against
 * what is allocated, as Linux does not: what the verifier let through cannot leave the kernel's Memory.
 */
import { Bug } from '../../base/errors.ts';
import { ProgramFault } from '../faults.ts';
import { DEFAULT_BUDGET, type Enterable, type Run } from '../run.ts';
import { checkRunnable } from '../runnable.ts';
import type { Engine, Executable, RunContext, RunnableProgram, Runtime } from '../types.ts';
import { Host, type Workspace, workspaceOf } from './host.ts';
import { ENTRY } from './translate/layout.ts';
import { type Translation, translate } from './translate/module.ts';

class Compiled implements Enterable {
  readonly program: RunnableProgram;
  private readonly host: Host;
  private readonly workspace: Workspace;
  private readonly slotAt: Translation['slotAt'];
  private readonly code: (ctx: number, stack: number) => bigint;

  constructor(program: RunnableProgram, runtime: Runtime) {
    this.program = program;
    this.workspace = workspaceOf(runtime.memory);
    this.host = new Host(program, runtime, this.workspace);
    const { bytes, slotAt } = translate(program, this.workspace.scratch);
    this.slotAt = slotAt;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.host.imports());
    this.code = instance.exports[ENTRY] as (ctx: number, stack: number) => bigint;
  }

  run(context: RunContext): bigint {
    return this.enter({ context, budget: context.budget ?? DEFAULT_BUDGET, tailCalls: 0 });
  }

  enter(run: Run): bigint {
    const { host, workspace } = this;
    const stack = workspace.takeStack();
    const outer = host.run;
    const outerFuel = workspace.fuel;
    host.run = run;
    workspace.fuel = run.budget;
    try {
      return BigInt.asUintN(64, this.code(run.context.ctx, stack));
    } catch (error) {
      throw error instanceof WebAssembly.RuntimeError ? this.trapped(error) : error;
    } finally {
      run.budget = workspace.fuel;
      workspace.fuel = outerFuel;
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
    try {
      return new Compiled(program, runtime);
    } catch (error) {
      if (error instanceof WebAssembly.CompileError) throw new Bug(`generated code: ${error.message}`);
      throw error;
    }
  },
};
