/**
 * A program cut into functions (the entry and every subprogram that is called) and these into basic blocks,
 * by following control from each entry. Nothing is assumed of the order in which they lie, so a program that
 * no verifier has seen is cut as well.
 */
import { Bug } from '../../../base/errors.ts';
import type { Insn } from '../../../isa/insn.ts';
import { MAX_FRAMES, TAIL_CALL } from '../../run.ts';
import type { RunnableProgram } from '../../types.ts';
import { type Shape, shapeOf } from '../flow/graph.ts';
import { BlockValues } from './block-values.ts';
import { written } from './effects.ts';
import { findSwitches, type Switch } from './switches.ts';

/** Instructions in a row, from the slot `start` to the one before `end`; none where control leads nowhere. */
export interface Block {
  readonly start: number;
  readonly end: number;
  /** How many instructions these are, without calls of subprograms. */
  readonly cost: number;
}

export interface BpfFunction {
  /** Slot of its first instruction. */
  readonly entry: number;
  /** Block 0 is the entry. */
  readonly blocks: readonly Block[];
  readonly graph: readonly (readonly number[])[];
  readonly shape: Shape;
  /** Blocks that end in a branch by table, instead of their last instruction. */
  readonly switches: ReadonlyMap<number, Switch>;
  /** Slots that it calls, each once. */
  readonly calls: readonly number[];
  /** Those of them that it gives to helpers. */
  readonly callbacks: readonly number[];
  /** Whether it reads or writes r10. */
  readonly usesStack: boolean;
  /** Whether an instruction writes r10, which no verified program does. */
  readonly writesR10: boolean;
  /** Whether it can use up fuel: it goes back, calls, or jumps to other programs. */
  readonly usesFuel: boolean;
}

/** The slot after the instruction at `slot`. */
export const after = (insn: Insn, slot: number): number => slot + (insn.op === 'ldimm64' ? 2 : 1);

/** As many jumps in a row are followed; a circle of them has no end. */
const JUMPS_IN_A_ROW = 8;

/** Where control comes to from a slot that does nothing but jump. */
function pastJumps(insns: RunnableProgram['insns'], slot: number): number {
  let at = slot;
  for (let jumps = 0; jumps < JUMPS_IN_A_ROW; jumps++) {
    const insn = insns[at];
    if (insn?.op !== 'ja') return at;
    const to = at + 1 + insn.off;
    if (to < 0 || to >= insns.length) return insns.length;
    at = to;
  }
  return at;
}

/** Slots that control goes to from the last instruction of a block, the taken jump first. */
function successors({ insns, facts }: RunnableProgram, slot: number): number[] {
  const insn = insns[slot];
  if (insn === undefined) return [];
  // All that is outside of the program is one place.
  const inside = (to: number) => (to >= 0 && to < insns.length ? pastJumps(insns, to) : insns.length);
  switch (insn.op) {
    case 'exit':
      return [];
    case 'ja':
      return [inside(slot + 1 + insn.off)];
    case 'jmp':
      if (facts?.neverJumps.has(slot) === true) return [inside(slot + 1)];
      if (facts?.alwaysJumps.has(slot) === true) return [inside(slot + 1 + insn.off)];
      return [inside(slot + 1 + insn.off), inside(slot + 1)];
    case 'mayGoto':
      return [inside(slot + 1 + insn.off), inside(slot + 1)];
    default:
      return [inside(after(insn, slot))];
  }
}

const endsBlock = (insn: Insn): boolean =>
  insn.op === 'exit' || insn.op === 'ja' || insn.op === 'jmp' || insn.op === 'mayGoto';

function mentionsR10(insn: Insn): boolean {
  if ('dst' in insn && insn.dst === 10) return true;
  if (!('src' in insn)) return false;
  return insn.src === 10 || (typeof insn.src === 'object' && 'reg' in insn.src && insn.src.reg === 10);
}

/** Reused between the functions of a program: for each slot, the function that last saw it. */
interface Marks {
  readonly seen: Int32Array;
  readonly leads: Int32Array;
}

