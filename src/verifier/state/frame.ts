/**
 * One frame of the abstract call stack: eleven registers and the stack below its frame pointer, eight bytes
 * a slot. Registers and the registers spilled to slots lie in one buffer (layout.ts), the kinds of the
 * stack's bytes in a second array, so that copying a frame is copying bytes. Making the views costs more than
 * that: frames that nothing refers to any more are kept for the next copies, and all views but one are made where
 * they are asked for, which many frames never see.
 *
 * Byte -1 of the stack is `kinds[0]`; the slot of byte `off` is (-off - 1) >> 3, as in Linux.
 */
import { REG_BYTES, REG_QWORDS } from './layout.ts';

/** What a byte of stack holds (enum bpf_stack_slot_type). */
export const slotKinds = {
  invalid: 0,
  /** Part of a spilled register. */
  spill: 1,
  /** Written, value unknown. */
  misc: 2,
  zero: 3,
  dynptr: 4,
  iter: 5,
  irqFlag: 6,
} as const;
export type SlotKind = (typeof slotKinds)[keyof typeof slotKinds];

export const REGS = 11;
export const FP = 10;
export const MAX_STACK = 512;
export const SLOT_BYTES = 8;
const MAX_SLOTS = MAX_STACK / SLOT_BYTES;
/** Slots are added this many at a time. */
const SLOT_STEP = 4;

/** Released frames by their capacity in steps. */
const spareFrames: Frame[][] = [];
/** Bytes that they may take up, and do. */
const SPARE_MAX = 1 << 23;
let spareBytes = 0;

function frameBytes(capacity: number): number {
  return (REGS + capacity) * REG_BYTES + capacity * SLOT_BYTES;
}

/** Frames are parts of larger buffers: each of its own would be one more for the garbage collector to count. */
const SLAB_BYTES = 1 << 18;
let slab = new ArrayBuffer(0);
let slabUsed = 0;

function allocate(bytes: number): { buffer: ArrayBuffer; at: number } {
  if (slabUsed + bytes > slab.byteLength) {
    slab = new ArrayBuffer(SLAB_BYTES);
    slabUsed = 0;
  }
  const at = slabUsed;
  slabUsed += bytes;
  return { buffer: slab, at };
}

/** The index of a register in a frame's views. */
export function regAt(reg: number): number {
  return reg * REG_QWORDS;
}

/** The index of the register spilled to a slot. */
export function spilledAt(slot: number): number {
  return (REGS + slot) * REG_QWORDS;
}

export class Frame {
  private unsigned: BigUint64Array | undefined = undefined;
  private signed: BigInt64Array | undefined = undefined;
  private words: Uint32Array | undefined = undefined;
  i32: Int32Array;
  kinds: Uint8Array;
  /** Slots that there is room for. */
  private capacity: number;
  /** Slots that exist: as many as the deepest access needed. */
  slots = 0;
  /** Where the caller's call instruction is; -1 in the entry frame. */
  callsite = -1;
  frameNo = 0;
  subprog = 0;
  /** Called by a helper, which it returns to. */
  inCallback = false;
  /** Called by a timer or the like, when the program is over. */
  inAsyncCallback = false;
  /** It ends the program where an exception was thrown. */
  inExceptionCallback = false;
  /** What a callback may return. */
  results: readonly [min: number, max: number] | undefined = undefined;
  /** How often the call at hand has called back. */
  callbackDepth = 0;
  /** What stack liveness knows the chain of calls that led here by; -1 until it was asked. */
  chain = -1;

  constructor(capacity: number) {
    const words = (REGS + capacity) * REG_QWORDS;
    const { buffer, at } = allocate(frameBytes(capacity));
    this.i32 = new Int32Array(buffer, at, 2 * words);
    this.kinds = new Uint8Array(buffer, at + 8 * words, capacity * SLOT_BYTES);
    this.capacity = capacity;
  }

  get u32(): Uint32Array {
    if (this.words !== undefined) return this.words;
    const { buffer, byteOffset, length } = this.i32;
    this.words = new Uint32Array(buffer, byteOffset, length);
    return this.words;
  }

  get u64(): BigUint64Array {
    if (this.unsigned !== undefined) return this.unsigned;
    const { buffer, byteOffset, length } = this.i32;
    this.unsigned = new BigUint64Array(buffer, byteOffset, length / 2);
    return this.unsigned;
  }

  get i64(): BigInt64Array {
    if (this.signed !== undefined) return this.signed;
    const { buffer, byteOffset, length } = this.i32;
    this.signed = new BigInt64Array(buffer, byteOffset, length / 2);
    return this.signed;
  }

  /** Changes buffers with another frame. */
  private swap(other: Frame): void {
    const { unsigned, signed, words, i32, kinds, capacity } = this;
    this.unsigned = other.unsigned;
    this.signed = other.signed;
    this.words = other.words;
    this.i32 = other.i32;
    this.kinds = other.kinds;
    this.capacity = other.capacity;
    Object.assign(other, { unsigned, signed, words, i32, kinds, capacity });
  }

  /** Room for more slots. */
  private enlarge(capacity: number): void {
    if (capacity <= this.capacity) return;
    const larger = Frame.of(capacity);
    larger.i32.set(this.i32);
    larger.kinds.fill(0).set(this.kinds);
    this.swap(larger);
    larger.release();
  }

  /** A frame with room for so many slots; what it holds is what another left there. */
  private static of(capacity: number): Frame {
    const spare = spareFrames[capacity / SLOT_STEP]?.pop();
    if (spare === undefined) return new Frame(capacity);
    spareBytes -= frameBytes(capacity);
    return spare;
  }

  /** Make sure that slots 0 … slots-1 exist; new ones hold nothing. */
  growTo(slots: number): void {
    if (slots <= this.slots) return;
    this.enlarge(Math.min(MAX_SLOTS, Math.ceil(slots / SLOT_STEP) * SLOT_STEP));
    this.slots = slots;
  }

  /** `other` has the same capacity. */
  private copyFrom(other: Frame): void {
    this.i32.set(other.i32);
    this.kinds.set(other.kinds);
    this.slots = other.slots;
    this.callsite = other.callsite;
    this.frameNo = other.frameNo;
    this.subprog = other.subprog;
    this.inCallback = other.inCallback;
    this.inAsyncCallback = other.inAsyncCallback;
    this.inExceptionCallback = other.inExceptionCallback;
    this.results = other.results;
    this.callbackDepth = other.callbackDepth;
    this.chain = other.chain;
  }

  clone(): Frame {
    const copy = Frame.of(this.capacity);
    copy.copyFrom(this);
    return copy;
  }

  /** Nothing refers to it any more: its buffers may be another frame's. */
  release(): void {
    const bytes = frameBytes(this.capacity);
    if (spareBytes + bytes > SPARE_MAX) return;
    spareBytes += bytes;
    (spareFrames[this.capacity / SLOT_STEP] ??= []).push(this);
  }

  /** Copy a register, `from` within this frame or another. */
  copyReg(to: number, from: number, source: Frame = this): void {
    const src = source.i32;
    const dst = this.i32;
    let d = to * 2;
    let s = from * 2;
    for (let i = 0; i < REG_QWORDS * 2; i++) dst[d++] = src[s++] as number;
  }

  /** Whether the whole slot is a spilled 8-byte register. */
  isSpilled(slot: number): boolean {
    return slot < this.slots && this.kinds[slot * SLOT_BYTES + SLOT_BYTES - 1] === slotKinds.spill;
  }
}
