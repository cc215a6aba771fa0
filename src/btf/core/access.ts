/**
 * A place in a type, as CO-RE names it: from a type of the object through members and elements, and the
 * corresponding place in a type of the kernel, found by the members' names. Anonymous structs and unions
 * are no steps of the way: a kernel may have put a member into one, or taken it out.
 */
import { resolvedType, resolveModifiers, sizeOf } from '../query.ts';
import type { Btf } from '../read.ts';
import {
  essentialName,
  fieldsCompatible,
  isComposite,
  isEnum,
  type Pair,
  spend,
  typesCompatible,
  typesMatch,
} from './compare.ts';
import { badCore, type CoreKind } from './relocation.ts';

/** Steps of one way (BPF_CORE_SPEC_MAX_LEN). */
const maxSteps = 64;

/** One step: a member by name, an element by index, or an enumerator. */
export interface Accessor {
  /** The struct or union of a member, the type of an element, the enum of an enumerator. */
  readonly typeId: number;
  readonly index: number;
  /** Undefined for an element. */
  readonly name: string | undefined;
}

export interface AccessSpec {
  readonly btf: Btf;
  readonly rootId: number;
  /** For a field the first is the root as an element of an array; a type has none. */
  readonly accessors: readonly Accessor[];
  /** As the compiler wrote it, with steps into anonymous members; only the object's own has it. */
  readonly raw: readonly number[];
  /** From the start of the root. */
  readonly bitOffset: number;
}

/** A way under construction. */
interface Way {
  readonly btf: Btf;
  readonly accessors: Accessor[];
  bitOffset: number;
}

function advance(way: Way, bits: number): void {
  way.bitOffset += bits;
  if (way.bitOffset > 8 * 0xffffffff) throw badCore('it reaches beyond 4 GiB');
}

/** The last member of a struct, of an array without length, may be indexed at will. */
function isFlexible({ btf, accessors }: Way, length: number): boolean {
  const last = accessors.at(-1);
  if (last?.name === undefined || length > 0) return false;
  const type = btf.type(last.typeId);
  return type.kind === 'struct' && last.index === type.members.length - 1;
}

/** Steps to an element of the array `id`; its type, or undefined where there is no such element. */
function intoArray(way: Way, id: number, index: number): number | undefined {
  const array = way.btf.type(id);
  if (array.kind !== 'array') return undefined;
  if (index >= array.length && !isFlexible(way, array.length)) return undefined;
  const element = resolveModifiers(way.btf, array.type);
  way.accessors.push({ typeId: element, index, name: undefined });
  advance(way, index * sizeOf(way.btf, element) * 8);
  return element;
}

function parseSteps(access: string): number[] {
  const steps = /^\d{1,10}(:\d{1,10})*$/.test(access) ? access.split(':').map(Number) : [];
  if (steps.length === 0 || steps.length > maxSteps)
    throw badCore(`'${access.slice(0, 40)}' names no place in a type`);
  return steps;
}

/**
 * Reads what the compiler wrote.
 * @throws {SkepError} code 'core' where the type has no such place
 */
export function parseAccess(
  btf: Btf,
  { typeId, access, about }: { typeId: number; access: string; about: CoreKind['about'] },
): AccessSpec {
  const raw = parseSteps(access);
  const first = raw[0]!;
  const nowhere = () => badCore(`'${access}' is no place in type ${typeId}`);
  const root = resolveModifiers(btf, typeId);
  if (about !== 'field') {
    if (raw.length !== 1) throw nowhere();
    if (about === 'type') {
      if (first !== 0) throw nowhere();
      return { btf, rootId: typeId, accessors: [], raw, bitOffset: 0 };
    }
    const type = btf.type(root);
    const enumerator = isEnum(type) ? type.values[first] : undefined;
    if (enumerator === undefined) throw nowhere();
    const accessors = [{ typeId: root, index: first, name: enumerator.name }];
    return { btf, rootId: typeId, accessors, raw, bitOffset: 0 };
  }
  const way: Way = { btf, accessors: [{ typeId: root, index: first, name: undefined }], bitOffset: 0 };
  advance(way, first * sizeOf(btf, root) * 8);
  let id = root;
  for (const step of raw.slice(1)) {
    id = resolveModifiers(btf, id);
    const type = btf.type(id);
    if (isComposite(type)) {
      const member = type.members[step];
      if (member === undefined) throw nowhere();
      advance(way, member.bitOffset);
      if (member.name !== '') way.accessors.push({ typeId: id, index: step, name: member.name });
      id = member.type;
    } else {
      const element = intoArray(way, id, step);
      if (element === undefined) throw nowhere();
      id = element;
    }
  }
  return { rootId: typeId, raw, ...way };
}

/** Steps to the member that `local` is in the object; its type, or undefined where there is none to read so. */
function intoMember(
  pair: Pair,
  way: Way,
  step: { local: Accessor; localType: number; id: number },
): number | undefined {
  const { local, localType } = step;
  const id = resolveModifiers(way.btf, step.id);
  const type = way.btf.type(id);
  if (!isComposite(type)) return undefined;
  for (const [index, member] of type.members.entries()) {
    spend(pair.budget);
    if (member.name === '') {
      const before = way.bitOffset;
      advance(way, member.bitOffset);
      const found = intoMember(pair, way, { local, localType, id: member.type });
      if (found !== undefined) return found;
      way.bitOffset = before;
    } else if (member.name === local.name) {
      if (!fieldsCompatible(pair, localType, member.type)) return undefined;
      advance(way, member.bitOffset);
      way.accessors.push({ typeId: id, index, name: member.name });
      return member.type;
    }
  }
  return undefined;
}

/**
 * The same place in a type of the kernel, of the same essential name; undefined where it has none.
 */
export function matchAccess(
  pair: Pair,
  local: AccessSpec,
  candidate: { id: number; kind: CoreKind },
): AccessSpec | undefined {
  const { target: btf } = pair;
  const { id: rootId, kind } = candidate;
  const plain: AccessSpec = { btf, rootId, accessors: [], raw: [], bitOffset: 0 };
  if (kind.about === 'type') {
    const same = kind.name === 'type_matches' ? typesMatch : typesCompatible;
    return same(pair, local.rootId, rootId) ? plain : undefined;
  }
  if (kind.about === 'enumerator') {
    const type = resolvedType(btf, rootId);
    const wanted = essentialName(local.accessors[0]?.name ?? '');
    const index = isEnum(type) ? type.values.findIndex(({ name }) => essentialName(name) === wanted) : -1;
    if (!isEnum(type) || index < 0) return undefined;
    const typeId = resolveModifiers(btf, rootId);
    return { ...plain, accessors: [{ typeId, index, name: type.values[index]!.name }] };
  }
  const way: Way = { btf, accessors: [], bitOffset: 0 };
  let id: number | undefined = resolveModifiers(btf, rootId);
  for (const [i, step] of local.accessors.entries()) {
    if (i === 0) {
      way.accessors.push({ typeId: id, index: step.index, name: undefined });
      advance(way, step.index * sizeOf(btf, id) * 8);
    } else if (step.name !== undefined) {
      const owner = local.btf.type(step.typeId);
      const localType = isComposite(owner) ? owner.members[step.index]!.type : 0;
      id = intoMember(pair, way, { local: step, localType, id });
    } else {
      id = intoArray(way, resolveModifiers(btf, id), step.index);
    }
    if (id === undefined) return undefined;
  }
  return { ...plain, ...way };
}
