/**
 * A second scalar domain to test the verifier's with: the same rules, written for reading instead of speed,
 * over bigints and any pair of widths. At small widths its soundness is checked for every operand, at 64
 * and 32 bits the verifier's domain must give the same numbers.
 */

export interface Tnum {
  readonly value: bigint;
  readonly mask: bigint;
}

/** What is known of a value: 64-bit ranges, 32-bit ranges, bits. `word` names the low part. */
export interface Scalar {
  umin: bigint;
  umax: bigint;
  smin: bigint;
  smax: bigint;
  wumin: bigint;
  wumax: bigint;
  wsmin: bigint;
  wsmax: bigint;
  bits: Tnum;
}

export type ModelOp = 'add' | 'sub' | 'mul' | 'and' | 'or' | 'xor' | 'lsh' | 'rsh' | 'arsh' | 'div' | 'mod';
export type ModelCond = 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le' | 'set' | 'sgt' | 'sge' | 'slt' | 'sle';

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

export class ScalarModel {
  readonly width: number;
  readonly word: number;

  constructor(width: number, word: number) {
    this.width = width;
    this.word = word;
  }

  u(x: bigint, width = this.width): bigint {
    return BigInt.asUintN(width, x);
  }
  s(x: bigint, width = this.width): bigint {
    return BigInt.asIntN(width, x);
  }
  private top(width: number): bigint {
    return (1n << BigInt(width)) - 1n;
  }
  private get low(): bigint {
    return this.top(this.word);
  }
  private tnum(value: bigint, mask: bigint): Tnum {
    const m = this.u(mask);
    return { value: this.u(value) & ~m, mask: m };
  }

  unknown(): Scalar {
    const known = this.tnum(0n, -1n);
    const all = { umin: 0n, umax: 0n, smin: 0n, smax: 0n, wumin: 0n, wumax: 0n, wsmin: 0n, wsmax: 0n };
    const x: Scalar = { ...all, bits: known };
    this.unbound(x);
    return x;
  }

  constant(value: bigint): Scalar {
    const x = this.unknown();
    this.setConstant(x, value);
    return x;
  }

  setConstant(x: Scalar, value: bigint): void {
    x.bits = this.tnum(value, 0n);
    x.umin = x.umax = this.u(value);
    x.smin = x.smax = this.s(value);
    this.setWord(x, value);
  }
  private setWord(x: Scalar, value: bigint): void {
    x.wumin = x.wumax = this.u(value, this.word);
    x.wsmin = x.wsmax = this.s(value, this.word);
  }
  private unbound64(x: Scalar): void {
    x.umin = 0n;
    x.umax = this.top(this.width);
    x.smin = -(1n << BigInt(this.width - 1));
    x.smax = this.top(this.width - 1);
  }
  private unbound32(x: Scalar): void {
    x.wumin = 0n;
    x.wumax = this.low;
    x.wsmin = -(1n << BigInt(this.word - 1));
    x.wsmax = this.top(this.word - 1);
  }
  unbound(x: Scalar): void {
    this.unbound64(x);
    this.unbound32(x);
  }

  /** Whether a concrete value is one that `x` describes. */
  contains(x: Scalar, value: bigint): boolean {
    const [u, s, wu, ws] = [this.u(value), this.s(value), this.u(value, this.word), this.s(value, this.word)];
    return (
      (u & ~x.bits.mask) === x.bits.value &&
      x.umin <= u &&
      u <= x.umax &&
      x.smin <= s &&
      s <= x.smax &&
      x.wumin <= wu &&
      wu <= x.wumax &&
      x.wsmin <= ws &&
      ws <= x.wsmax
    );
  }

