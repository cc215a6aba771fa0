/**
 * Loops: the strongly connected components of the control flow within subprograms (compute_scc), by Tarjan's
 * algorithm without recursion. A component of one instruction that does not jump to itself is no loop and
 * has number 0. The log shows the numbers, which are given in the order in which Linux finds them.
 */

import type { Env } from './env.ts';
import { NONE } from './successors.ts';

const DONE = 0xffffffff;

/**
 * From here on are calls of helpers that call back. Each goes round by itself, and what its first round relies on
 * must hold for the others; Linux 6.18 does not see them as loops, and its log does not tell of them.
 */
export const QUIET_LOOP = 1 << 24;

export function findLoops(env: Env): void {
  if (env.goesBack) findComponents(env);
  else
    env.callsBack.forEach((calls, slot) => {
      if (calls === 1) env.scc[slot] = QUIET_LOOP + slot;
    });
}

function findComponents(env: Env): void {
  const { edges } = env;
  const pre = new Uint32Array(env.count);
  const low = new Uint32Array(env.count);
  const nextEdge = new Uint8Array(env.count);
  const stack = new Int32Array(env.count);
  const path = new Int32Array(env.count);
  let height = 0;
  let depth = 0;
  let preorder = 0;
  let loops = 0;
  const close = (root: number): void => {
    const toItself = edges[2 * root] === root || edges[2 * root + 1] === root;
    const isLoop = stack[height - 1] !== root || toItself;
    const number = isLoop ? ++loops : env.callsBack[root] === 1 ? QUIET_LOOP + root : 0;
    for (;;) {
      const slot = stack[--height] as number;
      low[slot] = DONE;
      env.scc[slot] = number;
      if (slot === root) return;
    }
  };
  for (let start = 0; start < env.count; start++) {
    if (pre[start] !== 0 || env.opcode(start) === 0) continue;
    path[depth++] = start;
    while (depth > 0) {
      const slot = path[depth - 1] as number;
      if (pre[slot] === 0) {
        pre[slot] = low[slot] = ++preorder;
        stack[height++] = slot;
      }
      let deeper = false;
      while ((nextEdge[slot] as number) < 2) {
        const next = edges[2 * slot + (nextEdge[slot] as number)] as number;
        if (next === NONE) break;
        if (pre[next] === 0) {
          path[depth++] = next;
          deeper = true;
          break;
        }
        low[slot] = Math.min(low[slot] as number, low[next] as number);
        nextEdge[slot] = (nextEdge[slot] as number) + 1;
      }
      if (deeper) continue;
      if (low[slot] === pre[slot]) close(slot);
      depth--;
    }
  }
}
