import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TestRuntime } from '../../test/support/runtime.ts';
import { assemble } from '../asm/index.ts';
import { SkepError } from '../base/errors.ts';
import { type Engine, interpreter, jit, ProgramFault } from './index.ts';

const u32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);

for (const engine of [interpreter, jit]) describe(engine.name, () => tailCalls(engine));

function tailCalls(engine: Engine): void {
  /** A program array of four slots, and what loads programs into them. */
  function setUp() {
    const runtime = new TestRuntime();
    const map = runtime.map('prog_array', { maxEntries: 4 });
    const jump = (index: number) => `r2 = ${map.address} ll\nr3 = ${index}\ncall 12\n`;
    const put = (index: number, text: string) => {
      const id = 100 + index;
      runtime.programs.set(id, runtime.load(engine, assemble(text)));
      map.userUpdate(u32(index), u32(id), 0n);
    };
    const run = (text: string, budget = 100_000) =>
      runtime.load(engine, assemble(text)).run({ ctx: 0, budget });
    return { runtime, jump, put, run };
  }

  test('a tail call does not come back; without a target the program goes on', () => {
    const { jump, put, run } = setUp();
    put(1, 'r0 = 55\nexit');
    assert.equal(run(`${jump(1)}r0 = 1\nexit`), 55n);
    for (const index of [0, 3, 4, -1]) assert.equal(run(`${jump(index)}r0 = 1\nexit`), 1n, `index ${index}`);
  });

  test('the target starts with the context, and a stack and registers of its own', () => {
    const { runtime, jump, put } = setUp();
    put(1, 'r0 = *(u64 *)(r1 + 0)\nr2 = *(u64 *)(r10 - 8)\nr0 += r2\nr0 += r6\nexit');
    const ctx = runtime.bytes(new Uint8Array([42, 0, 0, 0, 0, 0, 0, 0]));
    const program = runtime.load(engine, assemble(`r6 = 9\n*(u64 *)(r10 - 8) = 9\n${jump(1)}r0 = 1\nexit`));
    assert.equal(program.run({ ctx }), 42n);
  });

  test('from a subprogram, the whole 64-bit r0 of the target goes to the live caller', () => {
    const { jump, put, run } = setUp();
    put(1, 'r0 = 0x1122334455667788 ll\nexit');
    const text = `r6 = 5
    *(u64 *)(r10 - 8) = 1
    call f
    r1 = *(u64 *)(r10 - 8)
    r0 += r1
    r0 += r6
    exit
    f: r6 = 0
    ${jump(1)}r0 = 2
    exit`;
    assert.equal(run(text), 0x1122334455667788n + 6n);
  });

  test('a run makes 33 tail calls, then goes on after the call', () => {
    const { runtime, jump, put, run } = setUp();
    const counter = runtime.bytes(new Uint8Array(8));
    const body = `r6 = ${counter} ll\nr7 = 1\nlock *(u64 *)(r6 + 0) += r7\n${jump(0)}r0 = *(u64 *)(r6 + 0)\nexit`;
    put(0, body);
    assert.equal(run(body), 34n);
    // The count is per run, and a new run starts again.
    assert.equal(run(body), 68n);
  });

  test('the count is shared by all frames of a run', () => {
    const { runtime, jump, put, run } = setUp();
    const counter = runtime.bytes(new Uint8Array(8));
    put(0, `r6 = ${counter} ll\nr7 = 1\nlock *(u64 *)(r6 + 0) += r7\nr0 = 0\nexit`);
    // Forty calls of a subprogram that tail-calls: 33 of them reach the target.
    const text = `r8 = 40
    l: call f
    r8 -= 1
    if r8 != 0 goto l
    r6 = ${counter} ll
    r0 = *(u64 *)(r6 + 0)
    exit
    f: ${jump(0)}r0 = 0
    exit`;
    assert.equal(run(text), 33n);
  });

  test('a chain shares one budget', () => {
    const { jump, put, run } = setUp();
    put(0, 'l: goto l');
    assert.throws(
      () => run(`${jump(0)}exit`, 500),
      (error) => error instanceof SkepError && error.code === 'budget',
    );
  });

  test('a tail call through what is no map is a fault', () => {
    assert.throws(() => setUp().run('r2 = 64\nr3 = 0\ncall 12\nexit'), ProgramFault);
  });
}
