import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TestRuntime } from '../../../../test/support/runtime.ts';
import { assemble } from '../../../asm/index.ts';
import { SkepError } from '../../../base/errors.ts';
import { interpreter, jit } from '../../index.ts';

/** The fewest instructions that a run may have on an engine, up to `most`. */
function least(engine: typeof jit, text: string, most: number): number {
  const program = new TestRuntime().load(engine, assemble(text));
  const fits = (budget: number): boolean => {
    try {
      program.run({ ctx: 0, budget });
      return true;
    } catch (error) {
      if (error instanceof SkepError && error.code === 'budget') return false;
      throw error;
    }
  };
  let low = 0;
  let high = most;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (fits(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

const loops: { name: string; text: string }[] = [
  { name: 'up to a number', text: 'r1 = 0\nl: r0 += r1\nr1 += 1\nif r1 != 100 goto l\nexit' },
  { name: 'down to a number', text: 'r1 = -1\nl: r0 += r1\nr1 += -1\nif r1 != -200 goto l\nexit' },
  { name: 'by steps, below a number', text: 'w1 = 3\nl: r0 += r1\nw1 += 7\nif w1 < 500 goto l\nexit' },
  {
    name: 'from below zero, as a compiler that tests the next number',
    text: 'r1 = -4\nl: r0 += 3\nr1 += 4\nif r1 < 124 goto l\nexit',
  },
  { name: 'out by a jump', text: 'r1 = 0\nl: r0 += r1\nr1 += 2\nif r1 == 400 goto o\ngoto l\no: exit' },
  {
    name: 'one in another',
    text: 'r1 = 0\nl: r2 = 0\nm: r0 += r2\nr2 += 1\nif r2 != 30 goto m\nr1 += 1\nif r1 != 20 goto l\nexit',
  },
  {
    name: 'with another way out',
    text: 'r1 = 0\nl: r0 += 3\nif r0 == 99 goto o\nr1 += 1\nif r1 != 100 goto l\no: exit',
  },
  {
    name: 'with another way out, that it never takes',
    text: 'w1 = 90\nl: r0 += 3\nif r0 == 2 goto o\nw1 += -1\nif w1 != 0 goto l\no: exit',
  },
  {
    name: 'with ways out of it and of the one around it',
    text: `r1 = 0
      l: r2 = 0
      m: r0 += 1
      if r0 == 333 goto o
      if r0 & 64 goto n
      r2 += 2
      if r2 != 60 goto m
      n: r1 += 1
      if r1 != 20 goto l
      o: exit`,
  },
  {
    name: 'with a counter that something else changes',
    text: 'r1 = 0\nl: r0 += 1\nif r0 == 5 goto p\nq: r1 += 1\nif r1 != 50 goto l\nexit\np: r1 = 10\ngoto q',
  },
];

for (const { name, text } of loops) {
  test(`a loop ${name}: no more is paid than is executed, and nearly all of it`, () => {
    const source = `r0 = 0\n${text}`;
    const executed = least(interpreter, source, 100_000);
    const paid = least(jit, source, 100_000);
    assert.ok(paid <= executed, `${paid} of ${executed}`);
    assert.ok(paid >= executed / 2, `${paid} of ${executed}`);
    const run = (engine: typeof jit) => new TestRuntime().load(engine, assemble(source)).run({ ctx: 0 });
    assert.equal(run(jit), run(interpreter));
  });
}

test('counting from, by and to anything gives what the interpreter gives, or ends on both', () => {
  const outcome = (engine: typeof jit, text: string): string => {
    try {
      return String(new TestRuntime().load(engine, assemble(text)).run({ ctx: 0, budget: 2000 }));
    } catch (error) {
      return error instanceof SkepError ? error.code : String(error);
    }
  };
  const number = fc.integer({ min: -40, max: 40 });
  const register = fc.constantFrom('r1', 'w1');
  const condition = fc.constantFrom('!=', '==', '<', '<=', 's<', '>', 's>=');
  fc.assert(
    fc.property(number, number, number, condition, fc.tuple(register, register, register), (...given) => {
      const [first, step, limit, sign, [a, b, c]] = given;
      const text = `r0 = 0\n${a} = ${first}\nl: r0 += 1\n${b} += ${step}\nif ${c} ${sign} ${limit} goto l\nexit`;
      const want = outcome(interpreter, text);
      // The generated code stops somewhat later.
      if (want !== 'budget') assert.equal(outcome(jit, text), want, text);
    }),
    { numRuns: 400 },
  );
});
