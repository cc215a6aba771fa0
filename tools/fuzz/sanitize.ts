/**
 * Runs an accepted program one instruction at a time and watches what a verified program must never do: leave
 * its stack frames, packet, context and map values; read a register that nothing wrote; let an address out
 * where the loader may not see one. The interpreter's own machine does the work; beside each register and
 * each byte stands a mark of what is in it.
 */
import { Bug } from '../../src/base/errors.ts';
import type { AtomicOp, Insn, Operand, Slots } from '../../src/isa/index.ts';
import { helpers } from '../../src/uapi/helpers.ts';
import { operationByCode } from '../../src/vm/interp/compile.ts';
import { HALTED, Machine } from '../../src/vm/interp/machine.ts';
import { type Plan, WORDS } from '../../src/vm/interp/plan.ts';
import type { RunContext } from '../../src/vm/types.ts';
import type { World } from './world.ts';
import { worldMaps } from './world.ts';

/** Marks: a value that comes of an address, a value that nothing wrote. */
const ADDRESS = 1;
const UNWRITTEN = 2;
/**
 * A byte that nothing wrote beside a number that did not fill its eight bytes. Without CAP_PERFMON, Linux takes the
 * eight for that number where a helper reads them, and so does the verifier, after it.
 */
const BESIDE_NUMBER = 4;

const STACK_BYTES = 512;
const FP = 10;
const CALLER_SAVED = 6;
const lookups = new Set<number>([helpers.map_lookup_elem.id, helpers.map_lookup_percpu_elem.id]);
const MAP_UPDATE = 2;
const GET_COMM = 16;
const XDP_MD_POINTERS = 12;
/** Helpers whose results differ from machine to machine: clock, randomness, CPU, task. */
const impureHelpers = new Set([5, 7, 8, 14, 15, GET_COMM]);

/** What a run did that the verifier should have ruled out. */
export class Hole extends Error {
  readonly slot: number;
  constructor(slot: number, message: string) {
    super(`instruction ${slot}: ${message}`);
    this.slot = slot;
  }
}

export interface RunFacts {
  readonly r0: bigint;
  readonly steps: number;
  /** Whether the results may differ on another machine. */
  readonly impure: boolean;
}

/** Called before each instruction, with the slot and the machine; `frames` are the frame pointers. */
export type Watch = (slot: number, machine: Machine, frames: readonly number[]) => void;

export interface Sanitized {
  readonly world: World;
  readonly plan: Plan;
  /** The program as it was given: which constants are addresses. */
  readonly original: Slots;
  readonly context: RunContext;
  readonly contextBytes: number;
  /** With it, stack bytes that nothing wrote may be read and addresses may get out. */
  readonly privileged: boolean;
  readonly watch?: Watch | undefined;
  readonly budget: number;
  /** What fills a fresh stack frame. */
  readonly fill: number;
}

class WatchedMachine extends Machine {
  /** Of the access under way. */
  access: 'read' | 'write' | 'both' = 'read';
  /** Marks of what the access under way reads. */
  readMarks = 0;
  /** What it writes. */
  writeMarks = 0;
  impure = false;
  /** Of r0 … r10. */
  marks: Uint8Array = new Uint8Array(11).fill(UNWRITTEN);
  /** The frame pointers, outermost first. */
  readonly tops: number[] = [];
  private readonly stacks = new Map<number, Uint8Array>();
  /** The marks of the callers' registers. */
  private readonly saved: Uint8Array[] = [];
  /** Bytes outside of stacks that hold parts of addresses. */
  private readonly tainted = new Set<number>();
  private readonly values = new Map<number, number>();
  private readonly given: Sanitized;

  constructor(given: Sanitized) {
    super(given.plan, given.world, () => {
      throw new Bug('a program of the fuzzer with a callback');
    });
    this.given = given;
    for (const [i, map] of worldMaps.entries()) {
      const { valueAddress } = given.world.maps[i]!;
      if (valueAddress !== undefined && map.maxEntries === 1) this.values.set(valueAddress, map.valueSize);
    }
  }

  begin(): void {
    this.marks[1] = ADDRESS;
    this.enterFrame();
  }

  private enterFrame(): void {
    this.marks[FP] = ADDRESS;
    const top = this.u32[2 * FP]!;
    this.tops.push(top);
    this.stacks.set(top - STACK_BYTES, new Uint8Array(STACK_BYTES).fill(UNWRITTEN));
    this.memory.u8.fill(this.given.fill, top - STACK_BYTES, top);
  }

  private frameAt(address: number): { marks: Uint8Array; at: number } | undefined {
    for (const [base, marks] of this.stacks) {
      if (address >= base && address < base + STACK_BYTES) return { marks, at: address - base };
    }
    return undefined;
  }

  hole(message: string): never {
    throw new Hole(this.pc - 1, message);
  }

