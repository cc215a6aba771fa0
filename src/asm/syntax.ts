/**
 * The words and signs of BPF assembly, one table each, read by the printer and the parser: the notation that
 * Linux's verifier log and bpftool print, and LLVM's, which differ in spacing, in jump targets and in the
 * atomics. Where neither can tell two instructions apart (what a two-slot load names, the kind of a call)
 * the words are ours, after bpftool's: `map[fd:3]`, `map[idx:0][0]+8`, `btf[id:7]`, `subprog[+5]`,
 * `call kfunc#7`.
 */
import type { AluOp, AtomicOp, Insn, JmpCond, PseudoLoad, Size } from '../isa/index.ts';

export type Dialect = 'kernel' | 'llvm';

export type WideLoad = Extract<Insn, { op: 'ldimm64' }>;
export type KfuncCall = Extract<Insn, { op: 'call'; kind: 'kfunc' }>;

export const aluSigns = {
  add: '+=',
  sub: '-=',
  mul: '*=',
  div: '/=',
  sdiv: 's/=',
  mod: '%=',
  smod: 's%=',
  or: '|=',
  and: '&=',
  xor: '^=',
  lsh: '<<=',
  rsh: '>>=',
  arsh: 's>>=',
  mov: '=',
} as const satisfies Record<AluOp, string>;

export const condSigns = {
  eq: '==',
  ne: '!=',
  gt: '>',
  ge: '>=',
  lt: '<',
  le: '<=',
  set: '&',
  sgt: 's>',
  sge: 's>=',
  slt: 's<',
  sle: 's<=',
} as const satisfies Record<JmpCond, string>;

export const unsignedSizes = { 1: 'u8', 2: 'u16', 4: 'u32', 8: 'u64' } as const satisfies Record<
  Size,
  string
>;
export const signedSizes = { 1: 's8', 2: 's16', 4: 's32', 8: 's64' } as const satisfies Record<Size, string>;

/** The atomics that also exist without their old value, as assignments: `lock *(u64 *)(r1 +0) += r2`. */
export const lockSigns = { add: '+=', or: '|=', and: '&=', xor: '^=' } as const satisfies Partial<
  Record<AtomicOp, string>
>;
export type LockOp = keyof typeof lockSigns;

/** How each kind of wide load is written: `word[key:n]`, and whether an offset may follow. */
export const pseudoWords = {
  mapFd: { word: 'map', key: 'fd', value: false },
  mapValue: { word: 'map', key: 'fd', value: true },
  mapIdx: { word: 'map', key: 'idx', value: false },
  mapIdxValue: { word: 'map', key: 'idx', value: true },
  btfId: { word: 'btf', key: 'id', value: false },
} as const satisfies Partial<Record<PseudoLoad, { word: string; key: string; value: boolean }>>;

/** The name before a kfunc's BTF id where its own name is not known. */
export const kfuncWord = 'kfunc';

/** The key of a table by its value. */
export function inverse<K extends string>(table: Readonly<Record<K, string>>): ReadonlyMap<string, K> {
  return new Map((Object.entries(table) as [K, string][]).map(([key, sign]) => [sign, key]));
}
