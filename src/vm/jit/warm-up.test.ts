/** Warming up changes nothing that a program, or who runs it, could see. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestRuntime } from '../../../test/support/runtime.ts';
import { assemble } from '../../asm/index.ts';
import { jit } from '../index.ts';
import { emptyRuns, RUNS_OBSERVED } from './warm-up.ts';

/** Counts its runs in a value and returns how many these were, less one while its tail call fails. */
function counter(runtime: TestRuntime) {
  const value = runtime.map('array', { maxEntries: 1 });
  const jumps = runtime.map('prog_array', { maxEntries: 1 });
  return runtime.load(
    jit,
    assemble(`*(u32 *)(r10 - 4) = 0
      r6 = r1
      r1 = ${value.address} ll
      r2 = r10
      r2 += -4
      call 1
      if r0 == 0 goto out
      r7 = *(u64 *)(r0 + 0)
      r7 += 1
      *(u64 *)(r0 + 0) = r7
      r1 = r6
      r2 = ${jumps.address} ll
      r3 = 0
      call 12
      r0 = r7
      out: exit`),
  );
}

const cases: { name: string; repeats: number[] }[] = [
  { name: 'one by one', repeats: Array(RUNS_OBSERVED + 3).fill(1) },
  { name: 'all at once', repeats: [3 * RUNS_OBSERVED] },
  { name: 'up to the last that is observed', repeats: [RUNS_OBSERVED, 1] },
  { name: 'over it', repeats: [RUNS_OBSERVED - 1, 2, 5] },
];

for (const { name, repeats } of cases) {
  test(`${name}: every run counts, and none is added`, () => {
    const program = counter(new TestRuntime());
    let runs = 0;
    for (const repeat of repeats) {
      runs += repeat;
      assert.equal(program.run({ ctx: 0, repeat, budget: 100 }), BigInt(runs));
    }
  });
}

for (const type of ['hash', 'lru_hash', 'percpu_hash', 'lru_percpu_hash'] as const) {
  test(`${type}: its elements are those of programs that are not warmed up`, () => {
    const [warm, cold] = [true, false].map((warmUp) => {
      const runtime = Object.assign(new TestRuntime(), { warmUp });
      const map = runtime.map(type, { maxEntries: 8 });
      const key = `r1 = ${map.address} ll\nr2 = r10\nr2 += -4`;
      const program = runtime.load(
        jit,
        // Keys 0 to 31 by turns: looked up, and deleted or written.
        assemble(`r6 = *(u32 *)(r1 + 0)
          r2 = r6
          r2 += 1
          r2 &= 31
          *(u32 *)(r1 + 0) = r2
          *(u32 *)(r10 - 4) = r6
          *(u64 *)(r10 - 16) = r6
          ${key}
          call 1
          if r0 != 0 goto there
          ${key}
          r3 = r10
          r3 += -16
          r4 = 0
          call 2
          exit
          there: if r6 & 1 goto out
          ${key}
          call 3
          out: r0 = 0
          exit`),
      );
      const ctx = runtime.bytes(new Uint8Array(8));
      program.run({ ctx, repeat: 3 * RUNS_OBSERVED + 17 });
      const elements: number[][] = [];
      const value = new Uint8Array(32);
      for (let n = 0; n < 32; n++) {
        const bytes = Uint8Array.of(n, 0, 0, 0);
        const found = [n, ...(map.userLookup(bytes, value) === 0 ? value : [])];
        elements.push(found);
      }
      return elements;
    });
    assert.ok(warm!.some(({ length }) => length > 1));
    assert.deepEqual(warm, cold);
  });
}

test('a run that is stopped while it is observed is none the worse for it', () => {
  const runtime = new TestRuntime();
  const program = runtime.load(jit, assemble('r0 = 100\nl: r0 -= 1\nif r0 != 0 goto l\nexit'));
  for (let run = 0; run < 2; run++) {
    assert.throws(() => program.run({ ctx: 0, repeat: RUNS_OBSERVED, budget: 10 }), { code: 'budget' });
    assert.equal(program.run({ ctx: 0, repeat: 2 }), 0n);
  }
});

test('a program that runs inside another is left cold', () => {
  const runtime = new TestRuntime();
  const inner = counter(runtime);
  runtime.ktimeNs = () => inner.run({ ctx: 0, repeat: 2 * RUNS_OBSERVED });
  const outer = runtime.load(jit, assemble('call 5\nr6 = r0\ncall 5\nr0 += r6\nexit'));
  assert.equal(outer.run({ ctx: 0 }), BigInt(6 * RUNS_OBSERVED));
});

test('empty runs: fewer for larger functions and for more of them, and never without bound', () => {
  const cases: { name: string; sizes: number[]; want: number }[] = [
    { name: 'a short one', sizes: [1], want: 100_000 },
    { name: 'a long one', sizes: [10_000], want: 1240 },
    { name: 'the shortest counts', sizes: [10_000, 1000, 20_000], want: 11539 },
    { name: 'many', sizes: Array(50).fill(300), want: 2000 },
    { name: 'very many', sizes: Array(200_000).fill(300), want: 1 },
    { name: 'as long as they can be', sizes: [7_000_000], want: 2 },
  ];
  for (const { name, sizes, want } of cases) assert.equal(emptyRuns(sizes), want, name);
});
