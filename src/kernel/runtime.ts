/**
 * What running programs see of the kernel: clock, randomness, the current task and CPU, maps by address,
 * programs of program arrays, the trace pipe. One per kernel; a run sets the task and the CPU, and restores
 * them, so that runs may nest.
 */
import { SkepError } from '../base/errors.ts';
import { ProgArrayMap } from '../maps/index.ts';
import type { BpfMap } from '../maps/types.ts';
import type { KernelMemory } from '../memory/types.ts';
import type { Batch, Executable, RunContext, Runtime, Task } from '../vm/types.ts';
import type { Registry } from './objects/object.ts';
import type { ProgObject } from './objects/program.ts';
import type { Tasks } from './tasks.ts';
import type { TraceContext, TracePipe } from './trace-pipe.ts';

/** On whose behalf and where a program runs. */
export interface RunPlace {
  readonly task: Task;
  readonly cpu: number;
  /** The sort of context, which the trace pipe shows. */
  readonly flags: TraceContext;
}

/** The idle task, which packets that nobody asked for interrupt. */
export const idleTask: Task = { pid: 0, tgid: 0, uid: 0, gid: 0, comm: 'swapper/0' };

export interface RuntimeParts {
  readonly memory: KernelMemory;
  readonly now: () => bigint;
  readonly random: () => number;
  readonly tracePipe: TracePipe;
  readonly tasks: Tasks;
  readonly programs: Registry<ProgObject>;
  readonly cpus: number;
  readonly fuel: number | undefined;
  readonly warmUp: boolean;
}

export class KernelRuntime implements Runtime {
  readonly memory: KernelMemory;
  readonly #parts: RuntimeParts;
  readonly #maps = new Map<number, BpfMap>();
  #place: RunPlace = { task: idleTask, cpu: 0, flags: 'network' };

  constructor(parts: RuntimeParts) {
    this.memory = parts.memory;
    this.#parts = parts;
  }

  ktimeNs(): bigint {
    return this.#parts.now();
  }

  random(): number {
    return this.#parts.random();
  }

  cpu(): number {
    return this.#place.cpu;
  }

  get fuel(): number | undefined {
    return this.#parts.fuel;
  }

  get warmUp(): boolean {
    return this.#parts.warmUp;
  }

  get cpus(): number {
    return this.#parts.cpus;
  }

  task(): Task {
    return this.#place.task;
  }

  taskAddress(): number {
    return this.#parts.tasks.address(this.#place.task);
  }

  mapAt(address: number): BpfMap | undefined {
    return this.#maps.get(address);
  }

  addMap(map: BpfMap): void {
    this.#maps.set(map.address, map);
  }

  removeMap(map: BpfMap): void {
    this.#maps.delete(map.address);
  }

  progAt(map: BpfMap, index: number): Executable | undefined {
    if (!(map instanceof ProgArrayMap)) return undefined;
    const program = this.#parts.programs.at(map.programId(index));
    return program === undefined ? undefined : runnable(program);
  }

  trace(message: string): void {
    this.#parts.tracePipe.write({ ...this.#place, timeNs: this.#parts.now() }, message);
  }

  /**
   * Runs a program to its end; r0 as unsigned 64 bits.
   * @throws {SkepError} 'no-such-cpu'
   */
  run(program: ProgObject, context: RunContext, place: RunPlace): bigint {
    const outer = this.#enter(place);
    try {
      return runnable(program).run(context);
    } finally {
      this.#place = outer;
    }
  }

  /** Whether many runs of a program are better started at once. */
  runsBatches(program: ProgObject): boolean {
    return runnable(program).runAll !== undefined;
  }

  /**
   * The runs of a batch, of a program that runs batches.
   * @throws {SkepError} 'no-such-cpu'
   */
  runAll(program: ProgObject, batch: Batch, place: RunPlace): void {
    const outer = this.#enter(place);
    try {
      runnable(program).runAll?.(batch);
    } finally {
      this.#place = outer;
    }
  }

  /** Goes to a place, and tells where it was. */
  #enter(place: RunPlace): RunPlace {
    const { cpus } = this.#parts;
    // Per-CPU values are found by this number: one that is out of range would leave the map.
    if (!Number.isInteger(place.cpu) || place.cpu < 0 || place.cpu >= cpus) {
      throw new SkepError({
        code: 'no-such-cpu',
        message: `this kernel has ${cpus} CPUs, no CPU ${place.cpu}`,
      });
    }
    const outer = this.#place;
    this.#place = place;
    return outer;
  }
}

function runnable({ facts: { executable } }: ProgObject): Executable {
  if (executable instanceof SkepError) throw executable;
  return executable;
}