  override reach(register: number, off: number, size: number): number {
    const address = super.reach(register, off, size);
    const frame = this.frameAt(address);
    if (frame !== undefined) this.touchStack(frame, size);
    else this.touchOther(address, size);
    return address;
  }

  private touchStack({ marks, at }: { marks: Uint8Array; at: number }, size: number): void {
    const byHelper = this.plan.program.insns[this.pc - 1]?.op === 'call';
    if (!byHelper && at % size !== 0) {
      this.hole(`access of ${size} bytes at stack offset ${at - STACK_BYTES}, which is not aligned`);
    }
    for (let i = at; i < at + size; i++) {
      const mark = marks[i]!;
      const excused = byHelper && (mark & BESIDE_NUMBER) !== 0;
      if (excused) this.impure = true;
      if (this.access !== 'write') this.readMarks |= excused ? mark & ~(UNWRITTEN | BESIDE_NUMBER) : mark;
      if (this.access === 'write') marks[i] = this.writeMarks;
      else if (this.access === 'both') marks[i] = mark | this.writeMarks;
    }
    if (this.access === 'write' && !byHelper && at % 8 === 0) {
      for (let i = at + size; i < at + 8; i++)
        if (marks[i] === UNWRITTEN) marks[i] = UNWRITTEN | BESIDE_NUMBER;
    }
    if ((this.readMarks & UNWRITTEN) === 0) return;
    if (!this.given.privileged) this.hole(`reads stack bytes at ${at - STACK_BYTES} that nothing wrote`);
    this.impure = true;
    this.readMarks &= ~UNWRITTEN;
  }

  private touchOther(address: number, size: number): void {
    const { context, contextBytes } = this.given;
    const { packet } = context;
    const inContext = address >= context.ctx && address + size <= context.ctx + contextBytes;
    const inPacket =
      packet !== undefined && address >= packet.buffer && address + size <= packet.buffer + packet.bufferSize;
    if (!inContext && !inPacket) this.touchValue(address, size);
    const pointers = inContext && packet !== undefined && this.given.plan.program.progType === 6;
    if (pointers && address < context.ctx + XDP_MD_POINTERS) this.readMarks |= ADDRESS;
    for (let at = address; at < address + size; at++) {
      if (this.access !== 'write' && this.tainted.has(at)) this.readMarks |= ADDRESS;
      if (this.access === 'read') continue;
      if ((this.writeMarks & ADDRESS) === 0) this.tainted.delete(at);
      else {
        this.letOut();
        this.tainted.add(at);
      }
    }
  }

  /** An address gets where others see it, which Linux allows with CAP_PERFMON. */
  private letOut(): void {
    if (!this.given.privileged) this.hole('an address gets out into memory that others see');
    this.impure = true;
  }

  private touchValue(address: number, size: number): void {
    for (const [start, bytes] of this.values) if (address >= start && address + size <= start + bytes) return;
    this.hole(`access of ${size} bytes at 0x${address.toString(16)}, outside of all that the program has`);
  }

  /** The marks of what an operand holds; a register that nothing wrote must not be used at all. */
  use(register: number): number {
    const marks = this.marks[register]!;
    if ((marks & UNWRITTEN) !== 0) this.hole(`uses r${register}, which nothing wrote`);
    return marks;
  }

  operand(operand: Operand): number {
    return 'reg' in operand ? this.use(operand.reg) : 0;
  }

  /** What stands before the instruction: what its access does, and what it writes. */
  before(insn: Insn): void {
    this.readMarks = 0;
    this.writeMarks = 0;
    this.access = 'read';
    switch (insn.op) {
      case 'store':
        this.access = 'write';
        this.writeMarks = this.operand(insn.src);
        this.use(insn.dst);
        return;
      case 'storeRelease':
        this.access = 'write';
        this.writeMarks = this.use(insn.src);
        this.use(insn.dst);
        return;
      case 'atomic':
        this.access = 'both';
        this.writeMarks = this.use(insn.src);
        if (insn.atomic === 'cmpxchg') this.use(0);
        this.use(insn.dst);
        return;
      case 'load':
      case 'loadAcquire':
        this.use(insn.src);
        return;
      case 'call':
        if (insn.kind === 'helper') this.beforeHelper(insn.imm);
        return;
      case 'exit':
        this.beforeExit();
        return;
      case 'jmp':
        this.compare(insn);
        return;
      case 'ldPacket':
        if (insn.src !== undefined) this.use(insn.src);
        return;
      default:
    }
  }

  private beforeHelper(id: number): void {
    if (id === GET_COMM) this.access = 'write';
    if (id === MAP_UPDATE && (this.use(3) & ADDRESS) === 0) this.hole('no pointer in r3');
    if (impureHelpers.has(id)) this.impure = true;
  }

  private beforeExit(): void {
    if (this.tops.length > 1) return;
    if ((this.use(0) & ADDRESS) === 0) return;
    if (!this.given.privileged) this.hole('returns an address');
    this.impure = true;
  }

