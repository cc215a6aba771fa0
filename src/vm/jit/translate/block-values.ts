/**
 * What is known of the values of registers within a block, while it is written: the most that each can be, which makes
 * some bounds of arrays needless to look at; and whether it is what a lookup found, which makes the test of it one of
 * the index.
 */
import type { Insn } from '../../../isa/insn.ts';
import type { Local } from '../wasm/index.ts';
import { CALLER_SAVED, calls, written } from './effects.ts';

const MOST_32 = 2 ** 32 - 1;
/** With those that stand for stack slots. */
const REGISTERS = 31;

/** The result of a lookup in an array: an address if `index` is below `entries`, else 0; or an address anyway. */
export type Found = 'always' | { readonly index: Local; readonly entries: number };

export class BlockValues {
  private readonly most = new Array<number | undefined>(REGISTERS).fill(undefined);
  private readonly found = new Array<Found | undefined>(REGISTERS).fill(undefined);

  startBlock(): void {
    this.most.fill(undefined);
    this.found.fill(undefined);
  }

  /** The most that a register can be; undefined where that is not known. */
  mostOf(register: number): number | undefined {
    return this.most[register];
  }

  /** The lookup that a register is the result of. */
  foundIn(register: number): Found | undefined {
    return this.found[register];
  }

  /** r0 is the result of a lookup; those before had their index in the same local. */
  setFound(found: Found): void {
    this.found.forEach((one, register) => {
      if (one !== 'always') this.found[register] = undefined;
    });
    this.found[0] = found;
  }

  /** Goes on behind an instruction. */
  step(insn: Insn): void {
    if (calls(insn)) {
      this.most.fill(undefined, 0, CALLER_SAVED);
      this.found.fill(undefined, 0, CALLER_SAVED);
    }
    const register = written(insn);
    if (register === undefined) return;
    const isCopy = insn.op === 'alu' && insn.alu === 'mov' && insn.bits === 64 && 'reg' in insn.src;
    this.found[register] = isCopy ? this.found[(insn.src as { reg: number }).reg] : undefined;
    this.most[register] = this.mostAfter(insn);
  }

  private mostAfter(insn: Insn): number | undefined {
    if (insn.op === 'load') return insn.signed || insn.size > 2 ? undefined : 2 ** (8 * insn.size) - 1;
    if (insn.op !== 'alu') return undefined;
    const { alu, dst, src, bits } = insn;
    if ('reg' in src) return alu === 'mov' ? this.most[src.reg] : undefined;
    const { imm } = src;
    if (imm < 0) return undefined;
    const old = this.most[dst] ?? (bits === 32 ? MOST_32 : undefined);
    switch (alu) {
      case 'mov':
        return imm;
      case 'and':
        return old === undefined ? imm : Math.min(old, imm);
      case 'mod':
        return imm === 0 ? old : imm - 1;
      case 'rsh':
        return old === undefined ? undefined : Math.floor(old / 2 ** (imm & (bits - 1)));
      default:
        return undefined;
    }
  }
}
