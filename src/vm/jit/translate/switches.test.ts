/** Comparisons of a register with many numbers become a branch by table, and go where they went. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TestRuntime } from '../../../../test/support/runtime.ts';
import { assemble } from '../../../asm/index.ts';
import { interpreter, jit } from '../../index.ts';
import { moduleText } from '../wasm/index.ts';
import { translate } from './module.ts';

function hasTable(text: string): boolean {
  const runtime = new TestRuntime();
  const program = { name: 'p', progType: 0, insns: assemble(text), subprogs: [], maps: [] };
  return /br_table/.test(moduleText(translate(program, { scratch: 4096, view: runtime.memory.view }).module));
}

const edges = [
  -1n,
  -2n,
  -6n,
  2n ** 31n,
  2n ** 31n - 1n,
  2n ** 32n,
  2n ** 32n + 3n,
  2n ** 63n,
  2n ** 63n + 2n,
];
const values = [...Array.from({ length: 48 }, (_, i) => BigInt(i)), ...edges];

/** What the program makes of r1, on both engines. */
function agree(text: string): void {
  const runtime = new TestRuntime();
  const insns = assemble(`r1 = *(u64 *)(r1 + 0)\n${text}`);
  const [one, other] = [jit, interpreter].map((engine) => runtime.load(engine, insns));
  for (const value of values) {
    const ctx = runtime.bytes(new Uint8Array(BigInt64Array.of(BigInt.asIntN(64, value)).buffer));
    assert.equal(one!.run({ ctx }), other!.run({ ctx }), `${value} in\n${text}`);
    runtime.memory.free(ctx);
  }
}

const chain = (register: string, cases: readonly number[]): string =>
  `${cases.map((value, i) => `if ${register} == ${value} goto c${i}`).join('\n')}
   r0 = 99
   exit
   ${cases.map((_, i) => `c${i}: r0 = ${100 + i}\nexit`).join('\n')}`;

/** A tree that halves the cases by `sign`, as clang does. */
function tree(register: string, sign: string, cases: readonly number[], name = 't'): string {
  if (cases.length === 1)
    return `${name}: if ${register} == ${cases[0]} goto a${(cases[0]! + 99) % 5}\ngoto d`;
  const middle = cases.length >> 1;
  const [low, high] = [cases.slice(0, middle), cases.slice(middle)];
  return `${name}: if ${register} ${sign} ${low.at(-1)} goto ${name}h
    ${tree(register, sign, low, `${name}l`)}
    ${tree(register, sign, high, `${name}h`)}`;
}
const arms = `${[0, 1, 2, 3, 4].map((i) => `a${i}: r0 = ${i}\nexit`).join('\n')}\nd: r0 = 9\nexit`;

const shapes: { name: string; text: string; table: boolean }[] = [
  { name: 'a chain', text: chain('w1', [3, 4, 5, 6, 9, 10]), table: true },
  { name: 'a chain in 64 bits', text: chain('r1', [0, 1, 2, 3, 20, 4]), table: true },
  { name: 'a chain of negative numbers', text: chain('w1', [-1, -2, -3, -4, -6, -7]), table: true },
  { name: 'negative numbers in 64 bits', text: chain('r1', [-1, -2, -3, -4, -6, -7]), table: false },
  { name: 'few', text: chain('w1', [1, 2, 3, 4, 5]), table: false },
  { name: 'numbers far apart', text: chain('w1', [1, 1000, 2_000_000, 30_000_000, 5, 6]), table: false },
  { name: 'a tree', text: `${tree('w1', '>', [1, 2, 3, 5, 8, 9])}\n${arms}`, table: true },
  {
    name: 'a tree by the sign of what is small',
    text: `w1 &= 15\n${tree('w1', 's>', [0, 1, 2, 3, 7, 8, 9, 15])}\n${arms}`,
    table: true,
  },
  {
    name: 'a tree of which a comparison is entered from elsewhere',
    text: `if r1 == 2 goto tlh\n${tree('w1', '>', [1, 2, 3, 5, 8, 9])}\n${arms}`,
    table: true,
  },
  {
    name: 'one in a loop, to which it goes back',
    text: `r0 = 0
      r2 = 0
      l: r2 += 1
      if r2 == 20 goto o
      w1 += 1
      w1 &= 7
      if w1 == 0 goto l
      if w1 == 1 goto a
      if w1 == 2 goto l
      if w1 == 5 goto b
      if w1 == 6 goto o2
      if w1 == 7 goto b
      r0 += 100
      goto l
      a: r0 += 1
      goto l
      b: r0 += 2
      goto l
      o2: if r2 > 9 goto o
      goto l
      o: exit`,
    table: true,
  },
  {
    name: 'one that leaves a counted loop',
    text: `r0 = 0
      r2 = 0
      l: w1 += 3
      w3 = w1
      w3 &= 15
      if w3 == 0 goto a
      if w3 == 4 goto b
      if w3 == 7 goto a
      if w3 == 11 goto o
      if w3 == 12 goto o
      if w3 == 13 goto b
      n: r2 += 1
      if r2 != 30 goto l
      r0 += 1000
      exit
      a: r0 += 5
      goto n
      b: r0 += 7
      goto n
      o: r0 += r2
      exit`,
    table: true,
  },
];

for (const { name, text, table } of shapes) {
  test(`${name}: ${table ? 'a table' : 'no table'}`, () => {
    assert.equal(hasTable(`r1 = *(u64 *)(r1 + 0)\n${text}`), table);
    agree(text);
  });
}

test('any comparisons in a row', () => {
  const condition = fc.constantFrom('==', '!=', '>', '>=', '<', '<=', 's>', 's>=', 's<', 's<=', '&');
  const compare = fc.tuple(condition, fc.integer({ min: -4, max: 30 }), fc.nat({ max: 9 }));
  fc.assert(
    fc.property(
      fc.constantFrom('w1', 'r1'),
      fc.array(compare, { minLength: 6, maxLength: 16 }),
      fc.boolean(),
      (register, compares, masked) => {
        // Each may go on at any later one, or at a result.
        const lines = compares.map(([sign, value, skip], i) => {
          const to = i + 1 + skip < compares.length && skip > 3 ? `t${i + 1 + skip}` : `a${skip % 5}`;
          return `t${i}: if ${register} ${sign} ${value} goto ${to}`;
        });
        agree(`${masked ? 'r1 &= 31\n' : ''}${lines.join('\n')}\ngoto d\n${arms}`);
      },
    ),
    { numRuns: 60 },
  );
});

test('what a table goes back to for ever is stopped', () => {
  const text = `r0 = 0
    l: r1 += 1
    r1 &= 7
    if r1 == 0 goto l
    if r1 == 1 goto l
    if r1 == 2 goto m
    if r1 == 3 goto l
    if r1 == 4 goto m
    if r1 == 5 goto l
    if r1 == 9 goto o
    m: r0 += 1
    goto l
    o: exit`;
  assert.ok(hasTable(text));
  const program = new TestRuntime().load(jit, assemble(text));
  assert.throws(() => program.run({ ctx: 0, budget: 10_000 }), { code: 'budget' });
});