  /** Numbers compared with addresses take ways that depend on where things lie. */
  private compare(insn: Extract<Insn, { op: 'jmp' }>): void {
    const left = this.use(insn.dst);
    const right = this.operand(insn.src);
    const withZero =
      'imm' in insn.src &&
      insn.src.imm === 0 &&
      (insn.cond === 'eq' || insn.cond === 'ne') &&
      insn.bits === 64;
    if (((left | right) & ADDRESS) !== 0 && !withZero && !(left & right & ADDRESS)) this.impure = true;
    if ((left & right & ADDRESS) !== 0 && this.given.plan.program.progType !== 6) this.impure = true;
  }

  /** What the instruction leaves in the registers. */
  after(insn: Insn, slot: number): void {
    const { marks } = this;
    switch (insn.op) {
      case 'alu':
        marks[insn.dst] = this.operand(insn.src) | (insn.alu === 'mov' ? 0 : this.use(insn.dst));
        return;
      case 'movsx':
        marks[insn.dst] = this.use(insn.src);
        return;
      case 'load':
      case 'loadAcquire':
        marks[insn.dst] = this.readMarks;
        return;
      case 'ldimm64': {
        const given = this.given.original[slot];
        marks[insn.dst] = given?.op === 'ldimm64' && given.pseudo !== 'imm' ? ADDRESS : 0;
        return;
      }
      case 'atomic':
        this.afterAtomic(insn.atomic, insn.fetch ? insn.src : undefined);
        return;
      case 'ldPacket':
        marks.fill(UNWRITTEN, 0, CALLER_SAVED);
        marks[0] = 0;
        return;
      case 'call':
        if (insn.kind === 'helper') this.afterHelper(insn.imm);
        else this.afterCall();
        return;
      case 'exit':
        this.afterExit();
        return;
      default:
    }
  }

  private afterAtomic(atomic: AtomicOp, into: number | undefined): void {
    if (atomic === 'cmpxchg') this.marks[0] = this.readMarks;
    else if (into !== undefined) this.marks[into] = this.readMarks;
  }

  private afterHelper(id: number): void {
    const { marks } = this;
    const map = this.mapIn1;
    if ((this.readMarks & ADDRESS) !== 0) this.letOut();
    marks.fill(UNWRITTEN, 0, CALLER_SAVED);
    const value = this.u32[0]!;
    const found = lookups.has(id) && value !== 0;
    marks[0] = found ? ADDRESS : 0;
    if (found && map !== undefined) this.values.set(value, map);
  }

  /** Bytes of a value of the map in r1. */
  mapIn1: number | undefined;

  private afterCall(): void {
    this.saved.push(this.marks.slice());
    this.marks.fill(UNWRITTEN, CALLER_SAVED, FP);
    this.marks[0] = UNWRITTEN;
    this.enterFrame();
  }

  private afterExit(): void {
    const top = this.tops.pop()!;
    this.stacks.delete(top - STACK_BYTES);
    const saved = this.saved.pop();
    if (saved === undefined) return;
    const result = this.marks[0]!;
    this.marks = saved;
    this.marks.fill(UNWRITTEN, 0, CALLER_SAVED);
    this.marks[0] = result;
  }
}

/**
 * Runs the program.
 * @throws {Hole} where it does what the verifier should have ruled out; faults of the interpreter too
 */
export function sanitizedRun(given: Sanitized): RunFacts {
  const { plan, world } = given;
  const machine = new WatchedMachine(given);
  const run = { context: given.context, budget: given.budget, tailCalls: 0 };
  machine.start(run);
  let steps = 0;
  try {
    machine.begin();
    while (machine.pc !== HALTED) {
      const slot = machine.pc;
      const insn = plan.program.insns[slot];
      if (++steps > given.budget) throw new Hole(slot, `still runs after ${given.budget} instructions`);
      given.watch?.(slot, machine, machine.tops);
      machine.pc++;
      if (insn === undefined) throw new Hole(slot, 'control went where no instruction is');
      machine.before(insn);
      if (insn.op === 'call' && insn.kind === 'helper') {
        machine.mapIn1 = world.mapAt(machine.u32[2]!)?.def.valueSize;
      }
      const at = WORDS * slot;
      operationByCode[plan.code[at]!]!(machine, plan.code[at + 1]!, plan.code[at + 2]!, plan.code[at + 3]!);
      // A classic load beyond the packet ends the function.
      const left = insn.op === 'ldPacket' && machine.pc !== slot + 1;
      machine.after(left ? { op: 'exit' } : insn, slot);
      if (left && machine.pc !== HALTED) machine.marks[0] = 0;
    }
    return { r0: machine.u64[0]!, steps, impure: machine.impure };
  } finally {
    machine.stop();
  }
}
