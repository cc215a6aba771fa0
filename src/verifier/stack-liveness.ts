/**
 * Which stack slots an instruction may still read: recorded while paths are explored, per chain of calls, and
 * spread backwards over the control flow each time a path or a function ends, as Linux does it and tells of it in
 * the log (kernel/bpf/liveness.c). Only states from which every path is done are asked about, so what they can still
 * read has been recorded by then.
 */

import type { Env, Subprog } from './env.ts';
import type { Frame } from './state/frame.ts';
import type { State } from './state/state.ts';
import { NONE } from './successors.ts';

/**
 * What is known of 32 slots of one frame, by instruction: four words each. Frames deeper than that have a second half,
 * and most have not.
 */
type Half = Int32Array;
const WORDS = 4;
const READ = 0;
/** Slots that the instruction overwrote each time it ran. */
const WRITTEN = 1;
/** Slots that are read later, and those that are overwritten whatever comes. */
const LIVE = 2;
const SURE = 3;

class Masks {
  private readonly words: number;
  readonly halves: [Half, Half | undefined];

  constructor(insns: number) {
    this.words = WORDS * insns;
    this.halves = [new Int32Array(this.words), undefined];
  }

  /** The half of a slot, for writing. */
  half(no: number): Half {
    return (this.halves[no] ??= new Int32Array(this.words));
  }

  get(no: number, at: number): number {
    return this.halves[no]?.[at] ?? 0;
  }
}

/** A subprogram as called through one chain of call sites. */
class Instance {
  readonly number: number;
  readonly subprog: Subprog;
  readonly outer: Instance | undefined;
  /** Where it is called; -1 for the outermost. */
  readonly callsite: number;
  /** By frame, its own the last; there once it has been read or written. */
  readonly masks: (Masks | undefined)[];
  /** Instructions that ran, so that their writes are known. */
  readonly ran: Uint8Array;
  readonly callees = new Map<number, Instance>();
  updated = false;
  /** The last instruction of which something new was recorded. */
  last = 0;
  /** Some instruction does not always write what it wrote at first. */
  writesLess = false;

  constructor(number: number, subprog: Subprog, from?: { outer: Instance; callsite: number }) {
    this.number = number;
    this.subprog = subprog;
    this.outer = from?.outer;
    this.callsite = from?.callsite ?? -1;
    this.ran = new Uint8Array(subprog.end - subprog.start);
    this.masks = new Array(from === undefined ? 1 : from.outer.masks.length + 1);
  }

  frame(no: number): Masks {
    let masks = this.masks[no];
    if (masks !== undefined) return masks;
    masks = new Masks(this.ran.length);
    this.masks[no] = masks;
    return masks;
  }

  /** `(13,16)`: the call sites that lead here, and where it starts. */
  get title(): string {
    const chain: number[] = [this.subprog.start];
    for (let at: Instance | undefined = this; at?.outer !== undefined; at = at.outer)
      chain.unshift(at.callsite);
    return `(${chain.join(',')})`;
  }
}

export class StackLiveness {
  private readonly env: Env;
  private readonly roots = new Map<number, Instance>();
  private readonly instances: Instance[] = [];
  /** Slots written by the instruction at hand, by frame; and whether any were. */
  private readonly writes = new Int32Array(2 * 8);
  private wrote = false;

  constructor(env: Env) {
    this.env = env;
  }

  /** The instance that frame `no` runs: a frame keeps its number, and copies of it are in the same place. */
  private instance(state: State, no: number): Instance {
    const frame = state.frames[no] as Frame;
    if (frame.chain < 0) frame.chain = this.find(state, no).number;
    return this.instances[frame.chain] as Instance;
  }

  private find(state: State, no: number): Instance {
    const frame = state.frames[no] as Frame;
    const outer = no === 0 ? undefined : this.instance(state, no - 1);
    const siblings = outer?.callees ?? this.roots;
    const key = outer === undefined ? frame.subprog : frame.callsite;
    const known = siblings.get(key);
    if (known !== undefined) return known;
    const subprog = this.env.subprogs[frame.subprog] as Subprog;
    const from = outer === undefined ? undefined : { outer, callsite: frame.callsite };
    const made = new Instance(this.instances.length, subprog, from);
    siblings.set(key, made);
    this.instances.push(made);
    return made;
  }

  read(frame: number, slot: number): void {
    const instance = this.instance(this.env.state, this.env.state.curFrame);
    const half = instance.frame(frame).half(slot >> 5);
    const insn = this.env.insn - instance.subprog.start;
    const before = half[WORDS * insn + READ] as number;
    const bits = before | (1 << (slot & 31));
    if (bits === before) return;
    half[WORDS * insn + READ] = bits;
    // What is alive there already, for what comes later, needs not be spread again.
    if ((bits & ~(half[WORDS * insn + LIVE] as number)) !== 0) note(instance, insn);
  }

