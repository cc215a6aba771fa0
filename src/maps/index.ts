export { createMap } from './create.ts';
export { ACCESS_FLAGS, mapFlags, updateFlags } from './flags.ts';
export { CHUNK_HEADER, hashElem, hashHeader, MAP_HEADER_BYTES, mapHeader } from './layout.ts';
export { ProgArrayMap } from './prog-array.ts';
export type { BpfMap, MapContext, MapDef, Readable, Ring } from './types.ts';
