/**
 * Reading BTF.ext (kernel doc: bpf/btf): which function and which source line each instruction is of, and
 * CO-RE relocations, by ELF section. Records are kept as bytes; whoever cuts out a program's moves their
 * instruction offsets.
 */
import { Reader } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';

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

/**
 * Reads the `.BTF.ext` section of an object.
 * @throws {SkepError} code 'btf-ext' or 'truncated'
 */
export function readBtfExt(bytes: Uint8Array): BtfExt {
  const reader = new Reader(bytes, 'BTF.ext');
  const magic = reader.u16(0);
  if (magic === 0x9feb) throw bad('big-endian BTF.ext; this is a little-endian kernel');
  if (magic !== 0xeb9f) throw bad(`not BTF.ext: it starts with 0x${magic.toString(16)}, not 0xeb9f`);
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
