/** The rules themselves are sound: every operand of small widths, against every concrete result. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ModelCond,
  type ModelOp,
  type Scalar,
  ScalarModel,
  type Tnum,
} from '../../../test/support/scalar-model.ts';

const model = new ScalarModel(3, 2);
const size = 1n << BigInt(model.width);
const values = Array.from({ length: Number(size) }, (_, i) => BigInt(i));

/** Every tnum of a width. */
function tnums(width: number): Tnum[] {
  const all: Tnum[] = [];
  for (let mask = 0n; mask < 1n << BigInt(width); mask++) {
    for (let value = 0n; value < 1n << BigInt(width); value++) if (!(value & mask)) all.push({ value, mask });
  }
  return all;
}

/** Scalars known by a tnum, an unsigned, a signed or a word's range, synced; each distinct one once. */
function scalars(m: ScalarModel): Scalar[] {
  const found = new Map<string, Scalar>();
  const add = (facts: Partial<Scalar>): void => {
    const x = { ...m.unknown(), ...facts };
    m.sync(x);
    found.set(
      JSON.stringify(x, (_, v) => (typeof v === 'bigint' ? v.toString() : v)),
      x,
    );
  };
  for (const bits of tnums(m.width)) add({ bits });
  const half = size / 2n;
  for (let a = 0n; a < size; a++) {
    for (let b = a; b < size; b++) {
      add({ umin: a, umax: b });
      add({ smin: a - half, smax: b - half });
    }
  }
  const words = 1n << BigInt(m.word);
  for (let a = 0n; a < words; a++) {
    for (let b = a; b < words; b++) {
      add({ wumin: a, wumax: b });
      add({ wsmin: a - words / 2n, wsmax: b - words / 2n });
    }
  }
  return [...found.values()];
}

const all = scalars(model);
const members = new Map(all.map((x) => [x, values.filter((v) => model.contains(x, v))]));
const widths = [false, true];

/** The concrete operation, at the whole width or at the word's. */
function run(op: ModelOp, operands: { a: bigint; b: bigint; word: boolean }): bigint {
  const width = operands.word ? model.word : model.width;
  const a = model.u(operands.a, width);
  const b = model.u(operands.b, width);
  const results: Record<ModelOp, () => bigint> = {
    add: () => a + b,
    sub: () => a - b,
    mul: () => a * b,
    and: () => a & b,
    or: () => a | b,
    xor: () => a ^ b,
    lsh: () => a << b,
    rsh: () => a >> b,
    arsh: () => model.s(a, width) >> b,
    div: () => (b === 0n ? 0n : a / b),
    mod: () => (b === 0n ? a : a % b),
  };
  return model.u(results[op](), width);
}

function holds(cond: ModelCond, operands: { a: bigint; b: bigint; word: boolean }): boolean {
  const width = operands.word ? model.word : model.width;
  const [a, b] = [model.u(operands.a, width), model.u(operands.b, width)];
  const [sa, sb] = [model.s(a, width), model.s(b, width)];
  const results: Record<ModelCond, boolean> = {
    eq: a === b,
    ne: a !== b,
    gt: a > b,
    ge: a >= b,
    lt: a < b,
    le: a <= b,
    set: (a & b) !== 0n,
    sgt: sa > sb,
    sge: sa >= sb,
    slt: sa < sb,
    sle: sa <= sb,
  };
  return results[cond];
}

test('a sync keeps every value that the facts allow', () => {
  for (const x of all) {
    for (const y of all) {
      const both: Scalar = { ...x, umin: y.umin, umax: y.umax, smin: y.smin, smax: y.smax };
      const allowed = values.filter((v) => model.contains(both, v));
      model.sync(both);
      for (const v of allowed) assert.ok(model.contains(both, v), `${v} is lost`);
    }
  }
});

for (const op of ['add', 'sub', 'mul', 'and', 'or', 'xor', 'lsh', 'rsh', 'arsh', 'div', 'mod'] as const) {
  test(`${op} contains every concrete result`, () => {
    const isShift = op === 'lsh' || op === 'rsh' || op === 'arsh';
    for (const word of widths) {
      const limit = BigInt(word ? model.word : model.width);
      for (const x of all) {
        for (const y of all) {
          const result = model.alu(x, y, { op, word });
          for (const a of members.get(x)!) {
            for (const b of members.get(y)!) {
              // A shift by the width or more is masked by the machine; nothing is claimed of it.
              if (isShift && model.u(b, word ? model.word : model.width) >= limit) continue;
              const concrete = run(op, { a, b, word });
              if (!model.contains(result, concrete))
                assert.fail(`${a} ${op} ${b}, word ${word}: ${concrete}`);
            }
          }
        }
      }
    }
  });
}

for (const cond of ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'set', 'sgt', 'sge', 'slt', 'sle'] as const) {
  test(`${cond} is decided rightly, and refinement keeps what takes each side`, () => {
    for (const word of widths) {
      for (const x of all) {
        for (const y of all) {
          const taken = model.taken(x, y, { cond, word });
          const sides = [false, true].map((is) => model.refine(x, y, { cond, word, holds: is }));
          for (const a of members.get(x)!) {
            for (const b of members.get(y)!) {
              const is = holds(cond, { a, b, word });
              if (taken === (is ? 0 : 1)) assert.fail(`${a} ${cond} ${b}, word ${word}: decided ${taken}`);
              const [p, q] = sides[is ? 1 : 0]!;
              if (taken === -1 && !(model.contains(p, a) && model.contains(q, b))) {
                assert.fail(`${a} ${cond} ${b}, word ${word}: not on its side`);
              }
            }
          }
        }
      }
    }
  });
}

test('a left shift by half the width keeps the order of signed words', () => {
  const m = new ScalarModel(4, 2);
  for (let a = -2n; a < 2n; a++) {
    for (let b = a; b < 2n; b++) {
      const x = { ...m.unknown(), wsmin: a, wsmax: b };
      m.sync(x);
      const result = m.alu(x, m.constant(2n), { op: 'lsh', word: false });
      for (let v = 0n; v < 16n; v++) {
        if (m.contains(x, v)) assert.ok(m.contains(result, v << 2n), `${v} of [${a}, ${b}]`);
      }
      assert.deepEqual([result.smin, result.smax], [a << 2n, b << 2n]);
    }
  }
});

test('tnum operators contain every concrete result at four bits', () => {
  const m = new ScalarModel(4, 2);
  const every = tnums(4);
  const inside = (t: Tnum, v: bigint): boolean => (m.u(v) & ~t.mask) === t.value;
  const concrete = Array.from({ length: 16 }, (_, i) => BigInt(i));
  for (const a of every) {
    for (const b of every) {
      const [sum, difference, product, union] = [
        m.tnumAdd(a, b),
        m.tnumSub(a, b),
        m.tnumMul(a, b),
        m.tnumUnion(a, b),
      ];
      for (const x of concrete.filter((v) => inside(a, v))) {
        assert.ok(inside(union, x));
        for (const y of concrete.filter((v) => inside(b, v))) {
          assert.ok(inside(sum, x + y) && inside(difference, x - y) && inside(product, x * y));
        }
      }
    }
    for (const z of concrete) {
      const above = concrete.filter((v) => inside(a, v) && v > z);
      assert.equal(m.tnumNext(a, z), above[0] ?? a.value | a.mask);
    }
  }
});
