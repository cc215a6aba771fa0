export * from './codec.ts';
export * from './core/index.ts';
export * from './ext.ts';
export * from './format.ts';
export * from './query.ts';
export { type Btf, readBtf } from './read.ts';
export * from './types.ts';
export { BtfBuilder, writeBtf } from './write.ts';
