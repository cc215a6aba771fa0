import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { TestRuntime } from '../../../test/support/runtime.ts';
import { assemble } from '../../asm/index.ts';
import { SkepError } from '../../base/errors.ts';
import type { Insn, Slots } from '../../isa/index.ts';
import { interpreter, jit, ProgramFault } from '../index.ts';

const isBudget = (error: unknown) => error instanceof SkepError && error.code === 'budget';

/** Instructions that the interpreter counts. */
function counted(insns: Slots, ctx: number, runtime: TestRuntime): number {
  let low = 0;
  let high = 1 << 20;
  const program = runtime.load(interpreter, insns);
  while (low + 1 < high) {
    const middle = (low + high) >> 1;
    try {
      program.run({ ctx, budget: middle });
      high = middle;
    } catch (error) {
      assert.ok(isBudget(error));
      low = middle;
    }
  }
  return high;
}

const loops: { name: string; text: string }[] = [
  { name: 'a loop', text: 'r0 = 1000\nl: r0 -= 1\nif r0 != 0 goto l\nexit' },
  {
    name: 'a loop in a loop',
    text: `r6 = 20
      outer: r7 = 30
      inner: r0 += 1
      if r0 & 1 goto odd
      r8 += 1
      odd: r7 -= 1
      if r7 != 0 goto inner
      r6 -= 1
      if r6 != 0 goto outer
      exit`,
  },
  {
    name: 'a loop that calls',
    text: 'r6 = 100\nl: r1 = r6\ncall f\nr6 -= 1\nif r6 != 0 goto l\nexit\nf: r0 = r1\nm: r0 -= 1\nif r0 s> 0 goto m\nexit',
  },
  {
    name: 'a loop with two entries, which no block structure has',
    text: `r0 = 0
      r6 = 500
      if r1 != 0 goto second
      first: r0 += 1
      r6 -= 1
      if r6 == 0 goto out
      second: r0 += 3
      r6 -= 1
      if r6 != 0 goto first
      out: exit`,
  },
];

for (const { name, text } of loops) {
  test(`fuel: ${name} runs within the budget that it takes, and is stopped well before it has none`, () => {
    const runtime = new TestRuntime();
    const insns = assemble(text);
    const program = runtime.load(jit, insns);
    const needs = counted(insns, 0, runtime);
    assert.equal(program.run({ ctx: 0, budget: needs }), runtime.load(interpreter, insns).run({ ctx: 0 }));
    assert.throws(() => program.run({ ctx: 0, budget: Math.floor(needs / 3) }), isBudget);
    // And again: a stop leaves nothing behind.
    assert.equal(program.run({ ctx: 0, budget: needs }), program.run({ ctx: 0, budget: Infinity }));
  });
}

test('calls that multiply are stopped, though none of them goes back', () => {
  const levels = Array.from({ length: 6 }, (_, i) => {
    const calls = i === 5 ? 'r0 = 0\n' : `call f${i + 1}\n`.repeat(30);
    return `f${i}: ${calls}exit`;
  });
  const program = new TestRuntime().load(jit, assemble(`call f0\nexit\n${levels.join('\n')}`));
  assert.throws(() => program.run({ ctx: 0, budget: 100_000 }), isBudget);
});

test('an access outside of the Memory traps, and the error names the instruction', () => {
  const runtime = new TestRuntime();
  const far = 0xfff0_0000;
  for (const body of ['r0 = *(u64 *)(r1 + 16)', '*(u8 *)(r1 + 0) = 1', 'lock *(u64 *)(r1 + 0) += r1']) {
    const program = runtime.load(jit, assemble(`r2 = r1\nr1 = ${far} ll\n${body}\nr0 = 0\nexit`));
    assert.throws(
      () => program.run({ ctx: 0 }),
      (error) => error instanceof ProgramFault && error.slot === 3 && /trapped/.test(error.message),
    );
  }
  const inside = runtime.load(
    jit,
    assemble(`call f\nexit\nf: r1 = ${far} ll\nr2 = 1\nr0 = *(u16 *)(r1 - 2)\nexit`),
  );
  assert.throws(
    () => inside.run({ ctx: 0 }),
    (error) => error instanceof ProgramFault && error.slot === 5,
  );
});

test('a helper that makes the memory grow finds its registers again', () => {
  const runtime = new TestRuntime();
  const map = runtime.map('hash', { maxEntries: 1000, flags: 1, valueSize: 40_000 });
  const text = `r6 = 200
    l: *(u32 *)(r10 - 4) = r6
    r1 = ${map.address} ll
    r2 = r10
    r2 += -4
    r3 = ${runtime.memory.alloc(40_000)} ll
    r4 = 0
    call 2
    if r0 != 0 goto out
    r1 = ${map.address} ll
    r2 = r10
    r2 += -4
    call 1
    if r0 == 0 goto out
    r6 -= 1
    if r6 != 0 goto l
    r0 = 42
    out: exit`;
  const { generation } = runtime.memory;
  assert.equal(runtime.load(jit, assemble(text)).run({ ctx: 0 }), 42n);
  assert.ok(runtime.memory.generation > generation);
});

