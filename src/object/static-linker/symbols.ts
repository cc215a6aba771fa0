/**
 * Symbols and relocations of linked files. What one file declares another may define; a weak definition gives way
 * to a strong one, and the first of several weak ones is kept.
 */
import {
  type ElfSection,
  type ElfSymbol,
  sectionFlags,
  sectionIndexes,
  symbolBindings,
  symbolTypes,
  symbolVisibilities,
} from '../../elf/elf.ts';
import {
  type LinkedFile,
  linkError,
  type MergedSection,
  type MergedSymbol,
  type Part,
  placeIn,
} from './input.ts';

const slotSize = 8;
const callOpcode = 0x85;

/** How narrowly a symbol is seen: the narrowest wish counts. */
const narrowness: Readonly<Record<number, number>> = {
  [symbolVisibilities.default]: 0,
  [symbolVisibilities.protected]: 1,
  [symbolVisibilities.hidden]: 2,
  [symbolVisibilities.internal]: 3,
};

/** The symbols of the result. */
export class SymbolMerger {
  readonly symbols: MergedSymbol[] = [];
  readonly #globals = new Map<string, MergedSymbol>();
  readonly #ofSections = new Map<MergedSection, MergedSymbol>();

  /** The global symbol of a name. */
  global(name: string): MergedSymbol | undefined {
    return this.#globals.get(name);
  }

  add(file: LinkedFile): void {
    for (const symbol of file.elf.symbols) {
      if (symbol.index === 0 || symbol.type === symbolTypes.file) continue;
      const merged = this.#merge(file, symbol);
      if (merged !== undefined) file.symbols.set(symbol.index, merged);
    }
  }

  #merge(file: LinkedFile, symbol: ElfSymbol): MergedSymbol | undefined {
    const part = file.parts.get(symbol.section);
    const isExtern = symbol.section === sectionIndexes.undefined;
    if (part === undefined && !isExtern) return undefined;
    if (symbol.type === symbolTypes.section) return part && this.#sectionSymbol(part.of);
    if (symbol.binding === symbolBindings.local) {
      if (part === undefined)
        throw linkError('a local symbol that is defined nowhere', placeIn(file, symbol));
      return this.#push(symbol, part, file);
    }
    if (symbol.name === '') throw linkError(`symbol ${symbol.index} is global and has no name`, file.name);
    const known = this.#globals.get(symbol.name);
    if (known !== undefined) {
      this.#combine(known, { file, symbol, part });
      return known;
    }
    const added = this.#push(symbol, part, file);
    this.#globals.set(symbol.name, added);
    return added;
  }

  #sectionSymbol(section: MergedSection): MergedSymbol {
    let symbol = this.#ofSections.get(section);
    if (symbol === undefined) {
      const { local: binding } = symbolBindings;
      const shape = { name: '', value: 0, size: 0, type: symbolTypes.section, binding, visibility: 0 };
      symbol = { ...shape, section: section.index, index: this.symbols.length, definer: undefined };
      this.symbols.push(symbol);
      this.#ofSections.set(section, symbol);
    }
    return symbol;
  }

  #push(symbol: ElfSymbol, part: Part | undefined, file: LinkedFile): MergedSymbol {
    const { name, size, type, binding, visibility } = symbol;
    const merged: MergedSymbol = {
      ...{ name, size, type, binding, visibility },
      ...placed(symbol, part),
      index: this.symbols.length,
      definer: part === undefined ? undefined : file,
    };
    this.symbols.push(merged);
    return merged;
  }

  #combine(
    known: MergedSymbol,
    added: { file: LinkedFile; symbol: ElfSymbol; part: Part | undefined },
  ): void {
    const { file, symbol, part } = added;
    const isWeak = symbol.binding === symbolBindings.weak;
    if (narrowness[symbol.visibility]! > narrowness[known.visibility]!) known.visibility = symbol.visibility;
    if (part === undefined) {
      // Who needs it needs it, though others could do without.
      if (known.definer === undefined && !isWeak) known.binding = symbol.binding;
      return;
    }
    if (known.definer !== undefined) {
      if (isWeak) return;
      if (part.isRepeated) return;
      if (known.binding !== symbolBindings.weak) {
        throw linkError(`it is defined in ${known.definer.name} already`, placeIn(file, symbol));
      }
    }
    const { size, type, binding } = symbol;
    Object.assign(known, { size, type, binding, ...placed(symbol, part), definer: file });
  }
}

function placed(
  { value }: ElfSymbol,
  part: Part | undefined,
): { value: number; section: number | undefined } {
  return part === undefined
    ? { value: 0, section: undefined }
    : { value: part.at + value, section: part.of.index };
}

/** Adds a file's relocations to the sections that its own went into. */
export function moveRelocations(file: LinkedFile): void {
  for (const section of file.elf.sections) {
    const part = file.parts.get(section.index);
    if (part === undefined) continue;
    for (const { offset, type, symbol } of file.elf.relocations(section)) {
      const merged = file.symbols.get(symbol.index);
      if (merged === undefined) {
        throw linkError(
          `a relocation at offset ${offset} against '${symbol.name || `symbol ${symbol.index}`}', which is not linked`,
          placeIn(file, section),
        );
      }
      const moved = part.at + offset;
      const target = file.parts.get(symbol.section);
      if (symbol.type === symbolTypes.section && target !== undefined && target.at > 0) {
        moveAddend({ file, section, part, offset: moved }, target.at);
      }
      part.of.relocations.push({ offset: moved, type, symbol: merged.index });
    }
  }
}

/** What refers to a place in a section, by the section's symbol, holds the offset itself. */
function moveAddend(
  at: { file: LinkedFile; section: ElfSection; part: Part; offset: number },
  by: number,
): void {
  const { file, section, part, offset } = at;
  const { data, flags } = part.of;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (offset + slotSize > data.length) {
    throw linkError(`a relocation at offset ${offset - part.at} reaches beyond it`, placeIn(file, section));
  }
  if ((flags & sectionFlags.execInstr) === 0) {
    view.setBigUint64(offset, view.getBigUint64(offset, true) + BigInt(by), true);
    return;
  }
  const isCall = view.getUint8(offset) === callOpcode;
  const imm = view.getInt32(offset + 4, true) + (isCall ? by / slotSize : by);
  view.setInt32(offset + 4, imm, true);
}
