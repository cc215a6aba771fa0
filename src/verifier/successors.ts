/** The edges of the control flow, of the raw program. */
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
    const opcode = env.opcode(slot);
    const cls = opcode & 7;
    if (cls !== CLASS_JMP && cls !== CLASS_JMP32) {
      edges[2 * slot] = slot + (opcode === WIDE_LOAD ? 2 : 1);
      continue;
    }
    const op = opcode & 0xf0;
    if (op === OP_EXIT) continue;
    let at = 2 * slot;
    if (op !== OP_JA) edges[at++] = slot + 1;
    if (op === OP_CALL) continue;
    const target = slot + 1 + (op === OP_JA && cls === CLASS_JMP32 ? env.imm(slot) : env.off(slot));
    if (op !== OP_JA && target === slot + 1) continue;
    edges[at] = target;
    if (target <= slot) env.goesBack = true;
  }
  env.edges = edges;
}
