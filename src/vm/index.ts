export { MemoryFault, ProgramFault } from './faults.ts';
export { helperImplementations } from './helpers/table.ts';
export { interpreter } from './interp/interpreter.ts';
export { jit } from './jit/jit.ts';
export { jitText } from './jit/text.ts';
export { DEFAULT_BUDGET } from './run.ts';
export type {
  Engine,
  Executable,
  PacketContext,
  RunContext,
  RunnableProgram,
  Runtime,
  Task,
} from './types.ts';