  tnumRange(low: bigint, high: bigint): Tnum {
    const length = (low ^ high) === 0n ? 0 : (low ^ high).toString(2).length;
    return this.tnum(low, this.top(length));
  }
  tnumIntersect(a: Tnum, b: Tnum): Tnum {
    return this.tnum(a.value | b.value, a.mask & b.mask);
  }
  tnumUnion(a: Tnum, b: Tnum): Tnum {
    return this.tnum(a.value & b.value, (a.value ^ b.value) | a.mask | b.mask);
  }
  tnumAdd(a: Tnum, b: Tnum): Tnum {
    const least = a.value + b.value;
    return this.tnum(least, ((least + a.mask + b.mask) ^ least) | a.mask | b.mask);
  }
  tnumSub(a: Tnum, b: Tnum): Tnum {
    const difference = a.value - b.value;
    return this.tnum(difference, ((difference + a.mask) ^ (difference - b.mask)) | a.mask | b.mask);
  }
  tnumMul(a: Tnum, b: Tnum): Tnum {
    let sum = this.tnum(0n, 0n);
    for (let bit = 0n; bit < BigInt(this.width); bit++) {
      const term = this.tnum(b.value << bit, b.mask << bit);
      if ((a.value >> bit) & 1n) sum = this.tnumAdd(sum, term);
      else if ((a.mask >> bit) & 1n) sum = this.tnumUnion(sum, this.tnumAdd(sum, term));
    }
    return sum;
  }
  /** The smallest member above z by trying; the least and the greatest member where z is outside. */
  tnumNext(t: Tnum, z: bigint): bigint {
    const most = t.value | t.mask;
    if (z >= most) return most;
    if (z < t.value) return t.value;
    // Members that share z's upper bits, then have a one where z has none, then are least: the smallest wins.
    let best = most;
    for (let bit = 0n; bit < BigInt(this.width); bit++) {
      if ((z >> bit) & 1n || !((most >> bit) & 1n)) continue;
      const below = (1n << bit) - 1n;
      const candidate = (z & ~below) | (1n << bit) | (t.value & below);
      if ((candidate & ~t.mask) === t.value) best = min(best, candidate);
    }
    return best;
  }
  private subreg(t: Tnum): Tnum {
    return this.tnum(t.value & this.low, t.mask & this.low);
  }
  private withSubreg(t: Tnum, low: Tnum): Tnum {
    return this.tnum((t.value & ~this.low) | low.value, (t.mask & ~this.low) | low.mask);
  }

  update32(x: Scalar): void {
    const sign = 1n << BigInt(this.word - 1);
    const { value, mask } = this.subreg(x.bits);
    x.wsmin = max(x.wsmin, this.s(value | (mask & sign), this.word));
    x.wsmax = min(x.wsmax, this.s(value | (mask & ~sign), this.word));
    x.wumin = max(x.wumin, value);
    x.wumax = min(x.wumax, value | mask);
  }
  update(x: Scalar): void {
    this.update32(x);
    const sign = 1n << BigInt(this.width - 1);
    const { value, mask } = x.bits;
    x.smin = max(x.smin, this.s(value | (mask & sign)));
    x.smax = min(x.smax, this.s(value | (mask & ~sign)));
    x.umin = max(x.umin, value);
    x.umax = min(x.umax, value | mask);
    const next = this.tnumNext(x.bits, x.umin);
    if ((x.umin & ~mask) === value) {
      if (next > x.umax) this.setConstant(x, x.umin);
    } else if (next === (value | mask) || (next <= x.umax && this.tnumNext(x.bits, next) > x.umax)) {
      this.setConstant(x, next);
    }
  }

  private words(x: Scalar, low: bigint, high: bigint): void {
    const shift = BigInt(this.word);
    const [a, b] = [low >> shift, high >> shift];
    const [ul, uh, sl, sh] = [low, high, low, high].map((v, i) =>
      i < 2 ? this.u(v, this.word) : this.s(v, this.word),
    ) as [bigint, bigint, bigint, bigint];
    if (a === b && ul <= uh) [x.wumin, x.wumax] = [max(x.wumin, ul), min(x.wumax, uh)];
    const highBits = this.width - this.word;
    const neighbours = this.u(a + 1n, highBits) === this.u(b, highBits) && sl < 0n && sh >= 0n;
    if (a === b ? sl <= sh : neighbours) [x.wsmin, x.wsmax] = [max(x.wsmin, sl), min(x.wsmax, sh)];
  }

