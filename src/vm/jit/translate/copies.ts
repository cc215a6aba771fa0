/**
 * Loops of one block that are known to go round so many times: their instructions are written several times over, with
 * no test in between. What a register sums up over the rounds is summed up apart in each row of copies, so that they
 * do not wait for each other.
 */
import type { Insn } from '../../../isa/insn.ts';
import { type Known, sumBits } from './alu.ts';
import type { CountedLoop } from './counted-loops.ts';
import { written } from './effects.ts';
import type { Frame } from './frame.ts';

const MOST_COPIES = 8;
/** Instructions of all copies together. */
const MOST_COPIED = 160;

/** How often the instructions of a block are written: a number that goes into that of the rounds. */
export function copiesOf(loop: CountedLoop | undefined, node: number, size: number): number {
  if (loop === undefined || loop.latch !== node) return 1;
  const rounds = loop.rounds + 1;
  for (let copies = Math.min(MOST_COPIES, Math.floor(MOST_COPIED / size)); copies > 1; copies--) {
    if (rounds % copies === 0) return copies;
  }
  return 1;
}

export type Sum = Extract<Insn, { op: 'alu' }> & { readonly src: { readonly reg: number } };

/** Whether an instruction reads or writes a register other than by what it says of them. */
const hasHiddenUses = (insn: Insn): boolean =>
  insn.op === 'call' || insn.op === 'ldPacket' || insn.op === 'exit' || insn.op === 'atomic';

function mentions(insn: Insn, register: number): boolean {
  if (written(insn) === register || ('dst' in insn && insn.dst === register)) return true;
  if (!('src' in insn)) return false;
  const { src } = insn;
  return src === register || (typeof src === 'object' && 'reg' in src && src.reg === register);
}

/** The instructions of a block that add to a register which no other one reads or writes. */
export function sumsIn(insns: readonly Insn[]): Set<Insn> {
  const sums = new Set<Insn>();
  if (insns.some(hasHiddenUses)) return sums;
  for (const insn of insns) {
    if (insn.op !== 'alu' || insn.alu !== 'add' || 'imm' in insn.src || insn.src.reg === insn.dst) continue;
    if (insns.every((other) => other === insn || !mentions(other, insn.dst))) sums.add(insn);
  }
  return sums;
}

/** Such an instruction in one of several copies. */
export function writeCopiedSum(
  frame: Frame,
  sum: Sum,
  { known, isFirst, isLast }: { known: Known; isFirst: boolean; isLast: boolean },
): void {
  const { code } = frame;
  const { dst, src } = sum;
  const bits = sumBits(sum, known);
  const apart = frame.temporary(`sum${dst}`, `i${bits}`);
  const push = (register: number): void => {
    if (bits === 64) frame.get(register);
    else frame.get32(register);
  };
  if (isLast) push(dst);
  push(src.reg);
  if (!isFirst) {
    code.get(apart);
    code.op(`i${bits}.add`);
  }
  if (!isLast) {
    code.set(apart);
    return;
  }
  code.op(`i${bits}.add`);
  if (bits === 64) frame.set(dst);
  else frame.set32(dst);
}
