/**
 * Writing ELF64 relocatable objects for BPF: sections, symbols and relocations in, bytes out. Section and symbol
 * names share one table, as in what clang writes; sections of relocations follow the others. It leaves out what
 * elf.ts leaves out, and debug information.
 */
import { concatBytes, roundUp } from '../base/bytes.ts';
import { Bug } from '../base/errors.ts';
import { sectionTypes, symbolBindings } from './elf.ts';

const headerSize = 64;
const sectionHeaderSize = 64;
const symbolSize = 24;
const relSize = 16;
/** SHF_INFO_LINK: sh_info is the index of a section. */
const infoLink = 0x40;

export interface NewSection {
  readonly name: string;
  /** sh_type, of which REL, symbol and string tables are not the caller's to give. */
  readonly type: number;
  readonly flags: number;
  readonly data: Uint8Array;
  /** For NOBITS, which has no data. */
  readonly size?: number;
  /** A power of two. */
  readonly align: number;
  readonly relocations?: readonly NewRelocation[];
}

export interface NewSymbol {
  readonly name: string;
  readonly value: number;
  readonly size: number;
  /** The index of a section as given, or undefined for one of elsewhere. */
  readonly section: number | undefined;
  readonly type: number;
  readonly binding: number;
  readonly visibility: number;
}

export interface NewRelocation {
  readonly offset: number;
  readonly type: number;
  /** The index of a symbol as given. */
  readonly symbol: number;
}

/** Strings behind a NUL, each once. */
class StringTable {
  readonly #parts: Uint8Array[] = [new Uint8Array(1)];
  readonly #offsets = new Map<string, number>([['', 0]]);
  #length = 1;

  add(text: string): number {
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const bytes = new TextEncoder().encode(`${text}\0`);
    const at = this.#length;
    this.#offsets.set(text, at);
    this.#parts.push(bytes);
    this.#length += bytes.length;
    return at;
  }

  bytes(): Uint8Array {
    return concatBytes(this.#parts);
  }
}

/** A section with its place among the others. */
interface Placed {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly data: Uint8Array;
  readonly size: number;
  readonly align: number;
  readonly link?: number;
  readonly info?: number;
  readonly entrySize?: number;
}

/** The null section, and the tables of names and symbols. */
const ownSections = 3;
const [namesIndex, symbolsIndex] = [1, 2];

/** Local symbols come first (elf(5), sh_info); where each came to be, by its old index. */
function orderSymbols(symbols: readonly NewSymbol[]): {
  ordered: NewSymbol[];
  places: Uint32Array;
  locals: number;
} {
  const isLocal = ({ binding }: NewSymbol): boolean => binding === symbolBindings.local;
  const order = [...symbols.keys()].sort(
    (a, b) => Number(isLocal(symbols[b]!)) - Number(isLocal(symbols[a]!)) || a - b,
  );
  const places = new Uint32Array(symbols.length);
  for (const [place, index] of order.entries()) places[index] = place + 1;
  return { ordered: order.map((i) => symbols[i]!), places, locals: symbols.filter(isLocal).length };
}

function symbolTable(symbols: readonly NewSymbol[], strings: StringTable): Uint8Array {
  const view = new DataView(new ArrayBuffer((symbols.length + 1) * symbolSize));
  for (const [i, symbol] of symbols.entries()) {
    const at = (i + 1) * symbolSize;
    view.setUint32(at, strings.add(symbol.name), true);
    view.setUint8(at + 4, (symbol.binding << 4) | symbol.type);
    view.setUint8(at + 5, symbol.visibility);
    view.setUint16(at + 6, symbol.section === undefined ? 0 : symbol.section + ownSections, true);
    view.setBigUint64(at + 8, BigInt(symbol.value), true);
    view.setBigUint64(at + 16, BigInt(symbol.size), true);
  }
  return new Uint8Array(view.buffer);
}

function relocationTable(relocations: readonly NewRelocation[], places: Uint32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(relocations.length * relSize));
  for (const [i, { offset, type, symbol }] of relocations.entries()) {
    const place = places[symbol];
    if (place === undefined) throw new Bug(`a relocation against symbol ${symbol} of ${places.length}`);
    view.setBigUint64(i * relSize, BigInt(offset), true);
    view.setUint32(i * relSize + 8, type, true);
    view.setUint32(i * relSize + 12, place, true);
  }
  return new Uint8Array(view.buffer);
}

