import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ModuleBuilder } from '../wasm/index.ts';
import { type Graph, type Shape, shapeOf } from './graph.ts';
import { writeStructured } from './structure.ts';

const STEPS = 200;
const MULTIPLIER = 1103515245;

/** Walks the graph by a pseudo-random choice at each fork; a number that tells the nodes it passed. */
function walk(graph: Graph, seed: number): number {
  let state = seed;
  let node = 0;
  for (let steps = 0; steps < STEPS; steps++) {
    state = (Math.imul(state, MULTIPLIER) + node) | 0;
    const [then, otherwise] = graph[node]!;
    if (then === undefined) return state;
    node = otherwise === undefined || (state & 0x4000) !== 0 ? then : otherwise;
  }
  return state;
}

/** The same walk as generated code. `backs` counts the edges that go back. */
function compileWalk(graph: Graph, shape: Shape): (seed: number) => number {
  const module = new ModuleBuilder();
  const { ref, code } = module.define('walk', { params: ['i32'], results: ['i32'] }, ['state']);
  const state = code.locals[0]!;
  const steps = code.local('steps', 'i32');
  writeStructured(code, {
    graph,
    shape,
    write(node) {
      code.get(steps);
      code.i32(STEPS);
      code.op('i32.eq');
      code.if();
      code.get(state);
      code.op('return');
      code.end();
      code.get(steps);
      code.i32(1);
      code.op('i32.add');
      code.set(steps);
      code.get(state);
      code.i32(MULTIPLIER);
      code.op('i32.mul');
      code.i32(node);
      code.op('i32.add');
      code.set(state);
      const [then, otherwise] = graph[node]!;
      if (then === undefined) {
        code.get(state);
        code.op('return');
        return { kind: 'none' };
      }
      if (otherwise === undefined) return { kind: 'goto', to: then };
      code.get(state);
      code.i32(0x4000);
      code.op('i32.and');
      return { kind: 'if', then, otherwise };
    },
    goingBack() {},
    entering() {},
    isSwitch: () => false,
    leaves: () => false,
    leaving() {},
  });
  module.export('walk', ref);
  const { bytes } = module.build();
  assert.ok(WebAssembly.validate(bytes));
  return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports['walk'] as (seed: number) => number;
}

/** The nodes that are reachable from 0, numbered anew. */
function reachable(graph: Graph): Graph {
  const { order, place } = (() => {
    const order: number[] = [0];
    const place = new Map([[0, 0]]);
    for (const node of order) {
      for (const to of graph[node]!) {
        if (!place.has(to)) place.set(to, order.push(to) - 1);
      }
    }
    return { order, place };
  })();
  return order.map((node) => graph[node]!.map((to) => place.get(to)!));
}

const anyGraph = fc
  .nat({ max: 24 })
  .chain((last) =>
    fc
      .array(fc.array(fc.nat({ max: last }), { maxLength: 2 }), { minLength: last + 1, maxLength: last + 1 })
      .map(reachable),
  );

/** As anyGraph, with most edges going forward a little: programs look like that, and it is often reducible. */
const likelyGraph = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: -6, max: 8 }), fc.nat({ max: 3 })), {
    minLength: 1,
    maxLength: 40,
  })
  .map((rows) =>
    reachable(
      rows.map(([near, far, kind], node) => {
        const inside = (to: number) => Math.max(0, Math.min(rows.length - 1, to));
        if (node === rows.length - 1) return [];
        const edges = [[inside(node + near)], [inside(node + near), inside(node + far)]];
        return kind === 0 ? edges[0]! : edges[1]!;
      }),
    ),
  );

test('random graphs, of any shape, walk as they should', () => {
  const seen = { reducible: 0, not: 0 };
  fc.assert(
    fc.property(
      fc.oneof(anyGraph, likelyGraph),
      fc.array(fc.integer(), { minLength: 4, maxLength: 4 }),
      (graph, seeds) => {
        const shape = shapeOf(graph);
        seen[shape.reducible ? 'reducible' : 'not']++;
        const compiled = compileWalk(graph, shape);
        for (const seed of seeds) assert.equal(compiled(seed), walk(graph, seed));
      },
    ),
    { numRuns: 600 },
  );
  assert.ok(seen.reducible > 50 && seen.not > 10, JSON.stringify(seen));
});

test('dominators are what removing a node cuts off', () => {
  fc.assert(
    fc.property(fc.oneof(anyGraph, likelyGraph), (graph) => {
      const { idom, reducible } = shapeOf(graph);
      fc.pre(reducible);
      const dominators = (node: number) => {
        const found = new Set([node]);
        for (let up = node; up !== 0; ) found.add((up = idom[up]!));
        return found;
      };
      for (let removed = 0; removed < graph.length; removed++) {
        const seen = new Set(removed === 0 ? [] : [0]);
        for (const node of seen) for (const to of graph[node]!) if (to !== removed) seen.add(to);
        for (let node = 0; node < graph.length; node++) {
          assert.equal(dominators(node).has(removed), !seen.has(node), `${removed} over ${node}`);
        }
      }
    }),
  );
});

const length = 50_000;
const deep: { name: string; graph: Graph }[] = [
  { name: 'a chain of gotos', graph: Array.from({ length }, (_, i) => (i + 1 < length ? [i + 1] : [])) },
  {
    name: 'a chain of forks into one merge',
    graph: Array.from({ length }, (_, i) => (i + 2 < length ? [length - 1, i + 1] : [])),
  },
  {
    name: 'a chain of forks each with an arm of its own',
    graph: Array.from({ length }, (_, i) => (i % 2 === 0 && i + 2 < length ? [i + 1, i + 2] : [])),
  },
  {
    name: 'diamonds in a row',
    graph: Array.from({ length }, (_, i) => {
      if (i + 3 >= length) return i === length - 1 ? [] : [length - 1];
      return i % 3 === 0 ? [i + 1, i + 2] : [i + (3 - (i % 3))];
    }),
  },
];

for (const { name, graph } of deep) {
  test(`${length} nodes: ${name}`, () => {
    const whole = reachable(graph);
    const shape = shapeOf(whole);
    assert.ok(shape.reducible);
    assert.equal(compileWalk(whole, shape)(7), walk(whole, 7));
  });
}
