/**
 * The registers of one function while it is written. Each is in a 64-bit local, in a 32-bit one, or in both: the
 * 32-bit one has all of it where its upper half is zero, and all that matters where nobody reads that. r10 is the
 * address of the frame (nothing verified writes it).
 *
 * Sums with numbers are put off: a register is its local plus a number, within a block. So addresses that are apart
 * by numbers are one local, and the number is part of the access.
 */
import { STACK_BYTES } from '../../run.ts';
import type { Code, Local } from '../wasm/index.ts';

/** r10, where nothing writes it. */
const FRAME_POINTER = 10;

/** How far below an address most accesses with a negative offset are, and the lowest offset that there is. */
const NEAR = 512;
const OFF_LEAST = -32768;
/** Nothing is in the first page (memory/), so what lies at most that much above a local is no sum that wrapped. */
const OFF_MOST = 0xffff;
/** Sums further away are not put off. */
const MOST_ADDED = 2 ** 20;

export class Frame {
  readonly code: Code;
  /** The lowest address of this frame's stack. */
  readonly stack: Local;
  private readonly wide: (Local | undefined)[] = [];
  private readonly narrow: (Local | undefined)[] = [];
  /** Registers whose value the locals of each kind hold now. */
  private inWide = 0;
  private inNarrow = 0;
  /** What is to be added to the local of each register; zero where it is in both kinds. */
  private readonly added = new Int32Array(32);
  private readonly writesR10: boolean;
  private readonly scratch = new Map<string, Local>();

  constructor(code: Code, { stack, writesR10 }: { stack: Local; writesR10: boolean }) {
    this.code = code;
    this.stack = stack;
    this.writesR10 = writesR10;
  }

  /** A parameter holds the register on entry. */
  parameter(register: number, local: Local): void {
    if (local.type === 'i64') {
      this.wide[register] = local;
      this.inWide |= 1 << register;
    } else {
      this.narrow[register] = local;
      this.inNarrow |= 1 << register;
    }
  }

  /** At the start of a block: `live` registers are in 64-bit locals where `wide` says so, else in 32-bit ones. */
  enter(live: number, wide: number): void {
    this.inWide = live & wide;
    this.inNarrow = live & ~wide;
    this.added.fill(0);
  }

  /** At the end of a block: puts registers where the next one expects them; what is elsewhere stays as well. */
  prepare(live: number, wide: number): void {
    const here = this.writesR10 ? live : live & ~(1 << FRAME_POINTER);
    for (let register = 0; here >> register !== 0; register++) {
      const mask = 1 << register;
      if ((here & mask) === 0) continue;
      this.settle(register);
      if ((wide & mask) !== 0 && (this.inWide & mask) === 0) {
        this.get(register);
        this.code.set(this.wideLocal(register));
        this.inWide |= mask;
      } else if ((wide & mask) === 0 && (this.inNarrow & mask) === 0) {
        this.get32(register);
        this.code.set(this.narrowLocal(register));
        this.inNarrow |= mask;
      }
    }
  }

  /** Puts the lower half of a register on the stack that `prepare` has put where a block expects it. */
  getPrepared(register: number, isWide: boolean): void {
    if (isWide) {
      this.code.get(this.wideLocal(register));
      this.code.op('i32.wrap_i64');
    } else {
      this.code.get(this.narrowLocal(register));
    }
  }

  /** Adds what was put off. */
  private settle(register: number): void {
    if (this.added[register]! === 0) return;
    if ((this.inWide & (1 << register)) !== 0) {
      this.get(register);
      this.set(register);
    } else {
      this.get32(register);
      this.set32(register);
    }
  }

  /** Adds a number to a register of which all `bits` bits are in a local of that size; false where they are not. */
  add(register: number, value: number, bits: 32 | 64): boolean {
    const mask = 1 << register;
    const sum = this.added[register]! + value;
    if (((bits === 64 ? this.inWide : this.inNarrow) & mask) === 0 || Math.abs(sum) > MOST_ADDED)
      return false;
    if (bits === 64) this.inNarrow &= ~mask;
    else this.inWide &= ~mask;
    this.added[register] = sum;
    return true;
  }

