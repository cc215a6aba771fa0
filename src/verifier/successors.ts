/** The edges of the control flow, of the raw program. */
import type { RawInsn } from '../isa/index.ts';

const CLASS_JMP = 5;
const CLASS_JMP32 = 6;
const WIDE_LOAD = 0x18;
const OP_JA = 0x00;
const OP_CALL = 0x80;
const OP_EXIT = 0x90;

/** Slots that may run right after the one that holds `raw`. */
export function successorsOf(raw: RawInsn, slot: number): readonly number[] {
  const cls = raw.opcode & 7;
  if (cls !== CLASS_JMP && cls !== CLASS_JMP32) return [slot + (raw.opcode === WIDE_LOAD ? 2 : 1)];
  const op = raw.opcode & 0xf0;
  if (op === OP_EXIT) return [];
  if (op === OP_CALL) return [slot + 1];
  const target = slot + 1 + (op === OP_JA && cls === CLASS_JMP32 ? raw.imm : raw.off);
  if (op === OP_JA || target === slot + 1) return [target];
  return [slot + 1, target];
}
