/**
 * Functions of executables and shared objects (elf(5)), where user-space probes go: bytes in; names and offsets
 * in the file out. It reads the two tables of symbols and leaves out the rest. Objects for BPF are elf.ts.
 *
 * Hostile input: every offset is checked against the file, and the names that are read may together be a few
 * times as long as it and no more, so that the work is linear in it however they overlap.
 */
import { Reader } from '../base/bytes.ts';
import { badElf, checkHeader, readSections, type Section } from './executable-layout.ts';

export interface ExecutableFunction {
  readonly name: string;
  /** In the file. */
  readonly offset: bigint;
  /** False for a function that is local to its object file, of which there may be several of one name. */
  readonly global: boolean;
}

const symbolSize = 24;
const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const STT_FUNC = 2;
const STB_LOCAL = 0;
const SHN_LORESERVE = 0xff00;
/** Names of C++ get long. Longer ones are no one's to ask for. */
const maxName = 4096;

/**
 * The functions that a file defines and `wanted` asks for, by offset; one that both tables list comes once.
 * @throws {SkepError} 'elf' or 'truncated' for what is no such file
 */
export function executableFunctions(
  bytes: Uint8Array,
  wanted: (name: string) => boolean,
): ExecutableFunction[] {
  const file = new Reader(bytes, 'the ELF file');
  const budget = { left: (1 << 20) + 4 * bytes.length };
  checkHeader(file);
  const sections = readSections(file);
  const found = new Map<string, ExecutableFunction>();
  for (const type of [SHT_SYMTAB, SHT_DYNSYM]) {
    const table = sections.find((section) => section.type === type);
    if (table === undefined) continue;
    for (const entry of readTable(file, { table, sections, wanted, budget })) {
      found.set(`${entry.offset} ${entry.name}`, entry);
    }
  }
  return [...found.values()].sort((a, b) => Number(a.offset - b.offset));
}

interface TableAsked {
  readonly table: Section;
  readonly sections: readonly Section[];
  readonly wanted: (name: string) => boolean;
  /** Characters of names that may still be read. */
  readonly budget: { left: number };
}

function* readTable(
  file: Reader,
  { table, sections, wanted, budget }: TableAsked,
): Generator<ExecutableFunction, void> {
  const strings = sections[table.link];
  if (strings === undefined) throw badElf(`section ${table.link}, the names of symbols, is not there`);
  const names = file.slice(strings.offset, strings.size);
  const symbols = new Reader(file.slice(table.offset, table.size), 'a table of symbols');
  for (let at = 0; at + symbolSize <= symbols.length; at += symbolSize) {
    const info = symbols.u8(at + 4);
    const index = symbols.u16(at + 6);
    if ((info & 0xf) !== STT_FUNC || index === 0 || index >= SHN_LORESERVE) continue;
    const section = sections[index];
    const name = nameAt(names, symbols.u32(at));
    budget.left -= name.length;
    if (budget.left < 0) throw badElf('the names of its symbols overlap');
    if (section === undefined || !wanted(name)) continue;
    // Symbols are addresses; probes want to know where that is in the file.
    const offset = symbols.u64(at + 8) - section.address + BigInt(section.offset);
    yield { name, offset: BigInt.asUintN(64, offset), global: info >> 4 !== STB_LOCAL };
  }
}

const decoder = new TextDecoder();

/** The name at an offset, cut where it is too long to be one. */
function nameAt(names: Uint8Array, start: number): string {
  let text = '';
  for (let i = start; i < start + maxName; i++) {
    const byte = names[i] ?? 0;
    if (byte === 0) break;
    if (byte >= 0x80) return decoder.decode(names.subarray(start, start + maxName)).replace(/\0.*$/s, '');
    text += String.fromCharCode(byte);
  }
  return text;
}
