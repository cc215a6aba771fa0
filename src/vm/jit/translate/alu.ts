/**
 * Arithmetic, moves, swaps and conditions (RFC 9669 §4): the same operations as interp/operations.ts, in
 * WebAssembly. Its shifts mask their counts as BPF's do; its divisions trap where BPF's have a result.
 */
import type { AluOp, Insn, JmpCond, Operand } from '../../../isa/insn.ts';
import type { PlainOp } from '../wasm/index.ts';
import type { Frame } from './frame.ts';

type Bits = 32 | 64;

/** Operations that are one instruction. */
const direct = {
  add: 'add',
  sub: 'sub',
  mul: 'mul',
  or: 'or',
  and: 'and',
  xor: 'xor',
  lsh: 'shl',
  rsh: 'shr_u',
  arsh: 'shr_s',
} as const satisfies Partial<Record<AluOp, string>>;

const divisions = { div: 'div_u', mod: 'rem_u', sdiv: 'div_s', smod: 'rem_s' } as const;

const compares = {
  eq: 'eq',
  ne: 'ne',
  gt: 'gt_u',
  ge: 'ge_u',
  lt: 'lt_u',
  le: 'le_u',
  sgt: 'gt_s',
  sge: 'ge_s',
  slt: 'lt_s',
  sle: 'le_s',
} as const satisfies Partial<Record<JmpCond, string>>;

const unsigned: Partial<Record<JmpCond, JmpCond>> = { sgt: 'gt', sge: 'ge', slt: 'lt', sle: 'le' };

function pushRegister(frame: Frame, register: number, bits: Bits): void {
  if (bits === 64) frame.get(register);
  else frame.get32(register);
}

function pushNumber(frame: Frame, value: number, bits: Bits): void {
  if (bits === 64) frame.code.i64(value);
  else frame.code.i32(value);
}

function push(frame: Frame, operand: Operand, bits: Bits): void {
  if ('reg' in operand) pushRegister(frame, operand.reg, bits);
  else pushNumber(frame, operand.imm, bits);
}

function setResult(frame: Frame, register: number, bits: Bits): void {
  if (bits === 64) frame.set(register);
  else frame.set32(register);
}

type Alu = Extract<Insn, { op: 'alu' }>;

/** What is known where an instruction is: masks of registers, as in registers.ts. */
export interface Known {
  /** Whose upper half is zero before it. */
  readonly zero: number;
  /** Whose upper half is zero after it. */
  readonly zeroAfter: number;
  /** Whose upper half is read after it. */
  readonly upper: number;
}

const has = (mask: number, register: number): boolean => (mask & (1 << register)) !== 0;

const operandIsZero = (known: Known, operand: Operand): boolean =>
  'reg' in operand ? has(known.zero, operand.reg) : operand.imm >= 0;

/** Whether 32 bits do for a 64-bit operation: the others are zero, or nobody reads them. */
function narrows(frame: Frame, { alu, dst, src }: Alu, known: Known): boolean {
  const unread = !has(known.upper, dst);
  switch (alu) {
    case 'mov':
      return unread || (operandIsZero(known, src) && ('imm' in src || frame.isNarrow(src.reg)));
    case 'add':
    case 'sub':
    case 'mul':
    case 'or':
    case 'xor':
    case 'and':
      return unread || has(known.zeroAfter, dst);
    case 'lsh':
      return unread && 'imm' in src;
    case 'rsh':
    case 'arsh':
      return 'imm' in src && has(known.zero, dst);
    case 'div':
    case 'mod':
      return has(known.zero, dst) && operandIsZero(known, src);
    default:
      return false;
  }
}

/** A 64-bit operation for which 32 bits do. */
function writeNarrow(frame: Frame, insn: Alu): void {
  const { alu, dst, src } = insn;
  const shifts = alu === 'lsh' || alu === 'rsh' || alu === 'arsh';
  if (shifts && 'imm' in src && (src.imm & 63) >= 32) {
    frame.code.i32(0);
    frame.set32(dst);
    return;
  }
  // What has zeros above is not negative.
  writeAs(frame, { ...insn, bits: 32, alu: alu === 'arsh' ? 'rsh' : alu });
}

