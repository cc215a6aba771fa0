/** What instructions do, on every engine: the same tests for each. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TestRuntime } from '../../test/support/runtime.ts';
import { assemble } from '../asm/index.ts';
import { SkepError } from '../base/errors.ts';
import type { AluOp, AtomicOp, Insn, JmpCond, Operand, Slots } from '../isa/index.ts';
import { decode, encode } from '../isa/index.ts';
import { type Engine, interpreter, jit, ProgramFault } from './index.ts';

const MASK = (1n << 64n) - 1n;
const exit: Insn = { op: 'exit' };

/** r`reg` = value, in two slots. */
function set(reg: 0 | 1 | 2, value: bigint): Slots {
  const lo = Number(BigInt.asIntN(32, value));
  const hi = Number(BigInt.asIntN(32, value >> 32n));
  return [{ op: 'ldimm64', dst: reg, pseudo: 'imm', lo, hi }, undefined];
}

for (const engine of [interpreter, jit]) describe(engine.name, () => semantics(engine));

function semantics(engine: Engine): void {
  const shared = new TestRuntime();

  function runInsns(insns: Slots, runtime = shared, ctx = 0): bigint {
    return runtime.load(engine, insns).run({ ctx, budget: 100_000 });
  }

  /** What each of `parts` leaves in r0, in one program: to compile one for each takes most of the time. */
  function runParts(parts: readonly Slots[]): bigint[] {
    const results = shared.bytes(new Uint8Array(8 * parts.length));
    const keep: Insn = { op: 'alu', alu: 'mov', bits: 64, dst: 6, src: { reg: 1 } };
    const body = parts.flatMap(
      (part, i): Slots => [...part, { op: 'store', size: 8, dst: 6, off: 8 * i, src: { reg: 0 } }],
    );
    runInsns([keep, ...body, exit], shared, results);
    const values = parts.map((_, i) => shared.memory.view.getBigUint64(results + 8 * i, true));
    shared.memory.free(results);
    return values;
  }

  const run = (text: string, runtime?: TestRuntime, ctx?: number) => runInsns(assemble(text), runtime, ctx);

  const edges = [
    0n,
    1n,
    2n,
    7n,
    31n,
    32n,
    33n,
    63n,
    64n,
    65n,
    0xffn,
    0x7fff_ffffn,
    0x8000_0000n,
    0xffff_fffen,
    0xffff_ffffn,
    0x1_0000_0000n,
    0x8877_6655_4433_2211n,
    0x7fff_ffff_ffff_ffffn,
    0x8000_0000_0000_0000n,
    0x8000_0000_0000_0001n,
    0xffff_ffff_8000_0000n,
    MASK - 1n,
    MASK,
  ];
  const immediates = [0, 1, -1, 7, 31, 63, 2 ** 31 - 1, -(2 ** 31), -2, 0x1234];

  /** RFC 9669 §4.1 in plain integers of the width: u(nsigned) and s(igned) views of both operands. */
  const model: Record<AluOp, (a: Wide, b: Wide) => bigint> = {
    mov: (_a, b) => b.u,
    add: (a, b) => a.u + b.u,
    sub: (a, b) => a.u - b.u,
    mul: (a, b) => a.u * b.u,
    div: (a, b) => (b.u === 0n ? 0n : a.u / b.u),
    mod: (a, b) => (b.u === 0n ? a.u : a.u % b.u),
    sdiv: (a, b) => (b.s === 0n ? 0n : a.s / b.s),
    smod: (a, b) => (b.s === 0n ? a.s : a.s % b.s),
    or: (a, b) => a.u | b.u,
    and: (a, b) => a.u & b.u,
    xor: (a, b) => a.u ^ b.u,
    lsh: (a, b) => a.u << (b.u % BigInt(b.bits)),
    rsh: (a, b) => a.u >> (b.u % BigInt(b.bits)),
    arsh: (a, b) => a.s >> (b.u % BigInt(b.bits)),
  };

  interface Wide {
    readonly u: bigint;
    readonly s: bigint;
    readonly bits: 32 | 64;
  }

  const wide = (value: bigint, bits: 32 | 64): Wide => ({
    u: BigInt.asUintN(bits, value),
    s: BigInt.asIntN(bits, value),
    bits,
  });

  for (const alu of Object.keys(model) as AluOp[]) {
    for (const bits of [32, 64] as const) {
      test(`${alu}${bits} at the edges, with register and immediate`, () => {
        for (const a of edges) {
          const operands: [Operand, bigint][] = [
            ...edges.map((b): [Operand, bigint] => [{ reg: 1 }, b]),
            ...immediates.map((imm): [Operand, bigint] => [{ imm }, BigInt(imm)]),
          ];
          const got = runParts(
            operands.map(([src, b]) => [...set(0, a), ...set(1, b), { op: 'alu', alu, bits, dst: 0, src }]),
          );
          operands.forEach(([, b], i) => {
            const want = BigInt.asUintN(bits, model[alu](wide(a, bits), wide(b, bits)));
            assert.equal(got[i], want, `0x${a.toString(16)} ${alu}${bits} 0x${b.toString(16)}`);
          });
        }
      });
    }
  }

  const conditions: Record<JmpCond, (a: Wide, b: Wide) => boolean> = {
    eq: (a, b) => a.u === b.u,
    ne: (a, b) => a.u !== b.u,
    gt: (a, b) => a.u > b.u,
    ge: (a, b) => a.u >= b.u,
    lt: (a, b) => a.u < b.u,
    le: (a, b) => a.u <= b.u,
    set: (a, b) => (a.u & b.u) !== 0n,
    sgt: (a, b) => a.s > b.s,
    sge: (a, b) => a.s >= b.s,
    slt: (a, b) => a.s < b.s,
    sle: (a, b) => a.s <= b.s,
  };

  for (const cond of Object.keys(conditions) as JmpCond[]) {
    for (const bits of [32, 64] as const) {
      test(`if ${cond} on ${bits} bits at the edges`, () => {
        for (const a of edges) {
          const got = runParts(
            edges.map((b) => [
              ...set(1, a),
              ...set(2, b),
              ...set(0, 20n),
              { op: 'jmp', cond, bits, dst: 1, src: { reg: 2 }, off: 2 },
              ...set(0, 10n),
            ]),
          );
          edges.forEach((b, i) => {
            const want = conditions[cond](wide(a, bits), wide(b, bits)) ? 20n : 10n;
            assert.equal(got[i], want, `0x${a.toString(16)} ${cond} 0x${b.toString(16)}`);
          });
        }
      });
    }
  }

  test('a narrow move, negation and swap at the edges', () => {
    const bytesReversed = (value: bigint, width: number) => {
      let out = 0n;
      for (let i = 0; i < width; i += 8) out = (out << 8n) | ((value >> BigInt(i)) & 0xffn);
      return out;
    };
    for (const value of edges) {
      for (const bits of [32, 64] as const) {
        assert.equal(
          runInsns([...set(0, value), { op: 'neg', bits, dst: 0 }, exit]),
          BigInt.asUintN(bits, -value),
        );
        for (const from of [8, 16, 32] as const) {
          const insn: Insn = { op: 'movsx', bits, from, dst: 0, src: 1 };
          const want = BigInt.asUintN(bits, BigInt.asIntN(from, value));
          assert.equal(
            runInsns([...set(0, MASK), ...set(1, value), insn, exit]),
            want,
            `movsx${bits} from ${from}`,
          );
        }
      }
      for (const width of [16, 32, 64] as const) {
        const swap = (kind: 'le' | 'be' | 'bswap'): bigint =>
          runInsns([...set(0, value), { op: 'swap', kind, width, dst: 0 }, exit]);
        assert.equal(swap('le'), BigInt.asUintN(width, value));
        assert.equal(swap('be'), bytesReversed(value, width));
        assert.equal(swap('bswap'), bytesReversed(value, width));
      }
    }
  });

  test('loads and stores of each size, signed and not', () => {
    const value = 0x8877_6655_4433_2281n;
    for (const size of [1, 2, 4, 8] as const) {
      for (const op of ['load', 'loadAcquire'] as const) {
        for (const signed of op === 'load' && size < 8 ? [false, true] : [false]) {
          const load: Insn =
            op === 'load'
              ? { op, size, signed, dst: 0, src: 10, off: -8 }
              : { op, size, dst: 0, src: 10, off: -8 };
          const insns: Slots = [
            ...set(1, value),
            { op: 'store', size: 8, dst: 10, off: -8, src: { reg: 1 } },
            load,
            exit,
          ];
          const bits = 8 * size;
          const want = signed ? BigInt.asUintN(64, BigInt.asIntN(bits, value)) : BigInt.asUintN(bits, value);
          assert.equal(runInsns(insns), want, `${op} ${size} ${signed}`);
        }
      }
      const stores: Insn[] = [
        { op: 'store', size, dst: 10, off: -8, src: { reg: 1 } },
        { op: 'store', size, dst: 10, off: -8, src: { imm: -2 } },
        { op: 'storeRelease', size, dst: 10, off: -8, src: 1 },
      ];
      for (const store of stores) {
        const stored = store.op === 'store' && 'imm' in store.src ? MASK - 1n : value;
        const got = runInsns([
          ...set(1, value),
          { op: 'store', size: 8, dst: 10, off: -8, src: { imm: 0 } },
          store,
          { op: 'load', size: 8, signed: false, dst: 0, src: 10, off: -8 },
          exit,
        ]);
        assert.equal(got, BigInt.asUintN(8 * size, stored));
      }
    }
  });

  const atomicModel: Record<AtomicOp, (old: bigint, operand: bigint, expected: bigint) => bigint> = {
    add: (old, operand) => old + operand,
    or: (old, operand) => old | operand,
    and: (old, operand) => old & operand,
    xor: (old, operand) => old ^ operand,
    xchg: (_old, operand) => operand,
    cmpxchg: (old, operand, expected) => (old === expected ? operand : old),
  };

  for (const atomic of Object.keys(atomicModel) as AtomicOp[]) {
    test(`atomic ${atomic}: memory, and the old value where it is fetched`, () => {
      for (const size of [4, 8] as const) {
        for (const fetch of atomic === 'xchg' || atomic === 'cmpxchg' ? [true] : [false, true]) {
          for (const old of edges) {
            for (const operand of [1n, MASK, 0x8000_0000n, old]) {
              const bits = 8 * size;
              for (const expected of atomic === 'cmpxchg' ? [old, old + 1n] : [5n]) {
                const body: Slots = [
                  ...set(0, old),
                  { op: 'store', size: 8, dst: 10, off: -8, src: { reg: 0 } },
                  ...set(0, expected & MASK),
                  ...set(1, operand),
                  { op: 'atomic', atomic, fetch, size, dst: 10, off: -8, src: 1 },
                ];
                const narrow = (value: bigint) => BigInt.asUintN(bits, value);
                const next = narrow(atomicModel[atomic](narrow(old), narrow(operand), narrow(expected)));
                const loadBack: Insn = { op: 'load', size: 8, signed: false, dst: 0, src: 10, off: -8 };
                const memory: bigint = runInsns([...body, loadBack, exit]);
                assert.equal(
                  memory,
                  size === 8 ? next : ((old >> 32n) << 32n) | next,
                  `${atomic}${bits} of 0x${old.toString(16)}`,
                );
                const moved: Insn = { op: 'alu', alu: 'mov', bits: 64, dst: 0, src: { reg: 1 } };
                const result: bigint =
                  atomic === 'cmpxchg' ? runInsns([...body, exit]) : runInsns([...body, moved, exit]);
                assert.equal(result, fetch ? narrow(old) : operand);
              }
            }
          }
        }
      }
    });
  }

  const programs: { name: string; text: string; want: bigint }[] = [
    { name: 'a 64-bit immediate', text: 'r0 = 0x1122334455667788 ll\nexit', want: 0x1122334455667788n },
    { name: 'a loop', text: 'r0 = 0\nr1 = 10\nl: r0 += r1\nr1 -= 1\nif r1 != 0 goto l\nexit', want: 55n },
    { name: 'a fresh stack is zero', text: 'r0 = *(u64 *)(r10 - 512)\nexit', want: 0n },
    {
      name: 'a call keeps r6 to r9 and the stack of its caller',
      text: `r6 = 1
      r9 = 4
      *(u64 *)(r10 - 8) = 32
      r1 = 2
      call f
      r0 += r6
      r0 += r9
      r1 = *(u64 *)(r10 - 8)
      r0 += r1
      exit
      f: r6 = 100
      r9 = 100
      *(u64 *)(r10 - 8) = 77
      r0 = r1
      exit`,
      want: 39n,
    },
    {
      name: 'calls eight frames deep',
      text: 'r1 = 7\ncall f\nexit\nf: r0 = r1\nif r1 == 1 goto out\nr1 -= 1\ncall f\nr0 += 1\nout: exit',
      want: 7n,
    },
    { name: 'gotol', text: 'r0 = 1\ngotol l\nr0 = 2\nl: exit', want: 1n },
    { name: 'may_goto goes on at first', text: 'r0 = 1\nmay_goto l\nr0 = 2\nl: exit', want: 2n },
  ];

  for (const { name, text, want } of programs) {
    test(name, () => assert.equal(run(text), want));
  }

  test('may_goto ends a loop after eight million rounds, in each frame anew', () => {
    const insns = assemble('r0 = 0\nl: may_goto out\nr0 += 1\ngoto l\nout: exit');
    assert.equal(new TestRuntime().load(engine, insns).run({ ctx: 0 }), 8388608n);
  });

  test('an executable can be entered again, and starts afresh each time', () => {
    const runtime = new TestRuntime();
    const program = runtime.load(
      engine,
      assemble('r0 = *(u64 *)(r10 - 8)\nr0 += r9\n*(u64 *)(r10 - 8) = 5\nr9 = 3\nexit'),
    );
    assert.deepEqual([program.run({ ctx: 0 }), program.run({ ctx: 0 })], [0n, 0n]);
    const { bytesInUse } = runtime.memory;
    program.run({ ctx: 0 });
    assert.equal(runtime.memory.bytesInUse, bytesInUse, 'a run leaves nothing allocated');
  });

  test('control that leaves the program, or calls too deep, is a fault', () => {
    assert.throws(() => run('r0 = 0'), ProgramFault);
    assert.throws(() => runInsns([{ op: 'ja', wide: false, off: 5 }, exit]), ProgramFault);
    assert.throws(() => runInsns([{ op: 'ja', wide: false, off: 1 }, ...set(0, 1n), exit]), ProgramFault);
    assert.throws(() => runInsns(set(0, 1n)), ProgramFault);
    assert.throws(() => runInsns(set(0, 1n).slice(0, 1)), ProgramFault);
    assert.throws(() => run('call f\nexit\nf: call f\nexit'), /frames/);
  });

  test('a program that goes on for ever is stopped with one clear line', () => {
    const program = new TestRuntime().load(engine, assemble('l: goto l'));
    assert.throws(
      () => program.run({ ctx: 0, budget: 1000 }),
      (error) => error instanceof SkepError && error.code === 'budget' && /test was stopped/.test(error.line),
    );
  });

  const unrunnable: { name: string; insn: Insn }[] = [
    { name: 'a kernel function', insn: { op: 'call', kind: 'kfunc', imm: 5, off: 0 } },
    { name: 'a helper that is absent', insn: { op: 'call', kind: 'helper', imm: 149 } },
    { name: 'a helper that does not exist', insn: { op: 'call', kind: 'helper', imm: 9999 } },
    { name: 'addr_space_cast', insn: { op: 'addrSpaceCast', dst: 0, src: 1, to: 1, from: 0 } },
    { name: 'a kernel variable', insn: { op: 'ldimm64', dst: 1, pseudo: 'btfId', lo: 3, hi: 0 } },
  ];

  for (const { name, insn } of unrunnable) {
    test(`${name} is refused when the program is loaded`, () => {
      assert.throws(
        () => new TestRuntime().load(engine, [insn, undefined, exit]),
        (error) =>
          error instanceof SkepError && error.code === 'not-runnable' && /instruction 0/.test(error.line),
      );
    });
  }

  test('what is encoded and decoded again runs the same', () => {
    const insns = assemble('r0 = 3\nr0 *= -7\nw0 += 1\nr0 = bswap64 r0\nexit');
    assert.equal(runInsns(decode(encode(insns))), runInsns(insns));
  });
}
