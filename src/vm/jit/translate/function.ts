/**
 * One BPF function as a WebAssembly function: the frame at its start, its blocks in the structure that
 * flow/structure.ts gives them.
 */
import { roundUp } from '../../../base/bytes.ts';
import { Bug, unreachable } from '../../../base/errors.ts';
import type { Insn } from '../../../isa/insn.ts';
import { helpers } from '../../../uapi/helpers.ts';
import { helperCode } from '../../helpers/table.ts';
import { MAX_LOOPS, STACK_BYTES, TAIL_CALL } from '../../run.ts';
import type { RunnableProgram } from '../../types.ts';
import { type Ending, writeStructured } from '../flow/structure.ts';
import type { Code, Local } from '../wasm/index.ts';
import {
  type Known,
  writeAlu,
  writeCondition,
  writeMovsx,
  writeNeg,
  writeSwap,
  writeSwapped,
} from './alu.ts';
import { BlockValues } from './block-values.ts';
import { type CallPlan, helperUse, planAt } from './call-plan.ts';
import { type Shared, writeDirect, writeHelper, writeTailCall } from './calls.ts';
import { type Choice, choiceAt, constantAfter, writeMove } from './choices.ts';
import { copiesOf, type Sum, sumsIn, writeCopiedSum } from './copies.ts';
import { type CountedLoop, findCountedLoops } from './counted-loops.ts';
import { writeWithEmptyRun } from './empty-run.ts';
import { Frame } from './frame.ts';
import { Fuel } from './fuel.ts';
import { type Caller, writeLoop, writeStop, writeSubprog } from './function-calls.ts';
import { type BpfFunction, callTarget } from './functions.ts';
import { FRAME, helperImport } from './layout.ts';
import { writeArrayLookup, writeCpuOffsets, writeFound } from './lookup.ts';
import { writeAtomic, writeLoad, writeStore } from './memory.ts';
import {
  type Live,
  liveAtEnd,
  type RegisterInput,
  type Registers,
  stepBack,
  zeroAfter,
} from './registers.ts';
import type { StackSlots } from './stack-slots.ts';
import type { Switch } from './switches.ts';

export interface FunctionInput {
  readonly program: RunnableProgram;
  readonly bpf: BpfFunction;
  readonly shared: Shared;
  readonly code: Code;
  /** The locals that hold registers on entry, by register. */
  readonly parameters: ReadonlyMap<number, Local>;
  readonly plans: ReadonlyMap<number, CallPlan>;
  readonly analysis: RegisterInput;
  readonly registers: Registers;
  readonly slots: StackSlots;
  /** Bytes of the stack, from its top, that may be read before they are written; a multiple of 8. */
  readonly stackDepth: number;
  /** Whether it is the program itself, and not one that it calls. */
  readonly isEntry: boolean;
  /** Whether a call has to look how deep it is. */
  readonly checksDepth: boolean;
}

/** Where instructions start: pairs of an offset in the code and a slot, in order. */
export type SlotMap = readonly number[];

/** Stores of zero up to this many bytes are faster than memory.fill. */
const FILL_FROM = 128;
/** Helpers that call functions of the program. */
const CALLING_BACK: ReadonlySet<number> = new Set([helpers.loop.id, helpers.for_each_map_elem.id]);

/** Whether it does nothing but set a register that is not read afterwards. */
function isIdle(insn: Insn, live: number): boolean {
  switch (insn.op) {
    case 'alu':
    case 'neg':
    case 'movsx':
    case 'swap':
    case 'ldimm64':
      return (live & (1 << insn.dst)) === 0;
    default:
      return false;
  }
}

class FunctionWriter {
  private readonly input: FunctionInput;
  private readonly frame: Frame;
  private readonly fuel: Fuel | undefined;
  private readonly caller: Caller;
  private readonly loops: Local | undefined;
  private readonly registers: Registers;
  private readonly values = new BlockValues();
  private readonly counted: ReadonlyMap<number, CountedLoop>;
  readonly slotMap: number[] = [];