  write(frame: number, slot: number): void {
    const at = 2 * frame + (slot >> 5);
    this.writes[at] = (this.writes[at] as number) | (1 << (slot & 31));
    this.wrote = true;
  }

  /** Before an instruction that may write the stack. */
  begin(): void {
    if (!this.wrote) return;
    this.writes.fill(0);
    this.wrote = false;
  }

  /** After it: what it wrote this time it must write every time. `slot` is where it is. */
  commit(state: State, slot: number): void {
    this.commitWrites(this.instance(state, state.curFrame), slot);
  }

  private commitWrites(instance: Instance, slot: number): void {
    const insn = slot - instance.subprog.start;
    const first = instance.ran[insn] === 0;
    for (let word = 0; word < 2 * instance.masks.length; word++) {
      const now = this.writes[word] as number;
      if (first && now === 0) continue;
      if (now === 0 && instance.masks[word >> 1]?.halves[word & 1] === undefined) continue;
      const half = instance.frame(word >> 1).half(word & 1);
      const before = half[WORDS * insn + WRITTEN] as number;
      const next = first ? now : before & now;
      if (next === before) continue;
      half[WORDS * insn + WRITTEN] = next;
      note(instance, insn);
      if ((before & ~next) !== 0) instance.writesLess = true;
    }
    instance.ran[insn] = 1;
  }

  /** A path or a function has ended: spread what was recorded, from the innermost frame out (bpf_update_live_stack). */
  update(state: State): void {
    for (let no = state.curFrame; no >= 0; no--) {
      const instance = this.instance(state, no);
      if (!instance.updated) continue;
      this.spread(instance);
      if (instance.outer !== undefined) this.lift(instance, instance.outer);
      instance.updated = false;
      instance.writesLess = false;
      instance.last = 0;
    }
  }

  /** Until nothing changes (update_instance). */
  private spread(instance: Instance): void {
    const { env } = this;
    if (instance.writesLess) for (const masks of instance.masks) forgetSure(masks);
    if (env.log.verbose) {
      const rounds = this.spreadAloud(instance);
      env.write(`${instance.title} live stack update done in ${rounds} iterations\n`);
      return;
    }
    const { subprog } = instance;
    const { edges } = env;
    const last = instance.writesLess ? subprog.end - subprog.start - 1 : instance.last;
    for (const masks of instance.masks) {
      for (const half of masks?.halves ?? []) {
        if (half === undefined) continue;
        if (env.goesBack) spreadRound(half, { edges, subprog });
        else spreadBack(half, { edges, start: subprog.start, last });
      }
    }
  }

  /** In Linux's order, for the log tells of every change; how many rounds it took. */
  private spreadAloud(instance: Instance): number {
    const { postorder } = instance.subprog;
    let rounds = 0;
    for (let changed = true; changed; rounds++) {
      changed = false;
      for (let frame = 0; frame < instance.masks.length; frame++) {
        const masks = instance.masks[frame];
        if (masks === undefined) continue;
        for (const slot of postorder) changed = this.spreadAt(instance, masks, { frame, slot }) || changed;
      }
    }
    return rounds;
  }

  /** What holds before an instruction, told of where it changes; whether it did. */
  private spreadAt(instance: Instance, masks: Masks, where: { frame: number; slot: number }): boolean {
    const { edges, prunePoint } = this.env;
    const { start } = instance.subprog;
    const { slot } = where;
    const at = WORDS * (slot - start);
    const before = masks.halves.map((half) => half?.slice(at, at + WORDS));
    let changed = false;
    for (const half of masks.halves) {
      if (half !== undefined) changed = spreadOne(half, { edges, slot, start }) || changed;
    }
    if (!changed) return false;
    // The log tells of instructions that touch the stack, of the first, and of those where states are kept.
    if (slot === start || prunePoint[slot] === 1 || touches(masks, at)) {
      const line = `${instance.title} frame ${where.frame} insn ${slot} `;
      this.env.write(changes(line, 'live', pairs(before, masks, at + LIVE)));
      this.env.write(changes(line, 'written', pairs(before, masks, at + SURE)));
    }
    return true;
  }

  /** What a callee may read and surely writes of its callers' frames, the call does (propagate_to_outer_instance). */
  private lift(callee: Instance, outer: Instance): void {
    this.wrote = true;
    this.writes.fill(0);
    const insn = callee.callsite - outer.subprog.start;
    for (let word = 0; word < 2 * outer.masks.length; word++) {
      const half = callee.masks[word >> 1]?.halves[word & 1];
      if (half === undefined) continue;
      this.writes[word] = half[SURE] as number;
      const entry = half[LIVE] as number;
      if (entry === 0) continue;
      const over = outer.frame(word >> 1).half(word & 1);
      const bits = (over[WORDS * insn + READ] as number) | entry;
      if (bits === over[WORDS * insn + READ]) continue;
      over[WORDS * insn + READ] = bits;
      note(outer, insn);
    }
    this.commitWrites(outer, callee.callsite);
  }