test('a run that another starts in a helper disturbs neither', () => {
  const runtime = new TestRuntime();
  const inner = runtime.load(jit, assemble('r6 = 50\nl: call 7\nr6 -= 1\nif r6 != 0 goto l\nr0 = 9\nexit'));
  let nested = 0n;
  runtime.ktimeNs = () => {
    nested += inner.run({ ctx: 0, budget: 1000 });
    return 5n;
  };
  const text =
    'r6 = 10\n*(u64 *)(r10 - 8) = 7\nl: call 5\nr7 += r0\nr6 -= 1\nif r6 != 0 goto l\nr0 = *(u64 *)(r10 - 8)\nr0 += r7\nexit';
  const outer = runtime.load(jit, assemble(text));
  assert.equal(outer.run({ ctx: 0, budget: 60 }), 57n);
  assert.equal(nested, 90n);
});

test('tail calls go from one engine to the other, on one budget', () => {
  for (const [first, second] of [
    [jit, interpreter],
    [interpreter, jit],
  ] as const) {
    const runtime = new TestRuntime();
    const map = runtime.map('prog_array', { maxEntries: 1 });
    runtime.programs.set(
      7,
      runtime.load(second, assemble('r0 = 100\nl: r0 -= 1\nif r0 != 0 goto l\nr0 = 3\nexit')),
    );
    map.userUpdate(new Uint8Array(4), new Uint8Array(new Uint32Array([7]).buffer), 0n);
    const program = runtime.load(first, assemble(`r2 = ${map.address} ll\nr3 = 0\ncall 12\nr0 = 1\nexit`));
    assert.equal(program.run({ ctx: 0, budget: 300 }), 3n);
    assert.throws(() => program.run({ ctx: 0, budget: 80 }), isBudget);
  }
});

test('a program of 100,000 instructions', () => {
  const parts = Array.from({ length: 25_000 }, (_, i) => `r0 += ${i}\nif r0 & 1 goto +1\nr0 ^= 5\nr1 = r0`);
  const insns = assemble(`r0 = 0\n${parts.join('\n')}\nexit`);
  const runtime = new TestRuntime();
  assert.equal(runtime.load(jit, insns).run({ ctx: 0 }), runtime.load(interpreter, insns).run({ ctx: 0 }));
});

test('a program that is larger than a function of WebAssembly may be runs all the same', () => {
  const multiply: Insn = { op: 'alu', alu: 'mul', bits: 64, dst: 0, src: { imm: 0x7fff_fff1 } };
  const insns = [
    ...assemble('r0 = 1'),
    ...Array.from({ length: 720_000 }, () => multiply),
    ...assemble('exit'),
  ];
  let want = 1n;
  for (let i = 0; i < 720_000; i++) want = BigInt.asUintN(64, want * 0x7fff_fff1n);
  assert.equal(new TestRuntime().load(jit, insns).run({ ctx: 0 }), want);
});

test('a trap names the line of C, also in a program that was tail-called', () => {
  const runtime = new TestRuntime();
  const far = 0xfff0_0000;
  const loadFrom = (text: string, file: string) =>
    jit.load(
      {
        name: file,
        progType: 0,
        insns: assemble(text),
        subprogs: [],
        maps: [...runtime.maps.values()],
        sourceAt: (slot) => `${file}:${slot + 10}: x = *p;`,
      },
      runtime,
    );
  const jumps = runtime.map('prog_array');
  const target = loadFrom(`r1 = ${far} ll\nr0 = *(u64 *)(r1 + 0)\nexit`, 'target.bpf.c');
  const caller = loadFrom(`r2 = ${jumps.address} ll\nr3 = 0\ncall 12\nr0 = 1\nexit`, 'caller.bpf.c');
  runtime.programs.set(9, target);
  jumps.userUpdate(new Uint8Array(4), Uint8Array.of(9, 0, 0, 0), 0n);
  // The first time the host makes the call, then the table does.
  for (let run = 0; run < 3; run++) {
    assert.throws(
      () => caller.run({ ctx: 0 }),
      (error) =>
        error instanceof ProgramFault &&
        error.slot === 2 &&
        /trapped: .*\(target\.bpf\.c:12: x = \*p;\)/.test(error.message),
    );
  }
});

test('a program that nobody refers to is forgotten with its module, while its kernel lives', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const runtime = new TestRuntime();
  let left = 0;
  const registry = new FinalizationRegistry(() => left--);
  const load = (i: number) => {
    const program = runtime.load(jit, assemble(`r0 = ${i}\nexit`));
    assert.equal(program.run({ ctx: 0 }), BigInt(i));
    registry.register(program, undefined);
    left++;
  };
  for (let i = 0; i < 50; i++) load(i);
  collect();
  return new Promise<void>((resolve) => setImmediate(resolve)).then(() =>
    assert.ok(left < 25, `${left} live`),
  );
});
