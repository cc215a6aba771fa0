/**
 * ELF64 relocatable objects for BPF, as clang writes them: bytes in; sections, symbols and relocations out,
 * all views of the input. What the sections mean to BPF is object/'s business. Of other ELF64 files there are the
 * sections alone. It leaves out program headers, RELA (BPF has only REL), notes and DWARF.
 *
 * Hostile input: every offset is checked against the file, and sections may not overlap, so that all tables
 * together are no longer than the file and the work is linear in it.
 */
import { Reader, StringTable } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';

/** sh_type. */
export const sectionTypes = {
  null: 0,
  progbits: 1,
  symtab: 2,
  strtab: 3,
  rela: 4,
  nobits: 8,
  rel: 9,
} as const;

/** sh_flags. */
export const sectionFlags = { write: 1, alloc: 2, execInstr: 4 } as const;

/** st_info's low half. */
export const symbolTypes = { none: 0, object: 1, func: 2, section: 3, file: 4 } as const;

/** st_info's high half. */
export const symbolBindings = { local: 0, global: 1, weak: 2 } as const;

/** st_other's low two bits. */
export const symbolVisibilities = { default: 0, internal: 1, hidden: 2, protected: 3 } as const;

/** st_shndx of an undefined symbol; from `reserved` on, not an index. */
export const sectionIndexes = { undefined: 0, reserved: 0xff00 } as const;

/** r_info's type (kernel doc: BPF/llvm_reloc). */
export const relocationTypes = { none: 0, ld64: 1, abs64: 2, abs32: 3, noDyld32: 4, call32: 10 } as const;

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  /** Bytes in memory; `data` has as many, but for NOBITS (`.bss`), where it has none. */
  readonly size: number;
  readonly link: number;
  readonly info: number;
  /** Where it may lie: a power of two, or 0 for anywhere. */
  readonly align: number;
  /** A view of the file. */
  readonly data: Uint8Array;
}

export interface ElfSymbol {
  readonly index: number;
  /** Empty for a section's symbol. */
  readonly name: string;
  /** Offset in its section. */
  readonly value: number;
  readonly size: number;
  readonly section: number;
  readonly type: number;
  readonly binding: number;
  readonly visibility: number;
}

export interface ElfRelocation {
  /** Offset in the section that is changed. */
  readonly offset: number;
  readonly type: number;
  readonly symbol: ElfSymbol;
}

export interface ElfFile {
  /** By index; [0] is the null section. */
  readonly sections: readonly ElfSection[];
  /** By index; [0] is the null symbol. */
  readonly symbols: readonly ElfSymbol[];
  /** The relocations that change a section, by its index; none for most. */
  relocations(section: ElfSection): readonly ElfRelocation[];
  section(name: string): ElfSection | undefined;
  /** The symbols that lie in a section, by address; not its own. */
  symbolsIn(section: ElfSection): readonly ElfSymbol[];
}

const headerSize = 64;
const sectionHeaderSize = 64;
const symbolSize = 24;
const relSize = 16;
/** Longer names are refused: they could make reading them quadratic. */
const maxName = 4096;

function bad(message: string, hint?: string): SkepError {
  return new SkepError({ code: 'elf', message, hint });
}

/** Names for what people pass by mistake. */
const machines: Readonly<Record<number, string>> = {
  3: 'i386',
  40: 'ARM',
  62: 'x86-64',
  183: 'AArch64',
  243: 'RISC-V',
};
const fileTypes: Readonly<Record<number, string>> = {
  2: 'an executable',
  3: 'a shared object',
  4: 'a core file',
};
const compileHint = 'compile with clang -target bpf -O2 -g -c';

/** A reader of the file in its own byte order, if it is ELF64 with sections that we understand. */
function openElf(bytes: Uint8Array): Reader {
  const file = new Reader(bytes, 'the ELF file', bytes[5] !== 2);
  if (file.length < 4 || file.u32(0) !== (file.littleEndian ? 0x464c457f : 0x7f454c46)) {
    throw bad('not an ELF file: it does not start with 7f 45 4c 46', compileHint);
  }
  if (file.length < headerSize) {
    throw bad(`the ELF file is cut short: the header is ${headerSize} bytes, ${file.length} are there`);
  }
  if (file.u8(4) !== 2) throw bad('not a 64-bit ELF file; BPF objects are', compileHint);
  if (file.u8(5) !== 1 && file.u8(5) !== 2) {
    throw bad(`ELF data encoding ${file.u8(5)} is neither little- nor big-endian`);
  }
  return file;
}

