export * from './insn.ts';
