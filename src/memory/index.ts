export { ARENA_END, ARENA_START } from './layout.ts';
export { createMemory, type MemoryOptions } from './memory.ts';
export type { KernelMemory } from './types.ts';
