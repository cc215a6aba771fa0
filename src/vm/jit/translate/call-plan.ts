/**
 * How each call of a function is made, found before the function is written: maps and functions that are in
 * registers for certain, and with that which registers the call reads (registers.ts).
 */
import { helperProtos } from '../../../uapi/helper-protos.ts';
import { helperName, helpers } from '../../../uapi/helpers.ts';
import { TAIL_CALL } from '../../run.ts';
import type { RunnableProgram } from '../../types.ts';
import type { ValueType } from '../wasm/index.ts';
import { type BpfFunction, callTarget, written } from './functions.ts';
import type { KnownMap } from './lookup.ts';
import { hasMapFunction, type MapFunction } from './map-functions.ts';
import { type CallUse, findRegisters, type RegisterInput, type Registers } from './registers.ts';

/** What the parameters of a BPF function are in WebAssembly: r1 … r5; undefined for those that it does not read. */
export type Signature = readonly (ValueType | undefined)[];

export interface CallPlan {
  /** The one map that r1 (of a tail call r2) holds. */
  readonly map: KnownMap | undefined;
  /** The slot of the function in r2. */
  readonly callback: number | undefined;
}

const NOTHING: CallPlan = { map: undefined, callback: undefined };

/** Plans by slot of the call. Registers are followed within a block. */
export function planCalls(
  {
    insns,
    callMaps,
  }: Pick<RunnableProgram, 'insns'> & { readonly callMaps: (slot: number) => number | undefined },
  bpf: BpfFunction,
  mapAt: (address: number) => KnownMap | undefined,
): Map<number, CallPlan> {
  const plans = new Map<number, CallPlan>();
  for (const { start, end } of bpf.blocks) {
    const maps: (number | undefined)[] = [];
    const functions: (number | undefined)[] = [];
    for (let slot = start; slot < end; slot++) {
      const insn = insns[slot];
      if (insn === undefined) continue;
      if (insn.op === 'call' && insn.kind === 'helper') {
        const address = maps[insn.imm === TAIL_CALL ? 2 : 1] ?? callMaps(slot);
        const map = address === undefined ? undefined : mapAt(address);
        plans.set(slot, { map, callback: functions[2] });
      }
      const register = written(insn);
      if (register === undefined) continue;
      maps[register] = undefined;
      functions[register] = undefined;
      if (insn.op === 'ldimm64' && insn.pseudo === 'func') {
        functions[register] = callTarget({ insns }, { imm: insn.lo }, slot);
      } else if (insn.op === 'ldimm64' && insn.hi === 0) {
        maps[register] = insn.lo >>> 0;
      } else if (insn.op === 'alu' && insn.alu === 'mov' && insn.bits === 64 && 'reg' in insn.src) {
        maps[register] = maps[insn.src.reg];
        functions[register] = functions[insn.src.reg];
      }
    }
  }
  return plans;
}

export const planAt = (plans: ReadonlyMap<number, CallPlan>, slot: number): CallPlan =>
  plans.get(slot) ?? NOTHING;

/** Helpers that the module has functions for, by what they do with a map. */
export const mapHelpers = new Map<number, MapFunction>([
  [helpers.map_lookup_elem.id, 'lookup'],
  [helpers.map_update_elem.id, 'update'],
  [helpers.map_delete_elem.id, 'delete'],
  [helpers.ringbuf_reserve.id, 'reserve'],
]);

/** Bits of r1 … r`count`. */
const firstArguments = (count: number): number => ((1 << count) - 1) << 1;
const use = (low: number, upper: number, zeroResult = false): CallUse => ({ low, upper, zeroResult });

/** What a call of a helper reads. */
export function helperUse(helper: number, { map, callback }: CallPlan): CallUse {
  const what = mapHelpers.get(helper);
  if (what === 'lookup' && map !== undefined) return use(0b100, 0, true);
  if (what !== undefined && map !== undefined && hasMapFunction(map.map, what)) {
    if (what === 'reserve') return use(0b1100, 0b1100, true);
    return what === 'update' ? use(0b11100, 0b10000) : use(0b100, 0);
  }
  switch (helper) {
    case TAIL_CALL:
      return use(0b1110, 0b100);
    case helpers.get_smp_processor_id.id:
      return use(0, 0, true);
    case helpers.ringbuf_submit.id:
    case helpers.ringbuf_discard.id:
      return use(0b110, 0b100);
    case helpers.loop.id:
      if (callback !== undefined) return use(0b11010, 0b11000);
      break;
  }
  const name = helperName(helper);
  // What bpf_trace_printk() prints comes after the arguments of its prototype.
  const known = name === undefined || name === 'trace_printk' ? undefined : helperProtos[name];
  const args = known?.args.length;
  const all = firstArguments(args ?? 5);
  return use(all, all);
}

