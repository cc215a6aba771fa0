/** Small changes to a program: what is nearly right finds more than what is random. */
import type { AluOp, Insn, JmpCond, Reg, Size, Slots } from '../../src/isa/index.ts';
import type { Random } from './random.ts';

const conds: readonly JmpCond[] = ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'set', 'sgt', 'sge', 'slt', 'sle'];
const aluOps: readonly AluOp[] = [
  'add',
  'sub',
  'mul',
  'or',
  'and',
  'lsh',
  'rsh',
  'arsh',
  'xor',
  'mov',
  'div',
  'mod',
];
const sizes: readonly Size[] = [1, 2, 4, 8];

/** A jump to the next slot: takes the place of an instruction that is left out. */
export const nothing: Insn = { op: 'ja', wide: false, off: 0 };

/** `slots` with one to three instructions changed. */
export function mutate(slots: Slots, random: Random): Slots {
  const made = [...slots];
  const places = made.flatMap((insn, slot) => (insn === undefined || insn.op === 'ldimm64' ? [] : [slot]));
  for (let i = random.between(1, 3); i > 0 && places.length > 0; i--) {
    const slot = random.pick(places);
    const insn = made[slot];
    if (insn !== undefined) made[slot] = change(insn, random);
  }
  return made;
}

function change(insn: Insn, random: Random): Insn {
  if (random.chance(10)) return nothing;
  const near = (value: number): number => value + random.pick([-8, -4, -2, -1, 1, 2, 4, 8]);
  const reg = (): Reg => random.below(10) as Reg;
  switch (insn.op) {
    case 'alu': {
      const kind = random.below(5);
      if (kind === 0) return { ...insn, alu: random.pick(aluOps) };
      if (kind === 1) return { ...insn, bits: insn.bits === 32 ? 64 : 32 };
      if (kind === 2) return { ...insn, dst: reg() };
      if (kind === 3 || 'reg' in insn.src) return { ...insn, src: { reg: reg() } };
      return { ...insn, src: { imm: random.chance(50) ? near(insn.src.imm) | 0 : random.immediate() } };
    }
    case 'jmp': {
      const kind = random.below(4);
      if (kind === 0) return { ...insn, cond: random.pick(conds) };
      if (kind === 1) return { ...insn, bits: insn.bits === 32 ? 64 : 32 };
      if (kind === 2 || 'reg' in insn.src) return { ...insn, dst: reg() };
      return { ...insn, src: { imm: random.chance(50) ? near(insn.src.imm) | 0 : random.immediate() } };
    }
    case 'load': {
      const kind = random.below(4);
      if (kind === 0) return { ...insn, size: random.pick(insn.signed ? [1, 2, 4] : sizes) };
      if (kind === 1) return { ...insn, off: near(insn.off) };
      return kind === 2 ? { ...insn, dst: reg() } : { ...insn, src: reg() };
    }
    case 'store': {
      const kind = random.below(4);
      if (kind === 0) return { ...insn, size: random.pick(sizes) };
      if (kind === 1) return { ...insn, off: near(insn.off) };
      return kind === 2 ? { ...insn, dst: reg() } : { ...insn, src: { reg: reg() } };
    }
    case 'atomic':
      return random.chance(50) ? { ...insn, off: near(insn.off) } : { ...insn, src: reg() };
    case 'movsx':
      return { ...insn, src: reg() };
    case 'neg':
    case 'swap':
      return { ...insn, dst: reg() };
    default:
      return insn;
  }
}
