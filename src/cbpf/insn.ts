/**
 * Classic BPF, the language of `tcpdump` filters, as a discriminated union (McCanne and Jacobson 1993; the
 * kernel's Documentation/networking/filter.rst), and its encoding: struct sock_filter, 8 bytes of
 * `code u16, jt u8, jf u8, k u32`. Fields that an instruction does not use are ignored when read, as by Linux,
 * and zero when written. The machine has an accumulator A, an index X, and 16 words of scratch memory M.
 */
import { SkepError } from '../base/index.ts';

export type ClassicAlu = 'add' | 'sub' | 'mul' | 'div' | 'mod' | 'or' | 'and' | 'xor' | 'lsh' | 'rsh';
export type ClassicCond = 'eq' | 'gt' | 'ge' | 'set';
/** X, or a constant (unsigned 32 bits). */
export type ClassicOperand = 'x' | number;

export type ClassicInsn =
  /** A from the packet at k, or at X + k; k from 0xfffff000 on is an ancillary value of Linux. */
  | { readonly op: 'ldPacket'; readonly size: 1 | 2 | 4; readonly indexed: boolean; readonly k: number }
  | { readonly op: 'ldImm'; readonly reg: 'a' | 'x'; readonly k: number }
  | { readonly op: 'ldMem'; readonly reg: 'a' | 'x'; readonly k: number }
  /** The packet's length. */
  | { readonly op: 'ldLen'; readonly reg: 'a' | 'x' }
  /** X = 4 * (byte k of the packet & 15): the length of an IPv4 header. */
  | { readonly op: 'ldxMsh'; readonly k: number }
  | { readonly op: 'st'; readonly reg: 'a' | 'x'; readonly k: number }
  | { readonly op: 'alu'; readonly alu: ClassicAlu; readonly src: ClassicOperand }
  | { readonly op: 'neg' }
  | { readonly op: 'ja'; readonly k: number }
  | {
      readonly op: 'jmp';
      readonly cond: ClassicCond;
      readonly src: ClassicOperand;
      readonly jt: number;
      readonly jf: number;
    }
  /** Ends with so many bytes of the packet kept. */
  | { readonly op: 'ret'; readonly src: 'a' | number }
  | { readonly op: 'tax' }
  | { readonly op: 'txa' };

export type ClassicProgram = readonly ClassicInsn[];

/** One struct sock_filter. */
export interface SockFilter {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  /** Unsigned. */
  readonly k: number;
}

/** BPF_MAXINSNS. */
export const maxClassicInsns = 4096;
/** BPF_MEMWORDS. */
export const scratchWords = 16;
const filterBytes = 8;

const aluNames = {
  0: 'add',
  16: 'sub',
  32: 'mul',
  48: 'div',
  64: 'or',
  80: 'and',
  96: 'lsh',
  112: 'rsh',
  144: 'mod',
  160: 'xor',
} as const satisfies Record<number, ClassicAlu>;
const condNames = { 16: 'eq', 32: 'gt', 48: 'ge', 64: 'set' } as const satisfies Record<number, ClassicCond>;

/** The second operand is X, not k. */
const sourceX = 0x08;

