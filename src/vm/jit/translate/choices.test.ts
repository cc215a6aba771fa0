/** Jumps over nothing but moves have no branch in generated code, and both engines do the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestRuntime } from '../../../../test/support/runtime.ts';
import { assemble } from '../../../asm/index.ts';
import { interpreter, jit } from '../../index.ts';
import { moduleText } from '../wasm/index.ts';
import { translate } from './module.ts';

/** r1 and r2 are any numbers; what is chosen is in r0 or r3. */
const cases: { name: string; text: string; branches: boolean }[] = [
  { name: 'one or none', text: 'w0 = 1\nif w1 == 7 goto m\nw0 = 0', branches: false },
  { name: 'none or one, in 64 bits', text: 'r0 = 0\nif r1 s> r2 goto m\nr0 = 1', branches: false },
  { name: 'the larger one', text: 'r0 = r1\nif r1 > r2 goto m\nr0 = r2', branches: false },
  { name: 'a lower half', text: 'r0 = r1\nif w1 > w2 goto m\nw0 = w2', branches: false },
  { name: 'a negative number', text: 'r0 = r1\nif r1 & 1 goto m\nr0 = -5', branches: false },
  { name: 'a negative number of 32 bits', text: 'r0 = r1\nif r1 & 1 goto m\nw0 = -5', branches: false },
  { name: 'by the register that is set', text: 'r0 = r1\nif r0 s< 3 goto m\nr0 = 3', branches: false },
  { name: 'two of them', text: 'r0 = 4\nr3 = 1\nif r1 == r2 goto m\nr0 = r1\nr3 = 0', branches: false },
  { name: 'an exchange', text: 'r0 = r1\nr3 = r2\nif r1 < r2 goto m\nr0 = r3\nr3 = r0', branches: true },
  { name: 'a sum', text: 'r0 = 5\nif r1 < r2 goto m\nr0 += r1', branches: true },
  {
    name: 'behind a change of the old value',
    text: 'r0 = 1\nr0 += r2\nif r1 < r2 goto m\nr0 = 0',
    branches: false,
  },
];

for (const { name, text, branches } of cases) {
  test(`${name}: ${branches ? 'a branch' : 'no branch'}`, () => {
    const runtime = new TestRuntime();
    const insns = assemble(`r2 = *(u64 *)(r1 + 8)
      r1 = *(u64 *)(r1 + 0)
      r3 = 2
      ${text}
      m: r0 *= 31
      r0 ^= r3
      exit`);
    const program = { name: 'p', progType: 0, insns, subprogs: [], maps: [] };
    const place = { scratch: 4096, view: runtime.memory.view };
    const main = moduleText(translate(program, place).module).split('(func $enter')[0]!;
    // Where there are warm-up runs, their test is the only other branch.
    assert.equal((main.match(/br_if|\bif\b/g) ?? []).length > 1, branches, main);
    const [one, other] = [jit, interpreter].map((engine) => runtime.load(engine, insns));
    const numbers = [0n, 1n, 2n, 7n, -1n, -6n, 2n ** 32n + 7n, 2n ** 31n, 2n ** 63n];
    for (const a of numbers) {
      for (const b of numbers) {
        const words = BigInt64Array.of(BigInt.asIntN(64, a), BigInt.asIntN(64, b));
        const ctx = runtime.bytes(new Uint8Array(words.buffer));
        assert.equal(one!.run({ ctx }), other!.run({ ctx }), `of ${a} and ${b}`);
        runtime.memory.free(ctx);
      }
    }
  });
}
