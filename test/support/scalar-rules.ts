/**
 * The steps that the verifier's scalar domain is made of, written over an algebra of bit-vectors: with bigints they
 * compute, and must give what the readable model gives; with SMT-LIB terms they are proved (z3.test.ts). Each step
 * takes what is known and returns what is known afterwards, and is sound by itself; an operator is a chain of them.
 */

/** Bit-vectors of one width: `V` a vector, `C` a condition. */
export interface Bits<V, C> {
  readonly width: number;
  constant(value: bigint): V;
  add(a: V, b: V): V;
  sub(a: V, b: V): V;
  mul(a: V, b: V): V;
  and(a: V, b: V): V;
  or(a: V, b: V): V;
  xor(a: V, b: V): V;
  not(a: V): V;
  shl(a: V, by: V): V;
  lshr(a: V, by: V): V;
  ashr(a: V, by: V): V;
  ult(a: V, b: V): C;
  slt(a: V, b: V): C;
  same(a: V, b: V): C;
  /** Neither product of these unsigned, or signed, numbers leaves the width. */
  umulFits(a: V, b: V): C;
  smulFits(a: V, b: V): C;
  all(...conditions: C[]): C;
  any(...conditions: C[]): C;
  no(condition: C): C;
  pick(condition: C, a: V, b: V): V;
}

/** What is known of a number. */
export interface Known<V> {
  readonly umin: V;
  readonly umax: V;
  readonly smin: V;
  readonly smax: V;
  /** Bits that are known, and those that are not. */
  readonly value: V;
  readonly mask: V;
}

type Tnum<V> = Pick<Known<V>, 'value' | 'mask'>;
type Ranges<V> = Omit<Known<V>, 'value' | 'mask'>;

export class Rules<V, C> {
  readonly b: Bits<V, C>;
  readonly zero: V;
  readonly ones: V;
  readonly sign: V;
  readonly most: V;

  constructor(b: Bits<V, C>) {
    this.b = b;
    this.zero = b.constant(0n);
    this.ones = b.constant(-1n);
    this.sign = b.constant(1n << BigInt(b.width - 1));
    this.most = b.constant((1n << BigInt(b.width - 1)) - 1n);
  }

  readonly uMax = (a: V, c: V): V => this.b.pick(this.b.ult(a, c), c, a);
  readonly uMin = (a: V, c: V): V => this.b.pick(this.b.ult(a, c), a, c);
  readonly sMax = (a: V, c: V): V => this.b.pick(this.b.slt(a, c), c, a);
  readonly sMin = (a: V, c: V): V => this.b.pick(this.b.slt(a, c), a, c);
  private ule(a: V, c: V): C {
    return this.b.no(this.b.ult(c, a));
  }
  private sle(a: V, c: V): C {
    return this.b.no(this.b.slt(c, a));
  }

  /** That `x` is one of the numbers that are known of: of its bits, and within each end of the ranges. */
  facts(k: Known<V>, x: V): C[] {
    const { b } = this;
    return [
      b.same(b.and(x, b.not(k.mask)), k.value),
      this.ule(k.umin, x),
      this.ule(x, k.umax),
      this.sle(k.smin, x),
      this.sle(x, k.smax),
    ];
  }
  isTnum({ value, mask }: Tnum<V>): C {
    return this.b.same(this.b.and(value, mask), this.zero);
  }

  private tnum(value: V, mask: V): Tnum<V> {
    return { value: this.b.and(value, this.b.not(mask)), mask };
  }
  private anyUnsigned(fits: C, [low, high]: [V, V]): Pick<Known<V>, 'umin' | 'umax'> {
    return { umin: this.b.pick(fits, low, this.zero), umax: this.b.pick(fits, high, this.ones) };
  }
  private anySigned(fits: C, [low, high]: [V, V]): Pick<Known<V>, 'smin' | 'smax'> {
    return { smin: this.b.pick(fits, low, this.sign), smax: this.b.pick(fits, high, this.most) };
  }

