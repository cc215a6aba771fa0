/**
 * The slots of a subprogram in postorder: each after those that it leads to, loops aside. In Linux's order
 * (compute_postorder), for the log tells how many rounds an analysis over it took.
 */
import type { Env, Subprog } from './env.ts';
import { NONE } from './successors.ts';

const DISCOVERED = 1;
const EXPLORED = 2;

/** Where nothing goes back and nothing is told of, nobody asks. */
export function findPostorder(env: Env): void {
  if (!env.goesBack && !env.log.verbose) return;
  const marks = new Uint8Array(env.count);
  for (const subprog of env.subprogs) subprog.postorder = postorderFrom(env, subprog, marks);
}

function postorderFrom(env: Env, subprog: Subprog, marks: Uint8Array): Int32Array {
  const order = new Int32Array(subprog.end - subprog.start);
  const stack = new Int32Array(order.length);
  const { edges } = env;
  let found = 0;
  stack[0] = subprog.start;
  let depth = 1;
  while (depth > 0) {
    const slot = stack[depth - 1] as number;
    if (((marks[slot] as number) & EXPLORED) !== 0) {
      order[found++] = slot;
      depth--;
      continue;
    }
    // All that it leads to is put aside at once: what was put there last is gone into first.
    for (let edge = 2 * slot; edge < 2 * slot + 2; edge++) {
      const next = edges[edge] as number;
      if (next === NONE || marks[next] !== 0) continue;
      marks[next] = DISCOVERED;
      stack[depth++] = next;
    }
    marks[slot] = EXPLORED;
  }
  return order.subarray(0, found);
}
