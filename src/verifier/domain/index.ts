/**
 * The numeric domain: what is known of a scalar, and how instructions and branches change it. Every function
 * works in place on a register of a file.
 */
export * from './alu.ts';
export * from './bounds.ts';
export * from './branch.ts';
export * from './compare.ts';
export * from './extend.ts';
export * from './fork.ts';
export * from './refine.ts';
export { syncBounds } from './sync.ts';
export * from './tnum.ts';
