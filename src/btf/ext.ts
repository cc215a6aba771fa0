/**
 * Reading and writing BTF.ext (kernel doc: bpf/btf): which function and which source line each instruction is of, and
 * CO-RE relocations, by ELF section. Records are kept as bytes; whoever cuts out a program's moves their
 * instruction offsets. Records are little-endian here: those of the other byte order are turned round when they are
 * read, and when they are written.
 */
import { concatBytes, Reader } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import { type ByteOrder, byteOrderOf, swapHeader, swapWords } from './header.ts';

/** Records of one kind for one ELF section. */
export interface BtfExtSection {
  /** Of the section's name in the BTF's strings. */
  readonly nameOffset: number;
  /** Bytes a record. The first four are the byte offset of the instruction in the section. */
  readonly recordSize: number;
  readonly count: number;
  readonly records: Uint8Array;
}

export interface BtfExt {
  /** insn_off, type id of the func. */
  readonly funcInfo: readonly BtfExtSection[];
  /** insn_off, file_name_off, line_off, line_col (line << 10 | column). */
  readonly lineInfo: readonly BtfExtSection[];
  /** insn_off, type_id, access_str_off, kind. */
  readonly coreRelocations: readonly BtfExtSection[];
}

/** struct bpf_func_info, bpf_line_info, bpf_core_relo; a file's records may be longer. */
export const recordSizes = { funcInfo: 8, lineInfo: 16, coreRelocations: 16 } as const;

function bad(message: string): SkepError {
  return new SkepError({ code: 'btf-ext', message });
}

function readInfo(bytes: Uint8Array, what: string, minimum: number): BtfExtSection[] {
  if (bytes.length === 0) return [];
  const reader = new Reader(bytes, `BTF.ext ${what}`);
  const recordSize = reader.u32(0);
  if (recordSize < minimum || recordSize % 4 !== 0) {
    throw bad(`BTF.ext ${what}: records of ${recordSize} bytes; they have at least ${minimum}`);
  }
  const sections: BtfExtSection[] = [];
  let at = 4;
  while (at < bytes.length) {
    const count = reader.u32(at + 4);
    if (count === 0) throw bad(`BTF.ext ${what}: no records for the section at offset ${at}`);
    const records = reader.slice(at + 8, count * recordSize);
    sections.push({ nameOffset: reader.u32(at), recordSize, count, records });
    at += 8 + records.length;
  }
  return sections;
}

/** A copy in the other byte order: behind the header, all of it is 32-bit words. */
function swapped(bytes: Uint8Array, from: ByteOrder): Uint8Array<ArrayBuffer> {
  const length = new Reader(bytes, 'BTF.ext', from === 'little').u32(4);
  const out = swapHeader(bytes, length);
  swapWords(out, length, out.length);
  return out;
}

/**
 * Reads the `.BTF.ext` section of an object.
 * @throws {SkepError} code 'btf-ext' or 'truncated'
 */
export function readBtfExt(given: Uint8Array): BtfExt {
  const bytes = byteOrderOf(given, 'BTF.ext') === 'little' ? given : swapped(given, 'big');
  const reader = new Reader(bytes, 'BTF.ext');
  if (reader.u8(2) !== 1) throw bad(`BTF.ext version ${reader.u8(2)}, where 1 is known`);
  const length = reader.u32(4);
  if (length < 24) throw bad(`a BTF.ext header of ${length} bytes; it has at least 24`);
  const section = (at: number): Uint8Array => reader.slice(length + reader.u32(at), reader.u32(at + 4));
  // Compilers before CO-RE wrote a header without it.
  const core = length < 32 ? new Uint8Array() : section(24);
  return {
    funcInfo: readInfo(section(8), 'func_info', recordSizes.funcInfo),
    lineInfo: readInfo(section(16), 'line_info', recordSizes.lineInfo),
    coreRelocations: readInfo(core, 'core_relo', recordSizes.coreRelocations),
  };
}

/** struct btf_ext_header, with CO-RE relocations. */
const headerSize = 32;

/** Writes a `.BTF.ext` section. What there are no records of has no section. */
export function writeBtfExt(ext: BtfExt, byteOrder: ByteOrder = 'little'): Uint8Array<ArrayBuffer> {
  const parts = [ext.funcInfo, ext.lineInfo, ext.coreRelocations].map(writeInfo);
  const header = new DataView(new ArrayBuffer(headerSize));
  header.setUint16(0, 0xeb9f, true);
  header.setUint8(2, 1);
  header.setUint32(4, headerSize, true);
  let offset = 0;
  for (const [i, part] of parts.entries()) {
    header.setUint32(8 + i * 8, offset, true);
    header.setUint32(12 + i * 8, part.length, true);
    offset += part.length;
  }
  const bytes = concatBytes([new Uint8Array(header.buffer), ...parts]);
  return byteOrder === 'little' ? bytes : swapped(bytes, 'little');
}

/** The size of a record, which all sections share; for each section its name, a count, and the records. */
function writeInfo(sections: readonly BtfExtSection[]): Uint8Array {
  const recordSize = sections[0]?.recordSize;
  if (recordSize === undefined) return new Uint8Array();
  const parts: Uint8Array[] = [words(recordSize)];
  for (const section of sections) {
    if (section.recordSize !== recordSize || section.records.length !== section.count * recordSize)
      throw bad(`records of ${section.recordSize} bytes among those of ${recordSize}`);
    parts.push(words(section.nameOffset, section.count), section.records);
  }
  return concatBytes(parts);
}

function words(...values: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (const [i, value] of values.entries()) view.setUint32(i * 4, value, true);
  return new Uint8Array(view.buffer);
}