  /** The signed and the unsigned range of one width from each other. */
  private pair(range: bigint[], width: number): [bigint, bigint, bigint, bigint] {
    let [umin, umax, smin, smax] = range as [bigint, bigint, bigint, bigint];
    const [su, sv] = [this.s(umin, width), this.s(umax, width)];
    if (su <= sv) [smin, smax] = [max(su, smin), min(sv, smax)];
    const [ul, uh] = [this.u(smin, width), this.u(smax, width)];
    if (ul <= uh) [umin, umax] = [max(ul, umin), min(uh, umax)];
    else if (umax < ul) [smin, umax] = [this.s(umin, width), min(umax, uh)];
    else if (uh < umin) [smax, umin] = [this.s(umax, width), max(umin, ul)];
    return [umin, umax, smin, smax];
  }

  private deduce(x: Scalar): void {
    this.words(x, x.umin, x.umax);
    this.words(x, x.smin, x.smax);
    [x.wumin, x.wumax, x.wsmin, x.wsmax] = this.pair([x.wumin, x.wumax, x.wsmin, x.wsmax], this.word);
    [x.umin, x.umax, x.smin, x.smax] = this.pair([x.umin, x.umax, x.smin, x.smax], this.width);
    const splice = (value: bigint, low: bigint): bigint => (value & ~this.low) | low;
    x.umin = max(x.umin, splice(x.umin, x.wumin));
    x.umax = min(x.umax, splice(x.umax, x.wumax));
    x.smin = max(x.smin, splice(x.smin, x.wumin));
    x.smax = min(x.smax, splice(x.smax, x.wumax));
    const isWord = x.smin >= -(1n << BigInt(this.word - 1)) && x.smax <= this.top(this.word - 1);
    if (x.wsmin >= 0n && isWord) {
      [x.smin, x.smax] = [x.wsmin, x.wsmax];
      [x.umin, x.umax] = [this.u(x.wsmin), this.u(x.wsmax)];
      x.bits = this.tnumIntersect(x.bits, this.tnumRange(x.umin, x.umax));
    }
  }

  sync(x: Scalar): void {
    this.update(x);
    for (let round = 0; round < 3; round++) this.deduce(x);
    const bits = this.tnumIntersect(x.bits, this.tnumRange(x.umin, x.umax));
    const low = this.tnumIntersect(this.subreg(bits), this.tnumRange(x.wumin, x.wumax));
    x.bits = this.withSubreg(bits, low);
    this.update(x);
  }

  zext(x: Scalar): void {
    x.bits = this.subreg(x.bits);
    [x.umin, x.umax] = [x.wumin, x.wumax];
    const positive = x.wsmin >= 0n && x.wsmax >= 0n;
    [x.smin, x.smax] = positive ? [x.wsmin, x.wsmax] : [0n, this.low];
  }

