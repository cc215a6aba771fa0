/**
 * What the verifier claims, held against a run. Its log at level 2 says, path by path, what each register
 * and spilled slot may hold; a run follows one of these paths. Here the log becomes segments of instructions
 * with the claims that hold after them, and a run keeps the set of places in segments where it may be. If none
 * is left, the verifier did not foresee this run. A path that ended because an earlier one covers it
 * (`safe`) says nothing about numbers that do not matter, so there the watch ends.
 */
import type { Machine } from '../../src/vm/interp/machine.ts';

interface Range {
  readonly low: bigint;
  readonly high: bigint;
}

/** What is said of one number. */
interface NumberClaim {
  readonly text: string;
  readonly u64?: Range | undefined;
  readonly s64?: Range | undefined;
  readonly u32?: Range | undefined;
  readonly s32?: Range | undefined;
  readonly tnum?: { readonly value: bigint; readonly mask: bigint };
  readonly id?: string;
  readonly add: bigint;
}

type Claim =
  | { readonly kind: 'number'; readonly number: NumberClaim }
  | {
      readonly kind: 'stack';
      readonly frame: number | undefined;
      readonly off: bigint;
      readonly text: string;
    }
  | { readonly kind: 'ctx' | 'packetEnd' | 'notNull'; readonly off: bigint; readonly text: string }
  | { readonly kind: 'packet'; readonly off: bigint; readonly range: bigint; readonly number: NumberClaim };

export interface StateClaims {
  readonly regs: readonly (readonly [reg: number, claim: Claim])[];
  readonly slots: readonly (readonly [off: number, bytes: number, claim: NumberClaim])[];
  /** Bytes that are zero, by offset from the frame pointer. */
  readonly zeros: readonly number[];
}

interface Entry {
  readonly slot: number;
  /** What holds before the instruction. */
  claims: StateClaims[];
  safe: boolean;
  /** Whether its instruction was printed: the same slot again is another step. */
  done: boolean;
}

interface Segment {
  readonly from: number;
  readonly entries: Entry[];
}

export interface Claims {
  readonly segments: readonly Segment[];
  /** Segments by `from * 2^20 + first slot`. */
  readonly starts: ReadonlyMap<number, readonly Segment[]>;
}

const SLOTS = 2 ** 20;

/** Where a segment starts that no run enters: what a CPU might do in vain. */
const NEVER = -2;

/** Ranges of pointers that were compared with the packet's end and lie behind it. */
const AT_END = -1n;
const BEYOND_END = -2n;

const MAX_U64 = (1n << 64n) - 1n;
const MIN_S64 = -(1n << 63n);
const MAX_S64 = (1n << 63n) - 1n;

/** Reads a log of level 2. */
export function readClaims(log: string): Claims {
  const segments: Segment[] = [{ from: -1, entries: [] }];
  /** What holds after the instruction that was printed last. */
  let pending: StateClaims[] = [];
  for (const line of log.split('\n')) {
    const branch = /^from (\d+) to (\d+)( \(speculative execution\))?:(.*)$/.exec(line);
    if (branch !== null) {
      const [, from, to, speculative, state] = branch;
      const entry: Entry = { slot: Number(to), claims: [], safe: state === ' safe', done: false };
      if (!entry.safe) entry.claims.push(readState(state!));
      segments.push({ from: speculative === undefined ? Number(from) : NEVER, entries: [entry] });
      pending = [];
      continue;
    }
    const step = /^(\d+): (.*)$/.exec(line);
    if (step === null) continue;
    const { entries } = segments.at(-1)!;
    const slot = Number(step[1]);
    const rest = step[2]!;
    let entry = entries.at(-1);
    if (entry?.done && entry.slot === slot && /^(frame\d+:|R\d+=|fp-)/.test(rest)) {
      // On a line of its own where something else was said in between.
      pending.push(readState(` ${rest}`));
      continue;
    }
    if (entry?.slot !== slot || entry.done) {
      entry = { slot, claims: [], safe: false, done: false };
      entries.push(entry);
    }
    entry.claims.push(...pending);
    pending = [];
    if (rest === 'safe') entry.safe = true;
    else if (!rest.startsWith('(')) entry.claims.push(readState(` ${rest}`));
    else {
      entry.done = true;
      const after = rest.indexOf(' ; ');
      if (after >= 0) pending.push(readState(rest.slice(after + 2)));
    }
  }
  const starts = new Map<number, Segment[]>();
  for (const segment of segments) {
    const first = segment.entries[0];
    if (first === undefined) continue;
    const key = segment.from * SLOTS + first.slot;
    starts.set(key, [...(starts.get(key) ?? []), segment]);
  }
  return { segments, starts };
}

