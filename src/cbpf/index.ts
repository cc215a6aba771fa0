export {
  type ClassicAlu,
  type ClassicCond,
  type ClassicInsn,
  type ClassicOperand,
  type ClassicProgram,
  decodeClassic,
  encodeClassic,
  fromSockFilters,
  type SockFilter,
  toSockFilter,
} from './insn.ts';
export { formatClassic, parseClassic } from './text.ts';
export { translateClassic } from './translate.ts';
export { validateClassic } from './validate.ts';
