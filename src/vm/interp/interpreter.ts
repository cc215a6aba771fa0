/**
 * The reference engine: steps through a program one instruction at a time, checking every access against
 * what is allocated. Slower than generated code, and what generated code is compared with.
 */

import { DEFAULT_BUDGET, type Enterable, type Run } from '../run.ts';
import type { Engine, Executable, RunContext, RunnableProgram, Runtime } from '../types.ts';
import { compile, operationByCode } from './compile.ts';
import { HALTED, Machine } from './machine.ts';
import { type Plan, WORDS } from './plan.ts';

class Interpreted implements Enterable {
  readonly program: RunnableProgram;
  private readonly plan: Plan;
  private readonly runtime: Runtime;
  /** Machines that no run is using. A program that is entered again while it runs takes another. */
  private readonly idle: Machine[] = [];

  constructor(program: RunnableProgram, runtime: Runtime) {
    this.program = program;
    this.plan = compile(program);
    this.runtime = runtime;
  }

  run(context: RunContext): bigint {
    const budget = context.budget ?? this.runtime.fuel ?? DEFAULT_BUDGET;
    for (let left = context.repeat ?? 1; left > 1; left--) this.enter({ context, budget, tailCalls: 0 });
    return this.enter({ context, budget, tailCalls: 0 });
  }

  enter(run: Run): bigint {
    const machine = this.idle.pop() ?? new Machine(this.plan, this.runtime, execute);
    machine.start(run);
    try {
      execute(machine, run);
      return machine.u64[0]!;
    } finally {
      machine.stop();
      this.idle.push(machine);
    }
  }
}

function execute(machine: Machine, run: Run): void {
  const { code } = machine.plan;
  while (machine.pc !== HALTED) {
    if (--run.budget < 0) machine.overBudget();
    const at = WORDS * machine.pc++;
    operationByCode[code[at]!]!(machine, code[at + 1]!, code[at + 2]!, code[at + 3]!);
  }
}

export const interpreter: Engine = {
  name: 'interp',
  load: (program: RunnableProgram, runtime: Runtime): Executable => new Interpreted(program, runtime),
};
