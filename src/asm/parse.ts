/**
 * One statement to one instruction, whose jump or call may still name a label. Both dialects at once: they
 * share most of their notation, and where they differ no text means two things.
 */
import { type AluOp, type Insn, type JmpCond, pseudoLoads, type Reg } from '../isa/index.ts';
import { helperName, helpers } from '../uapi/index.ts';
import { Cursor, type RegToken } from './cursor.ts';
import { aluSigns, condSigns, inverse, kfuncWord, type LockOp, lockSigns, pseudoWords } from './syntax.ts';
import { syntaxError, type Token } from './tokens.ts';

export interface Parsed {
  readonly insn: Insn;
  /** The label that the instruction's target is yet to come from. */
  readonly label: Token | undefined;
}

const aluBySign = inverse<AluOp>(aluSigns);
const condBySign = inverse<JmpCond>(condSigns);
const lockBySign = inverse<LockOp>(lockSigns);

const swapPattern = /^(le|be|bswap)(16|32|64)$/;
const fetchPattern = /^atomic(64)?_fetch_(add|or|and|xor)$/;
const exchangePattern = /^atomic(64)?_(xchg|cmpxchg)$/;
/** LLVM's: the address without its type. */
const llvmExchangePattern = /^(xchg|cmpxchg)(_64|32_32)$/;

interface Target {
  readonly off: number;
  readonly label: Token | undefined;
}

/** `+3`, `pc+3`, `name`; llvm-objdump's `<name+0x18>` after an offset is skipped. */
function target(cursor: Cursor, bits: 16 | 32): Target {
  const isOffset = (token: Token): boolean => token.text === '+' || token.text === '-';
  if (cursor.peek().text === 'pc' && isOffset(cursor.peek(1))) cursor.next();
  if (isOffset(cursor.peek())) {
    const off = cursor.offset(bits);
    if (cursor.accept('<')) while (cursor.peek().kind !== 'end' && cursor.next().text !== '>');
    return { off, label: undefined };
  }
  if (cursor.isReg()) throw cursor.expected('a label or an offset such as +3');
  return { off: 0, label: cursor.word('a label or an offset such as +3') };
}

function parseIf(cursor: Cursor): Parsed {
  const { reg: dst, bits } = cursor.reg();
  const cond = condBySign.get(cursor.peek().text);
  if (cond === undefined) throw cursor.expected(`a comparison (${[...condBySign.keys()].join(' ')})`);
  cursor.next();
  const src = cursor.operand(bits);
  cursor.expect('goto');
  const { off, label } = target(cursor, 16);
  return { insn: { op: 'jmp', cond, bits, dst, src, off }, label };
}

/** `name#7`, as Linux prints helpers and kernel functions alike; `kfunc#7[2]` with an index into fd_array. */
function numberedCall(cursor: Cursor, name: Token): Insn {
  cursor.expect('#');
  const number = cursor.peek();
  const imm = cursor.imm();
  if (name.text === 'unknown' || name.text === 'bpf_unspec') return { op: 'call', kind: 'helper', imm };
  const plain = name.text.replace(/^bpf_/, '');
  if (name.text !== kfuncWord && Object.hasOwn(helpers, plain)) {
    if (helperName(imm) === plain) return { op: 'call', kind: 'helper', imm };
    const { id } = helpers[plain as keyof typeof helpers];
    throw syntaxError(number, `${name.text} is helper ${id}, not ${imm}`);
  }
  if (!cursor.accept('[')) return { op: 'call', kind: 'kfunc', imm, off: 0 };
  const off = signed16(cursor);
  cursor.expect(']');
  return { op: 'call', kind: 'kfunc', imm, off };
}

function signed16(cursor: Cursor): number {
  const token = cursor.peek();
  const value = cursor.imm();
  if (value >= -0x8000 && value <= 0x7fff) return value;
  throw syntaxError(token, `${value} does not fit 16 bits`);
}

function parseCall(cursor: Cursor): Parsed {
  const first = cursor.peek();
  if (first.kind === 'number' || first.text === '-') {
    return { insn: { op: 'call', kind: 'helper', imm: cursor.imm() }, label: undefined };
  }
  if (first.kind === 'word' && cursor.peek(1).text === '#') {
    cursor.next();
    return { insn: numberedCall(cursor, first), label: undefined };
  }
  if (first.kind !== 'word') throw cursor.expected('a helper, a label, or an offset such as pc+3');
  const { off, label } = target(cursor, 32);
  return { insn: { op: 'call', kind: 'subprog', imm: off }, label };
}

