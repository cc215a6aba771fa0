/** What instructions do to registers. */
import type { Insn } from '../../../isa/insn.ts';

/** r0 to r5, which what is called does not keep. */
export const CALLER_SAVED = 6;

export const calls = (insn: Insn): boolean => insn.op === 'call' || insn.op === 'ldPacket';

/** The register that an instruction writes; undefined where it writes none or only r0 by convention. */
export function written(insn: Insn): number | undefined {
  switch (insn.op) {
    case 'alu':
    case 'neg':
    case 'movsx':
    case 'addrSpaceCast':
    case 'swap':
    case 'load':
    case 'loadAcquire':
    case 'ldimm64':
      return insn.dst;
    case 'atomic':
      if (!insn.fetch) return undefined;
      return insn.atomic === 'cmpxchg' ? 0 : insn.src;
    case 'ldPacket':
    case 'call':
      return 0;
    default:
      return undefined;
  }
}
