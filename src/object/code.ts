/**
 * From ELF functions to programs: each entry function with the subprograms that it reaches behind it, in the
 * order libbpf puts them (depth first, where a call is met first), calls and function pointers between them
 * resolved, loads of maps and variables turned into references by name, and the BTF.ext records of all.
 *
 * A subprogram is a function in `.text`, or a function of another section that is called. The total of
 * all programs is bounded: many programs that share much code would otherwise make a small file large.
 */
import { concatBytes } from '../base/bytes.ts';
import { type CoreRelocation, coreRelocationOf } from '../btf/core/index.ts';
import { recordSizes } from '../btf/ext.ts';
import type { Btf } from '../btf/read.ts';
import {
  type ElfRelocation,
  type ElfSection,
  type ElfSymbol,
  relocationTypes,
  sectionFlags,
  sectionIndexes,
  sectionTypes,
  symbolBindings,
  symbolTypes,
} from '../elf/elf.ts';
import { Assembly, CodeSlot, type ElfFunction, type Part, slotSize } from './assembly.ts';
import type { RecordIndex, Stretch } from './records.ts';
import { badObject, type ObjectSource, type PlacedMap } from './source.ts';
import type { ExternSpec, SpecReference, SymbolReference } from './spec.ts';

const opcodes = { ldimm64: 0x18, call: 0x85 } as const;
/** Source register of a two-slot load or a call: what its immediate names. */
const pseudo = { mapFd: 1, mapValue: 2, func: 4, call: 1, kfunc: 2 } as const;
/** In all programs of an object, 32 MiB; Linux takes 1M instructions a program. */
const maxSlots = 4 << 20;

export interface LinkedProgram {
  readonly insns: Uint8Array;
  readonly references: SpecReference[];
  readonly symbols: readonly SymbolReference[];
  readonly funcInfo: Uint8Array | undefined;
  readonly lineInfo: Uint8Array | undefined;
  readonly coreRelocations: readonly CoreRelocation[];
}

/** What code may refer to. */
export interface LinkContext {
  readonly source: ObjectSource;
  readonly maps: readonly PlacedMap[];
  readonly externs: Readonly<Record<string, ExternSpec>>;
  /** Records of BTF.ext; undefined without it. */
  readonly records:
    | { funcInfo: RecordIndex; lineInfo: RecordIndex; coreRelocations: RecordIndex }
    | undefined;
}

/** All functions in executable sections, by section index and in order of address. */
export function findFunctions({ elf }: ObjectSource): Map<number, ElfFunction[]> {
  const bySection = new Map<number, ElfFunction[]>();
  for (const section of elf.sections) {
    if (section.type !== sectionTypes.progbits || (section.flags & sectionFlags.execInstr) === 0) continue;
    const symbols = elf.symbolsIn(section).filter(({ type }) => type === symbolTypes.func);
    bySection.set(
      section.index,
      symbols.map((symbol, i) => functionOf(section, symbol, symbols[i + 1])),
    );
  }
  return bySection;
}

function functionOf(section: ElfSection, symbol: ElfSymbol, next: ElfSymbol | undefined): ElfFunction {
  const { name, value: start, size, binding } = symbol;
  const end = size > 0 ? start + size : (next?.value ?? section.size);
  const where = `section '${section.name}'`;
  if (name === '') throw badObject(`a function at offset ${start} has no name`, where);
  if (end > section.size || end <= start || start % slotSize !== 0 || end % slotSize !== 0) {
    throw badObject(
      `function '${name}', bytes ${start} to ${end}, does not fit its ${section.size} bytes`,
      where,
    );
  }
  if (next !== undefined && next.value < end) {
    throw badObject(`functions '${name}' and '${next.name}' overlap`, where);
  }
  return { name, section, start, end, binding };
}

/** The relocations of a section by offset, and a mark for each slot that has one. */
interface SectionRelocations {
  readonly at: ReadonlyMap<number, ElfRelocation>;
  readonly marks: Uint8Array;
}

