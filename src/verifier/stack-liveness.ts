/**
 * Which stack slots an instruction may still read: recorded while paths are explored, per chain of calls, and
 * spread backwards over the control flow when it is asked for. Only states from which every path is done are
 * asked about, so what they can still read has been recorded by then (kernel/bpf/liveness.c).
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
  readonly live: Uint32Array;
}

/** A subprogram as called through one chain of call sites. */
class Instance {
  readonly number: number;
  readonly subprog: Subprog;
  readonly masks: Masks[];
  /** Instructions that ran, so that their writes are known. */
  readonly ran: Uint8Array;
  readonly callees = new Map<number, Instance>();
  dirty = true;

  constructor(number: number, subprog: Subprog, frames: number) {
    this.number = number;
    this.subprog = subprog;
    const size = subprog.end - subprog.start;
    this.ran = new Uint8Array(size);
    this.masks = Array.from({ length: frames }, () => ({
      read: new Uint32Array(2 * size),
      written: new Uint32Array(2 * size),
      live: new Uint32Array(2 * size),
    }));
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
    const siblings = no === 0 ? this.roots : this.instance(state, no - 1).callees;
    const key = no === 0 ? frame.subprog : frame.callsite;
    const known = siblings.get(key);
    if (known !== undefined) return known;
    const subprog = this.env.subprogs[frame.subprog] as Subprog;
    const made = new Instance(this.instances.length, subprog, no + 1);
    siblings.set(key, made);
    this.instances.push(made);
    return made;
  }

  read(frame: number, slot: number): void {
    const instance = this.instance(this.env.state, this.env.state.curFrame);
    const masks = instance.masks[frame] as Masks;
    const at = 2 * (this.env.insn - instance.subprog.start) + (slot >> 5);
    const bits = ((masks.read[at] as number) | (1 << (slot & 31))) >>> 0;
    if (bits === masks.read[at]) return;
    masks.read[at] = bits;
    instance.dirty = true;
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
    const instance = this.instance(state, state.curFrame);
    const at = slot - instance.subprog.start;
    const first = instance.ran[at] === 0;
    instance.ran[at] = 1;
    for (const [frame, masks] of instance.masks.entries()) {
      for (const half of [0, 1]) {
        const now = this.writes[2 * frame + half] as number;
        const before = masks.written[2 * at + half] as number;
        const next = first ? now : (before & now) >>> 0;
        if (next === before) continue;
        masks.written[2 * at + half] = next;
        instance.dirty = true;
      }
    }
  }

  /** Bring `live` up to date below `instance`; whether it changed at the entry. */
  private solve(instance: Instance): void {
    for (const callee of instance.callees.values()) this.solve(callee);
    for (const [callsite, callee] of instance.callees) this.lift(instance, callsite, callee);
    if (!instance.dirty) return;
    instance.dirty = false;
    for (const masks of instance.masks) spread(this.env, instance.subprog, masks);
  }

  /** What a callee may read of its callers' frames, the call may read. */
  private lift(outer: Instance, callsite: number, callee: Instance): void {
    const at = 2 * (callsite - outer.subprog.start);
    for (const [frame, masks] of outer.masks.entries()) {
      for (const half of [0, 1]) {
        const entry = (callee.masks[frame] as Masks).live[half] as number;
        const bits = ((masks.read[at + half] as number) | entry) >>> 0;
        if (bits === masks.read[at + half]) continue;
        masks.read[at + half] = bits;
        outer.dirty = true;
      }
    }
  }

  /** Forget the slots of a finished state that nothing will read. */
  clean(state: State, forget: (frame: Frame, slot: number) => void): void {
    this.solve(this.instance(state, 0));
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
      const insn = inner === state.curFrame ? state.insn : this.resumesAt(state, inner);
      const { live } = instance.masks[no] as Masks;
      const at = 2 * (insn - instance.subprog.start);
      low |= live[at] as number;
      high |= live[at + 1] as number;
    }
    return [low, high];
  }
}

/** live = what comes after, less what is overwritten, and what is read: until nothing changes. */
function spread(env: Env, subprog: Subprog, masks: Masks): void {
  const { read, written, live } = masks;
  live.fill(0);
  for (let changed = true; changed; ) {
    changed = false;
    for (let slot = subprog.end - 1; slot >= subprog.start; slot--) {
      if (env.insns[slot] === undefined) continue;
      const at = 2 * (slot - subprog.start);
      let low = 0;
      let high = 0;
      for (let edge = 2 * slot; edge < 2 * slot + 2; edge++) {
        const next = env.edges[edge] as number;
        if (next === NONE) break;
        const then = 2 * (next - subprog.start);
        low |= live[then] as number;
        high |= live[then + 1] as number;
      }
      low = ((low & ~(written[at] as number)) | (read[at] as number)) >>> 0;
      high = ((high & ~(written[at + 1] as number)) | (read[at + 1] as number)) >>> 0;
      if (low === live[at] && high === live[at + 1]) continue;
      live[at] = low;
      live[at + 1] = high;
      changed = true;
    }
  }
}
