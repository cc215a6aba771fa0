/**
 * Bytes: a bounds-checked reader over untrusted input, and hex. Every reader of a file format goes through
 * `Reader`, so that a truncated or hostile file ends in a `SkepError` with an offset, never in a RangeError.
 */
import { SkepError } from './errors.ts';

const decoder = new TextDecoder('utf-8');

export class Reader {
  readonly bytes: Uint8Array;
  /** What is read, for messages: 'ELF header', 'BTF type section'. */
  readonly what: string;
  readonly littleEndian: boolean;
  private readonly view: DataView;

  constructor(bytes: Uint8Array, what: string, littleEndian = true) {
    this.bytes = bytes;
    this.what = what;
    this.littleEndian = littleEndian;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.byteLength;
  }

  private need(offset: number, size: number): void {
    if (offset >= 0 && size >= 0 && offset + size <= this.bytes.byteLength) return;
    throw new SkepError({
      code: 'truncated',
      message: `${this.what} is cut short: ${size} bytes wanted at offset ${offset}, ${this.bytes.byteLength} there`,
    });
  }

  u8(offset: number): number {
    this.need(offset, 1);
    return this.view.getUint8(offset);
  }

  u16(offset: number): number {
    this.need(offset, 2);
    return this.view.getUint16(offset, this.littleEndian);
  }

  u32(offset: number): number {
    this.need(offset, 4);
    return this.view.getUint32(offset, this.littleEndian);
  }

  i32(offset: number): number {
    this.need(offset, 4);
    return this.view.getInt32(offset, this.littleEndian);
  }

  u64(offset: number): bigint {
    this.need(offset, 8);
    return this.view.getBigUint64(offset, this.littleEndian);
  }

  /** A 64-bit file offset or size as a number; one beyond 2^53 is no offset into anything. */
  size64(offset: number): number {
    const value = this.u64(offset);
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
    throw new SkepError({
      code: 'range',
      message: `${this.what}: ${value} at offset ${offset} is not a size`,
    });
  }

  /** A view, not a copy. */
  slice(offset: number, size: number): Uint8Array {
    this.need(offset, size);
    return this.bytes.subarray(offset, offset + size);
  }

  /** The NUL-terminated string at `offset`; an unterminated one is an error. */
  cstring(offset: number): string {
    this.need(offset, 1);
    const end = this.bytes.indexOf(0, offset);
    if (end < 0) {
      throw new SkepError({
        code: 'truncated',
        message: `${this.what}: unterminated string at offset ${offset}`,
      });
    }
    return decoder.decode(this.bytes.subarray(offset, end));
  }
}

/**
 * A table of NUL-terminated strings, which other records name by their offsets. A table of ASCII, as nearly all are,
 * becomes one text, of which the strings are slices: to decode each of thousands costs more.
 */
export class StringTable {
  private readonly reader: Reader;
  private text: string | undefined;

  constructor(bytes: Uint8Array, what: string) {
    this.reader = new Reader(bytes, what);
  }

  /** @throws {SkepError} 'truncated' for an offset past the end, or a string without one */
  at(offset: number): string {
    this.text ??= asciiText(this.reader.bytes);
    const end = this.text.indexOf('\0', offset);
    // What is odd, or an error, is the reader's.
    return end < 0 || offset < 0 ? this.reader.cstring(offset) : this.text.slice(offset, end);
  }
}

/** The bytes as text of as many characters; empty where they are not all ASCII. */
function asciiText(bytes: Uint8Array): string {
  const text = decoder.decode(bytes);
  // Every other character is of more bytes than one, or stands for a byte that is none.
  return text.length === bytes.length && !text.includes('\ufffd') ? text : '';
}

/** 'a1b2' for [0xa1, 0xb2]; `separator` goes between bytes. */
export function toHex(bytes: Uint8Array, separator = ''): string {
  let out = '';
  for (let i = 0; i < bytes.length; i++) {
    out += (i === 0 ? '' : separator) + (bytes[i] as number).toString(16).padStart(2, '0');
  }
  return out;
}

/** The inverse of `toHex`; white space between bytes is allowed. Throws `SkepError` on anything else. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replace(/\s+/g, '');
  if (digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) {
    throw new SkepError({ code: 'hex', message: `not hex bytes: ${JSON.stringify(text.slice(0, 40))}` });
  }
  const out = new Uint8Array(digits.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return out;
}

const base64Digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Base64 (RFC 4648 §4), with padding. */
export function toBase64(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const bits = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const digit = (shift: number): string => base64Digits[(bits >> shift) & 63]!;
    out += digit(18) + digit(12);
    out += (i + 1 < bytes.length ? digit(6) : '=') + (i + 2 < bytes.length ? digit(0) : '=');
  }
  return out;
}

/** The inverse of `toBase64`; white space is allowed. Throws `SkepError` on anything else. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replace(/\s+/g, '').replace(/={0,2}$/, '');
  const out = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let [bits, at] = [0, 0];
  for (let i = 0; i < digits.length; i++) {
    const value = base64Digits.indexOf(digits[i]!);
    if (value < 0) throw new SkepError({ code: 'base64', message: `not base64 at character ${i}` });
    bits = ((bits << 6) | value) & 0xffffff;
    if (i % 4 !== 0) out[at++] = (bits >> (6 - 2 * (i % 4))) & 0xff;
  }
  if (digits.length % 4 === 1) throw new SkepError({ code: 'base64', message: 'base64 that is cut short' });
  return out;
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
