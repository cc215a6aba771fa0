/**
 * The compiling engine: each program becomes a WebAssembly module, which the JavaScript engine compiles and
 * optimises. It runs every program that the interpreter runs, with equal results. It checks no access against
 * what is allocated, as Linux does not: what the verifier let through cannot leave the kernel's Memory.
 */
import { ProgramFault } from '../faults.ts';
import { interpreter } from '../interp/interpreter.ts';
import { DEFAULT_BUDGET, type Run, runOneByOne } from '../run.ts';
import { checkRunnable } from '../runnable.ts';
import type { Batch, Engine, Executable, RunContext, RunnableProgram, Runtime } from '../types.ts';
import { type Continuing, Host, type Workspace, workspaceOf } from './host.ts';
import { BATCH, CALLBACK, ENTRY, MAIN, RUN, WARM } from './translate/layout.ts';
import { type Translation, translate } from './translate/module.ts';
import { emptyRuns, RUNS_OBSERVED } from './warm-up.ts';

class Compiled implements Continuing {
  readonly program: RunnableProgram;
  private readonly host: Host;
  readonly workspace: Workspace;
  readonly slotAt: Translation['slotAt'];
  private readonly number: number;
  private readonly code: (ctx: number, stack: number) => void;
  private readonly start: (ctx: number, stack: number, times: number) => void;
  /** Of programs of packets: (ctx, stack, count, stride, results). */
  private readonly startBatch: ((...args: number[]) => void) | undefined;
  private readonly main: unknown;
  private index: number | undefined;
  /** Runs to go until it is warmed up; 0 once that is done, or is not wanted. */
  private cold: number;
  private readonly warm: (times: number) => void;
  private readonly emptyRuns: number;

  constructor(host: Host, { bytes, slotAt, helpersCalled, warmed }: Translation, number: number) {
    this.program = host.program;
    this.workspace = host.workspace;
    this.host = host;
    this.slotAt = slotAt;
    this.number = number;
    this.emptyRuns = emptyRuns(warmed);
    this.cold = host.runtime.warmUp === false ? 0 : RUNS_OBSERVED;
    const instance = new WebAssembly.Instance(
      new WebAssembly.Module(bytes),
      this.host.imports(helpersCalled),
    );
    this.host.callBack = instance.exports[CALLBACK] as Host['callBack'];
    this.main = instance.exports[MAIN];
    this.start = instance.exports[RUN] as (ctx: number, stack: number, times: number) => void;
    this.warm = instance.exports[WARM] as (times: number) => void;
    this.startBatch = instance.exports[BATCH] as typeof this.startBatch;
    this.code = instance.exports[ENTRY] as (ctx: number, stack: number) => void;
  }

  run(context: RunContext): bigint {
    const { workspace } = this;
    const { repeat = 1 } = context;
    if (workspace.runs > 0) return this.runInside(context);
    const stack = this.begin(context);
    try {
      if (this.cold > 0) this.startCold(context.ctx, stack, repeat);
      else this.start(context.ctx, stack, repeat);
      return workspace.u64[0]!;
    } catch (error) {
      throw error instanceof WebAssembly.RuntimeError ? this.trapped(error) : error;
    } finally {
      this.end(stack);
    }
  }

  runAll(batch: Batch): void {
    const { ctx, stride, count, results, packet } = batch;
    if (this.startBatch === undefined || this.workspace.runs > 0) {
      runOneByOne(this, batch, this.workspace.memory);
      return;
    }
    const stack = this.begin({ ctx, packet });
    try {
      this.startBatch(ctx, stack, count, stride, results);
      if (this.cold > 0 && (this.cold = Math.max(0, this.cold - count)) === 0) this.warm(this.emptyRuns);
    } catch (error) {
      throw error instanceof WebAssembly.RuntimeError ? this.trapped(error) : error;
    } finally {
      this.end(stack);
    }
  }

