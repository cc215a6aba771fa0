/**
 * What may stand right of `rN =` and begins with a word: atomics that give a value, byte swaps, casts, and the
 * named kinds of the two-slot load. One table, by the word.
 */
import { type Insn, type PseudoLoad, pseudoLoads, type Reg } from '../isa/index.ts';
import type { Cursor, RegToken } from './cursor.ts';
import { inverse, type LockOp, lockSigns, pseudoWords } from './syntax.ts';
import { syntaxError, type Token } from './tokens.ts';

export interface Parsed {
  readonly insn: Insn;
  /** The label that the instruction's target is yet to come from. */
  readonly label?: Token;
}

const lockBySign = inverse<LockOp>(lockSigns);

/** `lock *(u64 *)(r1 + 0) += r2`, after its first word. */
export function parseLock(cursor: Cursor): Insn {
  cursor.expect('*');
  const { size, base: dst, off } = cursor.atomicPlace();
  const atomic = lockBySign.get(cursor.peek().text);
  if (atomic === undefined) throw cursor.expected(`an assignment (${[...lockBySign.keys()].join(' ')})`);
  cursor.next();
  return { op: 'atomic', atomic, fetch: false, size, dst, off, src: cursor.valueReg(size).reg };
}

/** `atomic_fetch_add((u64 *)(r1 + 0), r2)`; the kernel says `atomic64_` for u64, LLVM leaves it to the type. */
function parseFetch(cursor: Cursor, left: RegToken, found: RegExpExecArray): Insn {
  cursor.expect('(');
  const { size, base: dst, off } = cursor.atomicPlace(found[1] === undefined ? undefined : 8);
  cursor.checkWidth(left, size);
  cursor.expect(',');
  cursor.sameReg(left);
  cursor.expect(')');
  return { op: 'atomic', atomic: found[2] as LockOp, fetch: true, size, dst, off, src: left.reg };
}

/** What follows the address in both dialects' exchanges: `, r2)` or `, r0, r2)`. */
function exchanged(cursor: Cursor, left: RegToken, atomic: 'xchg' | 'cmpxchg'): Reg {
  if (atomic === 'cmpxchg' && left.reg !== 0) throw cursor.expected('r0 or w0', left.token);
  cursor.expect(',');
  cursor.sameReg(left);
  if (atomic === 'xchg') {
    cursor.expect(')');
    return left.reg;
  }
  cursor.expect(',');
  const src = cursor.reg(left.bits).reg;
  cursor.expect(')');
  return src;
}

/** The kernel's `atomic64_xchg((u64 *)(r1 +0), r2)`. */
function parseExchange(cursor: Cursor, left: RegToken, found: RegExpExecArray): Insn {
  const atomic = found[2] as 'xchg' | 'cmpxchg';
  cursor.expect('(');
  const { size, base: dst, off } = cursor.atomicPlace(found[1] === undefined ? 4 : 8);
  cursor.checkWidth(left, size);
  return { op: 'atomic', atomic, fetch: true, size, dst, off, src: exchanged(cursor, left, atomic) };
}

/** LLVM's `xchg_64(r1 + 0, r2)`, `xchg32_32(r1 + 0, w2)`. */
function parseLlvmExchange(cursor: Cursor, left: RegToken, found: RegExpExecArray): Insn {
  const atomic = found[1] as 'xchg' | 'cmpxchg';
  const size = found[2] === '_64' ? 8 : 4;
  if (left.bits !== size * 8) throw cursor.expected(`a register of ${size * 8} bits`, left.token);
  cursor.expect('(');
  const { base: dst, off } = cursor.address();
  return { op: 'atomic', atomic, fetch: true, size, dst, off, src: exchanged(cursor, left, atomic) };
}

function parseLoadAcquire(cursor: Cursor, left: RegToken): Insn {
  cursor.expect('(');
  const { size, base: src, off } = cursor.unsignedPlace();
  cursor.checkWidth(left, size);
  cursor.expect(')');
  return { op: 'loadAcquire', size, dst: left.reg, src, off };
}

function parseSwap(cursor: Cursor, left: RegToken, found: RegExpExecArray): Insn {
  cursor.checkWidth(left, 8);
  cursor.sameReg(left);
  const kind = found[1] as 'le' | 'be' | 'bswap';
  return { op: 'swap', kind, width: Number(found[2]) as 16 | 32 | 64, dst: left.reg };
}

