export { assemble } from './assemble.ts';
export * from './builder.ts';
export { type DisassembleOptions, disassemble } from './disassemble.ts';
export { type FormatOptions, formatInsn, opcodeOf, wideNumber } from './format.ts';
export type { Dialect, KfuncCall, WideLoad } from './syntax.ts';
