/**
 * What generated code calls: helpers with their registers in the scratch block, tail calls, packet offsets,
 * and the end of a run that may not go on. One host for each executable, one scratch block and one pool of
 * stacks for each memory.
 */
import { HashMap, ProgArrayMap, RingBufMap } from '../../maps/index.ts';
import type { KernelMemory } from '../../memory/types.ts';
import { type PacketOffsets, packetContext, xdpMd } from '../../uapi/contexts.ts';
import { progTypeName } from '../../uapi/prog-types.ts';
import { ProgramFault } from '../faults.ts';
import { helperByCode } from '../helpers/table.ts';
import type { HelperCall } from '../helpers/types.ts';
import { packetBytes } from '../packet.ts';
import { type Enterable, MAX_FRAMES, MAX_TAIL_CALLS, overBudget, type Run, STACK_BYTES } from '../run.ts';
import type { PacketContext, RunContext, RunnableProgram, Runtime } from '../types.ts';
import {
  BUDGET,
  CPU,
  ENV,
  FRAME,
  FUEL,
  helperImport,
  type hostImports,
  REGISTERS,
  SCRATCH_BYTES,
  stops,
  TAILS,
} from './translate/layout.ts';

/** A program of this engine: what a run leaves in the scratch block, it finds there. */
export interface Continuing extends Enterable {
  readonly workspace: Workspace;
  /** Runs on the fuel in the scratch block, and leaves r0 and the rest of the fuel there. */
  continueRun(run: Run): void;
  /** Its place in the table of the workspace. */
  tableIndex(): number;
  /** The slot of the instruction at an offset of its module. */
  readonly slotAt: (offset: number) => number | undefined;
}

/** Beyond 2^53 a number cannot count single instructions; nobody waits for so many. */
const wholeFuel = (instructions: number): number =>
  Math.min(Math.max(Math.floor(instructions), 0), Number.MAX_SAFE_INTEGER);

/** The frames of one run in one program. */
const STACK_BLOCK = MAX_FRAMES * STACK_BYTES;

/** What all executables of a memory share. */
export class Workspace {
  readonly memory: KernelMemory;
  readonly scratch: number;
  /** Runs that are going on, one inside the other. */
  runs = 0;
  /** The innermost of them. */
  run: Run | undefined;
  /** The programs that tail calls go to without the host. Index 0 stays empty. */
  readonly table = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
  private readonly freeIndices: number[] = [];
  /** Those programs, by the number in the name of their module. */
  private readonly programs = new Map<number, Continuing>();
  private lastNumber = 0;
  private readonly stacks: number[] = [];
  private generation = -1;
  private budget = -1;
  private words64 = new BigInt64Array();
  private unsigned64 = new BigUint64Array();
  private words32 = new Int32Array();
  private unsigned32 = new Uint32Array();

  constructor(memory: KernelMemory) {
    this.memory = memory;
    this.scratch = memory.alloc(SCRATCH_BYTES);
  }

  /** A number for a new program's module. */
  number(): number {
    return ++this.lastNumber;
  }

  /** The program of a module that tail calls go to without the host. */
  programAt(number: number): Continuing | undefined {
    return this.programs.get(number);
  }

  /** Puts a program's function into the table: where it is from now on. */
  addProgram(number: number, program: Continuing, main: unknown): number {
    this.programs.set(number, program);
    const index = this.freeIndices.pop() ?? this.table.grow(1);
    this.table.set(index, main);
    return index;
  }

  removeProgram(number: number, index: number): void {
    this.programs.delete(number);
    this.table.set(index, null);
    this.freeIndices.push(index);
  }

  /** Views over the scratch block; anew after the memory has grown. */
  private refresh(): void {
    const { buffer } = this.memory.wasm;
    this.generation = this.memory.generation;
    this.words64 = new BigInt64Array(buffer, this.scratch, REGISTERS);
    this.unsigned64 = new BigUint64Array(buffer, this.scratch, REGISTERS);
    this.words32 = new Int32Array(buffer, this.scratch, SCRATCH_BYTES / 4);
    this.unsigned32 = new Uint32Array(buffer, this.scratch, SCRATCH_BYTES / 4);
  }

