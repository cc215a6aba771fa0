/**
 * Structs of functions that programs implement for the kernel, such as a congestion control of TCP: each
 * variable of the sections `.struct_ops` becomes a map that holds one. Their types are the object's; what the
 * kernel's look like, `load()` finds out.
 */
import { resolvedType, sizeOf } from '../btf/query.ts';
import type { Btf } from '../btf/read.ts';
import type { BtfComposite, BtfDatasec, BtfMember } from '../btf/types.ts';
import {
  type ElfRelocation,
  type ElfSection,
  relocationTypes,
  sectionTypes,
  symbolTypes,
} from '../elf/elf.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { progTypes } from '../uapi/prog-types.ts';
import type { ElfFunction } from './assembly.ts';
import { badObject, type ObjectSource, within } from './source.ts';
import { emptyMap, type MapSpec, type ProgramSpec } from './spec.ts';

/** BPF_F_LINK. */
const linkFlag = 1 << 13;
/** A leading question mark: the map is not made unless someone asks for it. */
const sectionName = /^\??\.struct_ops(\.link)?$/;

/** A struct in its section. */
interface Placed {
  readonly spec: MapSpec;
  readonly struct: BtfComposite;
  readonly programs: Record<string, string>;
  readonly offset: number;
  readonly end: number;
}

type Functions = ReadonlyMap<number, readonly ElfFunction[]>;

function datasecOf(btf: Btf | undefined, name: string): BtfDatasec {
  const id = btf?.idsOf('datasec').find((each) => btf.type(each).name === name);
  const type = id === undefined ? undefined : btf?.type(id);
  if (type?.kind === 'datasec') return type;
  throw badObject('BTF does not describe it', `section '${name}'`, 'compile with -g');
}

function placeStruct(
  btf: Btf,
  section: ElfSection,
  { type: variable, offset }: { type: number; offset: number },
): Placed {
  const declared = btf.type(variable);
  const struct = declared.kind === 'var' ? resolvedType(btf, declared.type) : declared;
  if (declared.kind !== 'var' || struct.kind !== 'struct') throw badObject('it is no struct');
  const size = sizeOf(btf, declared.type);
  if (offset + size > section.size) throw badObject(`its ${size} bytes reach beyond its section`);
  const isEmpty = section.type === sectionTypes.nobits;
  const value = isEmpty ? new Uint8Array(size) : new Uint8Array(section.data.subarray(offset, offset + size));
  const programs: Record<string, string> = Object.create(null);
  const spec: MapSpec = {
    ...emptyMap(declared.name),
    type: mapTypes.struct_ops.id,
    keySize: 4,
    valueSize: size,
    maxEntries: 1,
    flags: section.name.endsWith('.link') ? linkFlag : 0,
    structOps: { btfTypeId: structId(btf, declared.type), value, programs },
    ...(section.name.startsWith('?') ? { autocreate: false } : {}),
  };
  return { spec, struct, programs, offset, end: offset + size };
}

/** The id of the struct behind names and qualifiers. */
function structId(btf: Btf, id: number): number {
  let at = id;
  for (let type = btf.type(at); type.kind !== 'struct' && 'type' in type; type = btf.type(at)) at = type.type;
  return at;
}

/** The member of a struct at a byte, where that is a pointer to a function. */
function functionAt(btf: Btf, struct: BtfComposite, offset: number): BtfMember | undefined {
  return struct.members.find(
    (member) => member.bitOffset === offset * 8 && isFunctionPointer(btf, member.type),
  );
}

export function isFunctionPointer(btf: Btf, id: number): boolean {
  const type = resolvedType(btf, id);
  return type.kind === 'ptr' && resolvedType(btf, type.type).kind === 'funcProto';
}

/** The function that a pointer is set to: by its symbol, or by an offset in its section, which the pointer holds. */
function targetOf(
  section: ElfSection,
  relocation: ElfRelocation,
  functions: Functions,
): ElfFunction | undefined {
  const { symbol, offset } = relocation;
  let at = symbol.value;
  if (symbol.type === symbolTypes.section && offset + 8 <= section.data.length) {
    const view = new DataView(section.data.buffer, section.data.byteOffset + offset, 8);
    at = Number(view.getBigUint64(0, true));
  }
  return functions.get(symbol.section)?.find(({ start }) => start === at);
}

function setFunctions(
  { btf, elf }: ObjectSource & { btf: Btf },
  section: ElfSection,
  { placed, functions }: { placed: readonly Placed[]; functions: Functions },
): void {
  const where = `section '${section.name}'`;
  const relocations = [...elf.relocations(section)].sort((a, b) => a.offset - b.offset);
  let next = 0;
  for (const relocation of relocations) {
    const { offset, type, symbol } = relocation;
    while ((placed[next]?.end ?? Infinity) <= offset) next++;
    const found = placed[next];
    const member =
      found === undefined || found.offset > offset
        ? undefined
        : functionAt(btf, found.struct, offset - found.offset);
    if (found === undefined || member === undefined || type !== relocationTypes.abs64) {
      throw badObject(`offset ${offset} is set to '${symbol.name}', but is no pointer to a function`, where);
    }
    const target = targetOf(section, relocation, functions);
    if (target === undefined) {
      throw badObject(`'${member.name}' is set to '${symbol.name}', which is no program`, where);
    }
    found.programs[member.name] = target.name;
    // What the linker of C would fill in is no part of the value.
    const { value } = found.spec.structOps!;
    value.fill(0, offset - found.offset, offset - found.offset + 8);
  }
}

/** The maps of the sections `.struct_ops`. */
export function structOpsMaps(source: ObjectSource, functions: Functions): MapSpec[] {
  const sections = source.elf.sections.filter(({ name, size }) => sectionName.test(name) && size > 0);
  return sections.flatMap((section) => {
    const datasec = datasecOf(source.btf, section.name);
    const btf = source.btf!;
    const placed = datasec.variables
      .map((variable) =>
        within(`section '${section.name}', '${btf.type(variable.type).name}'`, () =>
          placeStruct(btf, section, variable),
        ),
      )
      .sort((a, b) => a.offset - b.offset);
    setFunctions({ ...source, btf }, section, { placed, functions });
    return placed.map(({ spec }) => spec);
  });
}

/**
 * Gives the programs that implement a function the number of its member, which is their expected attach type
 * (libbpf: bpf_object__collect_st_ops_relos); `load()` replaces it by the kernel's.
 */
export function numberMembers(
  maps: readonly MapSpec[],
  programs: Readonly<Record<string, ProgramSpec>>,
  { btf }: ObjectSource,
): void {
  for (const { name, structOps } of maps) {
    if (structOps === undefined || btf === undefined) continue;
    const struct = btf.type(structOps.btfTypeId);
    if (struct.kind !== 'struct') continue;
    for (const [member, programName] of Object.entries(structOps.programs)) {
      const program = Object.hasOwn(programs, programName) ? programs[programName] : undefined;
      if (program?.progType !== progTypes.struct_ops.id) {
        throw badObject(
          `'${member}' is set to '${programName}', which is no program of SEC("struct_ops")`,
          `map '${name}'`,
        );
      }
      program.expectedAttachType = struct.members.findIndex((each) => each.name === member);
    }
  }
}