  tnumAdd(p: Tnum<V>, q: Tnum<V>): Tnum<V> {
    const { b } = this;
    const least = b.add(p.value, q.value);
    const carries = b.xor(b.add(b.add(least, p.mask), q.mask), least);
    return this.tnum(least, b.or(carries, b.or(p.mask, q.mask)));
  }
  tnumSub(p: Tnum<V>, q: Tnum<V>): Tnum<V> {
    const { b } = this;
    const difference = b.sub(p.value, q.value);
    const borrows = b.xor(b.add(difference, p.mask), b.sub(difference, q.mask));
    return this.tnum(difference, b.or(borrows, b.or(p.mask, q.mask)));
  }
  /** A term for each bit of the first: added where it is set, perhaps added where it is not known. */
  tnumMul(p: Tnum<V>, q: Tnum<V>): Tnum<V> {
    const { b } = this;
    let sum: Tnum<V> = { value: this.zero, mask: this.zero };
    for (let bit = 0n; bit < BigInt(b.width); bit++) {
      const by = b.constant(bit);
      const term = { value: b.shl(q.value, by), mask: b.shl(q.mask, by) };
      const added = this.tnumAdd(sum, term);
      const both = this.union(sum, added);
      const isSet = b.no(b.same(b.and(p.value, b.constant(1n << bit)), this.zero));
      const isOpen = b.no(b.same(b.and(p.mask, b.constant(1n << bit)), this.zero));
      const choose = (part: keyof Tnum<V>): V =>
        b.pick(isSet, added[part], b.pick(isOpen, both[part], sum[part]));
      sum = { value: choose('value'), mask: choose('mask') };
    }
    return sum;
  }
  private union(p: Tnum<V>, q: Tnum<V>): Tnum<V> {
    const { b } = this;
    return this.tnum(b.and(p.value, q.value), b.or(b.xor(p.value, q.value), b.or(p.mask, q.mask)));
  }

  add(p: Known<V>, q: Known<V>): Known<V> {
    const { b } = this;
    const umin = b.add(p.umin, q.umin);
    const umax = b.add(p.umax, q.umax);
    const [wraps, wrapsToo] = [b.ult(umin, p.umin), b.ult(umax, p.umax)];
    const fits = b.any(b.all(wraps, wrapsToo), b.all(b.no(wraps), b.no(wrapsToo)));
    const smin = b.add(p.smin, q.smin);
    const smax = b.add(p.smax, q.smax);
    const overflows = (x: V, y: V, sum: V): C => b.slt(b.and(b.xor(x, sum), b.xor(y, sum)), this.zero);
    const isSigned = b.all(b.no(overflows(p.smin, q.smin, smin)), b.no(overflows(p.smax, q.smax, smax)));
    return {
      ...this.anyUnsigned(fits, [umin, umax]),
      ...this.anySigned(isSigned, [smin, smax]),
      ...this.tnumAdd(p, q),
    };
  }
  sub(p: Known<V>, q: Known<V>): Known<V> {
    const { b } = this;
    const umin = b.sub(p.umin, q.umax);
    const umax = b.sub(p.umax, q.umin);
    const [wraps, wrapsToo] = [b.ult(p.umin, q.umax), b.ult(p.umax, q.umin)];
    const fits = b.any(b.all(wraps, wrapsToo), b.all(b.no(wraps), b.no(wrapsToo)));
    const smin = b.sub(p.smin, q.smax);
    const smax = b.sub(p.smax, q.smin);
    const overflows = (x: V, y: V, d: V): C => b.slt(b.and(b.xor(x, y), b.xor(x, d)), this.zero);
    const isSigned = b.all(b.no(overflows(p.smin, q.smax, smin)), b.no(overflows(p.smax, q.smin, smax)));
    return {
      ...this.anyUnsigned(fits, [umin, umax]),
      ...this.anySigned(isSigned, [smin, smax]),
      ...this.tnumSub(p, q),
    };
  }
  mul(p: Known<V>, q: Known<V>): Known<V> {
    const { b } = this;
    const fits = b.umulFits(p.umax, q.umax);
    const ends: [V, V][] = [
      [p.smin, q.smin],
      [p.smin, q.smax],
      [p.smax, q.smin],
      [p.smax, q.smax],
    ];
    const products = ends.map(([x, y]) => b.mul(x, y));
    const isSigned = b.all(...ends.map(([x, y]) => b.smulFits(x, y)));
    return {
      ...this.anyUnsigned(fits, [b.mul(p.umin, q.umin), b.mul(p.umax, q.umax)]),
      ...this.anySigned(isSigned, [products.reduce(this.sMin), products.reduce(this.sMax)]),
      ...this.tnumMul(p, q),
    };
  }

