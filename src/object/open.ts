/**
 * Opening an object: bytes that clang compiled for BPF in, a `CollectionSpec` out, as libbpf understands
 * them. Nothing is loaded: CO-RE relocations and externs of the kernel are listed for `load()` to
 * resolve.
 */
import { Reader } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import { readBtfExt } from '../btf/ext.ts';
import type { Btf } from '../btf/read.ts';
import { type ElfFile, readElf, symbolBindings } from '../elf/elf.ts';
import type { ElfFunction } from './assembly.ts';
import { findFunctions, type LinkContext, Linker } from './code.ts';
import { dataMaps } from './data.ts';
import { findExterns } from './externs.ts';
import { fixBtf } from './fix-btf.ts';
import { placeTailCalls } from './legacy-maps.ts';
import { definedMaps } from './maps.ts';
import { RecordIndex } from './records.ts';
import { sectionOrUnknown } from './sections.ts';
import { badObject, type ObjectSource, type PlacedMap, within } from './source.ts';
import type { CollectionSpec, MapSpec, ProgramSpec } from './spec.ts';
import { numberMembers, structOpsMaps } from './struct-ops.ts';

/** The section whose functions are subprograms only. */
const subprogramSection = '.text';

/** 'firewall' for '/tmp/firewall.bpf.o': what libbpf makes of a path. */
function objectName(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1);
  const dot = base.indexOf('.');
  return dot < 0 ? base : base.slice(0, dot);
}

function readLicense(elf: ElfFile): string {
  const section = elf.section('license');
  if (section === undefined) return '';
  const end = section.data.indexOf(0);
  if (end < 0) throw badObject('the license does not end with a NUL', "section 'license'");
  return new TextDecoder().decode(section.data.subarray(0, end));
}

function readVersion(elf: ElfFile): number | undefined {
  const section = elf.section('version');
  if (section === undefined) return undefined;
  if (section.size !== 4) throw badObject(`a version of ${section.size} bytes, not 4`, "section 'version'");
  return new Reader(section.data, "section 'version'").u32(0);
}

function readRecords(elf: ElfFile, btf: Btf | undefined): LinkContext['records'] {
  const section = elf.section('.BTF.ext');
  if (section === undefined || btf === undefined) return undefined;
  return within("section '.BTF.ext'", () => {
    const { funcInfo, lineInfo, coreRelocations } = readBtfExt(section.data);
    return {
      funcInfo: new RecordIndex(funcInfo, btf),
      lineInfo: new RecordIndex(lineInfo, btf),
      coreRelocations: new RecordIndex(coreRelocations, btf),
    };
  });
}

function programSpec(linker: Linker, main: ElfFunction, license: string): ProgramSpec {
  if (main.binding === symbolBindings.local) {
    throw badObject(
      `program '${main.name}' is static`,
      `section '${main.section.name}'`,
      'make it a global function',
    );
  }
  try {
    const meaning = sectionOrUnknown(main.section.name);
    const linked = linker.link(main);
    const section = meaning.autoload ? main.section.name : main.section.name.slice(1);
    return { name: main.name, section, license, ...meaning, ...linked };
  } catch (error) {
    throw error instanceof SkepError && error.where === undefined
      ? error.at(`program '${main.name}'`)
      : error;
  }
}

/** A record by name; names are those of C, so that two of one name are a broken file. */
function byName<T extends { readonly name: string }>(items: readonly T[], what: string): Record<string, T> {
  const seen = new Set<string>();
  for (const { name } of items) {
    if (seen.has(name)) throw badObject(`two ${what} are named '${name}'`);
    seen.add(name);
  }
  return Object.fromEntries(items.map((item) => [item.name, item]));
}

/** Refuses initial elements that name what is not there. */
function checkContents(maps: Record<string, MapSpec>, programs: Record<string, ProgramSpec>): void {
  for (const { name, contents } of Object.values(maps)) {
    for (const { value } of contents) {
      if (value instanceof Uint8Array) continue;
      const missing =
        'map' in value ? !Object.hasOwn(maps, value.map) : !Object.hasOwn(programs, value.program);
      if (!missing) continue;
      const wanted = 'map' in value ? `map '${value.map}'` : `program '${value.program}'`;
      throw badObject(`its values name ${wanted}, which is not in the object`, `map '${name}'`);
    }
  }
}

/**
 * Opens a BPF object file.
 * @param options.name the file's name or path, which libbpf puts into the names of maps of variables:
 *   'firewall.bpf.o' gives 'firewall.rodata'
 * @throws {SkepError} for anything that is no object for a little-endian kernel, is broken, or needs what
 *   is not supported; with section, function and symbol
 */
export function openObject(bytes: Uint8Array, options: { readonly name?: string } = {}): CollectionSpec {
  const elf = readElf(bytes);
  const btfSection = elf.section('.BTF');
  const fixed = btfSection && within("section '.BTF'", () => fixBtf(btfSection.data, elf));
  const name = objectName(options.name ?? 'object');
  const externs = findExterns(elf, fixed, name);
  const { btf } = externs;
  const source: ObjectSource = { bytes, elf, btf, name };
  const functions = findFunctions(source);
  const defined = definedMaps(source);
  const data = dataMaps(
    source,
    defined.map(({ spec }) => spec),
  );
  const placed: PlacedMap[] = [...defined, ...data.maps];
  const specs = [
    ...new Set(placed.map(({ spec }) => spec)),
    ...structOpsMaps(source, functions),
    ...(externs.map === undefined ? [] : [externs.map]),
  ];
  const maps = byName(specs, 'maps');
  const linker = new Linker(
    { source, maps: placed, externs: externs.specs, records: readRecords(elf, btf) },
    functions,
  );
  const license = readLicense(elf);
  const entries = [...functions.values()]
    .flat()
    .filter(({ section }) => section.name !== subprogramSection)
    .sort((a, b) => a.section.index - b.section.index || a.start - b.start);
  const programs = byName(
    entries.map((main) => programSpec(linker, main, license)),
    'programs',
  );
  placeTailCalls(placed, programs);
  checkContents(maps, programs);
  numberMembers(specs, programs, source);
  const kernVersion = readVersion(elf);
  return {
    programs,
    maps,
    variables: Object.fromEntries([
      ...data.variables,
      ...externs.variables.map((variable) => [variable.name, variable] as const),
    ]),
    externs: externs.specs,
    ...(kernVersion === undefined ? {} : { kernVersion }),
    btf: btf?.bytes,
    byteOrder: 'little',
  };
}