  constructor(input: FunctionInput) {
    this.input = input;
    const { bpf, code } = input;
    this.registers = input.registers;
    const stack = code.locals.find(({ name }) => name === 'stack')!;
    this.frame = new Frame(code, { stack, writesR10: bpf.writesR10 });
    for (const [register, local] of input.parameters) this.frame.parameter(register, local);
    this.counted = findCountedLoops(input.analysis);
    if (bpf.usesFuel) {
      this.fuel = new Fuel({
        frame: this.frame,
        bpf,
        shared: input.shared,
        counted: this.counted,
        isWide: (node, register) => (this.wideAt(node) & (1 << register)) !== 0,
      });
    }
    const { shared, checksDepth } = input;
    this.caller = { frame: this.frame, shared, fuel: this.fuel, checksDepth };
    const mayGoto = bpf.blocks.some(({ end }) => input.program.insns[end - 1]?.op === 'mayGoto');
    if (mayGoto) this.loops = code.local('loops', 'i32');
  }

  write(): void {
    if (this.input.isEntry) writeWithEmptyRun(this.input.code, this.frame.stack, () => this.body());
    else this.body();
  }

  private body(): void {
    const { bpf, code } = this.input;
    this.prologue();
    const { fuel } = this;
    fuel?.open();
    writeStructured(code, {
      graph: bpf.graph,
      shape: bpf.shape,
      isSwitch: (node) => bpf.switches.has(node),
      write: (node) => this.block(node),
      goingBack: (from, to) => fuel?.goingBack(from, to),
      entering: (header) => fuel?.entering(header),
      leaves: (from, to) => fuel?.leaves(from, to) === true,
      leaving: (from, to) => fuel?.leaving(from, to),
    });
    fuel?.close();
  }

  private prologue(): void {
    const { bpf, code, shared } = this.input;
    const { frame } = this;
    if (bpf.usesStack && this.input.slots.memory.length > 0) this.clearStack();
    if (bpf.writesR10) {
      code.get(frame.stack);
      code.i32(STACK_BYTES);
      code.op('i32.add');
      frame.set32(10);
    }
    this.fuel?.restore();
    const maps = [...this.input.plans.values()].map(({ map }) => map);
    writeCpuOffsets(frame, shared, maps);
    if (this.loops !== undefined) {
      code.i32(MAX_LOOPS);
      code.set(this.loops);
    }
    this.prepare(0);
  }

  /** Which of the live registers a block has in 64-bit locals: those of which the upper half says something. */
  private wideAt(node: number): number {
    return this.registers.upper[node]! & ~this.registers.zero[node]!;
  }

  /** Puts the registers where a block that comes next expects them. */
  private prepare(node: number): void {
    this.frame.prepare(this.registers.live[node]!, this.wideAt(node));
  }

  private clearStack(): void {
    const { code, slots } = this.input;
    const { stack } = this.frame;
    // What the program may use is what lies above its depth, and of that what is in memory.
    const low = Math.min(...slots.memory.map(({ from }) => from));
    const stackDepth = Math.min(this.input.stackDepth, roundUp(-Math.max(low, -STACK_BYTES), 8));
    const lowest = STACK_BYTES - stackDepth;
    if (stackDepth >= FILL_FROM) {
      code.get(stack);
      code.i32(lowest);
      code.op('i32.add');
      code.i32(0);
      code.i32(stackDepth);
      code.bulk('memory.fill');
      return;
    }
    for (let off = lowest; off < STACK_BYTES; off += 8) {
      code.get(stack);
      code.i64(0n);
      code.access('i64.store', off);
    }
  }

  private block(node: number): Ending {
    const { bpf, code, analysis } = this.input;
    const { frame, registers } = this;
    const { start } = bpf.blocks[node]!;
    const successors = bpf.graph[node]!;
    const [then, otherwise] = successors;
    frame.enter(registers.live[node]!, this.wideAt(node));
    this.values.startBlock();
    const { slots, liveAfter, upperAfter } = this.readAfter(node);
    const zeroAtStart = registers.zero[node]! | (analysis.pointers?.[start] ?? 0);
    let last: Insn | undefined;
    let known: Known = { zero: zeroAtStart, zeroAfter: zeroAtStart, upper: 0 };
    const copies = copiesOf(this.counted.get(node), node, slots.length);
    const sums = sumsIn(copies === 1 ? [] : slots.map((slot) => analysis.insnAt(slot)!));
    for (let copy = 1; copy <= copies; copy++) {
      let zero = zeroAtStart;
      slots.forEach((slot, i) => {
        const insn = analysis.insnAt(slot)!;
        const after = zeroAfter(analysis, slot, zero);
        known = { zero, zeroAfter: after, upper: upperAfter[i]! };
        this.slotMap.push(code.size, slot);
        this.values.step(insn);
        if (sums.has(insn))
          writeCopiedSum(frame, insn as Sum, { known, isFirst: copy === 1, isLast: copy === copies });
        else if (!isIdle(insn, liveAfter[i]!)) this.insn(insn, slot, known);
        zero = after;
        last = insn;
      });
    }
    if (last === undefined) {
      writeStop(this.caller, 'nowhere', start);
      return { kind: 'none' };
    }
    for (const to of successors) this.prepare(to);
    const table = bpf.switches.get(node);
    if (table !== undefined) return { kind: 'switch', push: () => this.tableIndex(table), ...table };
    if (then === undefined) return { kind: 'none' };
    if (otherwise === undefined) return { kind: 'goto', to: then };
    if (last.op === 'jmp') {
      this.condition(last, known);
      const choice = this.leavesLoop(node) ? undefined : choiceAt(analysis, bpf, node);
      if (choice !== undefined) return this.choose(choice, slots);
    } else {
      this.mayGoto(code);
    }
    return { kind: 'if', then, otherwise };
  }

