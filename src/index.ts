/**
 * The front of the package: load BPF objects on an embedded kernel, run them, read their maps. The parts are
 * behind subpaths: skep/isa, skep/asm, skep/btf, skep/elf, skep/object, skep/kernel, skep/packet, …
 */
export { assemble, disassemble, formatInsn } from './asm/index.ts';
export { fromBase64 } from './base/bytes.ts';
export * from './base/errors.ts';
export type { Value } from './btf/index.ts';
export { decode, encode, type Insn, type Slots } from './isa/index.ts';
export { type Engine, interpreter, jit, type KernelOptions } from './kernel/index.ts';
export {
  type CollectionSpec,
  type MapSpec,
  openObject,
  type ProgramSpec,
  type VariableSpec,
} from './object/index.ts';
export { BpfError, type Errno } from './uapi/errno.ts';
export * from './user/index.ts';