function checkSectionHeaders(file: Reader): void {
  if (file.u16(58) !== sectionHeaderSize) {
    throw bad(`section headers of ${file.u16(58)} bytes, not ${sectionHeaderSize}`);
  }
}

function checkBpf(file: Reader): void {
  if (!file.littleEndian) {
    throw bad('a big-endian object; this is a little-endian kernel', 'compile with -target bpfel');
  }
  const machine = file.u16(18);
  if (machine !== 247) {
    throw bad(`an object for ${machines[machine] ?? `machine ${machine}`}, not for BPF`, compileHint);
  }
  const type = file.u16(16);
  if (type !== 1) {
    throw bad(`${fileTypes[type] ?? `ELF type ${type}`}, not a relocatable object`, compileHint);
  }
}

/** A string table: names by offset, each decoded once. */
function nameTable(data: Uint8Array, what: string): (offset: number) => string {
  const strings = new StringTable(data, what);
  const known = new Map<number, string>([[0, '']]);
  return (offset) => {
    let name = known.get(offset);
    if (name === undefined) {
      name = strings.at(offset);
      if (name.length > maxName)
        throw bad(`${what}: a name of ${name.length} characters at offset ${offset}`);
      known.set(offset, name);
    }
    return name;
  };
}

/** Section header `index` without its name. */
function readSectionHeader(file: Reader, at: number, index: number) {
  const type = file.u32(at + 4);
  const offset = file.size64(at + 24);
  const size = file.size64(at + 32);
  const empty = type === sectionTypes.nobits || type === sectionTypes.null;
  if (!empty && (offset > file.length || size > file.length - offset)) {
    throw bad(
      `section ${index}: ${size} bytes at offset ${offset} reach beyond the file of ${file.length} bytes`,
    );
  }
  return {
    index,
    nameAt: file.u32(at),
    type,
    flags: Number(file.u64(at + 8) & 0xffff_ffffn),
    offset,
    size,
    link: file.u32(at + 40),
    info: file.u32(at + 44),
    align: file.size64(at + 48),
    data: empty ? new Uint8Array() : file.slice(offset, size),
  };
}

function readSections(file: Reader): ElfSection[] {
  checkSectionHeaders(file);
  const table = file.size64(40);
  if (table === 0) throw bad('no section headers', compileHint);
  let count = file.u16(60);
  let namesIndex = file.u16(62);
  // Counts that do not fit are in section 0 (elf(5), e_shnum and e_shstrndx).
  if (count === 0) count = file.size64(table + 32);
  if (namesIndex === 0xffff) namesIndex = file.u32(table + 40);
  if (count > (file.length - table) / sectionHeaderSize) {
    throw bad(`${count} section headers at offset ${table} reach beyond the file of ${file.length} bytes`);
  }
  const headers = Array.from({ length: count }, (_, i) =>
    readSectionHeader(file, table + i * sectionHeaderSize, i),
  );
  const names = headers[namesIndex];
  if (names === undefined || names.type !== sectionTypes.strtab) {
    throw bad(`section ${namesIndex} is no table of section names`);
  }
  const nameOf = nameTable(names.data, 'section names');
  const sections = headers.map(({ nameAt, offset: _, ...rest }) => ({ ...rest, name: nameOf(nameAt) }));

  const inFile = headers.filter((header) => header.data.length > 0).sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < inFile.length; i++) {
    const [before, after] = [inFile[i - 1]!, inFile[i]!];
    if (before.offset + before.size > after.offset) {
      throw bad(
        `sections ${before.index} '${nameOf(before.nameAt)}' and ${after.index} '${nameOf(after.nameAt)}' overlap`,
      );
    }
  }
  return sections;
}

