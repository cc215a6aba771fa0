/**
 * The scalar domain's steps, proved: for every number that was known of before, what the instruction makes of it is
 * known of afterwards. At 64 bits (32 of them for the halves), multiplication at 8, by Z3; and the same steps,
 * computed with bigints, give what the readable model gives, which the verifier's own domain is held to elsewhere.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { init } from 'z3-solver';
import { type ModelOp, type Scalar, ScalarModel } from '../support/scalar-model.ts';
import { bigintBits, type Known, Rules, smtBits, Words } from '../support/scalar-rules.ts';

let z3: Awaited<ReturnType<typeof init>>;
before(async () => {
  z3 = await init();
});
after(() => {
  // Its threads would keep the process.
  z3.em.PThread.terminateAllThreads();
});

interface Question {
  readonly variables: Readonly<Record<string, number>>;
  readonly definitions: readonly string[];
  readonly given: readonly string[];
}

/** Fails with a counterexample where one of the claims does not follow from what is given. */
async function prove({ variables, definitions, given }: Question, claims: readonly string[]): Promise<void> {
  const { Solver } = z3.Context('main');
  const declared = Object.entries(variables).map(
    ([name, width]) => `(declare-const ${name} (_ BitVec ${width}))`,
  );
  const known = [...declared, ...definitions, ...given.map((one) => `(assert ${one})`)].join('\n');
  for (const claim of claims) {
    // That of the logic: the general one changes its ways by the clock, on a busy machine to those that take all memory.
    const solver = new Solver('QF_BV');
    solver.set('timeout', 300_000);
    solver.fromString(`${known}\n(assert (not ${claim}))`);
    const answer = await solver.check();
    assert.equal(answer, 'unsat', answer === 'sat' ? String(solver.model()) : 'Z3 found no answer in time');
  }
}

const parts = ['umin', 'umax', 'smin', 'smax', 'value', 'mask'] as const;

/** What is known of a number `name`, as terms, and the variables that they are. */
function symbols(name: string, width: number): { known: Known<string>; variables: Record<string, number> } {
  const known = Object.fromEntries(
    parts.map((part) => [part, `${name}.${part}`]),
  ) as unknown as Known<string>;
  const variables = Object.fromEntries(
    [name, ...parts.map((part) => `${name}.${part}`)].map((each) => [each, width]),
  );
  return { known, variables };
}

interface Proof {
  readonly name: string;
  readonly width?: number;
  /** What holds besides: of the operands x and y, or of k. */
  readonly given?: (rules: Rules<string, string>) => string[];
  readonly claims: (rules: Rules<string, string>, p: Known<string>, q: Known<string>) => string[];
}

