/**
 * What an object wants from the kernel by name: values of its configuration (`.kconfig`), and its variables and
 * functions (`.ksyms`). Both sections are in BTF only, and the compiler leaves them without a layout.
 * Here they are found and laid out as libbpf does; `load()` puts in what the kernel has.
 */
import { resolvedType, sizeOf } from '../btf/query.ts';
import { type Btf, readBtf } from '../btf/read.ts';
import { type BtfDatasec, btfLinkages } from '../btf/types.ts';
import { BtfBuilder } from '../btf/write.ts';
import { type ElfFile, sectionIndexes, symbolBindings, symbolTypes } from '../elf/elf.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { dataMapName } from './data.ts';
import { badObject } from './source.ts';
import { type ExternSpec, emptyMap, type MapSpec, type VariableSpec } from './spec.ts';

const pointerSize = 8;
/** BPF_F_RDONLY_PROG, BPF_F_MMAPABLE. */
const kconfigFlags = (1 << 7) | (1 << 10);

export interface Externs {
  readonly specs: Readonly<Record<string, ExternSpec>>;
  /** The map of `.kconfig`. */
  readonly map: MapSpec | undefined;
  readonly variables: readonly VariableSpec[];
  /** The object's BTF with both sections as a kernel takes them. */
  readonly btf: Btf | undefined;
}

interface Section {
  readonly id: number;
  readonly type: BtfDatasec;
}

function findSection(btf: Btf, name: string): Section | undefined {
  for (const id of btf.idsOf('datasec')) {
    const type = btf.type(id);
    if (type.kind === 'datasec' && type.name === name) return { id, type };
  }
  return undefined;
}

/** Undefined symbols that the linker of C would look for elsewhere. */
function undefinedSymbols(elf: ElfFile): Map<string, { weak: boolean }> {
  const found = elf.symbols.filter(
    ({ section, binding, type, name }) =>
      section === sectionIndexes.undefined &&
      binding !== symbolBindings.local &&
      type === symbolTypes.none &&
      name !== '',
  );
  return new Map(found.map(({ name, binding }) => [name, { weak: binding === symbolBindings.weak }]));
}

/** Bytes that a compiler aligns the type to; 1 for what is no value of a configuration. */
function alignmentOf(btf: Btf, id: number): number {
  let type = resolvedType(btf, id);
  while (type.kind === 'array') type = resolvedType(btf, type.type);
  if (type.kind === 'ptr') return pointerSize;
  return type.kind === 'int' || type.kind === 'enum' || type.kind === 'enum64' ? Math.min(8, type.size) : 1;
}

interface Placed {
  readonly name: string;
  readonly varId: number;
  readonly typeId: number;
  readonly size: number;
  readonly align: number;
  offset: number;
}

/** Where libbpf puts values of the configuration: by alignment from large to small, then by size and name. */
function placeConfig(btf: Btf, section: Section): { placed: Placed[]; size: number } {
  const placed = section.type.variables.map(({ type: varId }): Placed => {
    const variable = btf.type(varId);
    if (variable.kind !== 'var') throw badObject(`'${variable.name}' is no variable`, "section '.kconfig'");
    const { name, type: typeId } = variable;
    return { name, varId, typeId, size: sizeOf(btf, typeId), align: alignmentOf(btf, typeId), offset: 0 };
  });
  placed.sort((a, b) => b.align - a.align || a.size - b.size || (a.name < b.name ? -1 : 1));
  let size = 0;
  for (const each of placed) {
    each.offset = Math.ceil(size / each.align) * each.align;
    size = each.offset + each.size;
  }
  if (size > 0xffffffff) throw badObject(`${size} bytes of values`, "section '.kconfig'");
  return { placed, size };
}

function rewriteConfig(
  builder: BtfBuilder,
  btf: Btf,
  section: Section,
  { placed, size }: { placed: readonly Placed[]; size: number },
): void {
  for (const { varId } of placed) {
    const variable = btf.type(varId);
    if (variable.kind === 'var') builder.replace(varId, { ...variable, linkage: btfLinkages.global });
  }
  const variables = placed.map(({ varId, offset, size }) => ({ type: varId, offset, size }));
  builder.replace(section.id, { ...section.type, size, variables });
}

