export { decode, decodeLenient, rawInsns, reading, slotBytes, slotCount, wordsOf } from './decode.ts';
export { encode, fitsSigned, toRaw } from './encode.ts';
export * from './insn.ts';
export * from './opcodes.ts';
