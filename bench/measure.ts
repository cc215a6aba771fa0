/**
 * The measuring: every program on every engine, one after the other, round after round, so that what else
 * the machine does falls on all of them alike. Each sample is the time of so many runs that it takes a few
 * milliseconds.
 */
import { cpus } from 'node:os';
import { type Engine, interpreter, Kernel } from '../src/index.ts';
import type { RunContext } from '../src/vm/index.ts';
import type { Enterable, Run } from '../src/vm/run.ts';
import { type Peer, startPeers } from './peers.ts';
import { type SuiteProgram, suiteObject, suitePacket } from './suite.ts';

/** What a sample should take. */
const SAMPLE_NS = 4e6;
/** Generated code is optimised while it runs: so long is it let run first. */
const WARM_NS = 250e6;
const ROUNDS = 21;
const MOST_RUNS = 1_000_000;

export interface Timing {
  /** Nanoseconds a run. */
  readonly best: number;
  readonly median: number;
  readonly retval: number;
}

export interface ProgramResult {
  readonly program: SuiteProgram;
  /** Instructions that one run executes. */
  readonly executed: number;
  readonly byPeer: ReadonlyMap<string, Timing | string>;
}

export interface Results {
  readonly peers: readonly string[];
  readonly missing: readonly string[];
  readonly machine: string;
  readonly date: string;
  readonly rounds: number;
  readonly programs: readonly ProgramResult[];
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

const ENOUGH = 1e12;

/** Instructions of a second run: the first one may fill maps. */
function executedBy(name: string): number {
  let executed = 0;
  const counting: Engine = {
    ...interpreter,
    load(program, runtime) {
      const inner = interpreter.load(program, runtime) as Enterable;
      const enter = (run: Run): bigint => inner.enter(run);
      const whole = (context: RunContext): bigint => {
        const run = { context, budget: ENOUGH, tailCalls: 0 };
        const r0 = inner.enter(run);
        executed = ENOUGH - run.budget;
        return r0;
      };
      return { program, enter, run: whole } as Enterable;
    },
  };
  const kernel = new Kernel({ engine: counting });
  try {
    const program = kernel.load(suiteObject(name)).program('bench');
    for (let run = 0; run < 2; run++) program.testRun({ data: suitePacket() });
  } catch {
    return Number.NaN;
  } finally {
    kernel.close();
  }
  return executed;
}

/** How many runs of a program a sample takes on a peer, after it is warm. */
async function calibrate(peer: Peer, program: SuiteProgram): Promise<number | string> {
  const most = program.ringRuns ?? MOST_RUNS;
  let repeat = 1;
  let spent = 0;
  for (;;) {
    const sample = await peer.run(program.name, repeat);
    if (typeof sample === 'string') return sample;
    spent += sample.ns;
    const wanted = Math.ceil(repeat * (SAMPLE_NS / Math.max(sample.ns, 1)));
    repeat = Math.max(1, Math.min(most, wanted, repeat * 20));
    if (spent > WARM_NS) return repeat;
  }
}

export async function measureSuite(
  programs: readonly SuiteProgram[],
  say: (text: string) => void,
): Promise<Results> {
  const { peers, missing, close } = await startPeers(programs);
  const cells = programs.flatMap((program) =>
    peers.map((peer) => ({ program, peer, repeat: 0, why: '', times: [] as number[], retval: 0 })),
  );
  try {
    for (const cell of cells) {
      const repeat = await calibrate(cell.peer, cell.program);
      if (typeof repeat === 'number') cell.repeat = repeat;
      else cell.why = repeat;
      if (cell.why !== '') say(`${cell.program.name} on ${cell.peer.name}: ${cell.why}`);
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const cell of cells) {
        if (cell.repeat === 0) continue;
        const sample = await cell.peer.run(cell.program.name, cell.repeat);
        if (typeof sample === 'string') continue;
        cell.times.push(sample.ns / cell.repeat);
        cell.retval = sample.retval;
      }
    }
  } finally {
    close();
  }
  const timing = ({ why, times, retval }: (typeof cells)[number]): Timing | string =>
    why !== '' ? why : { best: Math.min(...times), median: medianOf(times), retval };
  return {
    peers: peers.map(({ name }) => name),
    missing,
    machine: cpus()[0]?.model ?? 'unknown',
    date: new Date().toISOString().slice(0, 10),
    rounds: ROUNDS,
    programs: programs.map((program) => ({
      program,
      executed: executedBy(program.name),
      byPeer: new Map(
        cells.filter((cell) => cell.program === program).map((cell) => [cell.peer.name, timing(cell)]),
      ),
    })),
  };
}