function readState(text: string): StateClaims {
  const regs: [number, Claim][] = [];
  const slots: [number, number, NumberClaim][] = [];
  const zeros: number[] = [];
  for (const part of parts(text)) {
    const reg = /^R(\d+)=(.*)$/s.exec(part);
    if (reg !== null) {
      const claim = readClaim(reg[2]!);
      if (claim !== undefined) regs.push([Number(reg[1]), claim]);
      continue;
    }
    const bytes = /^fp(-\d+)=([?m0r]{8})$/.exec(part);
    if (bytes !== null) {
      for (let i = 0; i < 8; i++) if (bytes[2]![i] === '0') zeros.push(Number(bytes[1]) + 7 - i);
      continue;
    }
    const spill = /^fp(-\d+)=([?m0]*?)(P?(?:-?\d+|0x[0-9a-f]+|scalar\(.*\)))$/s.exec(part);
    const claim = spill === null ? undefined : readClaim(spill[3]!);
    if (claim?.kind !== 'number') continue;
    const size = 8 - spill![2]!.length;
    slots.push([Number(spill![1]), size, size === 8 ? claim.number : lowPart(claim.number, size)]);
  }
  return { regs, slots, zeros };
}

/** What a claim of a spilled register says of its low bytes, which alone are on the stack. */
function lowPart({ text, tnum, u32, s32 }: NumberClaim, bytes: number): NumberClaim {
  const mask = (1n << BigInt(8 * bytes)) - 1n;
  return {
    text,
    add: 0n,
    ...(tnum === undefined ? {} : { tnum: { value: tnum.value & mask, mask: tnum.mask & mask } }),
    ...(bytes === 4 ? { u32, s32 } : {}),
  };
}

