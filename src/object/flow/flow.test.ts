/** Control flow, its layout and its pictures. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { assemble } from '../../asm/index.ts';
import { SkepError } from '../../base/errors.ts';
import { encode } from '../../isa/index.ts';
import { type ListedInsn, listProgram } from '../listing.ts';
import { dotLines } from './dot.ts';
import { flowOf } from './graph.ts';
import { layOut } from './layout.ts';
import { svgLines } from './svg.ts';

const list = (insns: Uint8Array): ListedInsn[] =>
  listProgram({ insns, btf: undefined, funcInfo: undefined, lineInfo: undefined });
const program = (text: string): ListedInsn[] => list(encode(assemble(text)));

const loop = program(`
  r1 = 10
again:
  r1 += -1
  if r1 != 0 goto again
  call double
  exit
double:
  r0 *= 2
  exit
`);

describe('blocks', () => {
  test('of a loop and a function', () => {
    const functions = flowOf(loop);
    assert.deepEqual(
      functions.map(({ start, blocks }) => [start, blocks.map(({ insns }) => insns.length)]),
      [
        [0, [1, 2, 2]],
        [5, [2]],
      ],
    );
    assert.deepEqual(functions[0]!.blocks[1]!.edges, [
      { to: 2, way: 'next' },
      { to: 1, way: 'taken' },
    ]);
  });

  test('jumps to nowhere are left out', () => {
    const insns = new Uint8Array(16);
    // goto +100; exit
    insns.set([0x05, 0, 100, 0, 0, 0, 0, 0, 0x95]);
    assert.deepEqual(
      flowOf(list(insns)).flatMap(({ blocks }) => blocks.map(({ edges, exits }) => [edges.length, exits])),
      [
        [0, true],
        [0, true],
      ],
    );
  });
});

test('blocks do not overlap, and only loops go up', () => {
  const sizes = fc.array(
    fc.record({ width: fc.integer({ min: 1, max: 300 }), height: fc.integer({ min: 1, max: 90 }) }),
    {
      minLength: 1,
      maxLength: 30,
    },
  );
  const graph = sizes.chain((boxes) =>
    fc.tuple(
      fc.constant(boxes),
      fc.array(fc.array(fc.nat({ max: boxes.length - 1 }), { maxLength: 2 }), {
        minLength: boxes.length,
        maxLength: boxes.length,
      }),
    ),
  );
  fc.assert(
    fc.property(graph, ([boxes, targets]) => {
      const blocks = targets.map((to) => ({
        insns: [],
        edges: to.map((each) => ({ to: each, way: 'only' as const })),
        exits: to.length === 0,
      }));
      const layout = layOut({ start: 0, blocks }, boxes);
      for (const [i, a] of layout.blocks.entries()) {
        assert.ok(a.x >= 0 && a.x + a.width <= layout.width && a.y + a.height <= layout.height);
        for (const b of layout.blocks.slice(i + 1)) {
          const apart =
            a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
          assert.ok(apart, 'two blocks overlap');
        }
      }
      for (const { from, to, isBack } of layout.edges) {
        assert.equal(isBack, layout.blocks[to]!.y <= layout.blocks[from]!.y);
      }
    }),
  );
});

test('dot: what shapes a label is escaped', () => {
  const lines = [...dotLines(flowOf(loop))].join('\n');
  assert.match(lines, /^digraph "DOT graph for eBPF program" \{\nsubgraph "cluster_0" \{/);
  assert.match(
    lines,
    /fn_0_bb_3 \[shape=record,style=filled,label="\{ {3}1: \(07\) r1 \+= -1\\l\\\n \| {4}2: \(55\) if r1 != 0x0 goto pc-2\\l\\\n\}"\];/,
  );
  assert.match([...dotLines(flowOf(program('if r1 > r2 goto +0\nexit')))].join('\n'), /if r1 \\> r2 goto/);
});

describe('svg', () => {
  test('is well-formed, with an edge for each way', () => {
    const svg = svgLines(flowOf(loop)).join('\n');
    const tags = [...svg.matchAll(/<(\/?)(\w+)[^>]*?(\/?)>/g)];
    const open: string[] = [];
    for (const [, close, name = '', own] of tags) {
      if (close === '/') assert.equal(open.pop(), name);
      else if (own !== '/') open.push(name);
    }
    assert.deepEqual(open, []);
    assert.equal(svg.match(/class="edge/g)?.length, 3);
    assert.ok(svg.includes('class="edge back"'));
  });

  test('text from a file is only text', () => {
    const [first, ...rest] = loop;
    const source = { text: '</text><script>"&\u0001', file: 'a', line: 1, column: 1 };
    const svg = svgLines(flowOf([{ ...first!, source, proto: '<b>' }, ...rest])).join('\n');
    assert.ok(!svg.includes('<script') && !svg.includes('<b>') && !svg.includes('\u0001'));
    assert.ok(svg.includes('&lt;script&gt;&quot;&amp;'));
  });

  test('a program of too many blocks is refused', () => {
    const insns = new Uint8Array(8 * 10_000);
    for (let at = 0; at < insns.length; at += 8) insns[at] = 0x95;
    assert.throws(
      () => svgLines(flowOf(list(insns))),
      (error) => error instanceof SkepError && /10000 blocks .* are too many.*--visual dot/.test(error.line),
    );
  });

  test('any bytes make a picture', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const insns = bytes.subarray(0, bytes.length - (bytes.length % 8));
        svgLines(flowOf(list(Uint8Array.from(insns))));
      }),
    );
  });
});
