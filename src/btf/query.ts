/**
 * Questions about types of a `Btf`: what a name stands for, how large a type is, how C spells it.
 */
import { unreachable } from '../base/errors.ts';
import { badBtf } from './layout.ts';
import type { Btf } from './read.ts';
import type { BtfMember, BtfModifier, BtfType } from './types.ts';

/** Parts of one type's C text: that of a function type which takes itself would have no end. */
const maxParts = 1000;
const pointerSize = 8;

function isModifier(type: BtfType): type is BtfModifier {
  const { kind } = type;
  return (
    kind === 'typedef' || kind === 'const' || kind === 'volatile' || kind === 'restrict' || kind === 'typeTag'
  );
}

/** The id of what remains of `id` without typedefs, const, volatile, restrict and type tags. */
export function resolveModifiers(btf: Btf, id: number): number {
  let at = id;
  for (let type = btf.type(at); isModifier(type); type = btf.type(at)) at = type.type;
  return at;
}

/** The type at the end of `resolveModifiers`. */
export function resolvedType(btf: Btf, id: number): Exclude<BtfType, BtfModifier> {
  let type = btf.type(id);
  while (isModifier(type)) type = btf.type(type.type);
  return type;
}

function checkedSize(size: number, id: number): number {
  if (size <= 0xffffffff) return size;
  throw badBtf(`it is of ${size} bytes, more than 4 GiB`, `type ${id}`);
}

/**
 * Bytes of a type as a C compiler lays it out for BPF.
 * @throws {SkepError} for what has no size: void, functions, forward declarations; and above 2^32 - 1
 */
export function sizeOf(btf: Btf, id: number): number {
  let at = id;
  let count = 1;
  for (;;) {
    const type = resolvedType(btf, at);
    switch (type.kind) {
      case 'array':
        count *= type.length;
        at = type.type;
        break;
      case 'var':
        at = type.type;
        break;
      case 'ptr':
        return checkedSize(count * pointerSize, id);
      case 'int':
      case 'struct':
      case 'union':
      case 'enum':
      case 'enum64':
      case 'float':
      case 'datasec':
        return checkedSize(count * type.size, id);
      case 'void':
      case 'fwd':
      case 'func':
      case 'funcProto':
      case 'declTag':
        throw badBtf(`${cType(btf, id)} has no size`, `type ${id}`);
      default:
        unreachable(type);
    }
  }
}

/** The member of that name, also in anonymous structs and unions; its offset is from the outer start. */
export function findMember(btf: Btf, id: number, name: string): BtfMember | undefined {
  // A hostile type may hold the same anonymous one many times over.
  const searched = new Set<number>();
  const search = (at: number): BtfMember | undefined => {
    const resolved = resolveModifiers(btf, at);
    const type = btf.type(resolved);
    if ((type.kind !== 'struct' && type.kind !== 'union') || searched.has(resolved)) return undefined;
    searched.add(resolved);
    for (const member of type.members) {
      if (member.name === name) return member;
      const inner = member.name === '' ? search(member.type) : undefined;
      if (inner !== undefined) return { ...inner, bitOffset: member.bitOffset + inner.bitOffset };
    }
    return undefined;
  };
  return search(id);
}

/** The name of a type as C writes it, without declarators: 'struct flow', '__u32'; '' for a pointer. */
export function typeName(btf: Btf, id: number): string {
  const type = btf.type(id);
  switch (type.kind) {
    case 'struct':
    case 'union':
      return `${type.kind} ${type.name === '' ? '{...}' : type.name}`;
    case 'enum':
    case 'enum64':
      return `enum ${type.name === '' ? '{...}' : type.name}`;
    case 'fwd':
      return `${type.of} ${type.name}`;
    case 'void':
      return 'void';
    default:
      return type.name;
  }
}

/**
 * How C declares a type, around `declarator` where it is given: 'struct flow_key', '__u32[4]',
 * 'const char *', 'int (*)(void *, long)'. An anonymous struct is 'struct {...}'.
 * @throws {SkepError} for a function type that contains itself
 */
export function cType(btf: Btf, id: number, declarator = ''): string {
  return declare(btf, id, { declarator, baseName: (base) => typeName(btf, base) });
}

/**
 * `cType` with the text of what the declarators are around (a struct, an enum, a number) in the caller's hands,
 * and parameters without their names where `plain`.
 */
export function declare(
  btf: Btf,
  id: number,
  options: { declarator: string; baseName: (id: number) => string; plain?: boolean },
): string {
  return spell(btf, id, { plain: false, ...options, budget: { parts: maxParts } });
}

/** A pointer's declarator binds weaker than an array's or a function's. */
function parenthesised(declarator: string): string {
  return declarator.startsWith('*') ? `(${declarator})` : declarator;
}

interface Spelling {
  readonly declarator: string;
  readonly baseName: (id: number) => string;
  readonly plain: boolean;
  readonly budget: { parts: number };
}

function spell(btf: Btf, id: number, state: Spelling): string {
  const { budget, baseName, plain } = state;
  let inner = state.declarator;
  let at = id;
  /** Those that wait for the type that they stand before. */
  let qualifiers = '';
  for (;;) {
    if (--budget.parts < 0) throw badBtf('its C text has no end', `type ${id}`);
    const type = btf.type(at);
    switch (type.kind) {
      case 'const':
      case 'volatile':
      case 'restrict':
        qualifiers += `${type.kind} `;
        break;
      case 'typeTag':
      case 'var':
      case 'func':
      case 'declTag':
        break;
      case 'ptr':
        inner = `*${qualifiers}${inner}`.trimEnd();
        qualifiers = '';
        break;
      case 'array':
        inner = `${parenthesised(inner)}[${type.length}]`;
        break;
      case 'funcProto': {
        const parameters = type.parameters.map((parameter) =>
          parameter.type === 0
            ? '...'
            : spell(btf, parameter.type, { ...state, declarator: plain ? '' : parameter.name }),
        );
        inner = `${parenthesised(inner)}(${parameters.length === 0 ? 'void' : parameters.join(', ')})`;
        break;
      }
      case 'datasec':
        return `section ${type.name}`;
      default: {
        const gap = inner === '' || inner.startsWith('[') ? '' : ' ';
        return `${qualifiers}${baseName(at)}${gap}${inner}`;
      }
    }
    at = type.type;
  }
}
