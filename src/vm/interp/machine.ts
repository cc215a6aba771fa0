/**
 * The state of one program that is running: registers, program counter, frames; and the check that every
 * access passes. What the instructions do to it is in operations.ts.
 *
 * The register file is r0 … r10, followed by the program's constants: an immediate operand is a register
 * that nothing writes, so that each operation exists once. The same bytes are seen as 64-bit and as 32-bit
 * values (word 2n is the low half of register n), which JavaScript engines keep unboxed.
 */
import type { KernelMemory } from '../../memory/types.ts';
import { type PacketOffsets, packetContext, xdpMd } from '../../uapi/contexts.ts';
import { progTypeName } from '../../uapi/prog-types.ts';
import { MemoryFault, ProgramFault } from '../faults.ts';
import type { HelperCall } from '../helpers/types.ts';
import { packetBytes } from '../packet.ts';
import {
  type Enterable,
  MAX_FRAMES,
  MAX_LOOPS,
  MAX_TAIL_CALLS,
  overBudget,
  type Run,
  STACK_BYTES,
} from '../run.ts';
import type { PacketContext, RunContext, Runtime } from '../types.ts';
import { FIRST_CONSTANT, type Plan } from './plan.ts';
import { stackPool, takeStack } from './stacks.ts';

/** The program counter of a program that has ended. */
export const HALTED = -1;

interface Frame {
  readonly returnTo: number;
  /** r6 … r9 of the caller. */
  readonly saved: BigInt64Array;
  readonly stack: number;
  readonly loops: number;
}

export class Machine implements HelperCall {
  readonly i64: BigInt64Array;
  readonly u64: BigUint64Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly plan: Plan;
  readonly runtime: Runtime;
  readonly memory: KernelMemory;
  /** Slot of the next instruction; while one runs, it is at `pc - 1`. */
  pc = HALTED;
  private run: Run | undefined;
  packet: PacketContext | undefined;
  readonly fields: PacketOffsets | undefined;
  /** The packet's buffer, [start, end); empty where there is none. */
  private bufferStart = 0;
  private bufferEnd = 0;
  private readonly frames: Frame[] = [];
  private readonly pool: number[];
  private stack = 0;
  private loops = 0;

  /** Goes on until the program counter is HALTED. */
  private readonly execute: (machine: Machine, run: Run) => void;

  constructor(plan: Plan, runtime: Runtime, execute: (machine: Machine, run: Run) => void) {
    this.plan = plan;
    this.execute = execute;
    this.runtime = runtime;
    this.memory = runtime.memory;
    this.fields = packetContext(progTypeName(plan.program.progType));
    this.pool = stackPool(runtime.memory);
    const file = new ArrayBuffer(8 * (FIRST_CONSTANT + plan.constants.length));
    this.i64 = new BigInt64Array(file);
    this.u64 = new BigUint64Array(file);
    this.i32 = new Int32Array(file);
    this.u32 = new Uint32Array(file);
    this.i64.set(plan.constants, FIRST_CONSTANT);
  }

  get context(): RunContext {
    return this.run!.context;
  }

  /** Ready at slot 0: r1 the context, r10 a fresh stack, all else zero. */
  start(run: Run): void {
    this.run = run;
    this.packet = run.context.packet;
    this.bufferStart = this.packet?.buffer ?? 0;
    this.bufferEnd = this.bufferStart + (this.packet?.bufferSize ?? 0);
    this.i64.fill(0n, 0, FIRST_CONSTANT);
    this.setAddress(1, run.context.ctx);
    this.pushStack();
    this.pc = 0;
  }

  /** Lets go of the run, also after a fault in the middle of it. */
  stop(): void {
    while (this.frames.length > 0) this.popFrame();
    this.pool.push(this.stack);
    this.run = undefined;
    this.packet = undefined;
  }

  private pushStack(): void {
    this.stack = takeStack(this.memory, this.pool);
    this.loops = MAX_LOOPS;
    this.setAddress(10, this.stack + STACK_BYTES);
  }