/** Links the programs of one object. */
export class Linker {
  private readonly context: LinkContext;
  private readonly functions: ReadonlyMap<number, readonly ElfFunction[]>;
  private readonly starts = new Map<string, ElfFunction>();
  private readonly relocations = new Map<number, SectionRelocations>();
  private readonly mapsAt = new Map<string, PlacedMap>();
  private readonly dataMaps = new Map<number, PlacedMap>();
  private slotsLeft = maxSlots;
  private callbacks: ReadonlyMap<string, string> | undefined;

  constructor(context: LinkContext, functions: ReadonlyMap<number, readonly ElfFunction[]>) {
    this.context = context;
    this.functions = functions;
    for (const list of this.functions.values()) {
      for (const each of list) this.starts.set(`${each.section.index} ${each.start}`, each);
    }
    for (const map of context.maps) {
      if (map.isData) this.dataMaps.set(map.section.index, map);
      else this.mapsAt.set(`${map.section.index} ${map.offset}`, map);
    }
  }

  /** Puts one program together. */
  link(main: ElfFunction): LinkedProgram {
    const program = new Assembly();
    const waiting: { part: Part; slot: number }[] = [{ part: this.append(program, main), slot: 0 }];
    for (let top = waiting.at(-1); top !== undefined; top = waiting.at(-1)) {
      const called = this.linkUntilCall(program, top);
      if (called === undefined) waiting.pop();
      else waiting.push({ part: this.append(program, called), slot: 0 });
      // What runs when the program throws is called by nobody.
      const callback = waiting.length === 0 ? this.exceptionCallback(main) : undefined;
      if (callback !== undefined && !program.placed.has(callback)) {
        waiting.push({ part: this.append(program, callback), slot: 0 });
      }
    }
    const stretches = program.parts.map(({ of, base }) => ({
      section: of.section.name,
      start: of.start,
      end: of.end,
      slot: base,
    }));
    const { records } = this.context;
    return {
      insns: concatBytes(program.parts.map(({ code }) => code)),
      references: program.references,
      symbols: program.symbols,
      funcInfo: records?.funcInfo.cutAll(stretches, recordSizes.funcInfo),
      lineInfo: records?.lineInfo.cutAll(stretches, recordSizes.lineInfo),
      coreRelocations: this.coreRelocations(stretches),
    };
  }

  /** The function that a tag of the program names, 'exception_callback:NAME' (libbpf: btf_ext's exception_cb_idx). */
  private exceptionCallback(main: ElfFunction): ElfFunction | undefined {
    this.callbacks ??= exceptionCallbacks(this.context.source.btf);
    const name = this.callbacks.get(main.name);
    if (name === undefined) return undefined;
    for (const list of this.functions.values()) {
      const found = list.find((each) => each.name === name && each.binding !== symbolBindings.local);
      if (found !== undefined) return found;
    }
    throw badObject(
      `its exception callback '${name}' is no global function of the object`,
      `section '${main.section.name}', function '${main.name}'`,
    );
  }

  private coreRelocations(stretches: readonly Stretch[]): CoreRelocation[] {
    const { records, source } = this.context;
    const bytes = records?.coreRelocations.cutAll(stretches, recordSizes.coreRelocations);
    if (bytes === undefined || source.btf === undefined) return [];
    const { btf } = source;
    return Array.from({ length: bytes.length / recordSizes.coreRelocations }, (_, i) =>
      coreRelocationOf(btf, new DataView(bytes.buffer, i * recordSizes.coreRelocations)),
    );
  }

  private append(program: Assembly, of: ElfFunction): Part {
    const slots = (of.end - of.start) / slotSize;
    this.slotsLeft -= slots;
    if (this.slotsLeft < 0) {
      throw badObject(
        `the programs of the object are more than ${maxSlots} instructions with their subprograms`,
      );
    }
    return program.append(of);
  }

