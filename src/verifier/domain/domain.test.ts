/** The verifier's domain gives the model's numbers at 64 bits, and what it says is true of concrete runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Scalar, ScalarModel } from '../../../test/support/scalar-model.ts';
import {
  REG_BYTES,
  REG_QWORDS,
  REG_WORDS,
  regFile,
  S32_MAX,
  S32_MIN,
  SMAX,
  SMIN,
  TNUM_MASK,
  TNUM_VALUE,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
} from '../state/layout.ts';
import {
  boundsEqual,
  boundsViolation,
  branchTaken,
  branchTakenImm,
  coerceSize,
  coerceSizeSx,
  constSigned,
  constValue,
  isConst,
  isConst32,
  moveWord,
  rangeWithin,
  refine,
  refineImm,
  scalarAlu,
  scalarAluImm,
  scalarNeg,
  setConst,
  setImm,
  setLowConst,
  setUnknown,
  signExtend,
  signMaskBits,
  syncBounds,
  tnumIn,
} from './index.ts';

const model = new ScalarModel(64, 32);
const file = regFile(new ArrayBuffer(4 * REG_BYTES));
const X = REG_QWORDS;
const Y = 2 * REG_QWORDS;

function put(r: number, x: Scalar): void {
  const { u64, i64, u32, i32 } = file;
  [u64[r + UMIN], u64[r + UMAX]] = [x.umin, x.umax];
  [i64[r + SMIN], i64[r + SMAX]] = [x.smin, x.smax];
  [u64[r + TNUM_VALUE], u64[r + TNUM_MASK]] = [x.bits.value, x.bits.mask];
  [u32[2 * r + U32_MIN], u32[2 * r + U32_MAX]] = [Number(x.wumin), Number(x.wumax)];
  [i32[2 * r + S32_MIN], i32[2 * r + S32_MAX]] = [Number(x.wsmin), Number(x.wsmax)];
}

function get(r: number): Scalar {
  const { u64, i64, u32, i32 } = file;
  return {
    umin: u64[r + UMIN]!,
    umax: u64[r + UMAX]!,
    smin: i64[r + SMIN]!,
    smax: i64[r + SMAX]!,
    wumin: BigInt(u32[2 * r + U32_MIN]!),
    wumax: BigInt(u32[2 * r + U32_MAX]!),
    wsmin: BigInt(i32[2 * r + S32_MIN]!),
    wsmax: BigInt(i32[2 * r + S32_MAX]!),
    bits: { value: u64[r + TNUM_VALUE]!, mask: u64[r + TNUM_MASK]! },
  };
}

/** Numbers near where something happens: ends of words and halves, powers of two, small ones. */
const interesting = fc.oneof(
  fc.bigInt({ min: -20n, max: 300n }),
  fc.tuple(fc.nat(63), fc.bigInt({ min: -2n, max: 2n })).map(([bit, near]) => (1n << BigInt(bit)) + near),
  fc.tuple(fc.nat(63), fc.bigInt({ min: -2n, max: 2n })).map(([bit, near]) => -(1n << BigInt(bit)) + near),
  fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }),
);
const imm = interesting.map((v) => Number(BigInt.asIntN(32, v)));

const pick = (facts: readonly string[], name: string): boolean => facts.includes(name);