  private leavesLoop(node: number): boolean {
    return this.input.bpf.graph[node]!.some((to) => this.fuel?.leaves(node, to) === true);
  }

  /** Behind a condition on the stack. */
  private choose({ to, moves }: Choice, slots: readonly number[]): Ending {
    const { analysis, code } = this.input;
    const jumps = this.frame.temporary('jumps', 'i32');
    code.set(jumps);
    const insns = slots.map((slot) => analysis.insnAt(slot)!);
    for (const { slot, insn: move } of moves) {
      const mask = 1 << move.dst;
      this.slotMap.push(code.size, slot);
      if ((this.registers.live[to]! & mask) === 0) continue;
      const isWide = (this.wideAt(to) & mask) !== 0;
      const before = constantAfter(insns, move.dst);
      writeMove(this.frame, move, { jumps, isWide, before });
    }
    return { kind: 'goto', to };
  }

  /** The value that a table is for, as an i32 that is beyond it where the value is. */
  private tableIndex({ register, bits, low, targets }: Switch): void {
    const { code } = this.input;
    const { frame } = this;
    if (bits === 64) {
      const value = frame.temporary('value', 'i64');
      frame.get(register);
      code.i64(low);
      code.op('i64.sub');
      code.tee(value);
      code.op('i32.wrap_i64');
      code.i32(targets.length);
      code.get(value);
      code.i64(targets.length);
      code.op('i64.lt_u');
      code.op('select');
      return;
    }
    frame.get32(register);
    if (low === 0) return;
    code.i32(low);
    code.op('i32.sub');
  }

  /** The slots of a block, and what is read behind each: registers, and those with their upper half. */
  private readAfter(node: number): { slots: number[]; liveAfter: number[]; upperAfter: number[] } {
    const { analysis, bpf, registers } = this.input;
    const { start, end } = bpf.blocks[node]!;
    const slots: number[] = [];
    for (let slot = start; slot < end; slot++) if (analysis.insnAt(slot) !== undefined) slots.push(slot);
    const now: Live = { low: 0, upper: 0 };
    liveAtEnd(analysis, node, { ...registers, now });
    const liveAfter: number[] = [];
    const upperAfter: number[] = [];
    for (let i = slots.length - 1; i >= 0; i--) {
      liveAfter[i] = now.low;
      upperAfter[i] = now.upper;
      stepBack(analysis, slots[i]!, now);
    }
    return { slots, liveAfter, upperAfter };
  }

  /** Leaves on the stack whether a jump is taken. */
  private condition(insn: Extract<Insn, { op: 'jmp' }>, known: Known): void {
    const { cond, dst, src } = insn;
    const found = 'imm' in src && src.imm === 0 ? this.values.foundIn(dst) : undefined;
    if (found !== undefined && (cond === 'eq' || cond === 'ne')) writeFound(this.frame, found, cond === 'ne');
    else writeCondition(this.frame, insn, known);
  }

  /** Leaves on the stack whether may_goto jumps: when its rounds are used up. */
  private mayGoto(code: Code): void {
    const loops = this.loops!;
    code.get(loops);
    code.i32(1);
    code.op('i32.sub');
    code.tee(loops);
    code.i32(0);
    code.op('i32.lt_s');
  }

