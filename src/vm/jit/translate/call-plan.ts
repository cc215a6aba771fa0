/**
 * How each call of a function is made, found before the function is written: maps and functions that are in
 * registers for certain, and with that which registers the call reads (registers.ts).
 */
import { helperProtos } from '../../../uapi/helper-protos.ts';
import { helperName, helpers } from '../../../uapi/helpers.ts';
import { TAIL_CALL } from '../../run.ts';
import type { RunnableProgram } from '../../types.ts';
import type { ValueType } from '../wasm/index.ts';
import { written } from './effects.ts';
import { type BpfFunction, callTarget } from './functions.ts';
import type { KnownMap } from './lookup.ts';
import { hasMapFunction, type MapFunction } from './map-functions.ts';
import type { CallUse } from './registers.ts';

/** What the parameters of a BPF function are in WebAssembly: r1 … r5; undefined for those that it does not read. */
export type Signature = readonly (ValueType | undefined)[];

export interface CallPlan {
  /** The one map that r1 (of a tail call r2) holds. */
  readonly map: KnownMap | undefined;
  /** The slot of the function in r2. */
  readonly callback: number | undefined;
  /** The register that has the key, where it is not in memory (stack-slots.ts). */
  readonly key?: number | undefined;
}

const REGISTERS = 11;
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
  const maps = new Array<number | undefined>(REGISTERS);
  const functions = new Array<number | undefined>(REGISTERS);
  for (const { start, end } of bpf.blocks) {
    maps.fill(undefined);
    functions.fill(undefined);
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
export function helperUse(helper: number, { map, callback, key }: CallPlan): CallUse {
  const what = mapHelpers.get(helper);
  if (what === 'lookup' && map !== undefined) return use(key === undefined ? 0b100 : 1 << key, 0, true);
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
