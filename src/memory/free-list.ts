/**
 * Which parts of an address range are free: segregated bins with good fit and immediate coalescing. Knows
 * nothing of bytes; `memory.ts` gives it ranges and takes blocks. Sizes and addresses are multiples of
 * BLOCK_ALIGN. Deterministic: the same calls give the same addresses.
 */
import { BLOCK_ALIGN } from './layout.ts';

/** Blocks below this many units have a bin for each size; above, four bins for each power of two. */
const EXACT_UNITS = 64;
const BINS = EXACT_UNITS + 4 * 24;
/** How many blocks of the request's own bin are tried, which may be a little too small. */
const TRIES = 8;

function binOf(size: number): number {
  const units = size / BLOCK_ALIGN;
  if (units < EXACT_UNITS) return units;
  const log = 31 - Math.clz32(units);
  return EXACT_UNITS + (log - 6) * 4 + ((units >>> (log - 2)) & 3);
}

export class FreeList {
  /** Free blocks by first address, and the first address of each by its end: the neighbours of a block. */
  private readonly sizes = new Map<number, number>();
  private readonly startsByEnd = new Map<number, number>();
  private readonly bins: Set<number>[] = Array.from({ length: BINS }, () => new Set());
  /** A bit for each bin that is not empty. */
  private readonly occupied = new Uint32Array(BINS / 32);

  /** Makes [start, start + size) free, joined with free neighbours. */
  give(start: number, size: number): void {
    let from = start;
    let to = start + size;
    const before = this.startsByEnd.get(start);
    if (before !== undefined) {
      this.drop(before);
      from = before;
    }
    const after = this.sizes.get(to);
    if (after !== undefined) {
      this.drop(to);
      to += after;
    }
    this.sizes.set(from, to - from);
    this.startsByEnd.set(to, from);
    const bin = binOf(to - from);
    this.bins[bin]!.add(from);
    this.occupied[bin >>> 5]! |= 1 << (bin & 31);
  }

  /** Takes a free block of at least `size` out of the list; the caller gives back what it does not want. */
  take(size: number): { start: number; size: number } | undefined {
    const own = binOf(size);
    let tries = TRIES;
    for (const start of this.bins[own]!) {
      if (this.sizes.get(start)! >= size) return this.drop(start);
      if (--tries === 0) break;
    }
    const larger = this.binFrom(own + 1);
    return larger < 0 ? undefined : this.drop(this.bins[larger]!.values().next().value!);
  }

  /** The first bin from `bin` on that is not empty, or -1. */
  private binFrom(bin: number): number {
    let mask = -1 << (bin & 31);
    for (let word = bin >>> 5; word < this.occupied.length; word++) {
      const bits = this.occupied[word]! & mask;
      if (bits !== 0) return 32 * word + 31 - Math.clz32(bits & -bits);
      mask = -1;
    }
    return -1;
  }

  /** Bytes at the end of the range, up to `end`, that are free. */
  freeBefore(end: number): number {
    const start = this.startsByEnd.get(end);
    return start === undefined ? 0 : end - start;
  }

  private drop(start: number): { start: number; size: number } {
    const size = this.sizes.get(start)!;
    this.sizes.delete(start);
    this.startsByEnd.delete(start + size);
    const bin = binOf(size);
    this.bins[bin]!.delete(start);
    if (this.bins[bin]!.size === 0) this.occupied[bin >>> 5]! &= ~(1 << (bin & 31));
    return { start, size };
  }
}
