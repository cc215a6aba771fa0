export { explainPoison, type RelocatedCode, relocateCore } from './core.ts';
export * from './open.ts';
export * from './sections.ts';
export * from './spec.ts';
export type { LinkInput } from './static-linker/input.ts';
export { linkObjects } from './static-linker/link.ts';
