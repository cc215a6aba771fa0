/**
 * The slots of a subprogram in postorder: each after those that it leads to, loops aside. In Linux's order
 * (compute_postorder), for the log tells how many rounds an analysis over it took.
 */
import type { Env, Subprog } from './env.ts';
import { NONE } from './successors.ts';

const DISCOVERED = 1;
const EXPLORED = 2;

export function findPostorder(env: Env): void {
  const marks = new Uint8Array(env.count);
  for (const subprog of env.subprogs) subprog.postorder = postorderFrom(env, subprog, marks);
}

function postorderFrom(env: Env, subprog: Subprog, marks: Uint8Array): number[] {
  const order: number[] = [];
  const stack = [subprog.start];
  while (stack.length > 0) {
    const slot = stack[stack.length - 1] as number;
    if (((marks[slot] as number) & EXPLORED) !== 0) {
      order.push(slot);
      stack.pop();
      continue;
    }
    // All that it leads to is put aside at once: what was put there last is gone into first.
    for (let edge = 2 * slot; edge < 2 * slot + 2; edge++) {
      const next = env.edges[edge] as number;
      if (next === NONE || marks[next] !== 0) continue;
      marks[next] = DISCOVERED;
      stack.push(next);
    }
    marks[slot] = EXPLORED;
  }
  return order;
}
