/** The edges of the control flow, of the raw program. */
import type { RawInsn } from '../isa/index.ts';
import type { Env } from './env.ts';

const CLASS_JMP = 5;
const CLASS_JMP32 = 6;
const WIDE_LOAD = 0x18;
const OP_JA = 0x00;
const OP_CALL = 0x80;
const OP_EXIT = 0x90;

/** No edge. */
export const NONE = -1;

/**
 * Fills `env.edges`: at `2 * slot`, the slots that may run right after it, calls stepping over their callee; at
 * first the next one, then a jump's target. The control flow has been checked.
 */
export function findEdges(env: Env): void {
  const edges = new Int32Array(2 * env.count).fill(NONE);
  for (let slot = 0; slot < env.count; slot++) {
    const raw = env.raw(slot);
    const target = targetOf(raw, slot);
    if (fallsThrough(raw)) edges[2 * slot] = slot + (raw.opcode === WIDE_LOAD ? 2 : 1);
    if (target === NONE || target === edges[2 * slot]) continue;
    edges[2 * slot + (fallsThrough(raw) ? 1 : 0)] = target;
  }
  env.edges = edges;
}

const isJump = ({ opcode }: RawInsn): boolean => (opcode & 7) === CLASS_JMP || (opcode & 7) === CLASS_JMP32;

function fallsThrough(raw: RawInsn): boolean {
  const op = raw.opcode & 0xf0;
  return !isJump(raw) || (op !== OP_EXIT && op !== OP_JA);
}

function targetOf(raw: RawInsn, slot: number): number {
  const op = raw.opcode & 0xf0;
  if (!isJump(raw) || op === OP_EXIT || op === OP_CALL) return NONE;
  return slot + 1 + (op === OP_JA && (raw.opcode & 7) === CLASS_JMP32 ? raw.imm : raw.off);
}