/** A value, and a scalar that describes it: some of its ranges and bits are known, and synced. */
const described = fc
  .record({
    value: interesting,
    ends: fc.array(interesting, { minLength: 8, maxLength: 8 }),
    mask: fc.oneof(interesting, fc.constantFrom(0n, -1n, 0xffn, 0xffff_ffffn, -0x1_0000_0000n)),
    facts: fc.subarray(['u', 's', 'wu', 'ws', 'bits', 'constant'], { minLength: 0 }),
  })
  .map(({ value, ends, mask, facts }) => {
    const x = model.unknown();
    const span = (v: bigint, at: number): [bigint, bigint] => {
      const cut = (end: bigint): bigint =>
        at === 0 ? model.u(end) : at === 2 ? model.s(end) : at === 4 ? model.u(end, 32) : model.s(end, 32);
      const all = [cut(v), cut(ends[at]!), cut(ends[at + 1]!)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
      return cut(v) === all[1]
        ? [all[0]!, all[2]!]
        : cut(v) === all[0]
          ? [all[0]!, all[1]!]
          : [all[1]!, all[2]!];
    };
    if (pick(facts, 'u')) [x.umin, x.umax] = span(value, 0);
    if (pick(facts, 's')) [x.smin, x.smax] = span(value, 2);
    if (pick(facts, 'wu')) [x.wumin, x.wumax] = span(value, 4);
    if (pick(facts, 'ws')) [x.wsmin, x.wsmax] = span(value, 6);
    if (pick(facts, 'bits')) x.bits = { value: model.u(value & ~mask), mask: model.u(mask) };
    if (pick(facts, 'constant') && facts.length === 1)
      return { value: model.u(value), scalar: model.constant(value) };
    model.sync(x);
    return { value: model.u(value), scalar: x };
  });

const RUNS = { numRuns: 3000 };
const bitsOf = (word: boolean): 32 | 64 => (word ? 32 : 64);

test('a sync learns what the model learns, and loses no value', () => {
  fc.assert(
    fc.property(described, described, ({ value, scalar }, { scalar: other }) => {
      assert.ok(model.contains(scalar, value));
      // Ranges of one with the bits of the other: often a contradiction, and then the numbers still agree.
      const mixed = { ...scalar, bits: other.bits };
      put(X, mixed);
      syncBounds(file, X);
      model.sync(mixed);
      assert.deepEqual(get(X), mixed);
    }),
    RUNS,
  );
});

for (const op of [
  'add',
  'sub',
  'mul',
  'and',
  'or',
  'xor',
  'lsh',
  'rsh',
  'arsh',
  'div',
  'sdiv',
  'mod',
] as const) {
  test(`${op} gives the model's numbers`, () => {
    const modelOp = op === 'sdiv' ? 'div' : op;
    fc.assert(
      fc.property(described, described, fc.boolean(), ({ scalar: a }, { scalar: b }, word) => {
        put(X, a);
        put(Y, b);
        scalarAlu(file, X, Y, { alu: op, bits: bitsOf(word) });
        assert.deepEqual(get(X), model.alu(a, b, { op: modelOp, word }));
        assert.deepEqual(get(Y), b);
      }),
      RUNS,
    );
    const isShift = op === 'lsh' || op === 'rsh' || op === 'arsh';
    fc.assert(
      fc.property(described, isShift ? fc.nat(66) : imm, fc.boolean(), ({ scalar: a }, by, word) => {
        put(X, a);
        scalarAluImm(file, X, by, { alu: op, bits: bitsOf(word) });
        assert.deepEqual(get(X), model.alu(a, model.constant(BigInt(by)), { op: modelOp, word }));
      }),
      RUNS,
    );
  });
}

test('an operand may be its own second operand', () => {
  fc.assert(
    fc.property(described, fc.boolean(), ({ scalar: a }, word) => {
      for (const op of ['add', 'xor', 'mul'] as const) {
        put(X, a);
        scalarAlu(file, X, X, { alu: op, bits: bitsOf(word) });
        assert.deepEqual(get(X), model.alu(a, a, { op, word }));
      }
    }),
    RUNS,
  );
});

test('a negation is a difference from zero', () => {
  fc.assert(
    fc.property(described, fc.boolean(), ({ scalar: a, value }, word) => {
      put(X, a);
      scalarNeg(file, X, bitsOf(word));
      assert.deepEqual(get(X), model.neg(a, word));
      assert.ok(model.contains(get(X), word ? model.u(-value, 32) : -value));
    }),
    RUNS,
  );
});

const conds = ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'set', 'sgt', 'sge', 'slt', 'sle'] as const;

for (const cond of conds) {
  test(`${cond} is decided and refined as the model does`, () => {
    fc.assert(
      fc.property(described, described, fc.boolean(), ({ scalar: a }, { scalar: b }, word) => {
        const bits = bitsOf(word);
        put(X, a);
        put(Y, b);
        const taken = branchTaken(file, X, Y, { cond, bits });
        assert.equal(taken, model.taken(a, b, { cond, word }));
        // A decided jump has one side; nothing is refined.
        if (taken !== -1) return;
        for (const holds of [true, false]) {
          put(X, a);
          put(Y, b);
          refine(file, X, Y, { cond, bits, holds });
          assert.deepEqual([get(X), get(Y)], model.refine(a, b, { cond, word, holds }));
        }
      }),
      RUNS,
    );
    fc.assert(
      fc.property(described, imm, fc.boolean(), ({ scalar: a }, value, word) => {
        const bits = bitsOf(word);
        const b = model.constant(BigInt(value));
        put(X, a);
        const taken = branchTakenImm(file, X, value, { cond, bits });
        assert.equal(taken, model.taken(a, b, { cond, word }));
        if (taken !== -1) return;
        for (const holds of [true, false]) {
          put(X, a);
          refineImm(file, X, value, { cond, bits, holds });
          assert.deepEqual(get(X), model.refine(a, b, { cond, word, holds })[0]);
        }
      }),
      RUNS,
    );
  });
}

test('truncation and sign extension contain the concrete result', () => {
  fc.assert(
    fc.property(described, fc.constantFrom(1, 2, 4), ({ scalar, value }, bytes) => {
      const bits = 8 * bytes;
      const results: [name: string, run: () => void, want: bigint][] = [
        ['truncate', () => coerceSize(file, X, bytes), model.u(value, bits)],
        ['extend', () => coerceSizeSx(file, X, bytes), model.s(value, bits)],
        ['move word', () => moveWord(file, X), model.u(value, 32)],
      ];
      if (bytes < 4) {
        const from = bits as 8 | 16;
        results.push([
          'extend word',
          () => signExtend(file, X, { from, bits: 32 }),
          model.u(model.s(value, bits), 32),
        ]);
      }
      for (const [name, run, want] of results) {
        put(X, scalar);
        run();
        assert.ok(model.contains(get(X), want), `${name} of ${value}`);
        assert.equal(boundsViolation(file, X), undefined, name);
      }
    }),
    { numRuns: 5000 },
  );
});

