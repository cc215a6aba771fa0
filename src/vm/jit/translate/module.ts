/**
 * A whole program as one WebAssembly module, which imports the kernel's memory and its host's functions and
 * exports `run`.
 */
import { roundUp } from '../../../base/bytes.ts';
import { Bug } from '../../../base/errors.ts';
import { packetContext } from '../../../uapi/contexts.ts';
import { progTypeName } from '../../../uapi/prog-types.ts';
import { helperCode } from '../../helpers/table.ts';
import { STACK_BYTES } from '../../run.ts';
import type { RunnableProgram } from '../../types.ts';
import {
  type Code,
  type FunctionRef,
  type FunctionType,
  type Local,
  ModuleBuilder,
  type ValueType,
} from '../wasm/index.ts';
import type { Signature } from './call-plan.ts';
import type { Shared } from './calls.ts';
import { type Warmed, writeWarmUp } from './empty-run.ts';
import { type SlotMap, writeFunction } from './function.ts';
import { functionsOf, mayNestTooDeep } from './functions.ts';
import {
  BATCH,
  BUDGET,
  batchType,
  CALLBACK,
  ENTRY,
  ENV,
  entryType,
  FUEL,
  helperImport,
  helperType,
  hostImports,
  MAIN,
  mainType,
  RUN,
  runType,
  TAILS,
} from './layout.ts';
import { mapLayout } from './lookup.ts';
import { defineCommit, defineMapFunction } from './map-functions.ts';
import { findNeeds } from './needs.ts';

/** Limits of every implementation (WebAssembly JavaScript Interface, "Implementation-defined Limits"). */
const MOST_FUNCTION_BYTES = 7_654_321;
const MOST_TABLE_LABELS = 65_520;
/** More than the locals of a function take. */
const LOCALS_BYTES = 256;

export interface Translation {
  readonly module: ModuleBuilder;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether a WebAssembly implementation takes functions of this size. */
  readonly fits: boolean;
  /** Bytes of each of the functions that can be called for nothing. */
  readonly warmed: readonly number[];
  /** The helpers that it imports, by their code (helpers/table.ts). */
  readonly helpersCalled: readonly number[];
  /** Where in a function's code each instruction starts. */
  slotsOf(code: Code): SlotMap;
  /** The slot of the instruction that an offset in `bytes` belongs to; undefined where none does. */
  slotAt(offset: number): number | undefined;
}

/** Pages of 64 KiB that a 32-bit memory can have. */
const MOST_PAGES = 65536;

export interface Place {
  /** The address of the scratch block (layout.ts). */
  readonly scratch: number;
  /** Whether runs count their instructions; they do where it does not say. */
  readonly fuel?: boolean | undefined;
  /** The name of the module, by which a trap tells where it is. */
  readonly name?: string | undefined;
  /** The kernel's memory, where the maps say how they lie. */
  readonly view: DataView;
}

