/** What Linux says of an instruction whose fields are wrong, when it comes to it. */
import type { InvalidInsn } from '../isa/index.ts';
import { REGS } from './state/frame.ts';

const SRC_REG = 0x08;
const OP_NEG = 0x80;
const OP_MOV = 0xb0;
const OP_END = 0xd0;
const MODE_ATOMIC = 0xc0;

export function invalidText(insn: InvalidInsn): string {
  const { opcode, dst, src, imm } = insn.raw;
  const cls = opcode & 7;
  const op = opcode & 0xf0;
  if (isArithmetic(opcode) && imm !== 0 && (opcode & SRC_REG) !== 0) return 'BPF_ALU uses reserved fields';
  if (insn.field === 'src' && src >= REGS && usesSource(opcode)) return `R${src} is invalid`;
  if (insn.field === 'dst' && dst >= REGS)
    return `R${usesSource(opcode) && src >= REGS ? src : dst} is invalid`;
  switch (cls) {
    case 0:
      return (opcode & 0xe0) === 0
        ? 'BPF_LD_IMM64 uses reserved fields'
        : 'BPF_LD_[ABS|IND] uses reserved fields';
    case 1:
      return 'BPF_LDX uses reserved fields';
    case 2:
      return 'BPF_ST uses reserved fields';
    case 3:
      if ((opcode & 0xe0) !== MODE_ATOMIC) return 'BPF_STX uses reserved fields';
      if ((opcode & 0x18) === 0x08 || (opcode & 0x18) === 0x10) return 'invalid atomic operand size';
      return `BPF_ATOMIC uses invalid atomic opcode ${(imm >>> 0).toString(16).padStart(2, '0')}`;
    case 4:
    case 7:
      if (op === OP_END) return 'BPF_END uses reserved fields';
      if (op === OP_NEG) return 'BPF_NEG uses reserved fields';
      if (op === OP_MOV) return 'BPF_MOV uses reserved fields';
      return op > OP_END ? `invalid BPF_ALU opcode ${op.toString(16)}` : 'BPF_ALU uses reserved fields';
    default:
      if (op === 0x80) return 'BPF_CALL uses reserved fields';
      if (op === 0x90) return 'BPF_EXIT uses reserved fields';
      if (op === 0x00) return 'BPF_JA uses reserved fields';
      if (op === 0xe0) return `invalid may_goto imm ${imm}`;
      return 'BPF_JMP/JMP32 uses reserved fields';
  }
}

/** Arithmetic whose fields are looked at before its registers are. */
function isArithmetic(opcode: number): boolean {
  return ((opcode & 7) === 4 || (opcode & 7) === 7) && (opcode & 0xf0) < OP_NEG;
}

/** Loads and register stores, and arithmetic and jumps between registers. */
function usesSource(opcode: number): boolean {
  const cls = opcode & 7;
  return cls === 1 || cls === 3 || (cls >= 4 && (opcode & 0x08) !== 0);
}

/** A conditional jump's first register is looked at before its reserved fields are. */
export function readsFirst(insn: InvalidInsn): number | undefined {
  const { opcode, dst } = insn.raw;
  const cls = opcode & 7;
  const op = opcode & 0xf0;
  const conditional = (cls === 5 || cls === 6) && op !== 0x00 && op !== 0x80 && op !== 0x90 && op < 0xe0;
  return conditional ? dst : undefined;
}
