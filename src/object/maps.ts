/**
 * Maps that BTF describes (section `.maps`): the types of a struct's members say everything, its bytes nothing.
 * Those of older objects are in legacy-maps.ts.
 *
 * In BTF a number is the length of an array that a member points to (`__uint`), or the value of an enum with
 * one name (`__ulong`); a type is what it points to (`__type`); `values` is an array of pointers to the inner
 * map's definition or to functions, whose elements relocations fill (`__array`).
 */
import { resolvedType, sizeOf } from '../btf/query.ts';
import type { Btf } from '../btf/read.ts';
import type { BtfComposite, BtfMember } from '../btf/types.ts';
import { type ElfSection, relocationTypes, symbolTypes } from '../elf/elf.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { legacyMaps } from './legacy-maps.ts';
import { badObject, type ObjectSource, type PlacedMap, within } from './source.ts';
import { emptyMap, type MapSpec } from './spec.ts';

const mapsOfMaps: readonly number[] = [mapTypes.array_of_maps.id, mapTypes.hash_of_maps.id];
/** Elements of `values` are pointers. */
const pointerSize = 8;
const u32Max = 0xffffffff;

/** LIBBPF_PIN_* */
const pinnings = ['none', 'byName'] as const;

interface Definition {
  readonly btf: Btf;
  readonly spec: MapSpec;
  /** Where in the struct the elements of `values` are, in bytes. */
  valuesAt: number | undefined;
}

function numberOf(btf: Btf, member: BtfMember): bigint {
  const type = resolvedType(btf, member.type);
  if (type.kind === 'ptr') {
    const array = resolvedType(btf, type.type);
    if (array.kind === 'array') return BigInt(array.length);
  }
  if ((type.kind === 'enum' || type.kind === 'enum64') && type.values.length === 1)
    return type.values[0]!.value;
  throw badObject(`'${member.name}' is no number`, undefined, `write __uint(${member.name}, …)`);
}

function u32Of(btf: Btf, member: BtfMember): number {
  const value = numberOf(btf, member);
  if (value >= 0n && value <= u32Max) return Number(value);
  throw badObject(`'${member.name}' is ${value}, which is no unsigned 32-bit number`);
}

/** The type that `key` or `value` points to, with its size. */
function pointedType(btf: Btf, member: BtfMember): { id: number; size: number } {
  const type = resolvedType(btf, member.type);
  if (type.kind === 'ptr') return { id: type.type, size: sizeOf(btf, type.type) };
  throw badObject(`'${member.name}' is no type`, undefined, `write __type(${member.name}, …)`);
}

function setSize(spec: MapSpec, field: 'keySize' | 'valueSize', size: number): void {
  if (spec[field] !== 0 && spec[field] !== size) {
    throw badObject(`${field === 'keySize' ? 'key' : 'value'} sizes ${spec[field]} and ${size} contradict`);
  }
  spec[field] = size;
}

function setValues(definition: Definition, member: BtfMember, isInner: boolean): void {
  const { btf, spec } = definition;
  if (isInner) throw badObject('an inner map has no values of its own');
  const array = resolvedType(btf, member.type);
  const pointer = array.kind === 'array' ? resolvedType(btf, array.type) : undefined;
  const target = pointer?.kind === 'ptr' ? resolvedType(btf, pointer.type) : undefined;
  if (target?.kind === 'struct') {
    if (!mapsOfMaps.includes(spec.type)) throw badObject('only a map of maps has inner maps as values');
    spec.inner = parseDefinition(btf, { name: `${spec.name}.inner`, struct: target, isInner: true }).spec;
  } else if (target?.kind === 'funcProto') {
    if (spec.type !== mapTypes.prog_array.id) throw badObject('only a prog_array has functions as values');
  } else {
    throw badObject("'values' is no array of inner maps or functions", undefined, 'write __array(values, …)');
  }
  setSize(spec, 'valueSize', 4);
  definition.valuesAt = member.bitOffset / 8;
}

/** How each member of a map's struct sets its spec. */
const members: Readonly<
  Record<string, (definition: Definition, member: BtfMember, isInner: boolean) => void>