  private popFrame(): void {
    const frame = this.frames.pop()!;
    this.pool.push(this.stack);
    this.pc = frame.returnTo;
    this.stack = frame.stack;
    this.loops = frame.loops;
    this.i64.set(frame.saved, 6);
    this.setAddress(10, this.stack + STACK_BYTES);
  }

  /** Calls the subprogram at `slot`. */
  call(slot: number): void {
    if (this.frames.length + 1 === MAX_FRAMES) this.fault(`more than ${MAX_FRAMES} frames of calls`);
    const { stack, loops, pc } = this;
    const saved = this.i64.slice(6, 10);
    this.pushStack();
    this.frames.push({ returnTo: pc, saved, stack, loops });
    this.pc = slot;
  }

  /** Calls the function at `slot` for a helper: it returns to nowhere, and so the execution ends. */
  callback(slot: number): void {
    const { pc } = this;
    this.pc = HALTED;
    this.call(slot);
    this.execute(this, this.run!);
    this.pc = pc;
  }

  get xdp(): boolean {
    return this.fields === xdpMd;
  }

  exit(): void {
    if (this.frames.length === 0) this.pc = HALTED;
    else this.popFrame();
  }

  /** Whether a may_goto goes on (falls through): it counts for each frame. */
  mayLoop(): boolean {
    return this.loops-- > 0;
  }

  /**
   * bpf_tail_call(ctx r1, program array r2, index r3). The target takes this frame's place: when it exits,
   * this frame does, with the target's r0. Where there is no target, the program goes on.
   */
  tailCall(): void {
    const run = this.run!;
    const map = this.runtime.mapAt(this.u32[4]!);
    if (map === undefined || this.u32[5] !== 0) this.fault('bpf_tail_call through what is no map');
    const index = this.u32[6]!;
    if (index >= map.def.maxEntries || run.tailCalls >= MAX_TAIL_CALLS) return;
    const target = this.runtime.progAt(map, index) as Enterable | undefined;
    if (target === undefined) return;
    run.tailCalls++;
    this.u64[0] = target.enter(run);
    this.exit();
  }

  setAddress(register: number, address: number): void {
    this.u32[2 * register] = address;
    this.u32[2 * register + 1] = 0;
  }

  /** The address `register` + `off`, after checking that the program may access `size` bytes there. */
  reach(register: number, off: number, size: number): number {
    const address = this.u32[2 * register]! + off;
    // Nothing is allocated within a 16-bit offset of either end of the 32-bit space, so a sum that leaves
    // or enters it is never good.
    if (this.u32[2 * register + 1] !== 0 || !this.memory.isAllocated(address, size)) {
      this.memoryFault(register, off, size);
    }
    if (address < this.bufferEnd && address >= this.bufferStart && !this.inPacket(address, size)) {
      this.memoryFault(register, off, size);
    }
    return address;
  }

  argument(register: number, size: number): number {
    return this.reach(register, 0, size);
  }

  private inPacket(address: number, size: number): boolean {
    const { fields, packet } = this;
    if (fields === undefined || packet === undefined) return true;
    const { view } = this.memory;
    const data = view.getUint32(packet.ctx + fields.data, true);
    const meta = view.getUint32(packet.ctx + fields.data_meta, true);
    const end = view.getUint32(packet.ctx + fields.data_end, true);
    // A context that does not offer metadata has zero there.
    const from = meta !== 0 && meta < data ? meta : data;
    return address >= from && address + size <= end;
  }

  /** Address of `size` bytes of the packet at `offset`, as classic loads count; 0 where it has none there. */
  packetBytes(offset: number, size: number): number {
    return packetBytes(this, offset, size);
  }

  private memoryFault(register: number, off: number, size: number): never {
    const address = BigInt.asUintN(64, this.u64[register]! + BigInt(off));
    const slot = this.pc - 1;
    throw new MemoryFault(slot, { address, size }, this.plan.program.sourceAt?.(slot));
  }

  fault(message: string): never {
    const slot = this.pc - 1;
    throw new ProgramFault(slot, message, this.plan.program.sourceAt?.(slot));
  }

  overBudget(): never {
    throw overBudget(this.plan.program, this.pc);
  }
}