function parseLock(cursor: Cursor): Insn {
  cursor.expect('*');
  const { size, base: dst, off } = cursor.atomicPlace();
  const atomic = lockBySign.get(cursor.peek().text);
  if (atomic === undefined) throw cursor.expected(`an assignment (${[...lockBySign.keys()].join(' ')})`);
  cursor.next();
  return { op: 'atomic', atomic, fetch: false, size, dst, off, src: cursor.valueReg(size) };
}

function parseStore(cursor: Cursor): Insn {
  const { size, base: dst, off } = cursor.unsignedPlace();
  cursor.expect('=');
  const src = cursor.isReg() ? { reg: cursor.valueReg(size) } : { imm: cursor.imm() };
  return { op: 'store', size, dst, off, src };
}

function parseStoreRelease(cursor: Cursor): Insn {
  cursor.expect('(');
  const { size, base: dst, off } = cursor.unsignedPlace();
  cursor.expect(',');
  const src = cursor.valueReg(size);
  cursor.expect(')');
  return { op: 'storeRelease', size, dst, off, src };
}

/** LLVM's `ld_pseudo r1, 1, 3`. */
function parseLdPseudo(cursor: Cursor): Insn {
  const dst = cursor.reg(64).reg;
  cursor.expect(',');
  const pseudo = pseudoLoads[cursor.unsigned('a pseudo source', pseudoLoads.length - 1)] ?? 'imm';
  cursor.expect(',');
  return { op: 'ldimm64', dst, pseudo, lo: cursor.imm(), hi: 0 };
}

function wideInsn(dst: Reg, value: bigint): Insn {
  const lo = Number(BigInt.asIntN(32, value));
  const hi = Number(BigInt.asIntN(32, value >> 32n));
  return { op: 'ldimm64', dst, pseudo: 'imm', lo, hi };
}

/** `[2]` after a wide load's name: its other half. */
function bracketed(cursor: Cursor): number {
  if (!cursor.accept('[')) return 0;
  const value = cursor.imm();
  cursor.expect(']');
  return value;
}

/** `map[fd:3]`, `map[idx:0][0]+8`, `btf[id:7]`. */
function parsePseudo(cursor: Cursor, dst: Reg, word: Token): Parsed {
  cursor.expect('[');
  const rows = Object.entries(pseudoWords).filter(([, row]) => row.word === word.text);
  const key = cursor.word('fd, idx or id');
  const keyed = rows.filter(([, row]) => row.key === key.text);
  if (keyed.length === 0)
    throw cursor.expected([...new Set(rows.map(([, row]) => row.key))].join(' or '), key);
  cursor.expect(':');
  const lo = cursor.imm();
  cursor.expect(']');
  const isBtf = word.text === 'btf';
  const isValue = !isBtf && cursor.peek().text === '[';
  const hi = bracketed(cursor);
  const off = isValue ? cursor.offset(32) : hi;
  if (isValue && hi !== 0) throw syntaxError(word, 'only element 0 of a map can be addressed');
  const [pseudo] = keyed.find(([, row]) => row.value === isValue) as [keyof typeof pseudoWords, unknown];
  return { insn: { op: 'ldimm64', dst, pseudo, lo, hi: off }, label: undefined };
}

/** `subprog[+5]`, `subprog[name]`. */
function parseSubprog(cursor: Cursor, dst: Reg): Parsed {
  cursor.expect('[');
  const { off: lo, label } = target(cursor, 32);
  cursor.expect(']');
  return { insn: { op: 'ldimm64', dst, pseudo: 'func', lo, hi: bracketed(cursor) }, label };
}

/** `r1 = 5`, `r1 = 5 ll`; the number of a line that shows opcode (18) is wide without the `ll`. */
function parseNumber(cursor: Cursor, left: RegToken, isWide: boolean): Insn {
  const { reg: dst, bits } = left;
  let ahead = 0;
  while (cursor.peek(ahead).kind !== 'end' && cursor.peek(ahead).text !== 'll') ahead++;
  if (!isWide && cursor.peek(ahead).text !== 'll') {
    return { op: 'alu', alu: 'mov', bits, dst, src: { imm: cursor.imm('a 64-bit number ends in "ll"') } };
  }
  if (bits === 32) throw cursor.expected('a register r0 to r10', left.token);
  const insn = wideInsn(dst, cursor.wide());
  cursor.accept('ll');
  return insn;
}