function fileHeader(sections: number, tableAt: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(headerSize));
  // ELF, 64 bits, little-endian, version 1
  new Uint8Array(view.buffer).set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  // ET_REL, EM_BPF, version 1
  for (const [at, value] of [
    [16, 1],
    [18, 247],
    [20, 1],
    [52, headerSize],
    [58, sectionHeaderSize],
    [60, sections],
    [62, namesIndex],
  ] as const) {
    view.setUint16(at, value, true);
  }
  view.setBigUint64(40, BigInt(tableAt), true);
  return new Uint8Array(view.buffer);
}

function sectionHeader(section: Placed, nameAt: number, offset: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(sectionHeaderSize));
  view.setUint32(0, nameAt, true);
  view.setUint32(4, section.type, true);
  for (const [at, value] of [
    [8, section.flags],
    [24, offset],
    [32, section.size],
    [48, section.align],
    [56, section.entrySize ?? 0],
  ] as const) {
    view.setBigUint64(at, BigInt(value), true);
  }
  view.setUint32(40, section.link ?? 0, true);
  view.setUint32(44, section.info ?? 0, true);
  return new Uint8Array(view.buffer);
}

/** Writes an object: `sections` get the indexes 3 and up, in their order. */
export function writeElf(parts: {
  readonly sections: readonly NewSection[];
  readonly symbols: readonly NewSymbol[];
}): Uint8Array<ArrayBuffer> {
  const strings = new StringTable();
  const { ordered, places, locals } = orderSymbols(parts.symbols);
  const symbols = symbolTable(ordered, strings);
  const given = parts.sections.map(
    (section): Placed => ({ ...section, size: section.size ?? section.data.length }),
  );
  const relocations = parts.sections.flatMap((section, i): Placed[] => {
    if (section.relocations === undefined || section.relocations.length === 0) return [];
    const data = relocationTable(section.relocations, places);
    const { rel: type } = sectionTypes;
    const place = { link: symbolsIndex, info: i + ownSections, entrySize: relSize, align: 8 };
    return [{ name: `.rel${section.name}`, type, flags: infoLink, data, size: data.length, ...place }];
  });
  const rest = [...given, ...relocations];
  for (const { name } of rest) strings.add(name);
  for (const name of ['.strtab', '.symtab']) strings.add(name);
  const names = strings.bytes();
  const table = (name: string, type: number, data: Uint8Array): Placed => ({
    name,
    type,
    flags: 0,
    data,
    size: data.length,
    align: 1,
  });
  const placed: Placed[] = [
    table('', sectionTypes.null, new Uint8Array()),
    { ...table('.strtab', sectionTypes.strtab, names) },
    {
      ...table('.symtab', sectionTypes.symtab, symbols),
      align: 8,
      link: namesIndex,
      info: locals + 1,
      entrySize: symbolSize,
    },
    ...rest,
  ];
  return assemble(placed, strings);
}

/** The file: its header, the sections, and their headers at the end. */
function assemble(sections: readonly Placed[], strings: StringTable): Uint8Array<ArrayBuffer> {
  const body: Uint8Array[] = [];
  const headers: Uint8Array[] = [];
  let at = headerSize;
  const pad = (align: number): void => {
    const to = roundUp(at, Math.max(1, align));
    body.push(new Uint8Array(to - at));
    at = to;
  };
  for (const section of sections) {
    if (section.type !== sectionTypes.null) pad(section.align);
    const isNull = section.type === sectionTypes.null;
    headers.push(
      isNull ? new Uint8Array(sectionHeaderSize) : sectionHeader(section, strings.add(section.name), at),
    );
    body.push(section.data);
    at += section.data.length;
  }
  pad(8);
  return concatBytes([fileHeader(sections.length, at), ...body, ...headers]);
}
