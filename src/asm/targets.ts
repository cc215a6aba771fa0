/**
 * Where an instruction goes: the offset, from the slot after it, of the slot that it jumps to, calls, or
 * takes the address of.
 */
import { unreachable } from '../base/index.ts';
import type { Insn, InvalidInsn } from '../isa/index.ts';

/** The offset of an instruction's target, and whether a function begins there. */
export function targetOf(insn: Insn | InvalidInsn): { off: number; isFunction: boolean } | undefined {
  switch (insn.op) {
    case 'ja':
    case 'jmp':
    case 'mayGoto':
      return { off: insn.off, isFunction: false };
    case 'call':
      return insn.kind === 'subprog' ? { off: insn.imm, isFunction: true } : undefined;
    case 'ldimm64':
      return insn.pseudo === 'func' && insn.hi === 0 ? { off: insn.lo, isFunction: true } : undefined;
    default:
      return undefined;
  }
}

/** The same instruction with that offset; one that goes nowhere as it is. */
export function withTarget(insn: Insn, off: number): Insn {
  switch (insn.op) {
    case 'ja':
    case 'mayGoto':
    case 'jmp':
      return { ...insn, off };
    case 'call':
      return { op: 'call', kind: 'subprog', imm: off };
    case 'ldimm64':
      return { ...insn, lo: off };
    case 'alu':
    case 'neg':
    case 'movsx':
    case 'addrSpaceCast':
    case 'swap':
    case 'load':
    case 'store':
    case 'atomic':
    case 'loadAcquire':
    case 'storeRelease':
    case 'ldPacket':
    case 'exit':
      return insn;
    default:
      return unreachable(insn);
  }
}