> = {
  type: ({ btf, spec }, member) => {
    spec.type = u32Of(btf, member);
  },
  max_entries: ({ btf, spec }, member) => {
    spec.maxEntries = u32Of(btf, member);
  },
  map_flags: ({ btf, spec }, member) => {
    spec.flags = u32Of(btf, member);
  },
  numa_node: ({ btf, spec }, member) => {
    spec.numaNode = u32Of(btf, member);
  },
  key_size: ({ btf, spec }, member) => {
    setSize(spec, 'keySize', u32Of(btf, member));
  },
  value_size: ({ btf, spec }, member) => {
    setSize(spec, 'valueSize', u32Of(btf, member));
  },
  key: ({ btf, spec }, member) => {
    const { id, size } = pointedType(btf, member);
    setSize(spec, 'keySize', size);
    spec.btfKeyTypeId = id;
  },
  value: ({ btf, spec }, member) => {
    const { id, size } = pointedType(btf, member);
    setSize(spec, 'valueSize', size);
    spec.btfValueTypeId = id;
  },
  values: setValues,
  pinning: ({ btf, spec }, member, isInner) => {
    if (isInner) throw badObject('an inner map cannot be pinned');
    const number = u32Of(btf, member);
    const pinning = pinnings[number];
    if (pinning === undefined) throw badObject(`pinning ${number} is unknown: 0 is none, 1 is by name`);
    spec.pinning = pinning;
  },
  map_extra: ({ btf, spec }, member) => {
    spec.mapExtra = BigInt.asUintN(64, numberOf(btf, member));
  },
};

function parseDefinition(
  btf: Btf,
  map: { name: string; struct: BtfComposite; isInner: boolean },
): Definition {
  if (map.struct.members.length > Object.keys(members).length) {
    throw badObject(`${map.struct.members.length} attributes, more than there are`);
  }
  const definition: Definition = { btf, spec: emptyMap(map.name), valuesAt: undefined };
  // The type decides what `values` may be, wherever it stands.
  const ordered = [...map.struct.members].sort(
    (a, b) => Number(b.name === 'type') - Number(a.name === 'type'),
  );
  for (const member of ordered) {
    const set = Object.hasOwn(members, member.name) ? members[member.name] : undefined;
    if (set === undefined) throw badObject(`a map has no attribute '${member.name}'`);
    set(definition, member, map.isInner);
  }
  if (definition.spec.type === 0)
    throw badObject('it has no type', undefined, 'write __uint(type, BPF_MAP_TYPE_…)');
  return definition;
}

/** Elements of `values` that the object fills: relocations against maps or programs. `placed` is in order. */
function staticValues(source: ObjectSource, section: ElfSection, placed: readonly Placed[]): void {
  const relocations = [...source.elf.relocations(section)].sort((a, b) => a.offset - b.offset);
  let next = 0;
  for (const { offset, type, symbol } of relocations) {
    while ((placed[next]?.offset ?? Infinity) <= offset) next++;
    const map = placed[next - 1];
    const where = `section '${section.name}'`;
    if (map === undefined || type !== relocationTypes.abs64) {
      throw badObject(`a relocation of type ${type} against '${symbol.name}' at offset ${offset}`, where);
    }
    const { valuesAt, spec } = map.definition;
    const index = valuesAt === undefined ? -1 : (offset - map.offset - valuesAt) / pointerSize;
    if (!Number.isInteger(index) || index < 0) {
      throw badObject(`offset ${offset} is set to '${symbol.name}', but is no element of values`, where);
    }
    const key = new Uint8Array(4);
    new DataView(key.buffer).setUint32(0, index, true);
    const isProgram = symbol.type === symbolTypes.func;
    if (isProgram === mapsOfMaps.includes(spec.type)) {
      throw badObject(
        `element ${index} of '${spec.name}' is set to '${symbol.name}', of another kind`,
        where,
      );
    }
    spec.contents.push({ key, value: isProgram ? { program: symbol.name } : { map: symbol.name } });
  }
}

interface Placed {
  readonly definition: Definition;
  /** Of its struct in the section. */
  readonly offset: number;
}

/** The maps of section `.maps`. */
function btfMaps(source: ObjectSource): PlacedMap[] {
  const { btf, elf } = source;
  const section = elf.section('.maps');
  if (section === undefined) return [];
  if (btf === undefined)
    throw badObject(
      'maps in .maps are described by BTF, and there is none',
      "section '.maps'",
      'compile with -g',
    );
  const datasec = btf.idsOf('datasec').find((id) => btf.type(id).name === '.maps');
  const type = datasec === undefined ? undefined : btf.type(datasec);
  if (type?.kind !== 'datasec') throw badObject('BTF does not describe it', "section '.maps'");
  const placed: Placed[] = [];
  const maps = type.variables.map(({ type: variable, offset }): PlacedMap => {
    const { name } = btf.type(variable);
    const definition = within(`map '${name}'`, () => {
      const declared = btf.type(variable);
      const struct = declared.kind === 'var' ? resolvedType(btf, declared.type) : declared;
      if (struct.kind !== 'struct') throw badObject('it is no struct');
      return parseDefinition(btf, { name, struct, isInner: false });
    });
    placed.push({ definition, offset });
    return { spec: definition.spec, section, offset, isData: false };
  });
  staticValues(source, section, placed);
  return maps;
}

/** All maps that the object's source defines, those of old objects first. */
export function definedMaps(source: ObjectSource): PlacedMap[] {
  return [...legacyMaps(source), ...btfMaps(source)];
}