test('what Linux is known to compute', () => {
  const full = model.unknown();
  const cases: { name: string; run: () => void; want: Partial<Scalar> }[] = [
    { name: 'a byte', run: () => coerceSize(file, X, 1), want: { umin: 0n, umax: 255n, smax: 255n } },
    {
      name: 'a signed byte',
      run: () => coerceSizeSx(file, X, 1),
      want: { smin: -128n, smax: 127n, umin: 0n, umax: full.umax },
    },
    {
      name: 'a masked value above zero is the mask',
      run: () => {
        scalarAluImm(file, X, 8192, { alu: 'and', bits: 64 });
        refineImm(file, X, 0, { cond: 'gt', bits: 64, holds: true });
      },
      want: { umin: 8192n, umax: 8192n },
    },
    {
      name: 'a 32-bit division says nothing of the upper half',
      run: () => scalarAluImm(file, X, 2, { alu: 'mod', bits: 32 }),
      want: full,
    },
  ];
  for (const { name, run, want } of cases) {
    setUnknown(file, X);
    run();
    const got = get(X);
    for (const key of Object.keys(want) as (keyof Scalar)[])
      assert.deepEqual(got[key], want[key], `${name}: ${key}`);
  }
});

test('constants', () => {
  for (const value of [0n, 1n, -1n, 0x7fff_ffffn, 0x8000_0000n, -0x8000_0000n, 1n << 63n, (1n << 64n) - 1n]) {
    setConst(file, X, value);
    assert.deepEqual(get(X), model.constant(value));
    assert.ok(isConst(file, X) && isConst32(file, X));
    assert.equal(constValue(file, X), model.u(value));
    assert.equal(constSigned(file, X), model.s(value));
  }
  setImm(file, X, -5);
  assert.deepEqual(get(X), model.constant(-5n));
  setUnknown(file, X);
  assert.ok(!isConst(file, X) && !isConst32(file, X));
});

test('a sign mask is -1 or 0, in one width or the other', () => {
  setUnknown(file, X);
  assert.equal(signMaskBits(file, X), 0);
  scalarAluImm(file, X, 63, { alu: 'arsh', bits: 64 });
  assert.equal(signMaskBits(file, X), 64);
  setUnknown(file, X);
  scalarAluImm(file, X, 31, { alu: 'arsh', bits: 32 });
  assert.equal(signMaskBits(file, X), 32);
  setLowConst(file, X, { bits: 32, value: -1 });
  assert.deepEqual([get(X).wumin, get(X).wsmax], [0xffff_ffffn, -1n]);
});

test('inclusion and equality of ranges and tnums', () => {
  const x = { file, r: X };
  const y = { file, r: Y };
  fc.assert(
    fc.property(described, described, ({ scalar: a, value }, { scalar: b }) => {
      put(X, a);
      put(Y, b);
      const within =
        a.umin <= b.umin &&
        a.umax >= b.umax &&
        a.smin <= b.smin &&
        a.smax >= b.smax &&
        a.wumin <= b.wumin &&
        a.wumax >= b.wumax &&
        a.wsmin <= b.wsmin &&
        a.wsmax >= b.wsmax;
      assert.equal(rangeWithin(x, y), within);
      assert.equal(boundsEqual(x, y), JSON.stringify(text(a)) === JSON.stringify(text(b)));
      assert.equal(
        tnumIn(x, y),
        (b.bits.mask & ~a.bits.mask) === 0n && (b.bits.value & ~a.bits.mask) === a.bits.value,
      );
      put(Y, a);
      assert.ok(rangeWithin(x, y) && boundsEqual(x, y) && tnumIn(x, y) && model.contains(a, value));
    }),
    RUNS,
  );
});

function text(x: Scalar): string[] {
  return [x.umin, x.umax, x.smin, x.smax, x.wumin, x.wumax, x.wsmin, x.wsmax, x.bits.value, x.bits.mask].map(
    String,
  );
}

test('contradictions are named as Linux names them', () => {
  const cases: { name: string; facts: Partial<Scalar>; want: string | undefined }[] = [
    { name: 'nothing known', facts: {}, want: undefined },
    { name: 'empty range', facts: { umin: 5n, umax: 4n }, want: 'range bounds violation' },
    { name: 'empty signed range', facts: { smin: 5n, smax: -4n }, want: 'range bounds violation' },
    { name: 'empty word', facts: { wsmin: 1n, wsmax: 0n }, want: 'range bounds violation' },
    {
      name: 'constant outside',
      facts: { bits: { value: 5n, mask: 0n } },
      want: 'const tnum out of sync with range bounds',
    },
    {
      name: 'constant word outside',
      facts: { bits: { value: 5n, mask: 0xffff_ffff_0000_0000n } },
      want: 'const subreg tnum out of sync with range bounds',
    },
  ];
  for (const { name, facts, want } of cases) {
    put(X, { ...model.unknown(), ...facts });
    assert.equal(boundsViolation(file, X), want, name);
  }
  assert.equal(REG_WORDS, REG_BYTES / 4);
});