  /** Sums or differences of the ends of one width's ranges: unsigned, then signed. */
  private sums(ends: { u: [bigint, bigint]; s: [bigint, bigint]; width: number }): bigint[] {
    const { u, s, width } = ends;
    const fits = (v: bigint): boolean => v === this.u(v, width);
    const unsigned = fits(u[0]) === fits(u[1]) ? u.map((v) => this.u(v, width)) : [0n, this.top(width)];
    const isSigned = s.every((v) => v === this.s(v, width));
    return [...unsigned, ...(isSigned ? s : [-(1n << BigInt(width - 1)), this.top(width - 1)])];
  }
  private products(ends: { a: bigint[]; b: bigint[]; width: number }): bigint[] {
    const { a, b, width } = ends;
    const high = a[1]! * b[1]!;
    const unsigned = high <= this.top(width) ? [a[0]! * b[0]!, high] : [0n, this.top(width)];
    const all = [a[2]! * b[2]!, a[2]! * b[3]!, a[3]! * b[2]!, a[3]! * b[3]!];
    const isSigned = all.every((v) => v === this.s(v, width));
    const signed = isSigned
      ? [all.reduce(min), all.reduce(max)]
      : [-(1n << BigInt(width - 1)), this.top(width - 1)];
    return [...unsigned, ...signed];
  }
  private ranges(x: Scalar, word: boolean): [bigint, bigint, bigint, bigint] {
    return word ? [x.wumin, x.wumax, x.wsmin, x.wsmax] : [x.umin, x.umax, x.smin, x.smax];
  }
  private setRanges(x: Scalar, word: boolean, to: readonly bigint[]): void {
    const [a, b, c, d] = to as [bigint, bigint, bigint, bigint];
    if (word) [x.wumin, x.wumax, x.wsmin, x.wsmax] = [a, b, c, d];
    else [x.umin, x.umax, x.smin, x.smax] = [a, b, c, d];
  }

  private arithmetic(x: Scalar, y: Scalar, op: 'add' | 'sub' | 'mul'): void {
    for (const word of [true, false]) {
      const width = word ? this.word : this.width;
      const a = this.ranges(x, word);
      const b = this.ranges(y, word);
      if (op === 'mul') this.setRanges(x, word, this.products({ a, b, width }));
      else if (op === 'add')
        this.setRanges(
          x,
          word,
          this.sums({ u: [a[0] + b[0], a[1] + b[1]], s: [a[2] + b[2], a[3] + b[3]], width }),
        );
      else
        this.setRanges(
          x,
          word,
          this.sums({ u: [a[0] - b[1], a[1] - b[0]], s: [a[2] - b[3], a[3] - b[2]], width }),
        );
    }
    const tnumOp = { add: this.tnumAdd, sub: this.tnumSub, mul: this.tnumMul }[op];
    x.bits = tnumOp.call(this, x.bits, y.bits);
  }

  private bitwise(x: Scalar, y: Scalar, op: 'and' | 'or' | 'xor'): void {
    const [p, q] = [x.bits, y.bits];
    if (op === 'and')
      x.bits = this.tnum(p.value & q.value, (p.value | p.mask) & (q.value | q.mask) & ~(p.value & q.value));
    else if (op === 'or') x.bits = this.tnum(p.value | q.value, (p.mask | q.mask) & ~(p.value | q.value));
    else x.bits = this.tnum(p.value ^ q.value, p.mask | q.mask);
    for (const word of [true, false]) {
      const width = word ? this.word : this.width;
      const bits = word ? this.subreg(x.bits) : x.bits;
      if (bits.mask === 0n && (word ? this.subreg(q) : q).mask === 0n) {
        if (word) this.setWord(x, bits.value);
        else this.setConstant(x, bits.value);
        continue;
      }
      const a = this.ranges(x, word);
      const b = this.ranges(y, word);
      const low = op === 'or' ? max(a[0], b[0]) : bits.value;
      const high = op === 'and' ? min(a[1], b[1]) : bits.value | bits.mask;
      const [sl, sh] = [this.s(low, width), this.s(high, width)];
      const signed = sl <= sh ? [sl, sh] : [-(1n << BigInt(width - 1)), this.top(width - 1)];
      this.setRanges(x, word, [low, high, ...signed]);
      if (!word) this.update(x);
    }
  }