  get i64(): BigInt64Array {
    if (this.generation !== this.memory.generation) this.refresh();
    return this.words64;
  }

  get u64(): BigUint64Array {
    if (this.generation !== this.memory.generation) this.refresh();
    return this.unsigned64;
  }

  get i32(): Int32Array {
    if (this.generation !== this.memory.generation) this.refresh();
    return this.words32;
  }

  get u32(): Uint32Array {
    if (this.generation !== this.memory.generation) this.refresh();
    return this.unsigned32;
  }

  get fuel(): number {
    const { i32, u32 } = this;
    return i32[FUEL / 4 + 1]! * 2 ** 32 + u32[FUEL / 4]!;
  }

  set fuel(instructions: number) {
    if (instructions === (instructions | 0) && instructions >= 0) {
      this.i32[FUEL / 4] = instructions;
      this.words32[FUEL / 4 + 1] = 0;
      return;
    }
    const whole = wholeFuel(instructions);
    const { i32, u32 } = this;
    u32[FUEL / 4] = whole % 2 ** 32;
    i32[FUEL / 4 + 1] = Math.floor(whole / 2 ** 32);
  }

  /** What each run that is started from now on has. */
  setBudget(instructions: number): void {
    if (instructions === this.budget) return;
    this.budget = instructions;
    const whole = wholeFuel(instructions);
    this.u32[BUDGET / 4] = whole % 2 ** 32;
    this.u32[BUDGET / 4 + 1] = Math.floor(whole / 2 ** 32);
  }

  get tailCalls(): number {
    return this.u32[TAILS / 4]!;
  }

  set tailCalls(count: number) {
    this.u32[TAILS / 4] = count;
  }

  get cpu(): number {
    return this.u32[CPU / 4]!;
  }

  set cpu(number: number) {
    this.u32[CPU / 4] = number;
  }

  /** The lowest address of the first of MAX_FRAMES frames; the others are below it. */
  takeStack(): number {
    const block = this.stacks.pop() ?? this.memory.alloc(STACK_BLOCK, STACK_BLOCK);
    return block + STACK_BLOCK - STACK_BYTES;
  }

  giveStack(first: number): void {
    this.stacks.push(first - STACK_BLOCK + STACK_BYTES);
  }
}

const workspaces = new WeakMap<KernelMemory, Workspace>();

export function workspaceOf(memory: KernelMemory): Workspace {
  let workspace = workspaces.get(memory);
  if (workspace === undefined) workspaces.set(memory, (workspace = new Workspace(memory)));
  return workspace;
}

export class Host implements HelperCall {
  readonly runtime: Runtime;
  readonly memory: KernelMemory;
  readonly fields: PacketOffsets | undefined;
  readonly program: RunnableProgram;
  readonly workspace: Workspace;
  /** The export that helpers call back by, where the program has callbacks. */
  callBack: ((slot: number, stack: number) => void) | undefined;
  /** The slot of the call that is being made. */
  private slot = 0;

  constructor(program: RunnableProgram, runtime: Runtime, workspace: Workspace) {
    this.program = program;
    this.runtime = runtime;
    this.memory = runtime.memory;
    this.workspace = workspace;
    this.fields = packetContext(progTypeName(program.progType));
  }

  get i64(): BigInt64Array {
    return this.workspace.i64;
  }
  get u64(): BigUint64Array {
    return this.workspace.u64;
  }
  get i32(): Int32Array {
    return this.workspace.i32;
  }
  get u32(): Uint32Array {
    return this.workspace.u32;
  }

  get context(): RunContext {
    return this.workspace.run!.context;
  }

  get packet(): PacketContext | undefined {
    return this.workspace.run?.context.packet;
  }