/** The first integer of 32 bits: what every variable of `.ksyms` is told to be. */
function findInt(btf: Btf): number | undefined {
  return btf.idsOf('int').find((id) => {
    const type = btf.type(id);
    return type.kind === 'int' && type.bits === 32;
  });
}

/** A kernel takes neither functions nor variables without size in a section: all become integers. */
function rewriteSymbols(builder: BtfBuilder, btf: Btf, section: Section): void {
  const int =
    findInt(btf) ??
    builder.add({
      kind: 'int',
      name: 'int',
      size: 4,
      signed: true,
      char: false,
      bool: false,
      bitOffset: 0,
      bits: 32,
    });
  let dummy: number | undefined;
  const dummyName = 'dummy_ksym';
  const variables = section.type.variables.map(({ type: id }, i) => {
    const type = btf.type(id);
    const place = { offset: i * 4, size: 4 };
    if (type.kind === 'var') {
      builder.replace(id, { ...type, linkage: btfLinkages.global, type: int });
      return { type: id, ...place };
    }
    if (type.kind !== 'func')
      throw badObject(`'${type.name}' is no variable or function`, "section '.ksyms'");
    dummy ??= builder.add({ kind: 'var', name: dummyName, linkage: btfLinkages.global, type: int });
    builder.replace(id, { ...type, linkage: btfLinkages.global });
    const proto = btf.type(type.type);
    if (proto.kind === 'funcProto') {
      const parameters = proto.parameters.map((one) =>
        one.type === 0 || one.name !== '' ? one : { ...one, name: dummyName },
      );
      builder.replace(type.type, { ...proto, parameters });
    }
    return { type: dummy, ...place };
  });
  builder.replace(section.id, { ...section.type, size: variables.length * 4, variables });
}

function symbolExtern(btf: Btf, id: number, weak: boolean): ExternSpec {
  const type = btf.type(id);
  if (type.kind === 'func') return { kind: 'function', weak, btfTypeId: type.type };
  const isTyped = type.kind === 'var' && resolvedType(btf, type.type).kind !== 'void';
  return { kind: 'variable', weak, btfTypeId: isTyped ? type.type : 0 };
}

/** Finds the externs of an object, and lays out their sections in its BTF. */
export function findExterns(elf: ElfFile, btf: Btf | undefined, objectName: string): Externs {
  const none: Externs = { specs: {}, map: undefined, variables: [], btf };
  if (btf === undefined) return none;
  const [config, symbols] = [findSection(btf, '.kconfig'), findSection(btf, '.ksyms')];
  if (config === undefined && symbols === undefined) return none;
  const wanted = undefinedSymbols(elf);
  const specs = new Map<string, ExternSpec>();
  const builder = new BtfBuilder(btf);
  let map: MapSpec | undefined;
  const variables: VariableSpec[] = [];
  if (config !== undefined) {
    const layout = placeConfig(btf, config);
    const name = dataMapName(objectName, '.kconfig');
    for (const { name: each, typeId, offset, size } of layout.placed) {
      const weak = wanted.get(each)?.weak ?? true;
      specs.set(each, { kind: 'config', weak, btfTypeId: typeId, map: name, offset });
      variables.push({ name: each, map: name, offset, size, btfTypeId: typeId });
    }
    map = {
      ...emptyMap(name),
      type: mapTypes.array.id,
      keySize: 4,
      valueSize: layout.size,
      maxEntries: 1,
      flags: kconfigFlags,
      btfValueTypeId: config.id,
      freeze: true,
      contents: [],
    };
    rewriteConfig(builder, btf, config, layout);
  }
  if (symbols !== undefined) {
    for (const { type: id } of symbols.type.variables) {
      const { name } = btf.type(id);
      const weak = wanted.get(name)?.weak ?? true;
      specs.set(name, symbolExtern(btf, id, weak));
    }
    rewriteSymbols(builder, btf, symbols);
  }
  return { specs: Object.fromEntries(specs), map, variables, btf: readBtf(builder.build()) };
}
