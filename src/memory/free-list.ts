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
    this.bins[binOf(to - from)]!.add(from);
  }

  /** Takes a free block of at least `size` out of the list; the caller gives back what it does not want. */
  take(size: number): { start: number; size: number } | undefined {
    const own = binOf(size);
    let tries = TRIES;
    for (const start of this.bins[own]!) {
      if (this.sizes.get(start)! >= size) return this.drop(start);
      if (--tries === 0) break;
    }
    for (let bin = own + 1; bin < BINS; bin++) {
      for (const start of this.bins[bin]!) return this.drop(start);
    }
    return undefined;
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
    this.bins[binOf(size)]!.delete(start);
    return { start, size };
  }
}
