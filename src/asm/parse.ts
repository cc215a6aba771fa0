/**
 * One statement to one instruction, whose jump or call may still name a label. Both dialects at once: they
 * share most of their notation, and where they differ no text means two things.
 */
import type { AluOp, Insn, JmpCond } from '../isa/index.ts';
import { helperName, helpers } from '../uapi/index.ts';
import { Cursor, type RegToken } from './cursor.ts';
import { aluSigns, condSigns, inverse, kfuncWord } from './syntax.ts';
import { syntaxError, type Token } from './tokens.ts';
import { type Parsed, parseLdPseudo, parseLock, parseNamed } from './values.ts';

export type { Parsed } from './values.ts';

const aluBySign = inverse<AluOp>(aluSigns);
const condBySign = inverse<JmpCond>(condSigns);
/** The types of a sign-extending move. */
const movsxFrom = new Map([
  ['s8', 8],
  ['s16', 16],
  ['s32', 32],
] as const);

function parseIf(cursor: Cursor): Parsed {
  const { reg: dst, bits } = cursor.reg();
  const cond = condBySign.get(cursor.peek().text);
  if (cond === undefined) throw cursor.expected(`a comparison (${[...condBySign.keys()].join(' ')})`);
  cursor.next();
  const src = cursor.operand(bits);
  cursor.expect('goto');
  const { off, ...named } = cursor.target(16);
  return { insn: { op: 'jmp', cond, bits, dst, src, off }, ...named };
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
  const off = cursor.imm16();
  cursor.expect(']');
  return { op: 'call', kind: 'kfunc', imm, off };
}

function parseCall(cursor: Cursor): Parsed {
  const first = cursor.peek();
  if (first.kind === 'number' || first.text === '-') {
    return { insn: { op: 'call', kind: 'helper', imm: cursor.imm() } };
  }
  if (first.kind === 'word' && cursor.peek(1).text === '#') {
    cursor.next();
    return { insn: numberedCall(cursor, first) };
  }
  if (first.kind !== 'word') throw cursor.expected('a helper, a label, or an offset such as pc+3');
  const { off, ...named } = cursor.target(32);
  return { insn: { op: 'call', kind: 'subprog', imm: off }, ...named };
}

function parseStore(cursor: Cursor): Insn {
  const { size, base: dst, off } = cursor.unsignedPlace();
  cursor.expect('=');
  const src = cursor.isReg() ? { reg: cursor.valueReg(size).reg } : { imm: cursor.imm() };
  return { op: 'store', size, dst, off, src };
}

function parseStoreRelease(cursor: Cursor): Insn {
  cursor.expect('(');
  const { size, base: dst, off } = cursor.unsignedPlace();
  cursor.expect(',');
  const src = cursor.valueReg(size).reg;
  cursor.expect(')');
  return { op: 'storeRelease', size, dst, off, src };
}

/** `r1 = 5`, `r1 = 5 ll`; the number of a line that shows opcode (18) is wide without the `ll`. */
function parseNumber(cursor: Cursor, left: RegToken, isWide: boolean): Insn {
  const { reg: dst, bits } = left;
  // The number, with or without a sign, is one token or two.
  const hasLl = cursor.peek(1).text === 'll' || cursor.peek(2).text === 'll';
  if (!isWide && !hasLl) {
    return { op: 'alu', alu: 'mov', bits, dst, src: { imm: cursor.imm('a 64-bit number ends in "ll"') } };
  }
  cursor.checkWidth(left, 8);
  const value = cursor.wide();
  cursor.accept('ll');
  const lo = Number(BigInt.asIntN(32, value));
  const hi = Number(BigInt.asIntN(32, value >> 32n));
  return { op: 'ldimm64', dst, pseudo: 'imm', lo, hi };
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
  cursor.checkWidth(left, signed ? 8 : size);
  cursor.expect('(');
  const { base: src, off } = cursor.address();
  cursor.expect(')');
  return { op: 'load', size, signed, dst: left.reg, src, off };
}

/** `(s8)r1`, after its first sign. */
function parseMovsx(cursor: Cursor, { reg: dst, bits }: RegToken): Insn {
  const type = cursor.peek();
  const from = movsxFrom.get(type.text as 's8');
  if (from === undefined || from >= bits) throw cursor.expected(bits === 32 ? 's8 or s16' : 's8, s16 or s32');
  cursor.next();
  cursor.expect(')');
  return { op: 'movsx', bits, from, dst, src: cursor.reg(bits).reg };
}

/** Everything that begins with a register. */
function parseAssignment(cursor: Cursor, isWide: boolean): Parsed {
  const left = cursor.reg();
  const { reg: dst, bits } = left;
  const alu = aluBySign.get(cursor.peek().text);
  if (alu === undefined) throw cursor.expected(`an assignment (${[...aluBySign.keys()].join(' ')})`);
  cursor.next();
  if (alu !== 'mov' || cursor.isReg())
    return { insn: { op: 'alu', alu, bits, dst, src: cursor.operand(bits) } };
  if (cursor.accept('*')) return { insn: parseLoad(cursor, left) };
  if (cursor.accept('(')) return { insn: parseMovsx(cursor, left) };
  if (cursor.peek().text === '-' && cursor.isReg(cursor.peek(1))) {
    cursor.next();
    cursor.sameReg(left);
    return { insn: { op: 'neg', bits, dst } };
  }
  if (cursor.peek().kind === 'word') return parseNamed(cursor, left);
  return { insn: parseNumber(cursor, left, isWide) };
}

/** By the first word or sign, which has been taken. */
const statements = new Map<string, (cursor: Cursor) => Parsed>([
  ['exit', () => ({ insn: { op: 'exit' } })],
  ['if', parseIf],
  ['call', parseCall],
  ['lock', (cursor) => ({ insn: parseLock(cursor) })],
  ['*', (cursor) => ({ insn: parseStore(cursor) })],
  ['store_release', (cursor) => ({ insn: parseStoreRelease(cursor) })],
  ['ld_pseudo', (cursor) => ({ insn: parseLdPseudo(cursor) })],
  [
    'goto',
    (cursor) => {
      const { off, ...named } = cursor.target(16);
      return { insn: { op: 'ja', wide: false, off }, ...named };
    },
  ],
  [
    'gotol',
    (cursor) => {
      const { off, ...named } = cursor.target(32);
      return { insn: { op: 'ja', wide: true, off }, ...named };
    },
  ],
  [
    'may_goto',
    (cursor) => {
      const { off, ...named } = cursor.target(16);
      return { insn: { op: 'mayGoto', off }, ...named };
    },
  ],
]);

/**
 * The instruction of a statement (its labels already taken off).
 * @param isWide Whether the line shows the opcode of a two-slot load.
 * @throws SkepError with line and column.
 */
export function parseStatement(tokens: readonly Token[], isWide: boolean): Parsed {
  const cursor = new Cursor(tokens);
  const parse = statements.get(cursor.peek().text);
  if (parse === undefined && !cursor.isReg()) throw cursor.expected('an instruction');
  if (parse !== undefined) cursor.next();
  const parsed = parse === undefined ? parseAssignment(cursor, isWide) : parse(cursor);
  cursor.end();
  return parsed;
}