  bitwise(op: 'and' | 'or' | 'xor', p: Known<V>, q: Known<V>): Known<V> {
    const { b } = this;
    const most = (k: Known<V>): V => b.or(k.value, k.mask);
    const value = b[op](p.value, q.value);
    const mask = {
      and: b.and(b.and(most(p), most(q)), b.not(value)),
      or: b.and(b.or(p.mask, q.mask), b.not(value)),
      xor: b.or(p.mask, q.mask),
    }[op];
    const bits = this.tnum(value, mask);
    const umin = op === 'or' ? this.uMax(p.umin, q.umin) : bits.value;
    const umax = op === 'and' ? this.uMin(p.umax, q.umax) : b.or(bits.value, bits.mask);
    return { umin, umax, ...this.anySigned(this.sle(umin, umax), [umin, umax]), ...bits };
  }

  /** By a constant below the width. */
  shift(op: 'lsh' | 'rsh' | 'arsh', p: Known<V>, by: V): Known<V> {
    const { b } = this;
    const never = b.ult(this.zero, this.zero);
    const all = { ...this.anyUnsigned(never, [p.umin, p.umax]), ...this.anySigned(never, [p.smin, p.smax]) };
    if (op === 'lsh') {
      const fits = this.ule(p.umax, b.lshr(this.sign, by));
      const ends: [V, V] = [b.shl(p.umin, by), b.shl(p.umax, by)];
      return { ...all, ...this.anyUnsigned(fits, ends), value: b.shl(p.value, by), mask: b.shl(p.mask, by) };
    }
    if (op === 'rsh') {
      const [umin, umax] = [b.lshr(p.umin, by), b.lshr(p.umax, by)];
      return { ...all, umin, umax, value: b.lshr(p.value, by), mask: b.lshr(p.mask, by) };
    }
    const [smin, smax] = [b.ashr(p.smin, by), b.ashr(p.smax, by)];
    return { ...all, smin, smax, ...this.tnum(b.ashr(p.value, by), b.ashr(p.mask, by)) };
  }

  /** The signed and the unsigned range of one width from each other. */
  pair(p: Ranges<V>): Ranges<V> {
    const { b } = this;
    const signs = this.sle(p.umin, p.umax);
    const smin = b.pick(signs, this.sMax(p.umin, p.smin), p.smin);
    const smax = b.pick(signs, this.sMin(p.umax, p.smax), p.smax);
    const ordered = this.ule(smin, smax);
    const belowTop = b.ult(p.umax, smin);
    const aboveBottom = b.ult(smax, p.umin);
    return {
      umin: b.pick(
        ordered,
        this.uMax(smin, p.umin),
        b.pick(belowTop, p.umin, b.pick(aboveBottom, this.uMax(p.umin, smin), p.umin)),
      ),
      umax: b.pick(ordered, this.uMin(smax, p.umax), b.pick(belowTop, this.uMin(p.umax, smax), p.umax)),
      smin: b.pick(ordered, smin, b.pick(belowTop, p.umin, smin)),
      smax: b.pick(ordered, smax, b.pick(belowTop, smax, b.pick(aboveBottom, p.umax, smax))),
    };
  }

  /** Ranges from bits. */
  fromBits(p: Known<V>): Known<V> {
    const { b } = this;
    return {
      ...p,
      smin: this.sMax(p.smin, b.or(p.value, b.and(p.mask, this.sign))),
      smax: this.sMin(p.smax, b.or(p.value, b.and(p.mask, b.not(this.sign)))),
      umin: this.uMax(p.umin, p.value),
      umax: this.uMin(p.umax, b.or(p.value, p.mask)),
    };
  }
  /** Bits from the unsigned range: those above where its ends first differ. */
  fromRange(p: Known<V>): Known<V> {
    const { b } = this;
    let differ = b.xor(p.umin, p.umax);
    for (let by = 1n; by < BigInt(b.width); by *= 2n) differ = b.or(differ, b.lshr(differ, b.constant(by)));
    const range = this.tnum(p.umin, differ);
    return { ...p, ...this.tnum(b.or(p.value, range.value), b.and(p.mask, range.mask)) };
  }

