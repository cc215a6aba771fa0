/**
 * Global variables: sections `.data`, `.rodata`, `.bss` (and those with more after a dot) become arrays of one
 * element, named, flagged and typed as libbpf does, and each variable a typed window into one.
 */
import { sizeOf } from '../btf/query.ts';
import type { Btf } from '../btf/read.ts';
import { type BtfDatasec, btfLinkages } from '../btf/types.ts';
import { type ElfSection, type ElfSymbol, sectionFlags, sectionTypes, symbolTypes } from '../elf/elf.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { badObject, type ObjectSource, type PlacedMap } from './source.ts';
import { emptyMap, type MapSpec, type VariableSpec } from './spec.ts';

/** BPF_F_RDONLY_PROG, BPF_F_MMAPABLE. */
const mapFlags = { readOnlyProg: 1 << 7, mmapable: 1 << 10 } as const;
/** BPF_OBJ_NAME_LEN less its NUL. */
const maxMapName = 15;
const sectionName = /^\.(data|rodata|bss)($|\.)/;
/** Where clang puts variables of address space 1, and where C without address spaces may put them. */
const arenaSections: readonly string[] = ['.addr_space.1', '.arena.1'];
const pageSize = 4096;
/** Static variables of one name: as many as files are linked. */
const maxSameNames = 1024;

/**
 * libbpf's name for the map of a section: the object's name, as much as fits in front of the section's (which
 * is counted as at least seven characters, so that all maps of an object start alike); a section with a
 * second dot keeps its own name.
 */
export function dataMapName(object: string, section: string): string {
  const isCustom = section.indexOf('.', 1) > 0;
  const room = isCustom ? 0 : maxMapName - Math.max(7, section.length);
  return `${object.slice(0, room)}${section}`.slice(0, maxMapName).replace(/[^A-Za-z0-9_.]/g, '_');
}

/** The DATASEC of each section that BTF knows. */
function datasecs(btf: Btf | undefined): Map<string, { id: number; type: BtfDatasec }> {
  const found = new Map<string, { id: number; type: BtfDatasec }>();
  for (const id of btf?.idsOf('datasec') ?? []) {
    const type = btf?.type(id);
    if (type?.kind === 'datasec') found.set(type.name, { id, type });
  }
  return found;
}

/** User space may map the section where it has a variable that another file can see. */
function isMmapable(btf: Btf, datasec: BtfDatasec): boolean {
  return datasec.variables.some((variable) => {
    const type = btf.type(variable.type);
    return type.kind === 'var' && type.linkage !== btfLinkages.static;
  });
}

function dataMap(
  source: ObjectSource,
  section: ElfSection,
  datasec: { id: number; type: BtfDatasec } | undefined,
): PlacedMap {
  if (section.size > 0xffffffff)
    throw badObject(`${section.size} bytes of variables`, `section '${section.name}'`);
  const readOnly = section.name.startsWith('.rodata');
  const mmapable = source.btf !== undefined && datasec !== undefined && isMmapable(source.btf, datasec.type);
  const spec = {
    ...emptyMap(dataMapName(source.name, section.name)),
    type: mapTypes.array.id,
    keySize: 4,
    valueSize: section.size,
    maxEntries: 1,
    flags: (readOnly ? mapFlags.readOnlyProg : 0) | (mmapable ? mapFlags.mmapable : 0),
    btfValueTypeId: datasec?.id ?? 0,
    freeze: readOnly,
    // An array starts with zeros, which is all that .bss has to say.
    contents:
      section.type === sectionTypes.nobits
        ? []
        : [{ key: new Uint8Array(4), value: new Uint8Array(section.data) }],
  };
  return { spec, section, offset: 0, isData: true };
}

function symbolVariables(symbols: readonly ElfSymbol[], map: string): VariableSpec[] {
  return symbols.map(({ name, value, size }) => ({ name, map, offset: value, size, btfTypeId: 0 }));
}