const proofs: readonly Proof[] = [
  { name: 'addition', claims: (r, p, q) => r.facts(r.add(p, q), r.b.add('x', 'y')) },
  { name: 'subtraction', claims: (r, p, q) => r.facts(r.sub(p, q), r.b.sub('x', 'y')) },
  { name: 'multiplication', width: 8, claims: (r, p, q) => r.facts(r.mul(p, q), r.b.mul('x', 'y')) },
  ...(['and', 'or', 'xor'] as const).map((op) => ({
    name: op,
    claims: (r: Rules<string, string>, p: Known<string>, q: Known<string>) =>
      r.facts(r.bitwise(op, p, q), r.b[op]('x', 'y')),
  })),
  ...(['lsh', 'rsh', 'arsh'] as const).map((op) => ({
    name: `${op} by a constant`,
    given: (r: Rules<string, string>) => [r.b.ult('k', r.b.constant(BigInt(r.b.width)))],
    claims: (r: Rules<string, string>, p: Known<string>) =>
      r.facts(r.shift(op, p, 'k'), r.b[({ lsh: 'shl', rsh: 'lshr', arsh: 'ashr' } as const)[op]]('x', 'k')),
  })),
  {
    name: 'signed and unsigned ranges from each other',
    claims: (r, p) => r.facts({ ...p, ...r.pair(p) }, 'x'),
  },
  { name: 'ranges from bits', claims: (r, p) => r.facts(r.fromBits(p), 'x') },
  { name: 'bits from ranges', claims: (r, p) => r.facts(r.fromRange(p), 'x') },
  ...[true, false].flatMap((strict) =>
    [true, false].map((signed) => ({
      name: `where x is ${signed ? 'signed ' : ''}${strict ? 'less' : 'at most'}`,
      given: (r: Rules<string, string>) => {
        const less = (a: string, c: string): string => (signed ? r.b.slt(a, c) : r.b.ult(a, c));
        return [strict ? less('x', 'y') : r.b.no(less('y', 'x'))];
      },
      claims: (r: Rules<string, string>, p: Known<string>, q: Known<string>) => {
        const [below, above] = r.below(p, q, { strict, signed });
        return [...r.facts(below, 'x'), ...r.facts(above, 'y')];
      },
    })),
  ),
  {
    name: 'where x is y',
    given: (r) => [r.b.same('x', 'y')],
    claims: (r, p, q) => r.facts(r.equal(p, q), 'x'),
  },
  {
    name: 'where x is not a constant',
    given: (r) => [r.b.no(r.b.same('x', 'k'))],
    claims: (r, p) => r.facts(r.notEqual(p, 'k'), 'x'),
  },
  {
    name: 'where a bit is set',
    given: (r) => [
      r.b.same(r.b.and('k', r.b.sub('k', r.b.constant(1n))), r.zero),
      r.b.no(r.b.same(r.b.and('x', 'k'), r.zero)),
    ],
    claims: (r, p) => r.facts(r.bitSet(p, 'k'), 'x'),
  },
  {
    name: 'where bits are clear',
    given: (r) => [r.b.same(r.b.and('x', 'k'), r.zero)],
    claims: (r, p) => r.facts(r.bitsClear(p, 'k'), 'x'),
  },
];

for (const { name, width = 64, given, claims } of proofs) {
  test(`proved at ${width} bits: ${name}`, async () => {
    const definitions: string[] = [];
    const rules = new Rules(smtBits(width, definitions));
    const x = symbols('x', width);
    const y = symbols('y', width);
    const facts = [
      rules.isTnum(x.known),
      rules.isTnum(y.known),
      ...rules.facts(x.known, 'x'),
      ...rules.facts(y.known, 'y'),
      ...(given?.(rules) ?? []),
    ];
    const wanted = claims(rules, x.known, y.known);
    await prove(
      { variables: { ...x.variables, ...y.variables, k: width }, definitions, given: facts },
      wanted,
    );
  });
}

/** A number, and its low half. */
function halves() {
  const definitions: string[] = [];
  const words = new Words(smtBits(64, definitions), smtBits(32, definitions), {
    zext: (v) => `((_ zero_extend 32) ${v})`,
    low: (v) => `((_ extract 31 0) ${v})`,
  });
  const x = symbols('x', 64);
  const w = symbols('w', 32);
  const low = '((_ extract 31 0) x)';
  const given = [...words.wide.facts(x.known, 'x'), ...words.narrow.facts(w.known, low)];
  const question = { variables: { ...x.variables, ...w.variables }, definitions, given };
  return { words, x: x.known, w: w.known, low, question };
}

for (const [from, to] of [
  ['umin', 'umax'],
  ['smin', 'smax'],
] as const) {
  test(`proved at 64 bits: ranges of the low half, from ${from} and ${to}`, async () => {
    const { words, x, w, low, question } = halves();
    const known = { ...w, ...words.narrowed(x[from], x[to], w) };
    await prove(question, words.narrow.facts(known, low));
  });
}

test('proved at 64 bits: ranges from the low half', async () => {
  const { words, x, w, question } = halves();
  await prove(question, words.wide.facts({ ...x, ...words.widened(x, w) }, 'x'));
});

test('a step that is wrong is not proved', async () => {
  const definitions: string[] = [];
  const rules = new Rules(smtBits(16, definitions));
  const x = symbols('x', 16);
  const given = rules.facts(x.known, 'x');
  const wrong = { ...x.known, umax: rules.b.sub('x.umax', rules.b.constant(1n)) };
  const claims = rules.facts(wrong, 'x');
  await assert.rejects(prove({ variables: x.variables, definitions, given }, claims), /sat/);
});

// The same steps, computed.