  /** A run starts, and no other is going on; the stack that it has. */
  private begin(context: RunContext): number {
    const { workspace } = this;
    const { runtime } = this.host;
    const { budget = runtime.fuel ?? DEFAULT_BUDGET } = context;
    workspace.setBudget(budget);
    workspace.cpu = runtime.cpu();
    const stack = workspace.takeStack();
    workspace.runs = 1;
    workspace.run = { context, budget, tailCalls: 0 };
    return stack;
  }

  private end(stack: number): void {
    const { workspace } = this;
    workspace.runs = 0;
    workspace.run = undefined;
    workspace.giveStack(stack);
  }

  /** Starts runs, of which some may be the last that are observed before the program is warmed up. */
  private startCold(ctx: number, stack: number, times: number): void {
    const first = Math.min(times, this.cold);
    this.cold -= first;
    this.start(ctx, stack, first);
    if (this.cold > 0) return;
    this.warm(this.emptyRuns);
    if (times > first) this.start(ctx, stack, times - first);
  }

  /** A helper started it in the middle of another run, whose state is in the scratch block. */
  private runInside(context: RunContext): bigint {
    const { workspace } = this;
    const { repeat = 1, budget = this.host.runtime.fuel ?? DEFAULT_BUDGET } = context;
    const { cpu } = workspace;
    let r0 = 0n;
    try {
      for (let left = repeat; left > 0; left--) r0 = this.enter({ context, budget, tailCalls: 0 });
      return r0;
    } finally {
      workspace.cpu = cpu;
    }
  }

  enter(run: Run): bigint {
    const { workspace } = this;
    const outerFuel = workspace.fuel;
    workspace.fuel = run.budget;
    const outerTails = workspace.tailCalls;
    workspace.cpu = this.host.runtime.cpu();
    workspace.tailCalls = run.tailCalls;
    workspace.runs++;
    try {
      this.continueRun(run);
      return workspace.u64[0]!;
    } finally {
      workspace.runs--;
      run.budget = workspace.fuel;
      run.tailCalls = workspace.tailCalls;
      workspace.tailCalls = outerTails;
      workspace.fuel = outerFuel;
    }
  }

  continueRun(run: Run): void {
    const { workspace } = this;
    const stack = workspace.takeStack();
    const outer = workspace.run;
    workspace.run = run;
    try {
      this.code(run.context.ctx, stack);
    } catch (error) {
      throw error instanceof WebAssembly.RuntimeError ? this.trapped(error) : error;
    } finally {
      workspace.run = outer;
      workspace.giveStack(stack);
    }
  }

  tableIndex(): number {
    this.index ??= this.workspace.addProgram(this.number, this, this.main);
    return this.index;
  }

  release(): void {
    if (this.index === undefined) return;
    this.workspace.removeProgram(this.number, this.index);
    this.index = undefined;
  }

  /** Which instruction of which program trapped, by the module and the place in it that the engine tells. */
  private trapped(error: WebAssembly.RuntimeError): ProgramFault {
    const places = (error.stack ?? '').matchAll(/skep(\d+)-[0-9a-f]+:wasm-function\[\d+\]:0x([0-9a-f]+)/g);
    for (const [, number, offset] of places) {
      const place = Number(number) === this.number ? this : this.workspace.programAt(Number(number));
      const slot = place?.slotAt(Number.parseInt(offset!, 16));
      if (place === undefined || slot === undefined) continue;
      return new ProgramFault(slot, `trapped: ${error.message}`, place.program.sourceAt?.(slot));
    }
    return new ProgramFault(-1, `trapped: ${error.message}`);
  }
}

export const jit: Engine = {
  name: 'jit',
  load(program: RunnableProgram, runtime: Runtime): Executable {
    checkRunnable(program);
    const workspace = workspaceOf(runtime.memory);
    const number = workspace.number();
    const translation = translate(program, {
      name: `skep${number}`,
      scratch: workspace.scratch,
      view: runtime.memory.view,
      fuel: runtime.fuel !== Number.POSITIVE_INFINITY,
    });
    // A function of some 700,000 instructions is more than WebAssembly takes.
    if (!translation.fits) return interpreter.load(program, runtime);
    return new Compiled(new Host(program, runtime, workspace), translation, number);
  },
};
