/**
 * Calls: subprograms as WebAssembly calls, helpers as imports with their arguments in the scratch block, tail
 * calls through the host; and lookups in maps that are known when the program is translated, which need none
 * of that.
 */
import { helpers } from '../../../uapi/helpers.ts';
import { STACK_BYTES } from '../../run.ts';
import type { FunctionRef } from '../wasm/index.ts';
import type { Frame } from './frame.ts';
import { FUEL } from './layout.ts';
import { type KnownMap, writeLookup } from './lookup.ts';

/** What all functions of a module have in common. */
export interface Shared {
  /** Address of the scratch block. */
  readonly scratch: number;
  /** The function of the module for an import, by its name. */
  imported(name: string): FunctionRef;
  /** The function of the module for the subprogram at a slot. */
  subprog(slot: number): FunctionRef;
  /** Whether that one uses up fuel. */
  usesFuel(slot: number): boolean;
  /** The program's map at an address, and its place among the program's maps. */
  mapAt(address: number): KnownMap | undefined;
}

/** Arguments and result of a helper. */
const ARGUMENTS = [1, 2, 3, 4, 5];

export function writeHelper(frame: Frame, shared: Shared, call: { importName: string; slot: number }): void {
  const { code } = frame;
  for (const register of ARGUMENTS) {
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
  call: { helper: number; known: KnownMap | undefined },
): boolean {
  const { code } = frame;
  if (call.helper === helpers.get_smp_processor_id.id) {
    code.call(shared.imported('cpu'));
    frame.set32(0);
    return true;
  }
  if (call.helper !== helpers.map_lookup_elem.id || call.known === undefined) return false;
  writeLookup(frame, shared, call.known);
  return true;
}

/** The call itself: the arguments, and the frame below this one. */
export function writeSubprogCall(frame: Frame, shared: Shared, slot: number): void {
  const { code } = frame;
  for (const register of ARGUMENTS) frame.get(register);
  code.get(frame.stack);
  code.i32(STACK_BYTES);
  code.op('i32.sub');
  code.call(shared.subprog(slot));
  frame.set(0);
}

/** bpf_tail_call(r1, r2, r3): leaves on the stack whether the call was made; its result is then in r0. */
export function writeTailCall(frame: Frame, shared: Shared, slot: number): void {
  const { code } = frame;
  frame.get32(2);
  frame.get(2);
  code.i64(32n);
  code.op('i64.shr_u');
  code.op('i32.wrap_i64');
  frame.get32(3);
  code.i32(slot);
  code.call(shared.imported('tailCall'));
}

/** Puts the scratch block's copy of the fuel on the stack. */
export function writeFuelLoad(frame: Frame, shared: Shared): void {
  frame.code.i32(shared.scratch);
  frame.code.access('i64.load', FUEL);
}
