/**
 * What the exploration found of each instruction along every path that reaches it, for an engine to build on
 * (`InsnFacts`). Gathered while paths are walked; a path that ended because an earlier state covers it adds
 * nothing, so only what that comparison of states looks at can be kept: kinds of registers, offsets of pointers into
 * the stack and the context, numbers that a verdict relied on. Ranges of other numbers are not among them: Linux's
 * comparison passes over numbers that nothing depended on, and so must ours.
 */
import { typeOf } from './regs.ts';
import { type Frame, REGS, regAt } from './state/frame.ts';
import { regTypes } from './state/reg-types.ts';
import type { InsnFacts, MemoryRegion } from './types.ts';

const EVERY_REG = (1 << REGS) - 1;
/** Fits no constant. */
const VARIES = -1;

/** Ways that a conditional jump was seen to go. */
export const ways = { falls: 1, jumps: 2 } as const;

/** Where a load or store goes. */
export const regions = { ctx: 1, stack: 2, other: 3 } as const;

export class FactsBuilder {
  private readonly pointers: Uint16Array;
  private readonly numbers: Uint16Array;
  private readonly ways: Uint8Array;
  private readonly maps = new Map<number, object | undefined>();
  private readonly keys = new Map<number, number>();
  /** By slot: 0 nothing yet, 1 ctx, 2 stack, 3 something else or several; and the offset. */
  private readonly regions: Uint8Array;
  private readonly offsets: Int32Array;

  constructor(count: number) {
    this.pointers = new Uint16Array(count).fill(EVERY_REG);
    this.numbers = new Uint16Array(count).fill(EVERY_REG);
    this.ways = new Uint8Array(count);
    this.regions = new Uint8Array(count);
    this.offsets = new Int32Array(count);
  }

  /** An instruction is about to be checked. */
  at(slot: number, frame: Frame): void {
    let pointers = this.pointers[slot] as number;
    let numbers = this.numbers[slot] as number;
    // Of what is neither throughout already there is nothing more to find out.
    for (let rest = (pointers | numbers) & EVERY_REG; rest !== 0; rest &= rest - 1) {
      const bit = rest & -rest;
      const type = typeOf(frame, regAt(31 - Math.clz32(bit)));
      if (type === regTypes.scalar) pointers &= ~bit;
      else {
        numbers &= ~bit;
        if (type === regTypes.notInit) pointers &= ~bit;
      }
    }
    this.pointers[slot] = pointers & EVERY_REG;
    this.numbers[slot] = numbers & EVERY_REG;
  }

  jump(slot: number, way: number): void {
    this.ways[slot] = (this.ways[slot] as number) | way;
  }

  /** A helper is called with a map. */
  map(slot: number, handle: object): void {
    this.maps.set(slot, this.maps.has(slot) && this.maps.get(slot) !== handle ? undefined : handle);
  }

  /** A helper looks up a key, or a tail call an index; -1 where it is not known. */
  key(slot: number, key: bigint): void {
    const value = key >= 0n && key <= 0xffff_ffffn ? Number(key) : VARIES;
    this.keys.set(slot, this.keys.has(slot) && this.keys.get(slot) !== value ? VARIES : value);
  }

  /** A load or store at `off` from the start of a region; what is neither context nor stack is `other`. */
  memory(slot: number, region: (typeof regions)[keyof typeof regions], off: number): void {
    const before = this.regions[slot];
    if (before === 0) {
      this.regions[slot] = region;
      this.offsets[slot] = off;
    } else if (before !== region || this.offsets[slot] !== off) this.regions[slot] = regions.other;
  }

  /** What held throughout; `seen` tells which slots were reached. */
  finish(seen: Uint8Array): InsnFacts {
    for (let slot = 0; slot < seen.length; slot++) {
      if (seen[slot] === 1) continue;
      this.pointers[slot] = 0;
      this.numbers[slot] = 0;
    }
    const neverJumps = new Set<number>();
    const alwaysJumps = new Set<number>();
    for (let slot = 0; slot < seen.length; slot++) {
      const way = this.ways[slot];
      if (way === ways.falls) neverJumps.add(slot);
      else if (way === ways.jumps) alwaysJumps.add(slot);
    }
    // There may be a great many, and not everyone who verifies asks.
    let found: Map<number, MemoryRegion> | undefined;
    const knownRegions = (): Map<number, MemoryRegion> => {
      found ??= this.knownRegions();
      return found;
    };
    return {
      pointers: this.pointers,
      numbers: this.numbers,
      neverJumps,
      alwaysJumps,
      callMaps: known(this.maps),
      constantKeys: new Map([...this.keys].filter(([, key]) => key !== VARIES)),
      get regions(): Map<number, MemoryRegion> {
        return knownRegions();
      },
    };
  }

  private knownRegions(): Map<number, MemoryRegion> {
    const found = new Map<number, MemoryRegion>();
    this.regions.forEach((region, slot) => {
      const offset = this.offsets[slot] as number;
      if (region === regions.ctx) found.set(slot, { kind: 'ctx', offset });
      if (region === regions.stack) found.set(slot, { kind: 'stack', offset });
    });
    return found;
  }
}

function known<V>(found: ReadonlyMap<number, V | undefined>): Map<number, V> {
  return new Map([...found].filter((row): row is [number, V] => row[1] !== undefined));
}