  private relocationsOf(section: ElfSection): SectionRelocations {
    let known = this.relocations.get(section.index);
    if (known === undefined) {
      const at = new Map(this.context.source.elf.relocations(section).map((each) => [each.offset, each]));
      const marks = new Uint8Array(Math.ceil(section.size / slotSize));
      for (const { offset, symbol } of at.values()) {
        if (offset % slotSize !== 0)
          throw badObject(
            `a relocation against '${symbol.name}' at offset ${offset}`,
            `section '${section.name}'`,
          );
        marks[offset / slotSize] = 1;
      }
      this.relocations.set(section.index, (known = { at, marks }));
    }
    return known;
  }

  /** Resolves a function's instructions from `at.slot` on; stops behind one that needs a function appended. */
  private linkUntilCall(program: Assembly, at: { part: Part; slot: number }): ElfFunction | undefined {
    const { part } = at;
    const { code } = part;
    const slots = code.length / slotSize;
    const relocations = this.relocationsOf(part.of.section);
    const first = part.of.start / slotSize;
    const { marks } = relocations;
    const { ldimm64, call } = opcodes;
    for (;;) {
      // Of nearly all instructions there is nothing to say.
      let { slot } = at;
      for (; slot < slots && marks[first + slot] === 0; slot++) {
        const opcode = code[slot * slotSize];
        if (opcode === ldimm64 || opcode === call) break;
      }
      at.slot = slot;
      if (slot >= slots) return undefined;
      const insn = new CodeSlot(part, at.slot);
      const isWide = insn.opcode === opcodes.ldimm64;
      if (isWide && at.slot + 1 === slots)
        throw badObject('a two-slot load is cut off by the end of the function', insn.place);
      const relocation = relocations.at.get(insn.offset);
      const second = isWide ? relocations.at.get(insn.offset + slotSize) : undefined;
      if (second !== undefined)
        throw badObject(`a relocation against '${second.symbol.name}' in its second slot`, insn.place);
      const target = this.targetOf(program, insn, relocation);
      if (target !== undefined) {
        const known = program.placed.get(target);
        if (known === undefined) return target;
        insn.imm = known - (part.base + at.slot) - 1;
        if (isWide) insn.src = pseudo.func;
      }
      at.slot += isWide ? 2 : 1;
    }
  }

  /** The function that an instruction calls or loads, if it does; a load of anything else is resolved. */
  private targetOf(
    program: Assembly,
    insn: CodeSlot,
    relocation: ElfRelocation | undefined,
  ): ElfFunction | undefined {
    const { part } = insn;
    if (relocation === undefined) {
      if (insn.opcode === opcodes.call && insn.src === pseudo.call) {
        return this.functionAt(part.of.section, insn.offset + (insn.imm + 1) * slotSize, insn);
      }
      return undefined;
    }
    const { symbol, type } = relocation;
    if (symbol.section === sectionIndexes.undefined) {
      this.resolveExtern(program, insn, relocation);
      return undefined;
    }
    const section = this.definingSection(symbol, insn);
    const isCode = (section.flags & sectionFlags.execInstr) !== 0;
    const isSectionSymbol = symbol.type === symbolTypes.section;
    if (insn.opcode === opcodes.call && type === relocationTypes.call32) {
      if (!isCode) throw badObject(`a call of '${symbol.name}', which is no function`, insn.place);
      if (insn.src !== pseudo.call)
        throw badObject(`a helper's call is relocated against '${symbol.name}'`, insn.place);
      return this.functionAt(section, symbol.value + (isSectionSymbol ? (insn.imm + 1) * slotSize : 0), insn);
    }
    if (insn.opcode === opcodes.ldimm64 && type === relocationTypes.ld64) {
      if (isCode) return this.functionAt(section, symbol.value + (isSectionSymbol ? insn.imm : 0), insn);
      this.resolveLoad(program, insn, { section, symbol });
      return undefined;
    }
    throw badObject(
      `a relocation of type ${type} against '${symbol.name || section.name}' on opcode 0x${insn.opcode.toString(16)}`,
      insn.place,
    );
  }