/** `addr_space_cast(r2, 1, 0)` */
function parseCast(cursor: Cursor, left: RegToken): Insn {
  cursor.checkWidth(left, 8);
  cursor.expect('(');
  const src = cursor.reg(64).reg;
  cursor.expect(',');
  const to = cursor.unsigned('an address space', 0xffff);
  cursor.expect(',');
  const from = cursor.unsigned('an address space', 0xffff);
  cursor.expect(')');
  return { op: 'addrSpaceCast', dst: left.reg, src, to, from };
}

/** `[2]` after a wide load's name: its other half. */
function bracketed(cursor: Cursor): number {
  if (!cursor.accept('[')) return 0;
  const value = cursor.imm();
  cursor.expect(']');
  return value;
}

/** The `[fd:3]` of `map[fd:3]`: which of the keys, and the number. */
function keyed<K extends string>(cursor: Cursor, keys: readonly K[]): { key: K; lo: number } {
  cursor.expect('[');
  const token = cursor.peek();
  const key = keys.find((name) => name === token.text);
  if (key === undefined) throw cursor.expected(keys.join(' or '));
  cursor.next();
  cursor.expect(':');
  const lo = cursor.imm();
  cursor.expect(']');
  return { key, lo };
}

/** `map[fd:3]`, or the address of byte 8 of its first value: `map[fd:3][0]+8`. */
function parseMap(cursor: Cursor, left: RegToken): Insn {
  cursor.checkWidth(left, 8);
  const { key, lo } = keyed(cursor, ['fd', 'idx']);
  const isValue = cursor.peek().text === '[';
  const element = cursor.peek(1);
  if (bracketed(cursor) !== 0) throw syntaxError(element, 'only element 0 of a map can be addressed');
  const hi = isValue ? cursor.offset(32) : 0;
  const rows = Object.entries(pseudoWords) as [PseudoLoad, (typeof pseudoWords)[keyof typeof pseudoWords]][];
  const row = rows.find(([, it]) => it.word === 'map' && it.key === key && it.value === isValue);
  return { op: 'ldimm64', dst: left.reg, pseudo: row?.[0] ?? 'mapFd', lo, hi };
}

/** `btf[id:7]` */
function parseBtf(cursor: Cursor, left: RegToken): Insn {
  cursor.checkWidth(left, 8);
  const { lo } = keyed(cursor, ['id']);
  return { op: 'ldimm64', dst: left.reg, pseudo: 'btfId', lo, hi: bracketed(cursor) };
}

/** `subprog[+5]`, `subprog[name]`. */
function parseSubprog(cursor: Cursor, left: RegToken): Parsed {
  cursor.checkWidth(left, 8);
  cursor.expect('[');
  const { off: lo, ...named } = cursor.target(32);
  cursor.expect(']');
  return { insn: { op: 'ldimm64', dst: left.reg, pseudo: 'func', lo, hi: bracketed(cursor) }, ...named };
}

/** LLVM's `ld_pseudo r1, 1, 3`, after its first word. */
export function parseLdPseudo(cursor: Cursor): Insn {
  const dst = cursor.reg(64).reg;
  cursor.expect(',');
  const pseudo = pseudoLoads[cursor.unsigned('a pseudo source', pseudoLoads.length - 1)] ?? 'imm';
  cursor.expect(',');
  return { op: 'ldimm64', dst, pseudo, lo: cursor.imm(), hi: 0 };
}

type ParseValue = (cursor: Cursor, left: RegToken, found: RegExpExecArray) => Insn | Parsed;

const values: readonly (readonly [RegExp, ParseValue])[] = [
  [/^atomic(64)?_fetch_(add|or|and|xor)$/, parseFetch],
  [/^atomic(64)?_(xchg|cmpxchg)$/, parseExchange],
  [/^(xchg|cmpxchg)(_64|32_32)$/, parseLlvmExchange],
  [/^load_acquire$/, parseLoadAcquire],
  [/^(le|be|bswap)(16|32|64)$/, parseSwap],
  [/^addr_space_cast$/, parseCast],
  [/^map$/, parseMap],
  [/^btf$/, parseBtf],
  [/^subprog$/, parseSubprog],
];

/** The right side of `rN =` where it begins with a word other than a register. */
export function parseNamed(cursor: Cursor, left: RegToken): Parsed {
  const word = cursor.word('a value');
  for (const [pattern, parse] of values) {
    const found = pattern.exec(word.text);
    if (found === null) continue;
    const parsed = parse(cursor, left, found);
    return 'insn' in parsed ? parsed : { insn: parsed };
  }
  throw cursor.expected('a register, a number, or a load', word);
}