/** What a call of a function with this signature reads. */
export function subprogUse(signature: Signature): CallUse {
  let low = 0;
  let upper = 0;
  signature.forEach((type, i) => {
    if (type === undefined) return;
    low |= 1 << (i + 1);
    if (type === 'i64') upper |= 1 << (i + 1);
  });
  return use(low, upper);
}

/** All that is known of a function before it is written. */
export interface Needs {
  readonly plans: ReadonlyMap<number, CallPlan>;
  readonly analysis: RegisterInput;
  readonly registers: Registers;
  readonly signature: Signature;
}

const ALL_WIDE: Signature = ['i64', 'i64', 'i64', 'i64', 'i64'];

/** r1 … r5 at the start of a function. */
function signatureOf({ live, upper }: Registers): Signature {
  return ALL_WIDE.map((_, i) => {
    const mask = 1 << (i + 1);
    if ((live[0]! & mask) === 0) return undefined;
    return (upper[0]! & mask) === 0 ? 'i32' : 'i64';
  });
}

/** By entry. Functions come after those that they call, so that these have their parameters. */
export function findNeeds(
  program: RunnableProgram,
  functions: readonly BpfFunction[],
  mapAt: (address: number) => KnownMap | undefined,
): Map<number, Needs> {
  const { insns, facts } = program;
  const needs = new Map<number, Needs>();
  /** Fixed before they could be found: functions that call each other in a circle. */
  const assumed = new Set<number>();
  for (const bpf of calleesFirst(functions)) {
    const plans = planCalls({ insns, callMaps: (slot) => facts?.callMaps.get(slot)?.address }, bpf, mapAt);
    const analysis: RegisterInput = {
      insns,
      bpf,
      pointers: facts?.pointers,
      decided: (slot) => facts?.neverJumps.has(slot) === true || facts?.alwaysJumps.has(slot) === true,
      // The context is an address.
      zeroAtEntry: bpf.entry === 0 && !isCalled(functions, 0) ? 0b10 : 0,
      callUse(slot) {
        const insn = insns[slot];
        if (insn?.op !== 'call') return subprogUse(ALL_WIDE);
        if (insn.kind !== 'subprog') return helperUse(insn.imm, planAt(plans, slot));
        const target = callTarget(program, insn, slot);
        const known = needs.get(target)?.signature;
        if (known === undefined) assumed.add(target);
        return subprogUse(known ?? ALL_WIDE);
      },
    };
    const registers = findRegisters(analysis);
    const signature = assumed.has(bpf.entry) ? ALL_WIDE : signatureOf(registers);
    needs.set(bpf.entry, { plans, analysis, registers, signature });
  }
  return needs;
}

const isCalled = (functions: readonly BpfFunction[], entry: number): boolean =>
  functions.some(({ calls }) => calls.includes(entry));

/** Depth first, by a stack of its own. */
function calleesFirst(functions: readonly BpfFunction[]): BpfFunction[] {
  const byEntry = new Map(functions.map((one) => [one.entry, one]));
  const seen = new Set<number>();
  const sorted: BpfFunction[] = [];
  const path: { bpf: BpfFunction; next: number }[] = [];
  for (const first of functions) {
    if (seen.has(first.entry)) continue;
    seen.add(first.entry);
    path.push({ bpf: first, next: 0 });
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const entry = top.bpf.calls[top.next++];
      if (entry === undefined) {
        sorted.push(top.bpf);
        path.pop();
      } else if (!seen.has(entry)) {
        seen.add(entry);
        path.push({ bpf: byEntry.get(entry)!, next: 0 });
      }
    }
  }
  return sorted;
}