/** The bits in which a sum is made. */
export function sumBits({ bits, dst }: Alu, known: Known): Bits {
  return bits === 64 && has(known.upper, dst) && !has(known.zeroAfter, dst) ? 64 : 32;
}

export function writeAlu(frame: Frame, insn: Alu, known: Known): void {
  if (insn.bits === 64 && narrows(frame, insn, known)) writeNarrow(frame, insn);
  else writeAs(frame, insn);
}

function writeAs(frame: Frame, { alu, bits, dst, src }: Alu): void {
  switch (alu) {
    case 'mov':
      if ('reg' in src) {
        frame.setLocal(dst, bits, frame.getLocal(src.reg, bits));
        return;
      }
      push(frame, src, bits);
      break;
    case 'add':
    case 'sub':
      writeSum(frame, { alu, bits, dst, src });
      return;
    case 'div':
    case 'mod':
    case 'sdiv':
    case 'smod':
      writeDivision(frame, { alu, bits, dst, src });
      break;
    default: {
      pushRegister(frame, dst, bits);
      push(frame, src, bits);
      frame.code.op(`i${bits}.${direct[alu]}`);
    }
  }
  setResult(frame, dst, bits);
}

type Sum = Pick<Alu, 'bits' | 'dst' | 'src'> & { readonly alu: 'add' | 'sub' };

/** Numbers are put off (frame.ts), and so are those that were. */
function writeSum(frame: Frame, { alu, bits, dst, src }: Sum): void {
  const sign = alu === 'add' ? 1 : -1;
  if ('imm' in src) {
    if (frame.add(dst, sign * src.imm, bits)) return;
    pushRegister(frame, dst, bits);
    pushNumber(frame, src.imm, bits);
    frame.code.op(`i${bits}.${alu}`);
    setResult(frame, dst, bits);
    return;
  }
  const mine = frame.getLocal(dst, bits);
  const other = frame.getLocal(src.reg, bits);
  frame.code.op(`i${bits}.${alu}`);
  frame.setLocal(dst, bits, mine + sign * other);
}

type Division = Pick<Alu, 'bits' | 'dst' | 'src'> & { readonly alu: keyof typeof divisions };

/** x / 0 = 0 and x % 0 = x; the least number / -1 is itself, and its remainder 0. */
function writeDivision(frame: Frame, { alu, bits, dst, src }: Division): void {
  const { code } = frame;
  const divide: PlainOp = `i${bits}.${divisions[alu]}`;
  const isDivision = alu === 'div' || alu === 'sdiv';
  const plain = (): void => {
    pushRegister(frame, dst, bits);
    push(frame, src, bits);
    code.op(divide);
  };
  if ('imm' in src) {
    if (src.imm === 0) {
      if (isDivision) pushNumber(frame, 0, bits);
      else pushRegister(frame, dst, bits);
    } else if (alu === 'sdiv' && src.imm === -1) {
      writeNegated(frame, dst, bits);
    } else {
      plain();
    }
    return;
  }
  push(frame, src, bits);
  if (alu === 'sdiv') {
    // Divisors 0 and -1 have the product as their result.
    pushNumber(frame, 1, bits);
    code.op(`i${bits}.add`);
    pushNumber(frame, 1, bits);
    code.op(`i${bits}.le_u`);
  } else {
    code.op(`i${bits}.eqz`);
  }
  code.if(`i${bits}`);
  if (alu === 'sdiv') {
    pushRegister(frame, dst, bits);
    push(frame, src, bits);
    code.op(`i${bits}.mul`);
  } else if (alu === 'div') {
    pushNumber(frame, 0, bits);
  } else {
    pushRegister(frame, dst, bits);
  }
  code.else();
  plain();
  code.end();
}

function writeNegated(frame: Frame, register: number, bits: Bits): void {
  pushNumber(frame, 0, bits);
  pushRegister(frame, register, bits);
  frame.code.op(`i${bits}.sub`);
}

export function writeNeg(frame: Frame, insn: Extract<Insn, { op: 'neg' }>, known: Known): void {
  const { dst } = insn;
  const bits = insn.bits === 64 && !has(known.upper, dst) ? 32 : insn.bits;
  writeNegated(frame, dst, bits);
  setResult(frame, dst, bits);
}

