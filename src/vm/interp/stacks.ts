/**
 * Stack frames in the kernel's memory: 512 bytes each, zeroed when they are taken, pooled for each memory.
 * Every frame is an allocation of its own, so that running off one is seen.
 */
import type { KernelMemory } from '../../memory/types.ts';
import { STACK_BYTES } from '../run.ts';

const pools = new WeakMap<KernelMemory, number[]>();

export function stackPool(memory: KernelMemory): number[] {
  let pool = pools.get(memory);
  if (pool === undefined) pools.set(memory, (pool = []));
  return pool;
}

export function takeStack(memory: KernelMemory, pool: number[]): number {
  const stack = pool.pop();
  if (stack === undefined) return memory.alloc(STACK_BYTES);
  memory.u8.fill(0, stack, stack + STACK_BYTES);
  return stack;
}
