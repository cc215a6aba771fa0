/**
 * Calls: subprograms as WebAssembly calls, helpers as imports with their arguments in the scratch block, tail
 * calls through the host; and lookups in maps that are known when the program is translated, which need none
 * of that.
 */
import { helpers } from '../../../uapi/helpers.ts';
import { MAX_TAIL_CALLS } from '../../run.ts';
import type { FunctionRef } from '../wasm/index.ts';
import { mapHelpers, type Signature } from './call-plan.ts';
import type { Frame } from './frame.ts';
import { CPU, FUEL, TAILS } from './layout.ts';
import { type KnownMap, writeLookup } from './lookup.ts';
import { hasMapFunction, type MapFunction } from './map-functions.ts';

/** What all functions of a module have in common. */
export interface Shared {
  /** Address of the scratch block. */
  readonly scratch: number;
  /** The function of the module for an import, by its name. */
  imported(name: string): FunctionRef;
  /** The function of the module for the subprogram at a slot. */
  subprog(slot: number): FunctionRef;
  /** Instructions that a call of it executes at least. */
  entryCost(slot: number): number;
  /** How to go on in a program of the table of this type. */
  readonly tailCall: () => { readonly op: 'call_indirect' | 'return_call_indirect'; readonly type: number };
  /** Its parameters. */
  signature(slot: number): Signature;
  /** Whether that one uses up fuel. */
  usesFuel(slot: number): boolean;
  /** The function of the module that does something with a map. */
  mapFunction(what: MapFunction, known: KnownMap): FunctionRef;
  /** The one that finishes a record of a ring buffer. */
  commit(): FunctionRef;
  /** The program's map at an address, and its place among the program's maps. */
  mapAt(address: number): KnownMap | undefined;
}

/** Arguments and result of a helper. */
const ARGUMENTS = [1, 2, 3, 4, 5];

export function writeHelper(
  frame: Frame,
  shared: Shared,
  call: { importName: string; slot: number; reads: number },
): void {
  const { code } = frame;
  for (const register of ARGUMENTS) {
    if ((call.reads & (1 << register)) === 0) continue;
    code.i32(shared.scratch);
    frame.get(register);
    code.access('i64.store', 8 * register);
  }
  code.i32(call.slot);
  code.call(shared.imported(call.importName));
  code.i32(shared.scratch);
  code.access('i64.load');
  frame.set(0);
}

/** A helper in a form of its own where the arguments allow it; false where it has none. */
export function writeDirect(
  frame: Frame,
  shared: Shared,
  { helper, known }: { helper: number; known: KnownMap | undefined },
): boolean {
  const { code } = frame;
  switch (helper) {
    case helpers.get_smp_processor_id.id:
      code.i32(shared.scratch);
      code.access('i32.load', CPU);
      frame.set32(0);
      return true;
    case helpers.ringbuf_submit.id:
    case helpers.ringbuf_discard.id:
      frame.get32(1);
      frame.get(2);
      code.i32(helper === helpers.ringbuf_discard.id ? 1 : 0);
      code.call(shared.commit());
      return true;
    case helpers.map_lookup_elem.id:
      if (known === undefined) return false;
      writeLookup(frame, shared, known);
      return true;
    default: {
      const what = mapHelpers.get(helper);
      if (what === undefined || known === undefined || !hasMapFunction(known.map, what)) return false;
      writeMapHelper(frame, shared.mapFunction(what, known), what);
      return true;
    }
  }
}

function writeMapHelper(frame: Frame, target: FunctionRef, what: MapFunction): void {
  const { code } = frame;
  // The only flags of reserving are none; the verifier does not say so.
  if (what === 'reserve') {
    frame.get(2);
    code.i64(-1n);
    frame.get(3);
    code.op('i64.eqz');
    code.op('select');
    code.call(target);
    frame.set32(0);
    return;
  }
  frame.get32(2);
  if (what === 'update') {
    frame.get32(3);
    frame.get(4);
  }
  code.call(target);
  code.op('i64.extend_i32_s');
  frame.set(0);
}

/**
 * bpf_tail_call(r1, r2, r3): leaves on the stack whether the host made the call; its result is then in r0. From
 * the program itself through an array that is known it goes to a program that the host found there before
 * without the host, and does not come back.
 */
export function writeTailCall(
  frame: Frame,
  shared: Shared,
  { slot, known, entry }: { slot: number; known: KnownMap | undefined; entry: boolean },
): void {
  const { code } = frame;
  const host = (): void => {
    frame.get32(2);
    frame.get(2);
    code.i64(32n);
    code.op('i64.shr_u');
    code.op('i32.wrap_i64');
    frame.get32(3);
    code.i32(slot);
    code.call(shared.imported('tailCall'));
  };
  const targets = known?.targets;
  if (!entry || known === undefined || targets === undefined) {
    host();
    return;
  }
  const target = frame.temporary('target', 'i32');
  frame.get32(3);
  code.i32(known.map.def.maxEntries);
  code.op('i32.ge_u');
  code.if('i32');
  code.i32(0);
  code.else();
  frame.get32(3);
  code.i32(2);
  code.op('i32.shl');
  code.access('i32.load', targets);
  code.tee(target);
  code.op('i32.eqz');
  code.if('i32');
  host();
  code.else();
  code.i32(shared.scratch);
  code.access('i32.load', TAILS);
  code.i32(MAX_TAIL_CALLS);
  code.op('i32.lt_u');
  code.if();
  code.i32(shared.scratch);
  code.i32(shared.scratch);
  code.access('i32.load', TAILS);
  code.i32(1);
  code.op('i32.add');
  code.access('i32.store', TAILS);
  frame.get32(1);
  code.get(frame.stack);
  code.get(target);
  const { op, type } = shared.tailCall();
  code.callIndirect(op, type);
  if (op === 'call_indirect') code.op('return');
  code.end();
  code.i32(0);
  code.end();
  code.end();
}

/** Puts the scratch block's copy of the fuel on the stack. */
export function writeFuelLoad(frame: Frame, shared: Shared): void {
  frame.code.i32(shared.scratch);
  frame.code.access('i64.load', FUEL);
}