const model = new ScalarModel(64, 32);
const wide = new Rules(bigintBits(64));
const narrow = new Rules(bigintBits(32));

/** What the model knows of a number, from a few of its values. */
const scalars: fc.Arbitrary<Scalar> = fc
  .array(fc.oneof(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.bigInt({ min: -40n, max: 40n })), {
    minLength: 1,
    maxLength: 4,
  })
  .map((values) => {
    const all = values.map((value) => model.constant(value));
    return all.reduce((p, q) => ({
      umin: p.umin < q.umin ? p.umin : q.umin,
      umax: p.umax > q.umax ? p.umax : q.umax,
      smin: p.smin < q.smin ? p.smin : q.smin,
      smax: p.smax > q.smax ? p.smax : q.smax,
      wumin: p.wumin < q.wumin ? p.wumin : q.wumin,
      wumax: p.wumax > q.wumax ? p.wumax : q.wumax,
      wsmin: p.wsmin < q.wsmin ? p.wsmin : q.wsmin,
      wsmax: p.wsmax > q.wsmax ? p.wsmax : q.wsmax,
      bits: model.tnumUnion(p.bits, q.bits),
    }));
  });

const half = (x: bigint): bigint => BigInt.asUintN(32, x);
const whole = (x: bigint): bigint => BigInt.asUintN(64, x);

const wideOf = (x: Scalar): Known<bigint> => ({
  umin: x.umin,
  umax: x.umax,
  smin: whole(x.smin),
  smax: whole(x.smax),
  ...x.bits,
});
const narrowOf = (x: Scalar): Known<bigint> => ({
  umin: x.wumin,
  umax: x.wumax,
  smin: half(x.wsmin),
  smax: half(x.wsmax),
  value: half(x.bits.value),
  mask: half(x.bits.mask),
});
function scalarOf(k: Known<bigint>, w: Pick<Known<bigint>, 'umin' | 'umax' | 'smin' | 'smax'>): Scalar {
  return {
    umin: k.umin,
    umax: k.umax,
    smin: BigInt.asIntN(64, k.smin),
    smax: BigInt.asIntN(64, k.smax),
    wumin: w.umin,
    wumax: w.umax,
    wsmin: BigInt.asIntN(32, w.smin),
    wsmax: BigInt.asIntN(32, w.smax),
    bits: { value: k.value, mask: k.mask },
  };
}

const computed: Readonly<
  Partial<Record<ModelOp, (r: Rules<bigint, boolean>, p: Known<bigint>, q: Known<bigint>) => Known<bigint>>>
> = {
  add: (r, p, q) => r.add(p, q),
  sub: (r, p, q) => r.sub(p, q),
  mul: (r, p, q) => r.mul(p, q),
  and: (r, p, q) => r.bitwise('and', p, q),
  or: (r, p, q) => r.bitwise('or', p, q),
  xor: (r, p, q) => r.bitwise('xor', p, q),
};

for (const [op, compute] of Object.entries(computed)) {
  test(`computed as the model does: ${op}`, () => {
    fc.assert(
      fc.property(scalars, scalars, (x, y) => {
        const want = model.alu(x, y, { op: op as ModelOp, word: false });
        const got = scalarOf(compute(wide, wideOf(x), wideOf(y)), compute(narrow, narrowOf(x), narrowOf(y)));
        model.sync(got);
        assert.deepEqual(got, want);
      }),
    );
  });
}

test('computed as the model does: ranges of both widths from each other', () => {
  const between = new Words(bigintBits(64), bigintBits(32), { zext: (v) => v, low: half });
  fc.assert(
    fc.property(scalars, (x) => {
      const want = { ...x };
      (model as unknown as { deduce(x: Scalar): void }).deduce(want);
      let [k, w] = [wideOf(x), narrowOf(x)];
      w = { ...w, ...between.narrowed(k.umin, k.umax, w) };
      w = { ...w, ...between.narrowed(k.smin, k.smax, w) };
      w = { ...w, ...narrow.pair(w) };
      k = { ...k, ...wide.pair(k) };
      k = { ...k, ...between.widened(k, w) };
      // The model takes the bits along where the number is a word.
      assert.deepEqual({ ...scalarOf(k, w), bits: want.bits }, want);
    }),
  );
});
