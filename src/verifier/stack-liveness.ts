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

/** Slots of one frame by instruction: two words each. */
interface Masks {
  readonly read: Uint32Array;
  /** Slots that the instruction overwrote each time it ran. */
  readonly written: Uint32Array;
  /** Slots that are read later, and those that are overwritten whatever comes. */
  readonly live: Uint32Array;
  readonly surelyWritten: Uint32Array;
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
    const words = 2 * this.ran.length;
    masks = {
      read: new Uint32Array(words),
      written: new Uint32Array(words),
      live: new Uint32Array(words),
      surelyWritten: new Uint32Array(words),
    };
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
  /** Slots written by the instruction at hand, by frame. */
  private readonly writes = new Uint32Array(2 * 8);

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
    const { read, live } = instance.frame(frame);
    const at = 2 * (this.env.insn - instance.subprog.start) + (slot >> 5);
    const bits = ((read[at] as number) | (1 << (slot & 31))) >>> 0;
    if (bits === read[at]) return;
    read[at] = bits;
    // What is alive there already, for what comes later, needs not be spread again.
    if ((bits | (live[at] as number)) >>> 0 !== live[at]) instance.updated = true;
  }

  write(frame: number, slot: number): void {
    const at = 2 * frame + (slot >> 5);
    this.writes[at] = (this.writes[at] as number) | (1 << (slot & 31));
  }

  /** Before an instruction that may write the stack. */
  begin(): void {
    this.writes.fill(0);
  }

  /** After it: what it wrote this time it must write every time. `slot` is where it is. */
  commit(state: State, slot: number): void {
    this.commitWrites(this.instance(state, state.curFrame), slot);
  }

  private commitWrites(instance: Instance, slot: number): void {
    const at = slot - instance.subprog.start;
    const first = instance.ran[at] === 0;
    for (let frame = 0; frame < instance.masks.length; frame++) {
      const low = this.writes[2 * frame] as number;
      const high = this.writes[2 * frame + 1] as number;
      if (first && (low | high) === 0) continue;
      const { written } = instance.frame(frame);
      for (let half = 0; half < 2; half++) {
        const now = half === 0 ? low : high;
        const before = written[2 * at + half] as number;
        const next = first ? now : (before & now) >>> 0;
        if (next === before) continue;
        written[2 * at + half] = next;
        instance.updated = true;
        if ((before & ~next) !== 0) instance.writesLess = true;
      }
    }
    instance.ran[at] = 1;
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
    }
  }

  /** Until nothing changes (update_instance). */
  private spread(instance: Instance): void {
    const { env } = this;
    if (instance.writesLess) for (const masks of instance.masks) masks?.surelyWritten.fill(0);
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
    if (env.log.verbose) env.write(`${instance.title} live stack update done in ${rounds} iterations\n`);
  }

  /** live = what comes after, less what is overwritten, and what is read; whether that changed (update_insn). */
  private spreadAt(instance: Instance, masks: Masks, where: { frame: number; slot: number }): boolean {
    const { env } = this;
    const { start } = instance.subprog;
    const { live, read, written, surelyWritten } = masks;
    const { slot } = where;
    if (env.edges[2 * slot] === NONE) return false;
    const at = 2 * (slot - start);
    let changed = false;
    for (let half = at; half < at + 2; half++) {
      let after = 0;
      let sure = 0xffff_ffff;
      for (let edge = 2 * slot; edge < 2 * slot + 2; edge++) {
        const next = env.edges[edge] as number;
        if (next === NONE) break;
        const then = 2 * (next - start) + (half - at);
        after |= live[then] as number;
        sure &= surelyWritten[then] as number;
      }
      this.before[half - at] = ((after & ~(written[half] as number)) | (read[half] as number)) >>> 0;
      this.sure[half - at] = (sure | (written[half] as number)) >>> 0;
      if (this.before[half - at] !== live[half] || this.sure[half - at] !== surelyWritten[half])
        changed = true;
    }
    if (!changed) return false;
    // The log tells of instructions that touch the stack, of the first, and of those where states are kept.
    if (env.log.verbose && (slot === start || env.prunePoint[slot] === 1 || touches(masks, at)))
      this.tell(instance, masks, where);
    live.set(this.before, at);
    surelyWritten.set(this.sure, at);
    return true;
  }

  /** What `spreadAt` finds: the live slots before an instruction, and those written whatever comes. */
  private readonly before = new Uint32Array(2);
  private readonly sure = new Uint32Array(2);

  private tell(instance: Instance, masks: Masks, { frame, slot }: { frame: number; slot: number }): void {
    const at = 2 * (slot - instance.subprog.start);
    const where = `${instance.title} frame ${frame} insn ${slot} `;
    this.env.write(changes(where, 'live', { from: masks.live, at, to: this.before }));
    this.env.write(changes(where, 'written', { from: masks.surelyWritten, at, to: this.sure }));
  }

  /** What a callee may read and surely writes of its callers' frames, the call does (propagate_to_outer_instance). */
  private lift(callee: Instance, outer: Instance): void {
    this.writes.fill(0);
    const at = 2 * (callee.callsite - outer.subprog.start);
    for (let frame = 0; frame < outer.masks.length; frame++) {
      const masks = callee.masks[frame];
      if (masks === undefined) continue;
      this.writes[2 * frame] = masks.surelyWritten[0] as number;
      this.writes[2 * frame + 1] = masks.surelyWritten[1] as number;
      for (let half = 0; half < 2; half++) {
        const entry = masks.live[half] as number;
        if (entry === 0) continue;
        const { read } = outer.frame(frame);
        const bits = ((read[at + half] as number) | entry) >>> 0;
        if (bits === read[at + half]) continue;
        read[at + half] = bits;
        outer.updated = true;
      }
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
      const live = instance.masks[no]?.live;
      if (live === undefined) continue;
      const insn = inner === state.curFrame ? state.insn : this.resumesAt(state, inner);
      const at = 2 * (insn - instance.subprog.start);
      low |= live[at] as number;
      high |= live[at + 1] as number;
    }
    return [low, high];
  }
}

function touches({ read, written }: Masks, at: number): boolean {
  return [read[at], read[at + 1], written[at], written[at + 1]].some((bits) => bits !== 0);
}

/** A line of the log about the slots that came and went; empty where none did (log_mask_change). */
function changes(
  where: string,
  what: string,
  { from, at, to }: { from: Uint32Array; at: number; to: Uint32Array },
): string {
  const added: string[] = [];
  const gone: string[] = [];
  for (let slot = 0; slot < 64; slot++) {
    const bit = 1 << (slot & 31);
    const before = (from[at + (slot >> 5)] as number) & bit;
    const after = (to[slot >> 5] as number) & bit;
    if (before !== after) (after !== 0 ? added : gone).push(`${-8 * (slot + 1)}`);
  }
  if (added.length + gone.length === 0) return '';
  const plus = added.length === 0 ? '' : `+${what} ${added.join(',')} `;
  const minus = gone.length === 0 ? '' : `-${what} ${gone.join(',')}`;
  return `${where}${plus}${minus}\n`;
}
