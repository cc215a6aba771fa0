/**
 * What Linux requires of a classic program before it runs (bpf_check_classic and check_load_and_stores in
 * net/core/filter.c): jumps forwards and inside, a return at the end, divisors and shifts that make sense,
 * scratch memory written before it is read. Classic code may hold instructions that nothing reaches.
 */
import { SkepError } from '../base/index.ts';
import { ancillaryAt, ancillaryBase } from './ancillary.ts';
import {
  type ClassicInsn,
  type ClassicProgram,
  classicError,
  maxClassicInsns,
  scratchWords,
} from './insn.ts';

/** The instructions that may follow one (those inside the program or not). */
export function successors(insn: ClassicInsn, index: number): readonly number[] {
  if (insn.op === 'ret') return [];
  if (insn.op === 'ja') return [index + 1 + insn.k];
  if (insn.op === 'jmp') return [index + 1 + insn.jt, index + 1 + insn.jf];
  return [index + 1];
}

/** What is wrong with an instruction by itself, or `undefined`. */
function problem(insn: ClassicInsn): string | undefined {
  switch (insn.op) {
    case 'alu':
      if (insn.src === 0 && (insn.alu === 'div' || insn.alu === 'mod')) return 'division by zero';
      if (insn.src !== 'x' && insn.src >= 32 && (insn.alu === 'lsh' || insn.alu === 'rsh')) {
        return `shift by ${insn.src}, beyond 31`;
      }
      return undefined;
    case 'ldMem':
    case 'st':
      return insn.k < scratchWords ? undefined : `M[${insn.k}] is beyond M[${scratchWords - 1}]`;
    case 'ldPacket':
      if (insn.indexed || insn.k < ancillaryBase || ancillaryAt(insn.k) !== undefined) return undefined;
      return `no ancillary value at offset ${insn.k - ancillaryBase}`;
    default:
      return undefined;
  }
}

/**
 * Scratch words are read only where every path there has written them. All jumps go forwards. As in Linux,
 * what follows a return counts as coming after it.
 */
function checkScratch(program: ClassicProgram): void {
  const all = (1 << scratchWords) - 1;
  const written = new Array<number>(program.length).fill(all);
  written[0] = 0;
  program.forEach((insn, index) => {
    let words = written[index] as number;
    if (insn.op === 'st') words |= 1 << insn.k;
    if (insn.op === 'ldMem' && (words & (1 << insn.k)) === 0) {
      throw classicError(index, `M[${insn.k}] is read, but not written on every way here`);
    }
    const nexts = insn.op === 'ret' ? [index + 1] : successors(insn, index);
    for (const next of nexts) written[next] = (written[next] ?? all) & words;
  });
}

/**
 * Checks a program as Linux does when one is attached.
 * @throws SkepError (code 'classic') for the first instruction that Linux would refuse (EINVAL).
 */
export function validateClassic(program: ClassicProgram): void {
  if (program.length === 0 || program.length > maxClassicInsns) {
    const message = `${program.length} instructions, expected 1 to ${maxClassicInsns}`;
    throw new SkepError({ code: 'classic', message });
  }
  program.forEach((insn, index) => {
    const why = problem(insn);
    if (why !== undefined) throw classicError(index, why);
    if (insn.op !== 'ja' && insn.op !== 'jmp') return;
    for (const next of successors(insn, index)) {
      if (next >= program.length) throw classicError(index, `jump to ${next}, beyond the end`);
    }
  });
  const last = program.length - 1;
  if (program[last]?.op !== 'ret') throw classicError(last, 'the last instruction is no ret');
  checkScratch(program);
}