function readSymbols(sections: readonly ElfSection[]): ElfSymbol[] {
  const tables = sections.filter((section) => section.type === sectionTypes.symtab);
  const table = tables[0];
  if (table === undefined) return [];
  if (tables.length > 1) throw bad(`${tables.length} symbol tables, where one is wanted`);
  const strings = sections[table.link];
  if (strings === undefined || strings.type !== sectionTypes.strtab) {
    throw bad(`section '${table.name}': section ${table.link} is no table of symbol names`);
  }
  if (table.size % symbolSize !== 0) {
    throw bad(`section '${table.name}': ${table.size} bytes are not a number of ${symbolSize}-byte symbols`);
  }
  const nameOf = nameTable(strings.data, 'symbol names');
  const reader = new Reader(table.data, 'symbol table');
  return Array.from({ length: table.size / symbolSize }, (_, index) => {
    const at = index * symbolSize;
    const info = reader.u8(at + 4);
    const section = reader.u16(at + 6);
    if (section >= sections.length && section < sectionIndexes.reserved) {
      throw bad(
        `symbol ${index} '${nameOf(reader.u32(at))}' is in section ${section}, of ${sections.length}`,
      );
    }
    return {
      index,
      name: nameOf(reader.u32(at)),
      value: reader.size64(at + 8),
      size: reader.size64(at + 16),
      section,
      type: info & 0xf,
      binding: info >> 4,
      visibility: reader.u8(at + 5) & 3,
    };
  });
}

function readRelocations(
  table: ElfSection,
  target: ElfSection,
  symbols: readonly ElfSymbol[],
): ElfRelocation[] {
  if (table.size % relSize !== 0) {
    throw bad(`section '${table.name}': ${table.size} bytes are not a number of ${relSize}-byte relocations`);
  }
  const reader = new Reader(table.data, `section '${table.name}'`);
  return Array.from({ length: table.size / relSize }, (_, i) => {
    const offset = reader.size64(i * relSize);
    const type = reader.u32(i * relSize + 8);
    const symbol = symbols[reader.u32(i * relSize + 12)];
    if (symbol === undefined) {
      throw bad(
        `section '${table.name}': relocation ${i} names symbol ${reader.u32(i * relSize + 12)}, of ${symbols.length}`,
      );
    }
    if (offset >= target.size) {
      throw bad(
        `section '${table.name}': relocation ${i} is at offset ${offset}, beyond the ${target.size} bytes of '${target.name}'`,
      );
    }
    return { offset, type, symbol };
  });
}

/**
 * The sections of any ELF64 file, of either byte order and for any machine: a kernel and its modules have BTF too.
 * @throws {SkepError} code 'elf' or 'truncated' where it is none, or broken
 */
export function readElfSections(bytes: Uint8Array): ElfSection[] {
  return readSections(openElf(bytes));
}

/**
 * Reads a little-endian ELF64 relocatable object for BPF (EM_BPF).
 * @throws {SkepError} code 'elf' or 'truncated' where it is another kind of file, or broken
 */
export function readElf(bytes: Uint8Array): ElfFile {
  const file = openElf(bytes);
  checkBpf(file);
  const sections = readSections(file);
  const symbols = readSymbols(sections);
  const tables = new Map<number, ElfSection[]>();
  for (const section of sections) {
    if (section.type !== sectionTypes.rel && section.type !== sectionTypes.rela) continue;
    if (sections[section.info] === undefined) {
      throw bad(`section '${section.name}' relocates section ${section.info}, of ${sections.length}`);
    }
    const known = tables.get(section.info);
    if (known === undefined) tables.set(section.info, [section]);
    else known.push(section);
  }
  const bySection = new Map<number, ElfSymbol[]>();
  for (const symbol of symbols) {
    if (symbol.type === symbolTypes.section) continue;
    const known = bySection.get(symbol.section);
    if (known === undefined) bySection.set(symbol.section, [symbol]);
    else known.push(symbol);
  }
  for (const list of bySection.values()) list.sort((a, b) => a.value - b.value);
  const byName = new Map<string, ElfSection>();
  for (const section of sections) if (!byName.has(section.name)) byName.set(section.name, section);
  return {
    sections,
    symbols,
    section: (name) => byName.get(name),
    symbolsIn: (section) => bySection.get(section.index) ?? [],
    relocations: (section) =>
      (tables.get(section.index) ?? []).flatMap((table) => {
        if (table.type === sectionTypes.rela)
          throw bad(`section '${table.name}' is RELA; BPF objects have REL`);
        return readRelocations(table, section, symbols);
      }),
  };
}