function cut(
  program: RunnableProgram,
  entry: number,
  marks: Marks & { readonly stamp: number; readonly fuel: boolean },
): BpfFunction {
  const { insns } = program;
  const { seen, leads, stamp } = marks;
  const starts = [entry];
  leads[entry] = stamp;
  const lead = (slot: number): void => {
    if (leads[slot] === stamp) return;
    leads[slot] = stamp;
    starts.push(slot);
  };
  const calls = new Set<number>();
  const callbacks = new Set<number>();
  let usesStack = false;
  let writesR10 = false;
  let tailCalls = false;
  // Starts found on the way are walked in their turn; a walk that runs into one that was walked makes it one.
  for (const start of starts) {
    for (let slot = start; seen[slot] !== stamp; ) {
      seen[slot] = stamp;
      const insn = insns[slot];
      if (insn === undefined) break;
      usesStack ||= mentionsR10(insn);
      writesR10 ||= written(insn) === 10;
      if (insn.op === 'call' && insn.kind === 'subprog') calls.add(callTarget(program, insn, slot));
      if (insn.op === 'ldimm64' && insn.pseudo === 'func') {
        const to = callTarget(program, { imm: insn.lo }, slot);
        calls.add(to);
        callbacks.add(to);
      }
      tailCalls ||= insn.op === 'call' && insn.kind === 'helper' && insn.imm === TAIL_CALL;
      if (endsBlock(insn)) {
        for (const to of successors(program, slot)) lead(to);
        break;
      }
      slot = Math.min(after(insn, slot), insns.length);
      if (seen[slot] === stamp || insns[slot] === undefined) lead(slot);
    }
  }
  const numbers = new Map(starts.map((slot, i) => [slot, i]));
  const blocks: Block[] = [];
  const graph: number[][] = [];
  for (const start of starts) {
    let last = start;
    let end = start;
    let cost = 0;
    for (let insn = insns[end]; insn !== undefined; insn = insns[end]) {
      last = end;
      end = Math.min(after(insn, end), insns.length);
      if (insn.op !== 'call' || insn.kind !== 'subprog') cost++;
      if (endsBlock(insn) || leads[end] === stamp) break;
    }
    blocks.push({ start, end, cost });
    graph.push(successors(program, last).map((to) => numbers.get(to) ?? missingBlock(to)));
  }
  const { shape, ...flow } = flowOf(insns, { blocks, graph });
  const goesBack = flow.graph.some((to, from) =>
    to.some((target) => shape.place[target]! <= shape.place[from]!),
  );
  return {
    entry,
    ...flow,
    shape,
    calls: [...calls],
    callbacks: [...callbacks],
    usesStack,
    writesR10,
    usesFuel: marks.fuel && (goesBack || tailCalls || calls.size > 0),
  };
}

type Flow = Pick<BpfFunction, 'blocks' | 'graph' | 'shape' | 'switches'>;

/** With tables for trees of comparisons, where blocks can be structured. */
function flowOf(insns: RunnableProgram['insns'], { blocks, graph }: Pick<Flow, 'blocks' | 'graph'>): Flow {
  const none = new Map<number, Switch>();
  const switches = findSwitches({
    last: blocks.map(({ end }) => insns[end - 1]),
    size: blocks.map(({ start, end }) => end - start),
    graph,
    most(node, register) {
      const values = new BlockValues();
      const { start, end } = blocks[node]!;
      for (let slot = start; slot < end; slot++) {
        const insn = insns[slot];
        if (insn !== undefined) values.step(insn);
      }
      return values.mostOf(register);
    },
  });
  if (switches.size > 0) {
    const flow = withSwitches({ blocks, graph }, switches);
    const shape = shapeOf(flow.graph);
    if (shape.reducible) return { ...flow, shape };
  }
  return { blocks, graph, shape: shapeOf(graph), switches: none };
}

/** Leaves out the blocks that nothing leads to any more, and numbers the others anew. */
function withSwitches(
  { blocks, graph }: Pick<Flow, 'blocks' | 'graph'>,
  switches: ReadonlyMap<number, Switch>,
): Omit<Flow, 'shape'> {
  const successorsOf = (node: number): readonly number[] => {
    const table = switches.get(node);
    return table === undefined ? graph[node]! : [...new Set([...table.targets, table.otherwise])];
  };
  const kept = [0];
  const numbers = new Map([[0, 0]]);
  for (const node of kept) {
    for (const to of successorsOf(node)) {
      if (numbers.has(to)) continue;
      numbers.set(to, kept.length);
      kept.push(to);
    }
  }
  const renumber = (node: number): number => numbers.get(node)!;
  const renamed = [...switches].flatMap(([node, table]): [number, Switch][] => {
    if (!numbers.has(node)) return [];
    const { targets, otherwise } = table;
    return [[renumber(node), { ...table, targets: targets.map(renumber), otherwise: renumber(otherwise) }]];
  });
  return {
    blocks: kept.map((node) => blocks[node]!),
    graph: kept.map((node) => successorsOf(node).map(renumber)),
    switches: new Map(renamed),
  };
}

function missingBlock(slot: number): never {
  throw new Bug(`no block starts at instruction ${slot}`);
}

/** The slot that a call of a subprogram goes to. */
export function callTarget(
  program: Pick<RunnableProgram, 'insns'>,
  insn: { readonly imm: number },
  slot: number,
): number {
  const to = slot + 1 + insn.imm;
  return to >= 0 && to < program.insns.length ? to : program.insns.length;
}

/** All functions, the entry of the program first; without `fuel` none counts its instructions. */
export function functionsOf(program: RunnableProgram, fuel = true): BpfFunction[] {
  const marks = {
    seen: new Int32Array(program.insns.length + 1),
    leads: new Int32Array(program.insns.length + 1),
  };
  const entries = [0];
  const known = new Set(entries);
  const functions: BpfFunction[] = [];
  for (const entry of entries) {
    const found = cut(program, entry, { ...marks, stamp: functions.length + 1, fuel });
    functions.push(found);
    for (const to of found.calls) {
      if (known.has(to)) continue;
      known.add(to);
      entries.push(to);
    }
  }
  return functions;
}

/** Whether calls can nest deeper than a run may have frames; then each call has to look. */
export function mayNestTooDeep(functions: readonly BpfFunction[]): boolean {
  const byEntry = new Map(functions.map((one) => [one.entry, one]));
  // Functions that some chain of so many calls reaches.
  let level = new Set([functions[0]!.entry]);
  for (let frames = 1; level.size > 0; frames++) {
    if (frames > MAX_FRAMES) return true;
    level = new Set([...level].flatMap((entry) => [...byEntry.get(entry)!.calls]));
  }
  return false;
}