/** `*(u8 *)(r1 + 2)` or `*(u8 *)skb[…]`. */
function parseLoad(cursor: Cursor, left: RegToken): Insn {
  const { size, signed, type } = cursor.pointerType();
  if (cursor.accept('skb')) {
    if (left.reg !== 0) throw cursor.expected('r0', left.token);
    if (signed || size === 8) throw cursor.expected('u8, u16 or u32', type);
    cursor.expect('[');
    const src = cursor.isReg() ? cursor.reg(64).reg : undefined;
    const hasImm = src === undefined || cursor.accept('+') || cursor.peek().text === '-';
    const imm = hasImm ? cursor.imm() : 0;
    cursor.expect(']');
    return { op: 'ldPacket', size, src, imm };
  }
  if (signed && size === 8) throw cursor.expected('s8, s16 or s32', type);
  if (left.bits === 32 && (signed || size === 8)) throw cursor.expected('a register r0 to r10', left.token);
  cursor.expect('(');
  const { base: src, off } = cursor.address();
  cursor.expect(')');
  return { op: 'load', size, signed, dst: left.reg, src, off };
}

function parseFetch(cursor: Cursor, left: RegToken, found: RegExpExecArray): Insn {
  cursor.expect('(');
  // The kernel says atomic64_ for u64; LLVM leaves it to the type.
  const { size, base: dst, off } = cursor.atomicPlace(found[1] === undefined ? undefined : 8);
  cursor.expect(',');
  cursor.sameReg(left);
  cursor.expect(')');
  return { op: 'atomic', atomic: found[2] as LockOp, fetch: true, size, dst, off, src: left.reg };
}

/** What follows the address in both dialects' exchanges: `, r2)` or `, r0, r2)`. */
function exchange(cursor: Cursor, left: RegToken, atomic: 'xchg' | 'cmpxchg'): Reg {
  cursor.expect(',');
  if (atomic === 'xchg') {
    cursor.sameReg(left);
  } else {
    if (left.reg !== 0) throw cursor.expected('r0 or w0', left.token);
    cursor.sameReg(left);
    cursor.expect(',');
  }
  const src = atomic === 'xchg' ? left.reg : cursor.reg(left.bits).reg;
  cursor.expect(')');
  return src;
}

function parseExchange(cursor: Cursor, left: RegToken, found: RegExpExecArray): Insn {
  const atomic = found[2] as 'xchg' | 'cmpxchg';
  cursor.expect('(');
  const { size, base: dst, off } = cursor.atomicPlace(found[1] === undefined ? 4 : 8);
  return { op: 'atomic', atomic, fetch: true, size, dst, off, src: exchange(cursor, left, atomic) };
}

function parseLlvmExchange(cursor: Cursor, left: RegToken, found: RegExpExecArray): Insn {
  const atomic = found[1] as 'xchg' | 'cmpxchg';
  const size = found[2] === '_64' ? 8 : 4;
  if (left.bits !== size * 8) throw cursor.expected(`a register of ${size * 8} bits`, left.token);
  cursor.expect('(');
  const { base: dst, off } = cursor.address();
  return { op: 'atomic', atomic, fetch: true, size, dst, off, src: exchange(cursor, left, atomic) };
}

function parseLoadAcquire(cursor: Cursor, left: RegToken): Insn {
  cursor.expect('(');
  const { size, base: src, off } = cursor.unsignedPlace();
  if (left.bits === 32 && size === 8) throw cursor.expected('a register r0 to r10', left.token);
  cursor.expect(')');
  return { op: 'loadAcquire', size, dst: left.reg, src, off };
}

function parseCast(cursor: Cursor, left: RegToken): Insn {
  cursor.expect('(');
  const src = cursor.reg(64).reg;
  cursor.expect(',');
  const to = cursor.unsigned('an address space', 0xffff);
  cursor.expect(',');
  const from = cursor.unsigned('an address space', 0xffff);
  cursor.expect(')');
  return { op: 'addrSpaceCast', dst: left.reg, src, to, from };
}

function parseSwap(cursor: Cursor, left: RegToken, found: RegExpExecArray): Insn {
  cursor.sameReg(left);
  const kind = found[1] as 'le' | 'be' | 'bswap';
  return { op: 'swap', kind, width: Number(found[2]) as 16 | 32 | 64, dst: left.reg };
}

