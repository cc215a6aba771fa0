/**
 * Loops as the exploration goes through them (struct bpf_scc_visit). A path that is covered by a state whose
 * own loop is still being explored ends before it is known what that state relies on: it is kept as a back
 * edge, and when the loop's first state is done, precision is carried over all of its back edges until
 * nothing changes. Until then, finished states of the loop cover only what lies within their ranges.
 */
import type { Env } from './env.ts';
import { markAllPrecise, propagatePrecision } from './precision.ts';
import { QUIET_LOOP } from './scc.ts';
import type { Frame } from './state/frame.ts';
import type { LoopVisit, State } from './state/state.ts';

const MAX_ROUNDS = 64;

/** The loops of the program that a state is in: of its outermost frame that is in one (compute_scc_callchain). */
function loopName(env: Env, state: State): { name: string; isTold: boolean } | undefined {
  let calls = '';
  for (let no = 0; no <= state.curFrame; no++) {
    const insn = no === state.curFrame ? state.insn : (state.frames[no + 1] as Frame).callsite;
    const loop = env.scc[insn] as number;
    if (loop !== 0) return { name: `(${calls}${loop})`, isTold: loop < QUIET_LOOP };
    calls += `${insn},`;
  }
  return undefined;
}

/** The visits of one verification, by name. */
export class Loops {
  private readonly env: Env;
  private readonly visits = new Map<string, LoopVisit>();

  constructor(env: Env) {
    this.env = env;
  }

  /** A state is remembered (maybe_enter_scc). */
  enter(state: State): void {
    const loop = loopName(this.env, state);
    if (loop === undefined) return;
    let visit = this.visits.get(loop.name);
    if (visit === undefined)
      this.visits.set(loop.name, (visit = { ...loop, entry: undefined, backedges: [] }));
    state.loop = visit;
    if (visit.entry !== undefined) return;
    visit.entry = state;
    this.tell('enter', visit);
  }

  private tell(what: string, { name, isTold }: LoopVisit): void {
    if (isTold && this.env.log.verbose) this.env.write(`SCC ${what} ${name}\n`);
  }

  /** Every path from a state is done (maybe_exit_scc). */
  exit(state: State): void {
    const { env } = this;
    const visit = state.loop;
    if (visit === undefined || visit.entry !== state) return;
    this.tell('exit', visit);
    visit.entry = undefined;
    env.backedges -= visit.backedges.length;
    if (visit.isTold) this.propagate(visit);
    else env.log.silently(() => this.propagate(visit));
    visit.backedges = [];
  }

  /** propagate_backedges */
  private propagate(visit: LoopVisit): void {
    const { env } = this;
    for (let round = 0, changed = visit.backedges.length > 0; changed; round++) {
      changed = false;
      if (round > MAX_ROUNDS) {
        if (env.log.verbose) env.write('propagate_backedges: too many iterations\n');
        for (const { state } of visit.backedges) markAllPrecise(env, state);
        return;
      }
      for (const { state, equal } of visit.backedges) {
        if (propagatePrecision(env, equal, state)) changed = true;
      }
    }
  }

  /** The current path ends in `equal`, whose loop is still being explored (add_scc_backedge). */
  addBackedge(equal: State): void {
    const { env } = this;
    const visit = equal.loop;
    if (visit === undefined) return;
    const state = env.state.clone();
    state.insn = env.insn;
    visit.backedges.unshift({ state, equal });
    env.backedges++;
    env.notePeak();
    this.tell('backedge', visit);
  }

  /** Whether it is not yet known what a state relies on (incomplete_read_marks). */
  isIncomplete(state: State): boolean {
    return state.loop !== undefined && state.loop.backedges.length > 0;
  }
}