  /** Both operands where `x < y`, or `x ≤ y`, holds. */
  below(p: Known<V>, q: Known<V>, op: { strict: boolean; signed: boolean }): [Known<V>, Known<V>] {
    const { b } = this;
    const gap = b.constant(op.strict ? 1n : 0n);
    if (op.signed) {
      return [
        { ...p, smax: this.sMin(p.smax, b.sub(q.smax, gap)) },
        { ...q, smin: this.sMax(q.smin, b.add(p.smin, gap)) },
      ];
    }
    return [
      { ...p, umax: this.uMin(p.umax, b.sub(q.umax, gap)) },
      { ...q, umin: this.uMax(q.umin, b.add(p.umin, gap)) },
    ];
  }
  equal(p: Known<V>, q: Known<V>): Known<V> {
    return {
      umin: this.uMax(p.umin, q.umin),
      umax: this.uMin(p.umax, q.umax),
      smin: this.sMax(p.smin, q.smin),
      smax: this.sMin(p.smax, q.smax),
      ...this.tnum(this.b.or(p.value, q.value), this.b.and(p.mask, q.mask)),
    };
  }
  /** Where `x` is other than a constant: ends of ranges that are it move. */
  notEqual(p: Known<V>, constant: V): Known<V> {
    const { b } = this;
    const one = b.constant(1n);
    const up = (end: V): V => b.pick(b.same(end, constant), b.add(end, one), end);
    const down = (end: V): V => b.pick(b.same(end, constant), b.sub(end, one), end);
    return { ...p, umin: up(p.umin), umax: down(p.umax), smin: up(p.smin), smax: down(p.smax) };
  }
  /** Where `x & bit` is not zero, for one bit; where `x & constant` is. */
  bitSet(p: Known<V>, bit: V): Known<V> {
    const { b } = this;
    return { ...p, value: b.or(p.value, bit), mask: b.and(p.mask, b.not(bit)) };
  }
  bitsClear(p: Known<V>, constant: V): Known<V> {
    const { b } = this;
    return { ...p, value: b.and(p.value, b.not(constant)), mask: b.and(p.mask, b.not(constant)) };
  }
}

/** What the two widths say of each other; `zext` and `low` go between them. */
export class Words<V, C> {
  readonly wide: Rules<V, C>;
  readonly narrow: Rules<V, C>;
  private readonly zext: (v: V) => V;
  private readonly low: (v: V) => V;
  private readonly lowMask: V;

  constructor(wide: Bits<V, C>, narrow: Bits<V, C>, between: { zext: (v: V) => V; low: (v: V) => V }) {
    this.wide = new Rules(wide);
    this.narrow = new Rules(narrow);
    this.zext = between.zext;
    this.low = between.low;
    this.lowMask = wide.constant((1n << BigInt(narrow.width)) - 1n);
  }

  /** The low half's ranges, from a range of the whole. */
  narrowed(from: V, to: V, word: Ranges<V>): Ranges<V> {
    const b = this.wide.b;
    const n = this.narrow;
    const by = b.constant(BigInt(n.b.width));
    const [high, highTo] = [b.lshr(from, by), b.lshr(to, by)];
    const [low, lowTo] = [this.low(from), this.low(to)];
    const same = b.same(high, highTo);
    const top = b.lshr(this.wide.ones, by);
    const next = b.same(b.and(b.add(high, b.constant(1n)), top), highTo);
    const unsigned = n.b.all(same, n.b.no(n.b.ult(lowTo, low)));
    const wraps = n.b.all(next, n.b.slt(low, n.zero), n.b.no(n.b.slt(lowTo, n.zero)), n.b.no(same));
    const signed = n.b.any(n.b.all(same, n.b.no(n.b.slt(lowTo, low))), wraps);
    return {
      umin: n.b.pick(unsigned, n.uMax(word.umin, low), word.umin),
      umax: n.b.pick(unsigned, n.uMin(word.umax, lowTo), word.umax),
      smin: n.b.pick(signed, n.sMax(word.smin, low), word.smin),
      smax: n.b.pick(signed, n.sMin(word.smax, lowTo), word.smax),
    };
  }