/** Splits at spaces that are outside of brackets. */
function parts(text: string): string[] {
  const found: string[] = [];
  let level = 0;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    const char = text[i];
    if (char === '(') level++;
    else if (char === ')') level--;
    else if (i === text.length || (char === ' ' && level === 0)) {
      if (i > start) found.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return found;
}

function readClaim(text: string): Claim | undefined {
  const constant = /^P?(-?\d+|0x[0-9a-f]+)$/.exec(text);
  if (constant !== null) {
    const value = BigInt.asUintN(64, BigInt(constant[1]!));
    return { kind: 'number', number: { text, tnum: { value, mask: 0n }, add: 0n } };
  }
  const stack = /^fp(?:\[(\d+)\])?(-?\d+|0x[0-9a-f]+)$/.exec(text);
  if (stack !== null) {
    const frame = stack[1] === undefined ? undefined : Number(stack[1]);
    return { kind: 'stack', frame, off: BigInt(stack[2]!), text };
  }
  const typed = /^(P?[a-z_]+)\((.*)\)$/s.exec(text);
  if (typed === null) return undefined;
  const facts = new Map<string, string>();
  for (const fact of typed[2]!.split(',')) {
    const words = fact.split('=');
    const value = words.pop()!;
    for (const name of words) facts.set(name, value);
  }
  const off = BigInt.asIntN(64, BigInt(facts.get('off') ?? 0));
  const fixed = BigInt.asIntN(64, BigInt(facts.get('imm') ?? 0));
  switch (typed[1]) {
    case 'scalar':
    case 'Pscalar':
      return { kind: 'number', number: readNumber(facts, text) };
    case 'ctx':
      return /min|max|var_off/.test(text) ? undefined : { kind: 'ctx', off: off + fixed, text };
    case 'pkt_end':
      return { kind: 'packetEnd', off, text };
    case 'map_value':
      return { kind: 'notNull', off: 0n, text };
    case 'pkt': {
      if (facts.has('imm')) facts.set('smin', facts.get('imm')!).set('smax', facts.get('imm')!);
      return {
        kind: 'packet',
        off,
        range: BigInt.asIntN(64, BigInt(facts.get('r') ?? 0)),
        number: readNumber(facts, text),
      };
    }
    default:
      return undefined;
  }
}

function readNumber(facts: ReadonlyMap<string, string>, text: string): NumberClaim {
  const value = (name: string, bits: 32 | 64, signed: boolean): bigint | undefined => {
    const given = facts.get(name);
    if (given === undefined) return undefined;
    return signed ? BigInt.asIntN(bits, BigInt(given)) : BigInt.asUintN(bits, BigInt(given));
  };
  const tnum = /^\((0x[0-9a-f]+); (0x[0-9a-f]+)\)$/.exec(facts.get('var_off') ?? '');
  const [id, add] = (facts.get('id') ?? '').split(/(?=[+-])/);
  return {
    text,
    u64: { low: value('umin', 64, false) ?? 0n, high: value('umax', 64, false) ?? MAX_U64 },
    s64: { low: value('smin', 64, true) ?? MIN_S64, high: value('smax', 64, true) ?? MAX_S64 },
    u32: { low: value('umin32', 32, false) ?? 0n, high: value('umax32', 32, false) ?? 0xffff_ffffn },
    s32: { low: value('smin32', 32, true) ?? -0x8000_0000n, high: value('smax32', 32, true) ?? 0x7fff_ffffn },
    ...(tnum === null ? {} : { tnum: { value: BigInt(tnum[1]!), mask: BigInt(tnum[2]!) } }),
    ...(id === undefined || id === '' ? {} : { id }),
    add: BigInt(add ?? 0),
  };
}

function numberHolds(claim: NumberClaim, value: bigint): boolean {
  const within = (range: Range | undefined, number: bigint): boolean =>
    range === undefined || (number >= range.low && number <= range.high);
  if (claim.tnum !== undefined && (value & ~claim.tnum.mask) !== claim.tnum.value) return false;
  return (
    within(claim.u64, value) &&
    within(claim.s64, BigInt.asIntN(64, value)) &&
    within(claim.u32, BigInt.asUintN(32, value)) &&
    within(claim.s32, BigInt.asIntN(32, value))
  );
}

/** The run as the claims see it. */
interface Seen {
  readonly machine: Machine;
  readonly frames: readonly number[];
  readonly ctx: number;
  readonly data: number;
  readonly dataEnd: number;
}

/** What does not hold; undefined where all does. */
function broken(claims: StateClaims, seen: Seen): string | undefined {
  const { machine } = seen;
  const linked = new Map<string, { base: bigint; moved: boolean }>();
  const check = (claim: NumberClaim, value: bigint, what: string): string | undefined => {
    if (!numberHolds(claim, value)) return `${what} is ${value}, not ${claim.text}`;
    if (claim.id === undefined) return undefined;
    const base = BigInt.asUintN(64, value - claim.add);
    const moved = claim.add !== 0n;
    const known = linked.get(claim.id) ?? { base, moved };
    linked.set(claim.id, known);
    // The log does not say whether the constant was added to 32 bits or to all 64; the lower half holds for both.
    const bits = moved || known.moved ? 32 : 64;
    return BigInt.asUintN(bits, known.base) === BigInt.asUintN(bits, base)
      ? undefined
      : `${what} is ${value}, unlike others of ${claim.text}`;
  };
  for (const [reg, claim] of claims.regs) {
    const value = machine.u64[reg]!;
    const wrong =
      claim.kind === 'number' ? check(claim.number, value, `r${reg}`) : pointerBroken(claim, value, seen);
    if (wrong !== undefined) return claim.kind === 'number' ? wrong : `r${reg} ${wrong}`;
  }
  const top = seen.frames.at(-1)!;
  const { view } = machine.memory;
  for (const [off, bytes, claim] of claims.slots) {
    const value = BigInt.asUintN(8 * bytes, view.getBigUint64(top + off, true));
    const wrong = check(claim, value, `fp${off}`);
    if (wrong !== undefined) return wrong;
  }
  const set = claims.zeros.find((off) => view.getUint8(top + off) !== 0);
  return set === undefined ? undefined : `the byte at fp${set} is not 0`;
}

function pointerBroken(
  claim: Exclude<Claim, { kind: 'number' }>,
  value: bigint,
  seen: Seen,
): string | undefined {
  switch (claim.kind) {
    case 'stack': {
      const top = claim.frame === undefined ? seen.frames.at(-1)! : seen.frames[claim.frame]!;
      return value === BigInt.asUintN(64, BigInt(top) + claim.off) ? undefined : `is not ${claim.text}`;
    }
    case 'ctx':
      return value === BigInt.asUintN(64, BigInt(seen.ctx) + claim.off) ? undefined : `is not ${claim.text}`;
    case 'packetEnd':
      return value === BigInt(seen.dataEnd) ? undefined : "is not the packet's end";
    case 'notNull':
      return value !== 0n ? undefined : `is NULL, not ${claim.text}`;
    case 'packet': {
      const part = BigInt.asUintN(64, value - BigInt(seen.data) - claim.off);
      if (!numberHolds(claim.number, part)) return `is ${part} into the packet, not ${claim.number.text}`;
      const reach = value - claim.off + claim.range;
      if (claim.range > 0n && reach > BigInt(seen.dataEnd))
        return `reaches less far than ${claim.number.text}`;
      if (claim.range === AT_END && value < BigInt(seen.dataEnd)) return "is not at the packet's end";
      if (claim.range === BEYOND_END && value <= BigInt(seen.dataEnd))
        return "is not beyond the packet's end";
      return undefined;
    }
  }
}

interface Place {
  readonly segment: Segment;
  readonly index: number;
}

/** Follows one run through the claims. */
export class Follower {
  private places: Place[] = [];
  private previous = -1;
  /** Set where a covered path says no more. */
  ended = false;
  checked = 0;
  private readonly claims: Claims;
  private readonly at: { readonly ctx: number; readonly data: number; readonly dataEnd: number };

  constructor(claims: Claims, at: { ctx: number; data: number; dataEnd: number }) {
    this.claims = claims;
    this.at = at;
  }

  /** Before the instruction at `slot`: what is wrong with every path that the verifier saw, if it is. */
  step(slot: number, machine: Machine, frames: readonly number[]): string | undefined {
    if (this.ended) return undefined;
    const next: Place[] = [];
    for (const { segment, index } of this.places) {
      if (segment.entries[index + 1]?.slot === slot) next.push({ segment, index: index + 1 });
    }
    // An AND or OR of a number that is 0 or -1 is followed for each: a second time from itself.
    for (const from of this.previous === slot ? [slot] : [this.previous, slot]) {
      for (const segment of this.claims.starts.get(from * SLOTS + slot) ?? [])
        next.push({ segment, index: 0 });
    }
    this.previous = slot;
    const seen: Seen = { machine, frames, ...this.at };
    let wrong: string | undefined;
    const holding = next.filter(({ segment, index }) => {
      const entry = segment.entries[index]!;
      for (const claims of entry.claims) {
        const problem = broken(claims, seen);
        if (problem !== undefined) wrong = problem;
        if (problem !== undefined) return false;
      }
      return true;
    });
    this.checked++;
    if (holding.some(({ segment, index }) => segment.entries[index]!.safe)) this.ended = true;
    if (holding.length === 0) return wrong ?? 'the verifier did not follow this path';
    this.places = holding;
    return undefined;
  }
}