export function translate(program: RunnableProgram, place: Place): Translation {
  const { scratch, view, name, fuel = true } = place;
  const module = new ModuleBuilder();
  module.name = name;
  module.memory = { module: ENV, name: 'memory', initial: 1, maximum: MOST_PAGES };
  const imports = new Map<string, FunctionRef>();
  for (const [name, type] of Object.entries(hostImports)) imports.set(name, module.import(ENV, name, type));
  const helpersCalled = helpersOf(program);
  for (const code of helpersCalled) {
    const name = helperImport(code);
    imports.set(name, module.import(ENV, name, helperType));
  }

  const functions = functionsOf(program, fuel);
  const maps = new Map(program.maps.map((map, index) => [map.address, { index, ...mapLayout(map, view) }]));
  const needs = findNeeds(program, functions, { mapAt: (address) => maps.get(address), view });
  const checksDepth = mayNestTooDeep(functions);
  const codes: Code[] = [];
  const refs = new Map<number, FunctionRef>();
  const main = module.define('main', mainType, ['ctx', 'stack']);
  codes.push(main.code);
  const warmed: Warmed[] = [main];
  const signatureOf = (slot: number): Signature => needs.get(slot)?.signature ?? missing(`f${slot}`);
  // The entry can be called as a subprogram too (by itself): then it is a function of its own.
  const callable = functions.filter((one) => functions.some(({ calls }) => calls.includes(one.entry)));
  for (const { entry: slot } of callable) {
    const { type, names } = subprogShape(signatureOf(slot));
    const { ref, code } = module.define(`f${slot}`, type, names);
    refs.set(slot, ref);
    codes.push(code);
  }
  const depths = new Map(program.subprogs.map(({ start, stackDepth }) => [start, stackDepth]));
  const fuelUsers = new Set(callable.filter((one) => one.usesFuel).map((one) => one.entry));
  const mapFunctions = new Map<string, FunctionRef>();
  let commit: FunctionRef | undefined;
  const shared: Shared = {
    scratch,
    entryCost: (slot) => functions.find(({ entry }) => entry === slot)?.blocks[0]?.cost ?? 1,
    tailCall: () => {
      // Only where it is needed: The V8 of Node 20 keeps whatever imports a table for as long as the table lives.
      module.table = { module: ENV, name: 'table' };
      return { op: tailCallOp(), type: module.typeIndex(mainType) };
    },
    signature: signatureOf,
    usesFuel: (slot) => fuelUsers.has(slot),
    imported: (name) => imports.get(name) ?? missing(name),
    subprog: (slot) => refs.get(slot) ?? missing(`f${slot}`),
    mapAt: (address) => maps.get(address),
    mapFunction: (what, { map, index }) => {
      const name = `${what}${index}`;
      let ref = mapFunctions.get(name);
      if (ref === undefined) {
        const made = defineMapFunction(what, {
          module,
          map,
          index,
          scratch,
          view,
          imported: shared.imported,
        });
        ref = made.ref;
        mapFunctions.set(name, ref);
        if (what !== 'reserve') warmed.push(made);
      }
      return ref;
    },
    commit: () => (commit ??= defineCommit(module, shared.imported)),
  };
  const slotMaps = [functions[0]!, ...callable].map((bpf, i) => {
    const stackDepth = Math.min(roundUp(depths.get(bpf.entry) ?? STACK_BYTES, 8), STACK_BYTES);
    const code = codes[i]!;
    return writeFunction({
      program,
      bpf,
      shared,
      code,
      parameters: parametersOf(code),
      ...needs.get(bpf.entry)!,
      isEntry: i === 0,
      stackDepth,
      checksDepth,
    });
  });
  writeEntry(module, main.ref, scratch);
  writeRun(module, main.ref, scratch);
  if (packetContext(progTypeName(program.progType)) !== undefined) writeBatch(module, main.ref, scratch);
  writeWarmUp(module, warmed);
  module.export(MAIN, main.ref);
  const callbacks = new Set(functions.flatMap((one) => one.callbacks));
  if (callbacks.size > 0) writeCallback(module, shared, [...callbacks]);
  const { bytes, starts } = module.build();
  const fits =
    codes.every(({ size }) => size + LOCALS_BYTES <= MOST_FUNCTION_BYTES) &&
    functions.every(({ shape, blocks }) => shape.reducible || blocks.length < MOST_TABLE_LABELS);
  const slotsOf = (code: Code): SlotMap => slotMaps[codes.indexOf(code)] ?? [];
  return {
    module,
    bytes,
    fits,
    warmed: warmed.map(({ code }) => code.size),
    helpersCalled,
    slotsOf,
    slotAt: slotFinder(slotMaps, starts),
  };
}

/** The codes of the helpers that a program calls: each import costs V8 some microseconds, called or not. */
function helpersOf({ insns }: RunnableProgram): number[] {
  const codes = new Set<number>();
  for (const insn of insns) {
    const code = insn?.op === 'call' && insn.kind === 'helper' ? helperCode(insn.imm) : undefined;
    if (code !== undefined) codes.add(code);
  }
  return [...codes];
}

/** The parameters of a subprogram in WebAssembly: those of r1 … r5 that it reads, and its frame. */
function subprogShape(signature: Signature): { type: FunctionType; names: string[] } {
  const params: ValueType[] = [];
  const names: string[] = [];
  signature.forEach((type, i) => {
    if (type === undefined) return;
    params.push(type);
    names.push(`${type === 'i64' ? 'r' : 'w'}${i + 1}`);
  });
  return { type: { params: [...params, 'i32'], results: ['i64'] }, names: [...names, 'stack'] };
}

/** Which registers the parameters are. */
function parametersOf({ locals }: Code): Map<number, Local> {
  const found = new Map<number, Local>();
  for (const local of locals) {
    if (local.name === 'ctx') found.set(1, local);
    else if (local.name !== 'stack') found.set(Number(local.name.slice(1)), local);
  }
  return found;
}

let hasTailCalls: boolean | undefined;