  /** The whole's ranges, from those of its low half. */
  widened(p: Ranges<V>, word: Ranges<V>): Ranges<V> {
    const b = this.wide.b;
    const splice = (value: V, low: V): V => b.or(b.and(value, b.not(this.lowMask)), this.zext(low));
    const umin = this.wide.uMax(p.umin, splice(p.umin, word.umin));
    const umax = this.wide.uMin(p.umax, splice(p.umax, word.umax));
    const smin = this.wide.sMax(p.smin, splice(p.smin, word.umin));
    const smax = this.wide.sMin(p.smax, splice(p.smax, word.umax));
    const half = 1n << BigInt(this.narrow.b.width - 1);
    const isWord = b.all(
      this.narrow.b.no(this.narrow.b.slt(word.smin, this.narrow.zero)),
      b.no(b.slt(smin, b.constant(-half))),
      b.no(b.slt(b.constant(half - 1n), smax)),
    );
    const [low, high] = [this.zext(word.smin), this.zext(word.smax)];
    return {
      umin: b.pick(isWord, low, umin),
      umax: b.pick(isWord, high, umax),
      smin: b.pick(isWord, low, smin),
      smax: b.pick(isWord, high, smax),
    };
  }
}

/** Bigints as bit-vectors: unsigned, with booleans for conditions. */
export function bigintBits(width: number): Bits<bigint, boolean> {
  const u = (x: bigint): bigint => BigInt.asUintN(width, x);
  const s = (x: bigint): bigint => BigInt.asIntN(width, x);
  const fits = (x: bigint): boolean => s(x) === x;
  return {
    width,
    constant: u,
    add: (a, b) => u(a + b),
    sub: (a, b) => u(a - b),
    mul: (a, b) => u(a * b),
    and: (a, b) => a & b,
    or: (a, b) => a | b,
    xor: (a, b) => a ^ b,
    not: (a) => u(~a),
    shl: (a, by) => u(a << by),
    lshr: (a, by) => a >> by,
    ashr: (a, by) => u(s(a) >> by),
    ult: (a, b) => a < b,
    slt: (a, b) => s(a) < s(b),
    same: (a, b) => a === b,
    umulFits: (a, b) => u(a * b) === a * b,
    smulFits: (a, b) => fits(s(a) * s(b)),
    all: (...conditions) => conditions.every(Boolean),
    any: (...conditions) => conditions.some(Boolean),
    no: (condition) => !condition,
    pick: (condition, a, b) => (condition ? a : b),
  };
}

/** SMT-LIB terms: each is defined once, under a name, in `definitions`. */
export function smtBits(width: number, definitions: string[]): Bits<string, string> {
  const define = (sort: string, term: string): string => {
    const name = `t${definitions.length}`;
    definitions.push(`(define-fun ${name} () ${sort} ${term})`);
    return name;
  };
  const vector = (term: string): string => define(`(_ BitVec ${width})`, term);
  const condition = (term: string): string => define('Bool', term);
  const binary = (op: string) => (a: string, b: string) => vector(`(${op} ${a} ${b})`);
  const compare = (op: string) => (a: string, b: string) => condition(`(${op} ${a} ${b})`);
  return {
    width,
    constant: (value) => `(_ bv${BigInt.asUintN(width, value)} ${width})`,
    add: binary('bvadd'),
    sub: binary('bvsub'),
    mul: binary('bvmul'),
    and: binary('bvand'),
    or: binary('bvor'),
    xor: binary('bvxor'),
    not: (a) => vector(`(bvnot ${a})`),
    shl: binary('bvshl'),
    lshr: binary('bvlshr'),
    ashr: binary('bvashr'),
    ult: compare('bvult'),
    slt: compare('bvslt'),
    same: compare('='),
    umulFits: compare('bvumul_noovfl'),
    smulFits: (a, b) => condition(`(and (bvsmul_noovfl ${a} ${b}) (bvsmul_noudfl ${a} ${b}))`),
    all: (...conditions) => condition(`(and ${conditions.join(' ')})`),
    any: (...conditions) => condition(`(or ${conditions.join(' ')})`),
    no: (one) => condition(`(not ${one})`),
    pick: (one, a, b) => vector(`(ite ${one} ${a} ${b})`),
  };
}
