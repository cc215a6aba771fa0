/** Bodies of loops whose rounds are known: written once or several times over, they do what the interpreter does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TestRuntime } from '../../../../test/support/runtime.ts';
import { assemble } from '../../../asm/index.ts';
import { interpreter, jit } from '../../index.ts';

const runtime = new TestRuntime();
const bytes = runtime.bytes(Uint8Array.from({ length: 512 }, (_, i) => (i * 151 + 77) & 0xff));

/** r1 is the packet, r2 … r5 are values, r6 counts. */
const value = fc.integer({ min: 2, max: 5 });
const operator = fc.constantFrom('+=', '-=', '*=', '^=', '|=', '&=', '=');
const small = fc.integer({ min: -9, max: 2000 });
const width = fc.constantFrom('r', 'w');
const instruction = fc.oneof(
  fc.tuple(width, value, operator, value).map(([w, a, op, b]) => `${w}${a} ${op} ${w}${b}`),
  fc.tuple(width, value, value).map(([w, a, b]) => `${w}${a} += ${w}${b}`),
  fc.tuple(width, value, fc.constantFrom('+=', '-='), small).map(([w, a, op, n]) => `${w}${a} ${op} ${n}`),
  fc
    .tuple(width, value, fc.constantFrom('<<=', '>>=', 's>>='), fc.nat({ max: 31 }))
    .map(([w, a, op, n]) => `${w}${a} ${op} ${n}`),
  fc
    .tuple(value, fc.constantFrom('u8', 'u16', 'u32', 's8'), fc.integer({ min: -8, max: 90 }))
    .map(
      ([a, size, off]) =>
        `r7 = r1\nr7 += r6\nr${a} = *(${size} *)(r7 ${off < 0 ? '-' : '+'} ${Math.abs(off)})`,
    ),
  fc.tuple(value, fc.nat({ max: 80 })).map(([a, off]) => `r7 = r1\nr7 += ${off}\nr${a} = *(u64 *)(r7 + 8)`),
  fc.tuple(value, value).map(([a, b]) => `*(u64 *)(r10 - 8) = r${a}\nr${b} = *(u64 *)(r10 - 8)`),
);

test('any instructions, any number of rounds', () => {
  fc.assert(
    fc.property(
      fc.array(instruction, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 2, max: 40 }),
      fc.integer({ min: 1, max: 3 }),
      width,
      (body, rounds, step, w) => {
        const text = `r1 += 64
          r2 = 5
          r3 = -3
          r4 = 0x123456789a ll
          w5 = 9
          *(u64 *)(r10 - 8) = 1
          r6 = 0
          l: ${body.join('\n')}
          ${w}6 += ${step}
          if ${w}6 != ${rounds * step} goto l
          r0 = r2
          r0 *= 31
          r0 ^= r3
          r0 *= 31
          r0 ^= r4
          r0 *= 31
          r0 ^= r5
          exit`;
        const insns = assemble(text);
        const [one, other] = [jit, interpreter].map((engine) => runtime.load(engine, insns));
        assert.equal(one!.run({ ctx: bytes }), other!.run({ ctx: bytes }), text);
      },
    ),
    { numRuns: 300 },
  );
});
