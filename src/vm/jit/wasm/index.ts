export { Code, type FunctionRef, type FunctionType, type Label, type Local } from './code.ts';
export { type Binary, ModuleBuilder } from './module.ts';
export type { AccessOp, PlainOp, ValueType } from './opcodes.ts';
export { moduleText, type Notes } from './text.ts';
