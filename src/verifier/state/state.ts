/**
 * One abstract state of the program: the frames of its call stack, and where it stands in the exploration
 * (the checkpoint that it came from, the jumps since then, how many paths from it are still open).
 */
import type { Frame } from './frame.ts';

/** One remembered step since the last checkpoint (struct bpf_jmp_history_entry). */
export interface HistoryEntry {
  readonly insn: number;
  readonly prev: number;
  /** Bits of `historyFlags`. */
  flags: number;
  /** Registers and slots linked by one id when a branch refined them. */
  linked: readonly LinkedReg[] | undefined;
}

export interface LinkedReg {
  readonly frame: number;
  /** A register, or a stack slot. */
  readonly isReg: boolean;
  readonly index: number;
}

export const historyFlags = {
  /** The low three bits: the frame whose stack is accessed. */
  frameMask: 7,
  /** Six bits: the slot accessed. */
  slotShift: 3,
  slotMask: 0x3f,
  stackAccess: 1 << 9,
  dstStack: 1 << 10,
  srcStack: 1 << 11,
} as const;

/** A resource that the program must give back: an object, a lock, interrupts that it switched off. */
export interface Held {
  readonly id: number;
  readonly insn: number;
  readonly kind: HeldKind;
  /** Of locks: what tells the memory that they are in from other memory of the same id. */
  readonly owner?: string;
}

/** enum ref_state_type; of interrupts, whether the lock's own function switched them off. */
export type HeldKind = 'object' | 'irq' | 'irqLock' | 'spinLock' | 'resLock' | 'resLockIrq';

/** A path that ended in a state whose own loop was still being explored. */
export interface Backedge {
  readonly state: State;
  /** The state that covered it. */
  readonly equal: State;
}

/** A loop, as reached through one chain of calls (loops.ts). */
export interface LoopVisit {
  readonly name: string;
  /** The log tells of it. */
  readonly isTold: boolean;
  /** The first state in it, while paths from there are open. */
  entry: State | undefined;
  backedges: Backedge[];
}

export class State {
  frames: Frame[] = [];
  curFrame = 0;
  /** Acquired references, oldest first. */
  refs: readonly Held[] = [];
  /** Critical sections of RCU and without preemption that are open, by depth. */
  rcuLocks = 0;
  preemptLocks = 0;
  /** Locks among `refs`; and the id of the last interrupts switched off. */
  locks = 0;
  irqId = 0;
  /** Whether what runs now may sleep: callbacks of timers may not, those of work queues may. */
  sleepable = false;
  parent: State | undefined = undefined;
  /** Paths that start here and are not finished. */
  branches = 1;
  insn = 0;
  firstInsn = 0;
  lastInsn = 0;
  dfsDepth = 0;
  history: HistoryEntry[] = [];
  /** Depth of may_goto instructions taken. */
  mayGotoDepth = 0;
  /** A path that only speculation takes: what fails on it is fenced off, not refused. */
  speculative = false;
  /** Callbacks entered. */
  callbackDepth = 0;
  /** Of a checkpoint: the loop that it is in. */
  loop: LoopVisit | undefined = undefined;
  /** Of a checkpoint: every scalar here, and on the way here, is marked precise. */
  allPrecise = false;

  get frame(): Frame {
    return this.frames[this.curFrame] as Frame;
  }

  /** A deep copy; checkpoints and pending branches share nothing that changes. */
  clone(): State {
    const copy = new State();
    const frames = this.frames.slice(0, this.curFrame + 1);
    for (let i = 0; i < frames.length; i++) frames[i] = (frames[i] as Frame).clone();
    copy.frames = frames;
    copy.curFrame = this.curFrame;
    copy.refs = this.refs;
    copy.rcuLocks = this.rcuLocks;
    copy.preemptLocks = this.preemptLocks;
    copy.locks = this.locks;
    copy.irqId = this.irqId;
    copy.sleepable = this.sleepable;
    copy.parent = this.parent;
    copy.branches = this.branches;
    copy.insn = this.insn;
    copy.firstInsn = this.firstInsn;
    copy.lastInsn = this.lastInsn;
    copy.dfsDepth = this.dfsDepth;
    copy.history = this.history.slice();
    copy.mayGotoDepth = this.mayGotoDepth;
    copy.speculative = this.speculative;
    copy.callbackDepth = this.callbackDepth;
    return copy;
  }

  /** The state is done with, and no other refers to it: its frames may be used anew. */
  release(): void {
    for (const frame of this.frames) frame.release();
    this.frames = [];
  }
}