/** What every code means; a code that is not here is no instruction. */
const codes = new Map<number, (raw: SockFilter) => ClassicInsn>([
  [0x00, ({ k }) => ({ op: 'ldImm', reg: 'a', k })],
  [0x01, ({ k }) => ({ op: 'ldImm', reg: 'x', k })],
  [0x60, ({ k }) => ({ op: 'ldMem', reg: 'a', k })],
  [0x61, ({ k }) => ({ op: 'ldMem', reg: 'x', k })],
  [0x80, () => ({ op: 'ldLen', reg: 'a' })],
  [0x81, () => ({ op: 'ldLen', reg: 'x' })],
  [0xb1, ({ k }) => ({ op: 'ldxMsh', k })],
  [0x02, ({ k }) => ({ op: 'st', reg: 'a', k })],
  [0x03, ({ k }) => ({ op: 'st', reg: 'x', k })],
  [0x84, () => ({ op: 'neg' })],
  [0x05, ({ k }) => ({ op: 'ja', k })],
  [0x06, ({ k }) => ({ op: 'ret', src: k })],
  [0x16, () => ({ op: 'ret', src: 'a' })],
  [0x07, () => ({ op: 'tax' })],
  [0x87, () => ({ op: 'txa' })],
]);
for (const [bits, size] of [
  [0x00, 4],
  [0x08, 2],
  [0x10, 1],
] as const) {
  codes.set(0x20 | bits, ({ k }) => ({ op: 'ldPacket', size, indexed: false, k }));
  codes.set(0x40 | bits, ({ k }) => ({ op: 'ldPacket', size, indexed: true, k }));
}
for (const [code, alu] of Object.entries(aluNames)) {
  codes.set(0x04 | Number(code), ({ k }) => ({ op: 'alu', alu, src: k }));
  codes.set(0x04 | Number(code) | sourceX, () => ({ op: 'alu', alu, src: 'x' }));
}
for (const [code, cond] of Object.entries(condNames)) {
  codes.set(0x05 | Number(code), ({ k, jt, jf }) => ({ op: 'jmp', cond, src: k, jt, jf }));
  codes.set(0x05 | Number(code) | sourceX, ({ jt, jf }) => ({ op: 'jmp', cond, src: 'x', jt, jf }));
}

/** The encodings found by what they decode to, for the inverse. */
const codeOf = new Map<string, number>(
  [...codes].map(([code, make]) => [shapeKey(make({ code, jt: 0, jf: 0, k: 0 })), code]),
);

/** What of an instruction is in its code, rather than in jt, jf and k. */
function shapeKey(insn: ClassicInsn): string {
  const { op, size, indexed, reg, alu, cond, src } = insn as Record<string, unknown>;
  return [op, size, indexed, reg, alu, cond, typeof src === 'number' ? 'k' : src].join();
}

/** The fields of an instruction's encoding. */
export function toSockFilter(insn: ClassicInsn): SockFilter {
  const code = codeOf.get(shapeKey(insn)) ?? 0;
  const { jt, jf } = insn.op === 'jmp' ? insn : { jt: 0, jf: 0 };
  const src = 'src' in insn ? insn.src : 'k' in insn ? insn.k : 0;
  return { code, jt, jf, k: typeof src === 'number' ? src : 0 };
}

export function classicError(insn: number, message: string, hint?: string): SkepError {
  return new SkepError({ code: 'classic', message, where: `instruction ${insn}`, hint });
}

/**
 * The instructions of filter structs.
 * @throws SkepError (code 'classic') for a code that is none, or too many of them.
 */
export function fromSockFilters(filters: readonly SockFilter[]): ClassicProgram {
  if (filters.length > maxClassicInsns) {
    throw new SkepError({
      code: 'classic',
      message: `${filters.length} instructions, at most ${maxClassicInsns} allowed`,
    });
  }
  return filters.map((raw, index) => {
    const make = codes.get(raw.code);
    if (make === undefined) throw classicError(index, `code 0x${raw.code.toString(16)} is no instruction`);
    return make(raw);
  });
}

/**
 * The instructions of an array of struct sock_filter, little-endian.
 * @throws SkepError (code 'classic').
 */
export function decodeClassic(bytes: Uint8Array): ClassicProgram {
  if (bytes.length % filterBytes !== 0) {
    throw new SkepError({
      code: 'classic',
      message: `${bytes.length} bytes of classic BPF, not a multiple of ${filterBytes}`,
    });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const filters: SockFilter[] = [];
  for (let at = 0; at < bytes.length; at += filterBytes) {
    filters.push({
      code: view.getUint16(at, true),
      jt: view.getUint8(at + 2),
      jf: view.getUint8(at + 3),
      k: view.getUint32(at + 4, true),
    });
  }
  return fromSockFilters(filters);
}

/** The inverse of `decodeClassic`. */
export function encodeClassic(program: ClassicProgram): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(program.length * filterBytes);
  const view = new DataView(bytes.buffer);
  program.forEach((insn, index) => {
    const { code, jt, jf, k } = toSockFilter(insn);
    view.setUint16(index * filterBytes, code, true);
    view.setUint8(index * filterBytes + 2, jt);
    view.setUint8(index * filterBytes + 3, jf);
    view.setUint32(index * filterBytes + 4, k, true);
  });
  return bytes;
}