  /** Forget the slots of a finished state that nothing will read. */
  clean(state: State, forget: (frame: Frame, slot: number) => void): void {
    for (let no = 0; no <= state.curFrame; no++) {
      const frame = state.frames[no] as Frame;
      const [low, high] = this.liveSlots(state, no);
      for (let slot = 0; slot < frame.slots; slot++) {
        if (((slot < 32 ? low : high) & (1 << (slot & 31))) === 0) forget(frame, slot);
      }
    }
  }

  /** Where a caller goes on: after its call, or at it where callbacks come back to it. */
  private resumesAt(state: State, frame: number): number {
    const { callsite } = state.frames[frame + 1] as Frame;
    return this.env.callsBack[callsite] === 1 ? callsite : callsite + 1;
  }

  /** The slots of frame `no` that it, or what it calls, may still read. */
  private liveSlots(state: State, no: number): [low: number, high: number] {
    let low = 0;
    let high = 0;
    for (let inner = no; inner <= state.curFrame; inner++) {
      const instance = this.instance(state, inner);
      const masks = instance.masks[no];
      if (masks === undefined) continue;
      const insn = inner === state.curFrame ? state.insn : this.resumesAt(state, inner);
      const at = WORDS * (insn - instance.subprog.start) + LIVE;
      low |= masks.get(0, at);
      high |= masks.get(1, at);
    }
    return [low, high];
  }
}

/** Something new is known of an instruction. */
function note(instance: Instance, insn: number): void {
  instance.updated = true;
  if (insn > instance.last) instance.last = insn;
}

function forgetSure(masks: Masks | undefined): void {
  for (const half of masks?.halves ?? []) {
    if (half !== undefined) for (let at = SURE; at < half.length; at += WORDS) half[at] = 0;
  }
}

interface Where {
  readonly edges: Int32Array;
  readonly slot: number;
  /** Where the subprogram starts. */
  readonly start: number;
}

/** live = what comes after, less what is overwritten, and what is read; whether that changed (update_insn). */
function spreadOne(half: Half, { edges, slot, start }: Where): boolean {
  const next = edges[2 * slot] as number;
  if (next === NONE) return false;
  const then = WORDS * (next - start);
  let after = half[then + LIVE] as number;
  let sure = half[then + SURE] as number;
  const target = edges[2 * slot + 1] as number;
  if (target !== NONE) {
    const there = WORDS * (target - start);
    after |= half[there + LIVE] as number;
    sure &= half[there + SURE] as number;
  }
  const at = WORDS * (slot - start);
  const written = half[at + WRITTEN] as number;
  const live = (after & ~written) | (half[at + READ] as number);
  sure |= written;
  if (live === half[at + LIVE] && sure === half[at + SURE]) return false;
  half[at + LIVE] = live;
  half[at + SURE] = sure;
  return true;
}

/** Until nothing changes, in Linux's order: around loops, what was alive once may depend on it. */
function spreadRound(half: Half, { edges, subprog }: { edges: Int32Array; subprog: Subprog }): void {
  const { postorder, start } = subprog;
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = 0; i < postorder.length; i++) {
      const slot = postorder[i] as number;
      changed = spreadOne(half, { edges, slot, start }) || changed;
    }
  }
}

/** Where nothing goes back, each instruction comes after those that it leads to, and once is enough. */
function spreadBack(half: Half, at: { edges: Int32Array; start: number; last: number }): void {
  const { edges, start } = at;
  for (let slot = start + at.last; slot >= start; slot--) spreadOne(half, { edges, slot, start });
}

function touches(masks: Masks, at: number): boolean {
  return masks.halves.some(
    (half) => half !== undefined && ((half[at + READ] as number) | (half[at + WRITTEN] as number)) !== 0,
  );
}

/** A word of both halves, before and now. */
type Pairs = readonly (readonly [before: number, now: number])[];

function pairs(before: readonly (Half | undefined)[], masks: Masks, at: number): Pairs {
  return before.map((half, no) => [half?.[at % WORDS] ?? 0, masks.get(no, at)]);
}

/** A line of the log about the slots that came and went; empty where none did (log_mask_change). */
function changes(where: string, what: string, words: Pairs): string {
  const added: string[] = [];
  const gone: string[] = [];
  for (let slot = 0; slot < 64; slot++) {
    const [before, now] = words[slot >> 5] as Pairs[number];
    const bit = 1 << (slot & 31);
    if (((before ^ now) & bit) !== 0) ((now & bit) !== 0 ? added : gone).push(`${-8 * (slot + 1)}`);
  }
  if (added.length + gone.length === 0) return '';
  const plus = added.length === 0 ? '' : `+${what} ${added.join(',')} `;
  const minus = gone.length === 0 ? '' : `-${what} ${gone.join(',')}`;
  return `${where}${plus}${minus}\n`;
}
