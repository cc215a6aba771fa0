/** Seeded randomness for the fuzzer: the same seed makes the same programs, on every machine. */

/** Numbers at which ranges, sign extensions and shifts change. */
const edges = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff];
const wideEdges = [0x7fffffff, -0x80000000, -0x7fffffff, 0x40000000, 0x10000, 0xffffff];

export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** 32 random bits (splitmix32). */
  bits(): number {
    this.state = (this.state + 0x9e3779b9) | 0;
    let z = this.state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  /** 0 … n - 1 */
  below(n: number): number {
    return this.bits() % n;
  }

  /** low … high, both included */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** A signed 32-bit immediate, mostly one that matters. */
  immediate(): number {
    const kind = this.below(10);
    if (kind < 5) return this.pick(edges);
    if (kind < 7) return -this.pick(edges);
    if (kind < 9) return this.pick(wideEdges);
    return this.bits() | 0;
  }

  /** 64 bits, mostly ones that matter. */
  word(): bigint {
    if (this.chance(25)) return BigInt(this.below(72));
    const low = BigInt(this.immediate());
    return this.chance(60) ? low : (BigInt(this.bits()) << 32n) | BigInt(this.bits());
  }
}
