/**
 * The header of BTF (kernel doc: bpf/btf), and BTF of the other byte order. All of BTF but its magic number, version
 * and strings is 32-bit words, so that turning the words round turns it from one order into the other. Here BTF is
 * little-endian: what is not is turned round when it is read, and when it is written.
 */
import { Reader } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import { badBtf } from './layout.ts';

export type ByteOrder = 'little' | 'big';

const magic = 0xeb9f;
/** struct btf_header */
export const headerSize = 24;

/** Where the sections of little-endian BTF are, in bytes from its start. */
export interface Sections {
  readonly typesAt: number;
  readonly types: Uint8Array;
  readonly strings: Uint8Array;
}

/** The byte order that the first two bytes say. `what` is 'BTF' or 'BTF.ext', which start alike. */
export function byteOrderOf(bytes: Uint8Array, what: string): ByteOrder {
  const found = new Reader(bytes, what).u16(0);
  if (found === magic) return 'little';
  if (found === 0x9feb) return 'big';
  throw badBtf(`not ${what}: it starts with 0x${found.toString(16)}, not 0xeb9f`);
}

/** Turns round the 32-bit words from `from` to before `to`. */
export function swapWords(bytes: Uint8Array, from: number, to: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = from; at + 4 <= to; at += 4) view.setUint32(at, view.getUint32(at, true), false);
}

/** A copy with the first two bytes exchanged and the header's words turned round: what BTF and BTF.ext share. */
export function swapHeader(bytes: Uint8Array, headerLength: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes);
  out[0] = bytes[1]!;
  out[1] = bytes[0]!;
  swapWords(out, 4, Math.min(headerLength, out.length));
  return out;
}

/** A copy of BTF in the other byte order. */
export function swapBtf(bytes: Uint8Array, from: ByteOrder): Uint8Array<ArrayBuffer> {
  const reader = new Reader(bytes, 'BTF', from === 'little');
  const length = reader.u32(4);
  const at = length + reader.u32(8);
  const out = swapHeader(bytes, length);
  swapWords(out, at, Math.min(at + reader.u32(12), out.length));
  return out;
}

/**
 * The sections of little-endian BTF.
 * @param isSplit whether its strings go on where those of another BTF end: then they need not start with a NUL
 */
export function readSections(bytes: Uint8Array, isSplit: boolean): Sections {
  const reader = new Reader(bytes, 'BTF');
  if (reader.u8(2) !== 1) throw badBtf(`BTF version ${reader.u8(2)}, where 1 is known`);
  const length = reader.u32(4);
  if (length < headerSize) throw badBtf(`a BTF header of ${length} bytes; it has at least ${headerSize}`);
  const section = (at: number, what: string): Uint8Array => {
    const [offset, size] = [length + reader.u32(at), reader.u32(at + 4)];
    if (offset + size <= bytes.length) return reader.slice(offset, size);
    throw badBtf(
      `the ${what} section, ${size} bytes at ${offset}, reaches beyond the ${bytes.length} bytes of BTF`,
    );
  };
  const [types, strings] = [section(8, 'type'), section(16, 'string')];
  const [typesAt, stringsAt] = [types.byteOffset - bytes.byteOffset, strings.byteOffset - bytes.byteOffset];
  if (typesAt < stringsAt + strings.length && stringsAt < typesAt + types.length) {
    throw badBtf(
      `the type section, ${types.length} bytes at ${typesAt}, and the string section, ${strings.length} at ${stringsAt}, overlap`,
    );
  }
  const [first, last] = [strings[0], strings[strings.length - 1]];
  const isWhole = isSplit ? (last ?? 0) === 0 : first === 0 && last === 0;
  if (!isWhole) {
    throw new SkepError({
      code: 'btf',
      message: 'the string section does not start and end with a NUL',
      hint: isSplit ? undefined : "types of a kernel's module need those of the kernel as their base",
    });
  }
  return { typesAt, types, strings };
}