  /** Addresses wrap as those of generated code do; what lies outside of the memory is a fault here. */
  argument(register: number, size: number): number {
    const address = this.workspace.u32[2 * register]!;
    if (address + size > this.memory.u8.length)
      this.fault(`a helper was to use ${size} bytes at 0x${address.toString(16)}`);
    return address;
  }

  fault(message: string): never {
    throw new ProgramFault(this.slot, message, this.program.sourceAt?.(this.slot));
  }

  get xdp(): boolean {
    return this.fields === xdpMd;
  }

  /** Calls a function of the program in the frame below that of the helper's caller. */
  callback(slot: number): void {
    const { u32 } = this.workspace;
    const frame = u32[FRAME / 4]!;
    this.callBack!(slot, frame - STACK_BYTES);
    this.workspace.u32[FRAME / 4] = frame;
  }

  private stop(reason: number, slot: number): never {
    this.slot = slot;
    if (reason === stops.budget) throw overBudget(this.program, slot);
    if (reason === stops.frames) this.fault(`more than ${MAX_FRAMES} frames of calls`);
    this.fault('control went where no instruction is');
  }

  /** The call of interp/machine.ts: 1 where it was made; r0 is then in the scratch block. */
  private tailCall(mapAddress: number, upper: number, index: number, slot: number): number {
    this.slot = slot;
    const { workspace } = this;
    const run = workspace.run!;
    const map = upper === 0 ? this.runtime.mapAt(mapAddress >>> 0) : undefined;
    if (map === undefined) return this.fault('bpf_tail_call through what is no map');
    if (index >>> 0 >= map.def.maxEntries || workspace.tailCalls >= MAX_TAIL_CALLS) return 0;
    const target = this.runtime.progAt(map, index >>> 0) as Enterable | Continuing | undefined;
    if (target === undefined) return 0;
    workspace.tailCalls++;
    if ('continueRun' in target && target.workspace === workspace) {
      if (map instanceof ProgArrayMap) {
        this.memory.view.setUint32(map.targets + 4 * (index >>> 0), target.tableIndex(), true);
      }
      target.continueRun(run);
      return 1;
    }
    run.budget = workspace.fuel;
    run.tailCalls = workspace.tailCalls;
    const r0 = target.enter(run);
    workspace.fuel = run.budget;
    workspace.tailCalls = run.tailCalls;
    workspace.u64[0] = r0;
    return 1;
  }

  /** Calls from generated code come back to the run that made them, also if a helper started another. */
  imports(helpersCalled: readonly number[]): WebAssembly.Imports {
    const own: Record<keyof typeof hostImports, (...args: number[]) => number> = {
      stop: (reason, slot) => this.stop(reason!, slot!),
      packet: (offset, size) => packetBytes(this, offset!, size!),
      tailCall: (map, upper, index, slot) => this.tailCall(map!, upper!, index!, slot!),
      lookup: (index, key) => this.lookup(index!, key!),
      grow: (index) => (this.grow(index!) ? 1 : 0),
      wake: (map) => {
        const ring = this.runtime.mapAt(map! >>> 0);
        if (ring instanceof RingBufMap) ring.wake();
        return 0;
      },
    };
    const env: Record<string, WebAssembly.ImportValue> = {
      ...own,
      memory: this.memory.wasm,
      table: this.workspace.table,
    };
    for (const code of helpersCalled) {
      const helper = helperByCode[code]!;
      env[helperImport(code)] = (slot: number): void => {
        this.slot = slot;
        helper(this);
      };
    }
    return { [ENV]: env };
  }

  private grow(index: number): boolean {
    const map = this.program.maps[index];
    return map instanceof HashMap && map.grow();
  }

  /** bpf_map_lookup_elem() with a map of the program. */
  private lookup(index: number, key: number): number {
    return this.program.maps[index]!.lookup(key >>> 0, this.runtime.cpu());
  }
}
