export { createMap } from './create.ts';
export { ACCESS_FLAGS, mapFlags, updateFlags } from './flags.ts';
export { HashMap, hashTraits } from './hash.ts';
export * from './layout.ts';
export { ProgArrayMap } from './prog-array.ts';
export { QueueMap } from './queue.ts';
export { RingBufMap, ringFlags, ringOf } from './ringbuf.ts';
export type { BpfMap, MapContext, MapDef, Readable, Ring } from './types.ts';
