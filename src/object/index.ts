export * from './open.ts';
export * from './sections.ts';
export * from './spec.ts';
