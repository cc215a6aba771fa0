/**
 * Trees of comparisons of one register with numbers, which compilers make of a `switch` because BPF has no table of
 * jumps: where they tell enough values apart that lie close together, the block that starts with the first of them
 * becomes a branch by table. Blocks that only compare are gone with that, if nothing else leads to them.
 */
import type { Insn } from '../../../isa/insn.ts';

/** A branch by the value of a register, less `low`: to `targets`, or beyond them to `otherwise`. Blocks by number. */
export interface Switch {
  readonly register: number;
  readonly bits: 32 | 64;
  readonly low: number;
  readonly targets: readonly number[];
  readonly otherwise: number;
}

export interface Cut {
  /** The last instruction of each block, and how many it has. */
  readonly last: readonly (Insn | undefined)[];
  readonly size: readonly number[];
  readonly graph: readonly (readonly number[])[];
  /** The most that a register can be at the end of a block; undefined where that is not known. */
  most(node: number, register: number): number | undefined;
}

/** Fewer comparisons are as fast, or somewhat faster on Node 20. */
const LEAST_TESTS = 6;
const MOST_TESTS = 1024;
/** Values of the table for each comparison that it replaces. */
const VALUES_PER_TEST = 8;

/** Numbers from the first up to the second. */
type Interval = readonly [number, number];
type Test = Extract<Insn, { op: 'jmp' }> & { readonly src: { readonly imm: number } };

/** The values of an unsigned register for which a test jumps; undefined where they cannot be told. */
function taken({ cond, bits, src: { imm } }: Test): Interval[] | undefined {
  const end = 2 ** bits;
  const half = end / 2;
  if (imm < 0 && bits === 64) return undefined;
  const value = imm < 0 ? imm + end : imm;
  switch (cond) {
    case 'eq':
      return [[value, value + 1]];
    case 'ne':
      return [
        [0, value],
        [value + 1, end],
      ];
    case 'gt':
      return [[value + 1, end]];
    case 'ge':
      return [[value, end]];
    case 'lt':
      return [[0, value]];
    case 'le':
      return [[0, value + 1]];
    default:
      break;
  }
  if (imm < 0) return undefined;
  // The negative ones are the upper half.
  switch (cond) {
    case 'sgt':
      return [[imm + 1, half]];
    case 'sge':
      return [[imm, half]];
    case 'slt':
      return [
        [0, imm],
        [half, end],
      ];
    case 'sle':
      return [
        [0, imm + 1],
        [half, end],
      ];
    default:
      return undefined;
  }
}

function common(some: readonly Interval[], others: readonly Interval[]): Interval[] {
  return some.flatMap(([a, b]) =>
    others.flatMap(([c, d]): Interval[] => {
      const [low, high] = [Math.max(a, c), Math.min(b, d)];
      return low < high ? [[low, high]] : [];
    }),
  );
}

/** What is in none of the intervals, which are in order. */
function rest(intervals: readonly Interval[], end: number): Interval[] {
  const found: Interval[] = [];
  let from = 0;
  for (const [low, high] of intervals) {
    if (from < low) found.push([from, low]);
    from = high;
  }
  if (from < end) found.push([from, end]);
  return found;
}

function testIn({ last, graph }: Cut, node: number): Test | undefined {
  const insn = last[node];
  if (insn?.op !== 'jmp' || 'reg' in insn.src || graph[node]!.length !== 2) return undefined;
  return insn as Test;
}

interface Tree {
  /** Which values lead where. */
  readonly leaves: { readonly values: Interval; readonly target: number }[];
  /** The blocks that compare, the root first. */
  readonly tests: ReadonlySet<number>;
}

function treeAt(cut: Cut, root: number): Tree | undefined {
  const first = testIn(cut, root)!;
  const end = 2 ** first.bits;
  const leaves: Tree['leaves'] = [];
  const tests = new Set<number>();
  const most = cut.most(root, first.dst) ?? end - 1;
  const left: { node: number; values: Interval[] }[] = [{ node: root, values: [[0, most + 1]] }];
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    const { node, values } = at;
    const test = node === root || cut.size[node] === 1 ? testIn(cut, node) : undefined;
    const jumps = test?.dst === first.dst && test.bits === first.bits ? taken(test) : undefined;
    if (jumps === undefined || tests.has(node) || tests.size === MOST_TESTS) {
      for (const one of values) leaves.push({ values: one, target: node });
      continue;
    }
    tests.add(node);
    const [then, otherwise] = cut.graph[node] as [number, number];
    for (const [to, some] of [
      [then, common(values, jumps)],
      [otherwise, common(values, rest(jumps, end))],
    ] as const) {
      if (some.length > 0) left.push({ node: to, values: some });
    }
  }
  return tests.size < LEAST_TESTS ? undefined : { leaves, tests };
}

function tableOf({ leaves, tests }: Tree, { dst, bits }: Test): Switch | undefined {
  const counts = new Map<number, number>();
  for (const { values, target } of leaves)
    counts.set(target, (counts.get(target) ?? 0) + values[1] - values[0]);
  const [[otherwise]] = [...counts].sort((a, b) => b[1] - a[1]) as [[number, number]];
  const cases = leaves.filter(({ target }) => target !== otherwise);
  const low = Math.min(...cases.map(({ values }) => values[0]));
  const high = Math.max(...cases.map(({ values }) => values[1]));
  if (cases.length === 0 || high - low > VALUES_PER_TEST * tests.size) return undefined;
  const targets = new Array<number>(high - low).fill(otherwise);
  for (const { values, target } of cases) targets.fill(target, values[0] - low, values[1] - low);
  return { register: dst, bits, low, targets, otherwise };
}

/** By the block that becomes one. */
export function findSwitches(cut: Cut): Map<number, Switch> {
  const found = new Map<number, Switch>();
  const absorbed = new Set<number>();
  cut.graph.forEach((_, node) => {
    const test = absorbed.has(node) ? undefined : testIn(cut, node);
    if (test === undefined || taken(test) === undefined) return;
    const tree = treeAt(cut, node);
    const table = tree === undefined ? undefined : tableOf(tree, test);
    if (tree === undefined || table === undefined) return;
    for (const one of tree.tests) absorbed.add(one);
    found.set(node, table);
  });
  return found;
}