/** The variables of a section, by BTF where it describes them. */
function variablesOf(
  source: ObjectSource,
  section: ElfSection,
  { map, datasec }: { map: string; datasec: BtfDatasec | undefined },
): VariableSpec[] {
  const { btf, elf } = source;
  if (btf === undefined || datasec === undefined) {
    return symbolVariables(objectSymbols(elf.symbolsIn(section)), map);
  }
  return datasec.variables.map(({ type: id, offset, size }) => {
    const variable = btf.type(id);
    const btfTypeId = variable.kind === 'var' ? variable.type : 0;
    // To ask the type would be to read all of it.
    return { name: variable.name, map, offset, size: size === 0 ? sizeOf(btf, id) : size, btfTypeId };
  });
}

function objectSymbols(symbols: readonly ElfSymbol[]): ElfSymbol[] {
  return symbols.filter(({ type, name }) => type === symbolTypes.object && name !== '');
}

/** The variables of an arena start in its first pages, as they stand in their section. */
function arenaPart(section: ElfSection, arenas: readonly MapSpec[]): PlacedMap {
  const [arena, second] = arenas;
  const where = `section '${section.name}'`;
  if (arena === undefined) {
    throw badObject('it has variables of an arena, and the object defines no arena', where);
  }
  if (second !== undefined)
    throw badObject(`whose are its variables: '${arena.name}' or '${second.name}'`, where);
  if (section.size > arena.maxEntries * pageSize) {
    throw badObject(`${section.size} bytes of variables, in an arena of ${arena.maxEntries} pages`, where);
  }
  if (section.type !== sectionTypes.nobits) {
    arena.contents.push({ key: new Uint8Array(), value: new Uint8Array(section.data) });
  }
  return { spec: arena, section, offset: 0, isData: true };
}

/** The name where it is free; else with a number. */
function freeName(taken: ReadonlyMap<string, unknown>, name: string): string {
  if (!taken.has(name)) return name;
  for (let number = 2; number <= maxSameNames; number++) {
    if (!taken.has(`${name}.${number}`)) return `${name}.${number}`;
  }
  throw badObject(`more than ${maxSameNames} variables are named '${name}'`);
}

/** Whether variables of the section make a map, or lie in one. */
function holderOf(section: ElfSection): 'map' | 'arena' | undefined {
  if ((section.flags & sectionFlags.alloc) === 0 || section.size === 0) return undefined;
  if (arenaSections.includes(section.name)) return 'arena';
  return sectionName.test(section.name) ? 'map' : undefined;
}

/**
 * The maps of the object's data sections and the variables in them, with those of an arena. A static variable
 * of a function has the name of its symbol ('count.calls') where its plain name is taken, and of linked files
 * that have static variables of one name, the second is 'seen.2'.
 * @returns `maps`: one for each section; of an arena, the map that was defined
 */
export function dataMaps(
  source: ObjectSource,
  defined: readonly MapSpec[],
): { maps: PlacedMap[]; variables: Map<string, VariableSpec> } {
  const { elf, btf } = source;
  const known = datasecs(btf);
  const arenas = defined.filter(({ type }) => type === mapTypes.arena.id);
  const maps: PlacedMap[] = [];
  const variables = new Map<string, VariableSpec>();
  for (const section of elf.sections) {
    const holder = holderOf(section);
    if (holder === undefined) continue;
    const datasec = known.get(section.name);
    const map = holder === 'map' ? dataMap(source, section, datasec) : arenaPart(section, arenas);
    maps.push(map);
    const names = new Map(objectSymbols(elf.symbolsIn(section)).map(({ value, name }) => [value, name]));
    const found = variablesOf(source, section, { map: map.spec.name, datasec: datasec?.type });
    for (const variable of found) {
      const isFree = !variables.has(variable.name);
      const name = isFree ? variable.name : freeName(variables, names.get(variable.offset) ?? variable.name);
      variables.set(name, isFree ? variable : { ...variable, name });
    }
  }
  return { maps, variables };
}
