/**
 * Linking objects into one (bpftool gen object): sections of one name become one, what one file declares another
 * defines, relocations and records of instructions move with their code, and types are put together. The result
 * is an object as clang writes them, without debug information.
 */
import { writeBtfExt } from '../../btf/ext.ts';
import { sectionTypes } from '../../elf/elf.ts';
import { type NewSection, writeElf } from '../../elf/write.ts';
import { within } from '../source.ts';
import { type LinkedFile, type LinkInput, linkError, type MergedSection, readInput } from './input.ts';
import { mergeSections } from './sections.ts';
import { moveRelocations, SymbolMerger } from './symbols.ts';
import { mergeRecords, TypeMerger } from './types.ts';

/** More files than anybody links, so that what is merged stays bounded. */
const maxFiles = 1024;

/**
 * Links objects.
 * @param inputs in the order in which their code and variables are to lie
 * @throws {SkepError} 'link' where files contradict each other, naming file and symbol; what readers of an object
 *   throw where one is broken
 */
export function linkObjects(inputs: readonly LinkInput[]): Uint8Array<ArrayBuffer> {
  if (inputs.length === 0) throw linkError('there is nothing to link');
  if (inputs.length > maxFiles) throw linkError(`${inputs.length} files, where ${maxFiles} may be linked`);
  const files = inputs.map(readInput);
  const sections = mergeSections(files);
  const merger = new SymbolMerger();
  for (const file of files) merger.add(file);
  for (const file of files) moveRelocations(file);
  const types = new TypeMerger((name) => merger.global(name));
  for (const file of files) within(file.name, () => types.addFile(file));
  return writeElf({
    sections: [...sections.map(sectionOf), ...typeSections(files, sections, types)],
    symbols: merger.symbols,
  });
}

function sectionOf({ name, type, flags, align, size, data, relocations }: MergedSection): NewSection {
  return { name, type, flags, align, data, relocations, ...(type === sectionTypes.nobits ? { size } : {}) };
}

/** `.BTF` and `.BTF.ext`. */
function typeSections(
  files: readonly LinkedFile[],
  sections: readonly MergedSection[],
  types: TypeMerger,
): NewSection[] {
  if (files.every(({ btf }) => btf === undefined)) return [];
  types.finish(files, sections);
  const ext = {
    funcInfo: mergeRecords(files, 'funcInfo', types),
    lineInfo: mergeRecords(files, 'lineInfo', types),
    coreRelocations: mergeRecords(files, 'coreRelocations', types),
  };
  const plain = { type: sectionTypes.progbits, flags: 0, align: 4 };
  return [
    { name: '.BTF', ...plain, data: types.builder.build() },
    { name: '.BTF.ext', ...plain, data: writeBtfExt(ext) },
  ];
}