  /** Puts the local of a register on the stack, without what was put off: that is returned. */
  getLocal(register: number, bits: 32 | 64): number {
    const mask = 1 << register;
    if (this.isFramePointer(register)) {
      if (bits === 64) this.get(register);
      else this.code.get(this.stack);
      return bits === 64 ? 0 : STACK_BYTES;
    }
    if (bits === 64 && (this.inNarrow & ~this.inWide & mask) !== 0) {
      this.get(register);
      return 0;
    }
    if (bits === 32 && (this.inNarrow & mask) !== 0) {
      this.code.get(this.narrowLocal(register));
    } else {
      this.code.get(this.wideLocal(register));
      if (bits === 32) this.code.op('i32.wrap_i64');
    }
    return this.added[register]!;
  }

  /** Sets it to what is on the stack plus a number that is put off. */
  setLocal(register: number, bits: 32 | 64, added: number): void {
    const isFar = Math.abs(added) > MOST_ADDED;
    if (isFar) {
      if (bits === 64) this.code.i64(added);
      else this.code.i32(added);
      this.code.op(`i${bits}.add`);
    }
    if (bits === 64) this.set(register);
    else this.set32(register);
    if (!isFar) this.added[register] = added;
  }

  private wideLocal(register: number): Local {
    return (this.wide[register] ??= this.code.local(`r${register}`, 'i64'));
  }

  private narrowLocal(register: number): Local {
    return (this.narrow[register] ??= this.code.local(`w${register}`, 'i32'));
  }

  private isFramePointer(register: number): boolean {
    return register === FRAME_POINTER && !this.writesR10;
  }

  /** Whether its lower half is to be had without cutting it off. */
  isNarrow(register: number): boolean {
    return this.isFramePointer(register) || (this.inNarrow & (1 << register)) !== 0;
  }

  get(register: number): void {
    if (this.isFramePointer(register) || (this.inNarrow & ~this.inWide & (1 << register)) !== 0) {
      this.get32(register);
      this.code.op('i64.extend_i32_u');
      return;
    }
    const added = this.getLocal(register, 64);
    if (added === 0) return;
    this.code.i64(added);
    this.code.op('i64.add');
  }

  get32(register: number): void {
    const added = this.getLocal(register, 32);
    if (added === 0) return;
    this.code.i32(added);
    this.code.op('i32.add');
  }

  /** Sets it to the 64-bit value on the stack. */
  set(register: number): void {
    this.code.set(this.wideLocal(register));
    this.inWide |= 1 << register;
    this.inNarrow &= ~(1 << register);
    this.added[register] = 0;
  }

  /** Sets it to the 32-bit value on the stack; the upper half becomes zero. */
  set32(register: number): void {
    this.code.set(this.narrowLocal(register));
    this.inNarrow |= 1 << register;
    this.inWide &= ~(1 << register);
    this.added[register] = 0;
  }

  /** Puts the address `register` + `off` on the stack, less the returned offset of the access. */
  address(register: number, off: number): number {
    const offset = this.getLocal(register, 32) + off;
    if (offset >= 0 && offset <= OFF_MOST) return offset;
    // An access adds no negative number. One sum does for all near it, which the compiler behind finds to be equal.
    const below = offset >= 0 || offset < OFF_LEAST ? offset : offset >= -NEAR ? -NEAR : OFF_LEAST;
    this.code.i32(below);
    this.code.op('i32.add');
    return offset - below;
  }

  /** A local for a value in between; one for each name and type. */
  temporary(name: string, type: 'i32' | 'i64'): Local {
    let local = this.scratch.get(name);
    if (local === undefined) this.scratch.set(name, (local = this.code.local(name, type)));
    return local;
  }
}