  private shift(x: Scalar, by: bigint, op: { op: 'lsh' | 'rsh' | 'arsh'; word: boolean }): void {
    const { word } = op;
    const width = word ? this.word : this.width;
    const bits = word ? this.subreg(x.bits) : x.bits;
    if (op.op === 'lsh') {
      if (!word) {
        const wordUp = by === BigInt(this.word);
        const [a, b] = [x.wsmin << by, x.wsmax << by];
        const half = wordUp && this.width === 2 * this.word;
        const [smin, smax] = half ? [a, b] : [-(1n << BigInt(width - 1)), this.top(width - 1)];
        const lost = x.umax > 1n << (BigInt(width - 1) - by);
        const unsigned = lost ? [0n, this.top(width)] : [x.umin << by, x.umax << by];
        this.setRanges(x, false, [...unsigned, smin, smax]);
      }
      const fits = by < BigInt(this.word) && x.wumax <= 1n << (BigInt(this.word - 1) - by);
      const [wumin, wumax] = [x.wumin << by, x.wumax << by];
      this.unbound32(x);
      if (fits) [x.wumin, x.wumax] = [wumin, wumax];
      x.bits = this.tnum(bits.value << by, bits.mask << by);
      if (word) x.bits = this.subreg(x.bits);
    } else if (op.op === 'rsh') {
      const [a, b] = this.ranges(x, word);
      x.bits = this.tnum(bits.value >> by, bits.mask >> by);
      if (!word) this.unbound32(x);
      this.setRanges(x, word, [a >> by, b >> by, -(1n << BigInt(width - 1)), this.top(width - 1)]);
    } else {
      const [, , a, b] = this.ranges(x, word);
      const spread = (v: bigint): bigint => this.u(this.s(v, width) >> by, width);
      x.bits = this.tnum(spread(bits.value), spread(bits.mask));
      if (!word) this.unbound32(x);
      this.setRanges(x, word, [0n, this.top(width), a >> by, b >> by]);
    }
    if (word) this.unbound64(x);
    word ? this.update32(x) : this.update(x);
  }

  /** `x op y`, at the register's width or at the word's. */
  alu(from: Scalar, y: Scalar, op: { op: ModelOp; word: boolean }): Scalar {
    const x = { ...from };
    const width = op.word ? this.word : this.width;
    switch (op.op) {
      case 'add':
      case 'sub':
      case 'mul':
        this.arithmetic(x, y, op.op);
        break;
      case 'and':
      case 'or':
      case 'xor':
        this.bitwise(x, y, op.op);
        break;
      case 'lsh':
      case 'rsh':
      case 'arsh': {
        const known = (op.word ? this.subreg(y.bits) : y.bits).mask === 0n;
        if (!known || y.umax >= BigInt(width)) return this.unknown();
        this.shift(x, y.umin, { op: op.op, word: op.word });
        break;
      }
      default:
        return this.unknown();
    }
    if (op.word) this.zext(x);
    this.sync(x);
    return x;
  }

  neg(from: Scalar, word: boolean): Scalar {
    return this.alu(this.constant(0n), from, { op: 'sub', word });
  }

  /** 1 or 0 where `x cond y` is decided, else -1. */
  taken(x: Scalar, y: Scalar, op: { cond: ModelCond; word: boolean }): number {
    const { word } = op;
    const [a, b] = [this.ranges(x, word), this.ranges(y, word)];
    const above = (p: bigint[], q: bigint[], at: number): number =>
      p[at]! > q[at + 1]! ? 1 : p[at + 1]! <= q[at]! ? 0 : -1;
    const not = (v: number): number => (v === -1 ? -1 : 1 - v);
    switch (op.cond) {
      case 'gt':
        return above(a, b, 0);
      case 'lt':
        return above(b, a, 0);
      case 'le':
        return not(above(a, b, 0));
      case 'ge':
        return not(above(b, a, 0));
      case 'sgt':
        return above(a, b, 2);
      case 'slt':
        return above(b, a, 2);
      case 'sle':
        return not(above(a, b, 2));
      case 'sge':
        return not(above(b, a, 2));
      case 'set': {
        const [p, q] = [word ? this.subreg(x.bits) : x.bits, word ? this.subreg(y.bits) : y.bits];
        const [t, c] = q.mask === 0n ? [p, q.value] : [q, p.value];
        if (q.mask !== 0n && p.mask !== 0n) return -1;
        return t.value & c ? 1 : (t.value | t.mask) & c ? -1 : 0;
      }
      default:
        return op.cond === 'eq' ? this.same(x, y, word) : not(this.same(x, y, word));
    }
  }