  private insn(insn: Insn, slot: number, known: Known): void {
    const { code } = this.input;
    const { frame } = this;
    switch (insn.op) {
      case 'alu':
        writeAlu(frame, insn, known);
        break;
      case 'neg':
        writeNeg(frame, insn, known);
        break;
      case 'movsx':
        writeMovsx(frame, insn, known);
        break;
      case 'swap':
        writeSwap(frame, insn);
        break;
      case 'load':
      case 'loadAcquire':
        writeLoad(frame, insn, known);
        break;
      case 'store':
      case 'storeRelease':
        writeStore(frame, insn);
        break;
      case 'atomic':
        writeAtomic(frame, insn);
        break;
      case 'ldimm64':
        if (insn.pseudo === 'func') {
          code.i32(callTarget(this.input.program, { imm: insn.lo }, slot));
          frame.set32(insn.dst);
        } else if (insn.hi === 0) {
          code.i32(insn.lo);
          frame.set32(insn.dst);
        } else {
          code.i64((BigInt(insn.hi) << 32n) | BigInt(insn.lo >>> 0));
          frame.set(insn.dst);
        }
        break;
      case 'ldPacket':
        this.classicLoad(insn);
        break;
      case 'call':
        this.call(insn, slot);
        break;
      case 'exit':
        this.exit();
        break;
      case 'ja':
      case 'jmp':
      case 'mayGoto':
        // How a block ends.
        break;
      case 'addrSpaceCast':
        throw new Bug('addr_space_cast was not refused');
      default:
        unreachable(insn);
    }
  }

  private exit(): void {
    this.fuel?.save();
    this.frame.get(0);
    this.input.code.op('return');
  }

  /** Big-endian packet bytes into r0; beyond the packet the function returns 0. */
  private classicLoad({ size, src, imm }: Extract<Insn, { op: 'ldPacket' }>): void {
    const { code, shared } = this.input;
    const { frame } = this;
    const at = frame.temporary('at', 'i32');
    if (src === undefined) {
      code.i32(imm);
    } else {
      frame.get32(src);
      code.i32(imm);
      code.op('i32.add');
    }
    code.i32(size);
    code.call(shared.imported('packet'));
    code.tee(at);
    code.op('i32.eqz');
    code.if();
    this.fuel?.save();
    code.i64(0n);
    code.op('return');
    code.end();
    code.get(at);
    if (size === 1) {
      code.access('i64.load8_u');
      frame.set(0);
      return;
    }
    code.access(size === 2 ? 'i64.load16_u' : 'i64.load32_u');
    code.op('i32.wrap_i64');
    writeSwapped(frame, size === 2 ? 16 : 32);
    frame.set32(0);
  }

  private call(insn: Extract<Insn, { op: 'call' }>, slot: number): void {
    const { program, shared } = this.input;
    if (insn.kind === 'subprog') {
      writeSubprog(this.caller, { target: callTarget(program, insn, slot), slot });
      return;
    }
    if (insn.imm === TAIL_CALL) {
      this.tailCall(slot);
      return;
    }
    const plan = planAt(this.input.plans, slot);
    if (insn.imm === helpers.map_lookup_elem.id && plan.map?.array !== undefined) {
      const { key } = plan;
      const most = key === undefined ? undefined : this.values.mostOf(key);
      this.values.setFound(writeArrayLookup(this.frame, plan.map.array, { key, most }));
      return;
    }
    if (writeDirect(this.frame, shared, { helper: insn.imm, known: plan.map })) return;
    const helper = helperCode(insn.imm);
    if (helper === undefined) throw new Bug(`a call of helper ${insn.imm} was not refused`);
    if (insn.imm === helpers.loop.id && plan.callback !== undefined) {
      writeLoop(this.caller, { target: plan.callback, slot });
      return;
    }
    const callsBack = CALLING_BACK.has(insn.imm);
    if (callsBack) {
      this.fuel?.save();
      const { code } = this.input;
      code.i32(shared.scratch);
      code.get(this.frame.stack);
      code.access('i32.store', FRAME);
    }
    const reads = helperUse(insn.imm, plan).low;
    writeHelper(this.frame, shared, { importName: helperImport(helper), slot, reads });
    if (callsBack) this.fuel?.restore();
  }

  private tailCall(slot: number): void {
    const { code, shared } = this.input;
    this.fuel?.save();
    const { map: known } = planAt(this.input.plans, slot);
    writeTailCall(this.frame, shared, { slot, known, entry: this.input.isEntry });
    code.if();
    // The target left its fuel in the scratch block, as an exit does.
    code.i32(shared.scratch);
    code.access('i64.load');
    code.op('return');
    code.end();
    this.fuel?.restore();
  }
}

/** Writes the function into `input.code`. */
export function writeFunction(input: FunctionInput): SlotMap {
  const writer = new FunctionWriter(input);
  writer.write();
  return writer.slotMap;
}
