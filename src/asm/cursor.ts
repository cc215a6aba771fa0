/**
 * Reads one statement's tokens: the words of the parser ("a register", "an offset of 16 bits"), each with the
 * error that says what was expected there.
 */
import type { SkepError } from '../base/index.ts';
import type { Operand, Reg, Size } from '../isa/index.ts';
import { signedSizes, unsignedSizes } from './syntax.ts';
import { quote, syntaxError, type Token } from './tokens.ts';

/** Longer than any 64-bit number; bounds the work on hostile text. */
const maxDigits = 24;

const sizesByName = new Map<string, { size: Size; signed: boolean }>(
  ([1, 2, 4, 8] as const).flatMap((size) => [
    [unsignedSizes[size], { size, signed: false }],
    [signedSizes[size], { size, signed: true }],
  ]),
);

export interface RegToken {
  readonly reg: Reg;
  readonly bits: 32 | 64;
  readonly token: Token;
}

/** `(u32 *)(r1 - 4)` */
export interface Place {
  readonly size: Size;
  readonly signed: boolean;
  readonly base: Reg;
  readonly off: number;
  readonly type: Token;
}

/** Where a jump or call goes: an offset, or a label that is yet to give one. */
export interface Target {
  readonly off: number;
  readonly label?: Token;
}

function describe(token: Token): string {
  return token.kind === 'end' ? 'the end of the statement' : quote(token.text);
}