export function writeMovsx(frame: Frame, insn: Extract<Insn, { op: 'movsx' }>, known: Known): void {
  const { from, dst, src } = insn;
  const bits = insn.bits === 64 && !has(known.upper, dst) ? 32 : insn.bits;
  if (bits === 64) {
    frame.get32(src);
    if (from !== 32) frame.code.op(`i32.extend${from}_s`);
    frame.code.op('i64.extend_i32_s');
    frame.set(dst);
    return;
  }
  frame.get32(src);
  // A 32-bit move of 32 bits extends nothing.
  if (from !== 32) frame.code.op(`i32.extend${from}_s`);
  frame.set32(dst);
}

/** Memory is little-endian: `le` truncates, `be` and `bswap` swap as well. */
export function writeSwap(frame: Frame, { kind, width, dst }: Extract<Insn, { op: 'swap' }>): void {
  const { code } = frame;
  if (kind === 'le') {
    if (width === 64) return;
    frame.get32(dst);
    if (width === 16) {
      code.i32(0xffff);
      code.op('i32.and');
    }
    frame.set32(dst);
    return;
  }
  if (width !== 64) {
    frame.get32(dst);
    writeSwapped(frame, width);
    frame.set32(dst);
    return;
  }
  frame.get(dst);
  writeSwapped64(frame);
  frame.set(dst);
}

/** The 64-bit value on the stack in the other order of bytes: bytes in their pairs, then pairs. */
function writeSwapped64(frame: Frame): void {
  const { code } = frame;
  const value = frame.temporary('swapped64', 'i64');
  const evenBytes = 0x00ff_00ff_00ff_00ffn;
  const evenPairs = 0x0000_ffff_0000_ffffn;
  code.set(value);
  code.get(value);
  code.i64(evenBytes);
  code.op('i64.and');
  code.i64(8n);
  code.op('i64.shl');
  code.get(value);
  code.i64(8n);
  code.op('i64.shr_u');
  code.i64(evenBytes);
  code.op('i64.and');
  code.op('i64.or');
  code.tee(value);
  code.i64(evenPairs);
  code.op('i64.and');
  code.i64(48n);
  code.op('i64.rotl');
  code.get(value);
  code.i64(16n);
  code.op('i64.rotl');
  code.i64(evenPairs);
  code.op('i64.and');
  code.op('i64.or');
}

/** The 32-bit value on the stack with its lowest `width` bits in the other order of bytes, zeros above. */
export function writeSwapped(frame: Frame, width: 16 | 32): void {
  const { code } = frame;
  const value = frame.temporary('swapped', 'i32');
  code.set(value);
  // b3 b2 b1 b0: the even bytes turned right by one, the odd ones left by one.
  code.get(value);
  code.i32(0x00ff00ff);
  code.op('i32.and');
  code.i32(24);
  code.op('i32.rotl');
  code.get(value);
  code.i32(8);
  code.op('i32.rotl');
  code.i32(0x00ff00ff);
  code.op('i32.and');
  code.op('i32.or');
  if (width === 16) {
    code.i32(16);
    code.op('i32.shr_u');
  }
}

/** Puts on the stack whether the jump is taken: zero where not. */
export function writeCondition(frame: Frame, insn: Extract<Insn, { op: 'jmp' }>, known: Known): void {
  const { code } = frame;
  const { dst, src } = insn;
  let { cond, bits } = insn;
  if (bits === 64 && cond === 'set' && 'imm' in src && src.imm >= 0) bits = 32;
  if (bits === 64 && has(known.zero, dst) && operandIsZero(known, src)) {
    // Neither is negative, as 64 bits.
    bits = 32;
    cond = unsigned[cond] ?? cond;
  }
  pushRegister(frame, dst, bits);
  if ('imm' in src && src.imm === 0 && cond === 'eq') {
    code.op(`i${bits}.eqz`);
    return;
  }
  push(frame, src, bits);
  if (cond !== 'set') {
    code.op(`i${bits}.${compares[cond]}`);
    return;
  }
  code.op(`i${bits}.and`);
  if (bits === 64) {
    code.i64(0n);
    code.op('i64.ne');
  }
}
