export { decode, decodeLenient, rawInsn, rawInsns, reading, slotBytes, slotCount, viewOf } from './decode.ts';
export { encode, fitsSigned, toRaw } from './encode.ts';
export * from './insn.ts';
export * from './opcodes.ts';
