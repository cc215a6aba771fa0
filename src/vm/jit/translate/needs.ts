/** All that is found out about the functions of a program before any is written, and in which order. */
import type { Insn } from '../../../isa/insn.ts';
import type { RunnableProgram } from '../../types.ts';
import { type CallPlan, helperUse, planAt, planCalls, type Signature, subprogUse } from './call-plan.ts';
import { findConstants } from './constants.ts';
import { type BpfFunction, callTarget } from './functions.ts';
import type { KnownMap } from './lookup.ts';
import { findRegisters, type RegisterInput, type Registers } from './registers.ts';
import { findStackSlots, type StackSlots } from './stack-slots.ts';

export interface Needs {
  readonly plans: ReadonlyMap<number, CallPlan>;
  readonly analysis: RegisterInput;
  readonly registers: Registers;
  readonly signature: Signature;
  readonly slots: StackSlots;
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
  { mapAt, view }: { readonly mapAt: (address: number) => KnownMap | undefined; readonly view: DataView },
): Map<number, Needs> {
  const { insns, facts } = program;
  const needs = new Map<number, Needs>();
  /** Fixed before they could be found: functions that call each other in a circle. */
  const assumed = new Set<number>();
  for (const bpf of calleesFirst(functions)) {
    const plans = planCalls({ insns, callMaps: (slot) => facts?.callMaps.get(slot)?.address }, bpf, mapAt);
    const slots = findStackSlots(program, bpf, plans);
    for (const [slot, key] of slots.keys) plans.set(slot, { ...planAt(plans, slot), key });
    const constants = findConstants(program, bpf, view);
    const analysis: RegisterInput = {
      insnAt: replacedIn(insns, bpf, [slots.insns, constants]),
      bpf,
      pointers: facts?.pointers,
      decided: (slot) => facts?.neverJumps.has(slot) === true || facts?.alwaysJumps.has(slot) === true,
      // The context is an address.
      zeroAtEntry: slots.registers | (bpf.entry === 0 && !isCalled(functions, 0) ? 0b10 : 0),
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
    needs.set(bpf.entry, { plans, analysis, registers, signature, slots });
  }
  return needs;
}

/** The instructions of a function, with others for some. */
function replacedIn(
  insns: RunnableProgram['insns'],
  { blocks }: BpfFunction,
  replacements: readonly ReadonlyMap<number, Insn>[],
): (slot: number) => Insn | undefined {
  if (replacements.every(({ size }) => size === 0)) return (slot) => insns[slot];
  const first = blocks.reduce((least, { start }) => Math.min(least, start), insns.length);
  const own = insns.slice(
    first,
    blocks.reduce((most, { end }) => Math.max(most, end + 1), 0),
  );
  for (const some of replacements) for (const [slot, insn] of some) own[slot - first] = insn;
  return (slot) => own[slot - first];
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