  private same(x: Scalar, y: Scalar, word: boolean): number {
    const [p, q] = [word ? this.subreg(x.bits) : x.bits, word ? this.subreg(y.bits) : y.bits];
    if (p.mask === 0n && q.mask === 0n) return p.value === q.value ? 1 : 0;
    if ((p.value ^ q.value) & ~(p.mask | q.mask)) return 0;
    for (const narrow of word ? [true] : [true, false]) {
      const [a, b] = [this.ranges(x, narrow), this.ranges(y, narrow)];
      for (const at of [0, 2]) if (a[at]! > b[at + 1]! || a[at + 1]! < b[at]!) return 0;
    }
    return -1;
  }

  /** Both operands where `x cond y` holds, or does not. */
  refine(p: Scalar, q: Scalar, op: { cond: ModelCond; word: boolean; holds: boolean }): [Scalar, Scalar] {
    const [x, y] = [{ ...p }, { ...q }];
    const opposite = { eq: 'ne', ne: 'eq', gt: 'le', le: 'gt', ge: 'lt', lt: 'ge', set: 'clear' } as const;
    const opposites = { ...opposite, sgt: 'sle', sle: 'sgt', sge: 'slt', slt: 'sge' } as const;
    const cond = op.holds ? op.cond : opposites[op.cond];
    const order: Record<string, [boolean, number, bigint]> = {
      le: [false, 0, 0n],
      lt: [false, 0, 1n],
      ge: [true, 0, 0n],
      gt: [true, 0, 1n],
      sle: [false, 2, 0n],
      slt: [false, 2, 1n],
      sge: [true, 2, 0n],
      sgt: [true, 2, 1n],
    };
    const ordered = order[cond];
    if (ordered !== undefined) {
      const [swap, at, gap] = ordered;
      const [low, high] = swap ? [y, x] : [x, y];
      const a = this.ranges(low, op.word);
      const b = this.ranges(high, op.word);
      const [top, bottom] = [b[at + 1]! - gap, a[at]! + gap];
      a[at + 1] = min(a[at + 1]!, top);
      b[at] = max(b[at]!, bottom);
      this.setRanges(low, op.word, a);
      this.setRanges(high, op.word, b);
    } else if (cond === 'eq') {
      const a = this.ranges(x, op.word);
      const both = this.ranges(y, op.word).map((v, i) => (i & 1 ? min(v, a[i]!) : max(v, a[i]!)));
      const t = this.tnumIntersect(x.bits, y.bits);
      for (const z of [x, y]) {
        this.setRanges(z, op.word, both);
        z.bits = op.word ? this.withSubreg(z.bits, this.subreg(t)) : t;
      }
    } else {
      this.refineByConstant(x, y, { cond, word: op.word });
    }
    this.sync(x);
    this.sync(y);
    return [x, y];
  }

  private refineByConstant(x: Scalar, y: Scalar, op: { cond: string; word: boolean }): void {
    const part = (z: Scalar): Tnum => (op.word ? this.subreg(z.bits) : z.bits);
    const [constant, other] = part(y).mask === 0n ? [y, x] : [x, y];
    if (part(constant).mask !== 0n) return;
    const width = op.word ? this.word : this.width;
    const value = part(constant).value;
    if (op.cond === 'ne') {
      const trimmed = this.ranges(other, op.word).map((v, i) => {
        if (this.u(v, width) !== value) return v;
        const next = i & 1 ? v - 1n : v + 1n;
        return i < 2 ? this.u(next, width) : this.s(next, width);
      });
      this.setRanges(other, op.word, trimmed);
    } else if (op.cond === 'set') {
      if (value === 0n || value & (value - 1n)) return;
      other.bits = this.tnum(other.bits.value | value, other.bits.mask & ~value);
    } else {
      this.unbound(other);
      other.bits = this.tnum(other.bits.value & ~value, other.bits.mask & ~value);
    }
  }
}
