/**
 * The engines: nanoseconds an instruction, on loops whose instruction counts are known, and what entering a
 * program costs. Each case is there for each engine.
 */
import { assemble } from '../src/asm/index.ts';
import { type Engine, type Executable, interpreter, jit } from '../src/vm/index.ts';
import { BenchRuntime, type Case } from './harness.ts';

const ROUNDS = 1000;

type LoopCase = (engine: Engine) => Case;

/** `body` in a loop; r8 counts. */
function looped(engine: Engine, body: string): { program: Executable; insns: number } {
  const text = `r8 = ${ROUNDS}\nr0 = 0\nl: ${body}\nr8 -= 1\nif r8 != 0 goto l\nexit`;
  const perRound = assemble(`${body}\nr8 -= 1\nr8 -= 1`).filter((insn) => insn !== undefined).length;
  return { program: new BenchRuntime().load(engine, assemble(text)), insns: perRound * ROUNDS };
}

const loop =
  (name: string, body: string): LoopCase =>
  (engine) => {
    const { program, insns } = looped(engine, body);
    const context = { ctx: 0 };
    return {
      name: `${engine.name}: ${name}`,
      unit: 'instruction',
      count: insns,
      run: () => program.run(context),
    };
  };

function empty(engine: Engine): Case {
  const program = new BenchRuntime().load(engine, assemble('r0 = 0\nexit'));
  const context = { ctx: 0 };
  return {
    name: `${engine.name}: an empty program`,
    unit: 'run',
    count: ROUNDS,
    run() {
      let r0 = 0n;
      for (let i = 0; i < ROUNDS; i++) r0 = program.run(context);
      return r0;
    },
  };
}

export function engineCases(): Case[] {
  const cases: LoopCase[] = [
    empty,
    loop(
      'ALU: add, mul, xor, or, shifts, 32-bit, immediates',
      `r0 += r8
      r2 = r0
      r2 *= 31
      r2 ^= 0x55
      r2 >>= 3
      r0 ^= r2
      w3 = w0
      w3 += 7
      r0 |= r3
      r0 <<= 1`,
    ),
    loop('ALU: 64-bit division and modulo', 'r0 = r8\nr0 *= -7\nr2 = r0\nr2 /= 13\nr0 %= 11'),
    loop('ALU: 32-bit only', 'w0 += w8\nw2 = w0\nw2 *= 31\nw2 ^= 0x55\nw2 >>= 3\nw0 ^= w2'),
    loop(
      'loads and stores on the stack, checked',
      'r2 = *(u64 *)(r10 - 8)\nr2 += 1\n*(u64 *)(r10 - 8) = r2\nr3 = *(u32 *)(r10 - 8)\n*(u8 *)(r10 - 16) = r3',
    ),
    loop('branches', 'if r8 > 500 goto +1\nr0 += 1\nif w8 s< 100 goto +1\nr0 += 1'),
    loop('a helper: bpf_get_smp_processor_id()', 'call 8'),
    loop('a helper: bpf_ktime_get_ns()', 'call 5'),
  ];
  return cases.flatMap((make) => [interpreter, jit].map(make));
}