/** The right side of `rN =` where it begins with a word other than a register. */
function parseNamed(cursor: Cursor, left: RegToken): Parsed {
  const word = cursor.word('a value');
  const done = (insn: Insn): Parsed => ({ insn, label: undefined });
  const wide = (): void => {
    if (left.bits === 32) throw cursor.expected('a register r0 to r10', left.token);
  };
  const fetch = fetchPattern.exec(word.text);
  if (fetch !== null) return done(parseFetch(cursor, left, fetch));
  const kernel = exchangePattern.exec(word.text);
  if (kernel !== null) return done(parseExchange(cursor, left, kernel));
  const llvm = llvmExchangePattern.exec(word.text);
  if (llvm !== null) return done(parseLlvmExchange(cursor, left, llvm));
  if (word.text === 'load_acquire') return done(parseLoadAcquire(cursor, left));
  wide();
  const swap = swapPattern.exec(word.text);
  if (swap !== null) return done(parseSwap(cursor, left, swap));
  if (word.text === 'addr_space_cast') return done(parseCast(cursor, left));
  if (word.text === 'map' || word.text === 'btf') return parsePseudo(cursor, left.reg, word);
  if (word.text === 'subprog') return parseSubprog(cursor, left.reg);
  throw cursor.expected('a register, a number, or a load', word);
}

/** Everything that begins with a register. */
function parseAssignment(cursor: Cursor, isWide: boolean): Parsed {
  const left = cursor.reg();
  const { reg: dst, bits } = left;
  const done = (insn: Insn): Parsed => ({ insn, label: undefined });
  const alu = aluBySign.get(cursor.peek().text);
  if (alu === undefined) throw cursor.expected(`an assignment (${[...aluBySign.keys()].join(' ')})`);
  cursor.next();
  if (alu !== 'mov') return done({ op: 'alu', alu, bits, dst, src: cursor.operand(bits) });
  const first = cursor.peek();
  if (cursor.isReg()) return done({ op: 'alu', alu, bits, dst, src: { reg: cursor.reg(bits).reg } });
  if (cursor.accept('*')) return done(parseLoad(cursor, left));
  if (first.text === '-' && cursor.isReg(cursor.peek(1))) {
    cursor.next();
    cursor.sameReg(left);
    return done({ op: 'neg', bits, dst });
  }
  if (cursor.accept('(')) {
    const type = cursor.word('s8, s16 or s32');
    const from = { s8: 8, s16: 16, s32: 32 }[type.text] as 8 | 16 | 32 | undefined;
    if (from === undefined || from >= bits)
      throw cursor.expected(bits === 32 ? 's8 or s16' : 's8, s16 or s32', type);
    cursor.expect(')');
    return done({ op: 'movsx', bits, from, dst, src: cursor.reg(bits).reg });
  }
  if (first.kind === 'word') return parseNamed(cursor, left);
  return done(parseNumber(cursor, left, isWide));
}

const statements = {
  exit: () => ({ insn: { op: 'exit' }, label: undefined }),
  goto: (cursor) => {
    const { off, label } = target(cursor, 16);
    return { insn: { op: 'ja', wide: false, off }, label };
  },
  gotol: (cursor) => {
    const { off, label } = target(cursor, 32);
    return { insn: { op: 'ja', wide: true, off }, label };
  },
  may_goto: (cursor) => {
    const { off, label } = target(cursor, 16);
    return { insn: { op: 'mayGoto', off }, label };
  },
  if: parseIf,
  call: parseCall,
  lock: (cursor) => ({ insn: parseLock(cursor), label: undefined }),
  '*': (cursor) => ({ insn: parseStore(cursor), label: undefined }),
  store_release: (cursor) => ({ insn: parseStoreRelease(cursor), label: undefined }),
  ld_pseudo: (cursor) => ({ insn: parseLdPseudo(cursor), label: undefined }),
} as const satisfies Record<string, (cursor: Cursor) => Parsed>;

/**
 * The instruction of a statement (its labels already taken off).
 * @param isWide Whether the line shows the opcode of a two-slot load.
 * @throws SkepError with line and column.
 */
export function parseStatement(tokens: readonly Token[], isWide: boolean): Parsed {
  const cursor = new Cursor(tokens);
  const first = cursor.peek();
  let parsed: Parsed;
  if (cursor.isReg()) {
    parsed = parseAssignment(cursor, isWide);
  } else if (Object.hasOwn(statements, first.text)) {
    cursor.next();
    parsed = statements[first.text as keyof typeof statements](cursor);
  } else {
    throw cursor.expected('an instruction');
  }
  cursor.end();
  return parsed;
}