  private functionAt(section: ElfSection, offset: number, insn: CodeSlot): ElfFunction {
    const found = this.starts.get(`${section.index} ${offset}`);
    if (found !== undefined) return found;
    throw badObject(
      `no function starts at offset ${offset} of section '${section.name}', which it calls`,
      insn.place,
    );
  }

  private definingSection(symbol: ElfSymbol, insn: CodeSlot): ElfSection {
    const section = this.context.source.elf.sections[symbol.section];
    if (section === undefined) throw badObject(`symbol '${symbol.name}' is in no section`, insn.place);
    return section;
  }

  /** A load or call of what the kernel has: of its configuration the place is known, of the rest the name. */
  private resolveExtern(program: Assembly, insn: CodeSlot, { symbol, type }: ElfRelocation): void {
    const { externs } = this.context;
    const extern = Object.hasOwn(externs, symbol.name) ? externs[symbol.name] : undefined;
    if (extern === undefined) {
      throw badObject(
        `'${symbol.name}' is declared, and not defined`,
        insn.place,
        'define it, or declare it with __ksym or __kconfig',
      );
    }
    const slot = insn.part.base + insn.slot;
    const isCall = insn.opcode === opcodes.call && type === relocationTypes.call32;
    const isLoad = insn.opcode === opcodes.ldimm64 && type === relocationTypes.ld64;
    if (isCall ? extern.kind !== 'function' : !isLoad) {
      throw badObject(
        `a relocation of type ${type} against extern '${symbol.name}' on opcode 0x${insn.opcode.toString(16)}`,
        insn.place,
      );
    }
    insn.imm = 0;
    if (extern.kind === 'config') {
      insn.src = pseudo.mapValue;
      insn.secondImm = extern.offset;
      program.references.push({ kind: 'mapValue', slot, map: extern.map, offset: extern.offset });
      return;
    }
    if (isCall) insn.src = pseudo.kfunc;
    else insn.secondImm = 0;
    program.symbols.push({ slot, symbol: symbol.name, isCall });
  }

  /** A load of a map, or of a variable's address. */
  private resolveLoad(
    program: Assembly,
    insn: CodeSlot,
    target: { section: ElfSection; symbol: ElfSymbol },
  ): void {
    const { section, symbol } = target;
    const slot = insn.part.base + insn.slot;
    const data = this.dataMaps.get(section.index);
    const offset = symbol.value + (data !== undefined || symbol.type === symbolTypes.section ? insn.imm : 0);
    if (data !== undefined) {
      if (offset < 0 || offset > section.size) {
        throw badObject(
          `it loads the address ${offset} of section '${section.name}', of ${section.size} bytes`,
          insn.place,
        );
      }
      insn.src = pseudo.mapValue;
      insn.imm = 0;
      insn.secondImm = offset;
      program.references.push({ kind: 'mapValue', slot, map: data.spec.name, offset });
      return;
    }
    const map = this.mapsAt.get(`${section.index} ${offset}`);
    if (map === undefined) {
      throw badObject(
        `it loads '${symbol.name || section.name}', at offset ${offset} of section '${section.name}', where no map or variable is`,
        insn.place,
      );
    }
    insn.src = pseudo.mapFd;
    insn.imm = 0;
    program.references.push({ kind: 'map', slot, map: map.spec.name });
  }
}

const exceptionTag = 'exception_callback:';

/** Names of functions that run when a function throws, by its name. */
function exceptionCallbacks(btf: Btf | undefined): Map<string, string> {
  const found = new Map<string, string>();
  for (const id of btf?.idsOf('declTag') ?? []) {
    const tag = btf!.type(id);
    if (tag.kind !== 'declTag' || !tag.name.startsWith(exceptionTag) || tag.component !== -1) continue;
    const func = btf!.type(tag.type);
    if (func.kind === 'func') found.set(func.name, tag.name.slice(exceptionTag.length));
  }
  return found;
}
