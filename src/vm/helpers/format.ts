/**
 * The format strings of bpf_trace_printk(): which ones Linux takes (bpf_bprintf_prepare()) and what it prints
 * for them. In: the format, the arguments as 64 bits, and a way to read memory. Out: the text, or -EINVAL.
 */
import { errnos } from '../../uapi/errno.ts';

/** A string that %s may print, at most (MAX_BPRINTF_VARARGS' buffer). */
const STRING_MAX = 512;

export interface FormatInput {
  readonly format: string;
  readonly args: readonly bigint[];
  /** `size` bytes at an address; undefined where a program has no business. */
  read(address: bigint, size: number): Uint8Array | undefined;
}

/** `%[flags][width]`, then a conversion. */
const SPECIFIER = /^%([0+\- ]*)([1-9][0-9]*)?(.*)$/s;
const INTEGER = /^(l{0,2})([diuxX])/;
const ADDRESS = /^p(i4|I4|i6|I6)/;
const POINTER = /^p(?:[Kx]|[sSB]|(?=$|[\s!-/:-@[-`{-~]))/;
const STRING = /^(?:s|p[ku]s)/;
/** What may follow %s, %c and a plain %p: the end, white space, punctuation. */
const BOUNDARY = /^(?:$|[\s!-/:-@[-`{-~])/;

interface Field {
  readonly flags: string;
  readonly width: number;
}

/** Formats as Linux does. @returns the text, or a negative errno */
export function formatTrace(input: FormatInput): string | number {
  const { format } = input;
  if (!/^[\t-\r -~]*$/.test(format)) return -errnos.EINVAL;
  let out = '';
  let next = 0;
  for (let at = 0; at < format.length; ) {
    const percent = format.indexOf('%', at);
    if (percent < 0) return out + format.slice(at);
    out += format.slice(at, percent);
    if (format[percent + 1] === '%') {
      out += '%';
      at = percent + 2;
      continue;
    }
    const arg = input.args[next++];
    if (arg === undefined) return -errnos.EINVAL;
    const match = SPECIFIER.exec(format.slice(percent))!;
    const [, flags = '', width = '', rest = ''] = match;
    const done = convert(rest, arg, { flags, width: Number(width) }, input);
    if (done === undefined) return -errnos.EINVAL;
    out += done.text;
    at = format.length - rest.length + done.length;
  }
  return out;
}

/** The text for the conversion that `rest` starts with, and how many characters of `rest` name it. */
function convert(
  rest: string,
  arg: bigint,
  field: Field,
  input: FormatInput,
): { text: string; length: number } | undefined {
  const integer = INTEGER.exec(rest);
  if (integer !== null) {
    const [all, long, kind] = integer as unknown as [string, string, string];
    return { text: padNumber(integerText(arg, long === '' ? 32 : 64, kind), field), length: all.length };
  }
  const string = STRING.exec(rest)?.[0];
  if (string !== undefined) {
    if (string === 's' && !BOUNDARY.test(rest.slice(1))) return undefined;
    return { text: padText(readString(arg, input), field), length: string.length };
  }
  if (rest.startsWith('c')) {
    if (!BOUNDARY.test(rest.slice(1))) return undefined;
    return { text: padText(String.fromCharCode(Number(arg & 0xffn)), field), length: 1 };
  }
  const address = ADDRESS.exec(rest);
  if (address !== null) {
    const text = addressText(address[1]!, arg, input);
    return text === undefined ? undefined : { text: padText(text, field), length: 3 };
  }
  const pointer = POINTER.exec(rest)?.[0];
  if (pointer !== undefined) {
    // There are no kernel symbols here, and addresses are no secret: they are printed as they are.
    const symbol = /[sSB]$/.test(pointer);
    const text = symbol ? `0x${arg.toString(16)}` : arg.toString(16).padStart(16, '0');
    return { text: padText(text, field), length: pointer.length };
  }
  return undefined;
}

function integerText(arg: bigint, bits: 32 | 64, kind: string): string {
  if (kind === 'd' || kind === 'i') return BigInt.asIntN(bits, arg).toString();
  const value = BigInt.asUintN(bits, arg);
  if (kind === 'u') return value.toString();
  const hex = value.toString(16);
  return kind === 'X' ? hex.toUpperCase() : hex;
}

function padNumber(digits: string, { flags, width }: Field): string {
  const negative = digits.startsWith('-');
  const sign = negative ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  const plain = negative ? digits.slice(1) : digits;
  if (flags.includes('-')) return (sign + plain).padEnd(width);
  if (flags.includes('0')) return sign + plain.padStart(width - sign.length, '0');
  return (sign + plain).padStart(width);
}

function padText(text: string, { flags, width }: Field): string {
  return flags.includes('-') ? text.padEnd(width) : text.padStart(width);
}

/** The NUL-terminated string; empty where it cannot be read, as a faulting read leaves it. */
function readString(address: bigint, input: FormatInput): string {
  let text = '';
  for (let i = 0; i < STRING_MAX - 1; i++) {
    const byte = input.read(address + BigInt(i), 1)?.[0];
    if (byte === undefined) return '';
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** %pI4, %pI6 (with separators, no leading zeros in I4) and %pi4, %pi6 (leading zeros, I6 without colons). */
function addressText(kind: string, address: bigint, input: FormatInput): string | undefined {
  const bytes = input.read(address, kind.endsWith('4') ? 4 : 16);
  const numbers = bytes === undefined ? new Array<number>(kind.endsWith('4') ? 4 : 16).fill(0) : [...bytes];
  if (kind === 'I4') return numbers.join('.');
  if (kind === 'i4') return numbers.map((n) => n.toString().padStart(3, '0')).join('.');
  const hex = numbers.map((n) => n.toString(16).padStart(2, '0')).join('');
  return kind === 'i6' ? hex : hex.match(/.{4}/g)!.join(':');
}