/** Whether WebAssembly has tail calls here: looked at once. A run makes no more than 33, so calls do as well. */
function tailCallOp(): 'call_indirect' | 'return_call_indirect' {
  if (hasTailCalls === undefined) {
    const probe = new ModuleBuilder();
    probe.table = { module: ENV, name: 'table' };
    const type = { params: [], results: [] };
    const { code } = probe.define('probe', type, []);
    code.i32(0);
    code.callIndirect('return_call_indirect', probe.typeIndex(type));
    hasTailCalls = WebAssembly.validate(probe.build().bytes);
  }
  return hasTailCalls ? 'return_call_indirect' : 'call_indirect';
}

/** What the host calls: a 64-bit result would be an object of its own each time. */
function writeEntry(module: ModuleBuilder, main: FunctionRef, scratch: number): void {
  const { ref, code } = module.define(ENTRY, entryType, ['ctx', 'stack']);
  code.i32(scratch);
  for (const local of code.locals) code.get(local);
  code.call(main);
  code.access('i64.store');
  module.export(ENTRY, ref);
}

/** A run starts: with all its fuel, and no tail calls. */
function writeStart(code: Code, scratch: number): void {
  code.i32(scratch);
  code.i32(scratch);
  code.access('i64.load', BUDGET);
  code.access('i64.store', FUEL);
  code.i32(scratch);
  code.i32(0);
  code.access('i32.store', TAILS);
}

/** Runs, so many as are asked for, each with fuel and tail calls of its own. */
function writeRun(module: ModuleBuilder, main: FunctionRef, scratch: number): void {
  const { ref, code } = module.define(RUN, runType, ['ctx', 'stack', 'times']);
  const [ctx, stack, times] = code.locals as [Local, Local, Local];
  const again = code.loop();
  writeStart(code, scratch);
  code.i32(scratch);
  code.get(ctx);
  code.get(stack);
  code.call(main);
  code.access('i64.store');
  code.get(times);
  code.i32(1);
  code.op('i32.sub');
  code.tee(times);
  code.brIf(again);
  code.end();
  module.export(RUN, ref);
}

/** The same, with a context for each run. */
function writeBatch(module: ModuleBuilder, main: FunctionRef, scratch: number): void {
  const { ref, code } = module.define(BATCH, batchType, ['ctx', 'stack', 'count', 'stride', 'results']);
  const [ctx, stack, count, stride, results] = code.locals as [Local, Local, Local, Local, Local];
  const done = code.local('done', 'i32');
  const result = code.local('result', 'i32');
  code.get(results);
  code.set(result);
  const again = code.loop();
  writeStart(code, scratch);
  code.get(result);
  code.i32(4);
  code.op('i32.add');
  code.tee(result);
  code.get(ctx);
  code.get(stack);
  code.call(main);
  code.op('i32.wrap_i64');
  code.access('i32.store');
  code.get(ctx);
  code.get(stride);
  code.op('i32.add');
  code.set(ctx);
  code.get(results);
  code.get(done);
  code.i32(1);
  code.op('i32.add');
  code.tee(done);
  code.access('i32.store');
  code.get(done);
  code.get(count);
  code.op('i32.lt_u');
  code.brIf(again);
  code.end();
  module.export(BATCH, ref);
}

/** What helpers call back by: the functions that may be called so, one after the other. */
function writeCallback(module: ModuleBuilder, shared: Shared, slots: readonly number[]): void {
  const { ref, code } = module.define(CALLBACK, entryType, ['slot', 'stack']);
  const [slot, stack] = code.locals as [Local, Local];
  for (const target of slots) {
    code.get(slot);
    code.i32(target);
    code.op('i32.eq');
    code.if();
    code.i32(shared.scratch);
    shared.signature(target).forEach((type, i) => {
      if (type === undefined) return;
      const register = i + 1;
      code.i32(shared.scratch);
      code.access('i64.load', 8 * register);
      if (type === 'i32') code.op('i32.wrap_i64');
    });
    code.get(stack);
    code.call(shared.subprog(target));
    code.access('i64.store');
    code.op('return');
    code.end();
  }
  code.op('unreachable');
  module.export(CALLBACK, ref);
}

function missing(name: string): never {
  throw new Bug(`generated code refers to ${name}, which the module does not have`);
}

/** Made apart from the translation, so that it keeps nothing of that alive but the numbers. */
function slotFinder(maps: readonly SlotMap[], starts: readonly number[]): Translation['slotAt'] {
  const slotMaps = maps.map((pairs) => Int32Array.from(pairs));
  return (offset) => {
    const at = starts.findLastIndex((start) => start <= offset);
    const pairs = slotMaps[at];
    if (pairs === undefined) return undefined;
    const within = offset - starts[at]!;
    let slot: number | undefined;
    for (let i = 0; i < pairs.length && pairs[i]! <= within; i += 2) slot = pairs[i + 1];
    return slot;
  };
}
