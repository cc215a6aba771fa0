export { explainPoison, type RelocatedCode, relocateCore } from './core.ts';
export * from './open.ts';
export * from './sections.ts';
export * from './spec.ts';
