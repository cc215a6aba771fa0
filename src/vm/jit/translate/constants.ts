/**
 * Loads of what nothing can write any more: a place in the value of a map that is frozen and read-only for programs
 * (.rodata), by an address that is known when the program is translated. They become moves of the number that is
 * there. Branches on such numbers the verifier has decided already (`ProgramFacts`), as Linux does.
 *
 * Addresses are followed from the load of one through moves and sums with numbers, over all blocks of a function.
 */
import type { Insn } from '../../../isa/insn.ts';
import type { ConstantMemory, RunnableProgram } from '../../types.ts';
import { CALLER_SAVED, calls, written } from './effects.ts';
import type { BpfFunction } from './functions.ts';

const REGISTERS = 11;
const UNKNOWN = Number.NaN;

/** What each register holds, where it is an address of constant memory or near it; NaN where not. */
type Addresses = Float64Array;

function step(insn: Insn, now: Addresses, isNear: (address: number) => boolean): void {
  if (calls(insn)) now.fill(UNKNOWN, 0, CALLER_SAVED);
  const register = written(insn);
  if (register === undefined) return;
  let value = UNKNOWN;
  if (insn.op === 'ldimm64' && insn.pseudo !== 'func' && insn.hi === 0) value = insn.lo >>> 0;
  if (insn.op === 'alu' && insn.bits === 64) {
    const { alu, src } = insn;
    if (alu === 'mov' && 'reg' in src) value = now[src.reg]!;
    if (alu === 'add' && 'imm' in src) value = now[register]! + src.imm;
    if (alu === 'sub' && 'imm' in src) value = now[register]! - src.imm;
  }
  now[register] = isNear(value) ? value : UNKNOWN;
}

/** Leaves in `known` what both know, if anything changes by that. */
function meet(known: Addresses, other: Addresses): boolean {
  let changed = false;
  for (let register = 0; register < REGISTERS; register++) {
    if (Number.isNaN(known[register]!) || known[register] === other[register]) continue;
    known[register] = UNKNOWN;
    changed = true;
  }
  return changed;
}

/** The move of what a load finds; undefined where it does not fit one. */
function moveOf(insn: Extract<Insn, { op: 'load' }>, at: number, view: DataView): Insn {
  const { dst, signed, size } = insn;
  const move = (bits: 32 | 64, imm: number): Insn => ({ op: 'alu', alu: 'mov', bits, dst, src: { imm } });
  switch (size) {
    case 1:
      return move(64, signed ? view.getInt8(at) : view.getUint8(at));
    case 2:
      return move(64, signed ? view.getInt16(at, true) : view.getUint16(at, true));
    case 4:
      return move(signed ? 64 : 32, view.getInt32(at, true));
    case 8: {
      const [lo, hi] = [view.getInt32(at, true), view.getInt32(at + 4, true)];
      return lo >> 31 === hi ? move(64, lo) : { op: 'ldimm64', pseudo: 'imm', dst, lo, hi };
    }
  }
}

/** How far an address may be from a constant and still come back to it. */
const NEAR = 2 ** 16;

/** What loads of one function become, by slot. */
export function findConstants(
  { insns, facts }: RunnableProgram,
  bpf: BpfFunction,
  view: DataView,
): ReadonlyMap<number, Insn> {
  const found = new Map<number, Insn>();
  const memory: readonly ConstantMemory[] = facts?.constants ?? [];
  if (memory.length === 0) return found;
  const isNear = (address: number): boolean =>
    memory.some(({ from, to }) => address >= from - NEAR && address < to + NEAR);
  const { blocks, graph } = bpf;
  const { order } = bpf.shape;
  const atStart: (Addresses | undefined)[] = [new Float64Array(REGISTERS).fill(UNKNOWN)];
  const through = (node: number, visit?: (slot: number, insn: Insn, now: Addresses) => void): Addresses => {
    const now = atStart[node]!.slice();
    const { start, end } = blocks[node]!;
    for (let slot = start; slot < end; slot++) {
      const insn = insns[slot];
      if (insn === undefined) continue;
      visit?.(slot, insn, now);
      step(insn, now, isNear);
    }
    return now;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of order) {
      const atEnd = through(node);
      for (const to of graph[node]!) {
        const known = atStart[to];
        if (known === undefined) atStart[to] = atEnd.slice();
        if (known === undefined || meet(known, atEnd)) changed = true;
      }
    }
  }
  for (const node of order) {
    through(node, (slot, insn, now) => {
      if (insn.op !== 'load') return;
      const at = now[insn.src]! + insn.off;
      if (memory.some(({ from, to }) => at >= from && at + insn.size <= to))
        found.set(slot, moveOf(insn, at, view));
    });
  }
  return found;
}