export class Cursor {
  private readonly tokens: readonly Token[];
  private at = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  peek(ahead = 0): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)] as Token;
  }

  next(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.at++;
    return token;
  }

  expected(what: string, token: Token = this.peek()): SkepError {
    return syntaxError(token, `expected ${what}, found ${describe(token)}`);
  }

  /** Takes the token if it is that word or sign. */
  accept(text: string): boolean {
    if (this.peek().text !== text) return false;
    this.next();
    return true;
  }

  expect(text: string): Token {
    if (this.peek().text !== text) throw this.expected(JSON.stringify(text));
    return this.next();
  }

  word(what: string): Token {
    if (this.peek().kind !== 'word') throw this.expected(what);
    return this.next();
  }

  end(): void {
    if (this.peek().kind !== 'end') throw this.expected('the end of the statement');
  }

  isReg(token: Token = this.peek()): boolean {
    return token.kind === 'word' && /^[rw]\d+$/.test(token.text);
  }

  reg(bits?: 32 | 64): RegToken {
    const token = this.peek();
    const what =
      bits === undefined ? 'a register' : bits === 32 ? 'a register w0 to w10' : 'a register r0 to r10';
    if (!this.isReg(token)) throw this.expected(what);
    const number = Number(token.text.slice(1));
    const has = token.text[0] === 'w' ? 32 : 64;
    if (number > 10 || (bits !== undefined && bits !== has)) throw this.expected(bits ? what : 'r0 to r10');
    this.next();
    return { reg: number as Reg, bits: has, token };
  }

  /** That very register, where the notation repeats it. */
  sameReg(as: RegToken): void {
    const token = this.peek();
    if (token.text !== as.token.text) throw this.expected(`${as.token.text} again`);
    this.next();
  }

  /** Refuses a 32-bit register for a value of 8 bytes. */
  checkWidth(found: RegToken, size: Size): void {
    if (found.bits === 32 && size === 8) throw this.expected('a register r0 to r10', found.token);
  }

  /** A register that holds a value of so many bytes; the 32-bit one will do for up to 4. */
  valueReg(size: Size): RegToken {
    const found = this.reg();
    this.checkWidth(found, size);
    return found;
  }

  /** A decimal or hexadecimal number with an optional sign. */
  number(what: string, sign: 'optional' | 'required' = 'optional'): bigint {
    const first = this.peek();
    const negative = first.text === '-';
    if (negative || first.text === '+') this.next();
    else if (sign === 'required') throw this.expected(what);
    const token = this.peek();
    if (token.kind !== 'number') throw this.expected(what);
    if (!/^(?:0[xX][0-9a-fA-F]+|\d+)$/.test(token.text) || token.text.length > maxDigits) {
      throw this.expected(what);
    }
    this.next();
    return negative ? -BigInt(token.text) : BigInt(token.text);
  }

  /** A number between two bounds. */
  private within(what: string, bounds: readonly [bigint, bigint], sign?: 'required'): bigint {
    const token = this.peek();
    const value = this.number(what, sign);
    if (value >= bounds[0] && value <= bounds[1]) return value;
    throw syntaxError(token, `${value} is out of range for ${what} (${bounds[0]} to ${bounds[1]})`);
  }

  /** 32 bits, signed or unsigned, as the signed number that the encoding holds. */
  imm(hint?: string): number {
    const token = this.peek();
    const value = this.number('a number');
    if (value >= -0x80000000n && value <= 0xffffffffn) return Number(BigInt.asIntN(32, value));
    throw syntaxError(token, `${value} does not fit 32 bits`, hint);
  }

  /** 16 bits, signed. */
  imm16(): number {
    return Number(this.within('a 16-bit number', [-0x8000n, 0x7fffn]));
  }

  /** 64 bits, signed or unsigned. */
  wide(): bigint {
    return this.within('a 64-bit number', [-(2n ** 63n), 2n ** 64n - 1n]);
  }

  unsigned(what: string, max: number): number {
    return Number(this.within(what, [0n, BigInt(max)]));
  }

  /** A signed offset, its sign written: `+3`, `- 8`. */
  offset(bits: 16 | 32): number {
    const half = 2n ** BigInt(bits - 1);
    return Number(this.within(`an offset of ${bits} bits with its sign`, [-half, half - 1n], 'required'));
  }

  /** `+3`, `pc+3`, or a label; llvm-objdump's `<name+0x18>` after an offset is skipped. */
  target(bits: 16 | 32): Target {
    const isSign = (token: Token): boolean => token.text === '+' || token.text === '-';
    if (this.peek().text === 'pc' && isSign(this.peek(1))) this.next();
    if (isSign(this.peek())) {
      const off = this.offset(bits);
      if (this.accept('<')) while (this.peek().kind !== 'end' && this.next().text !== '>');
      return { off };
    }
    if (this.isReg()) throw this.expected('a label or an offset such as +3');
    return { off: 0, label: this.word('a label or an offset such as +3') };
  }

  operand(bits: 32 | 64): Operand {
    return this.isReg() ? { reg: this.reg(bits).reg } : { imm: this.imm() };
  }

  /** `(u32 *)`, with the type's token. */
  pointerType(): { size: Size; signed: boolean; type: Token } {
    this.expect('(');
    const type = this.word('a type (u8 to u64, s8 to s32)');
    const found = sizesByName.get(type.text);
    if (found === undefined) throw this.expected('a type (u8 to u64, s8 to s32)', type);
    this.expect('*');
    this.expect(')');
    return { ...found, type };
  }

  /** `r1 - 4`, or a register alone. */
  address(): { base: Reg; off: number } {
    const base = this.reg(64).reg;
    const signed = this.peek().text === '+' || this.peek().text === '-';
    return { base, off: signed ? this.offset(16) : 0 };
  }

  place(): Place {
    const type = this.pointerType();
    this.expect('(');
    const address = this.address();
    this.expect(')');
    return { ...type, ...address };
  }

  /** An access that has no signed form. */
  unsignedPlace(): Place {
    const place = this.place();
    if (place.signed) throw this.expected('an unsigned type', place.type);
    return place;
  }

  /** An access of an atomic operation. */
  atomicPlace(size?: 4 | 8): Place & { size: 4 | 8 } {
    const place = this.unsignedPlace();
    const fits = size === undefined ? place.size >= 4 : place.size === size;
    const names = size === undefined ? 'u32 or u64' : unsignedSizes[size];
    if (!fits) throw this.expected(names, place.type);
    return { ...place, size: place.size as 4 | 8 };
  }
}
