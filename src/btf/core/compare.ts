/**
 * When a type of the object and a type of the kernel count as the same, for CO-RE: by essential name, and by
 * one of three relations, from loose to strict. `fieldsCompatible`: a member may be read as the other one.
 * `typesCompatible`: the types are of the same make, whatever structs hold. `typesMatch`: all that the
 * object's type says is so in the kernel's.
 */
import { resolvedType, resolveModifiers } from '../query.ts';
import type { Btf } from '../read.ts';
import type { BtfComposite, BtfEnum, BtfType } from '../types.ts';
import { badCore } from './relocation.ts';

/** Types within each other that are compared; libbpf's bound. */
const maxDepth = 32;

/** Bounds the work that a hostile object can ask for: shared structs are compared once for every path to them. */
export interface Budget {
  steps: number;
}

export function spend(budget: Budget): void {
  if (--budget.steps < 0) throw badCore('its types take too long to compare');
}

/**
 * The name without its flavour: 'task_struct' for 'task_struct___old'. Three underscores between two other
 * characters start a flavour, at the last such place.
 */
export function essentialName(name: string): string {
  if (!name.includes('___')) return name;
  for (let i = name.length - 5; i >= 0; i--) {
    if (name[i] !== '_' && name.startsWith('___', i + 1) && name[i + 4] !== '_') return name.slice(0, i + 1);
  }
  return name;
}

export function isEnum(type: BtfType): type is BtfEnum {
  return type.kind === 'enum' || type.kind === 'enum64';
}

export function isComposite(type: BtfType): type is BtfComposite {
  return type.kind === 'struct' || type.kind === 'union';
}

export function sameKind(a: BtfType, b: BtfType): boolean {
  return a.kind === b.kind || (isEnum(a) && isEnum(b));
}

/** An integer that is a bitfield by itself, as compilers wrote before BTF had bitfield members. */
function isPartial(type: BtfType): boolean {
  return type.kind === 'int' && type.bitOffset !== 0;
}

/** A place in each BTF. */
export interface Pair {
  readonly local: Btf;
  readonly target: Btf;
  readonly budget: Budget;
}

/** Whether a member of type `localId` may be read where the kernel has one of `targetId`. */
export function fieldsCompatible(pair: Pair, localId: number, targetId: number): boolean {
  let [a, b] = [resolvedType(pair.local, localId), resolvedType(pair.target, targetId)];
  for (;;) {
    spend(pair.budget);
    if (isComposite(a) && isComposite(b)) return true;
    if (!sameKind(a, b)) return false;
    if (a.kind === 'array' && b.kind === 'array') {
      [a, b] = [resolvedType(pair.local, a.type), resolvedType(pair.target, b.type)];
      continue;
    }
    switch (a.kind) {
      case 'ptr':
      case 'float':
        return true;
      case 'int':
        return !isPartial(a) && !isPartial(b);
      case 'enum':
      case 'enum64':
      case 'fwd': {
        const [local, target] = [essentialName(a.name), essentialName(b.name)];
        return local === '' || target === '' || local === target;
      }
      default:
        return false;
    }
  }
}

/** Whether two types are of the same make, down to structs, which need not hold the same. */
export function typesCompatible(pair: Pair, localId: number, targetId: number, depth = maxDepth): boolean {
  let [a, b] = [resolvedType(pair.local, localId), resolvedType(pair.target, targetId)];
  for (let left = depth; left >= 0; left--) {
    spend(pair.budget);
    if (!sameKind(a, b)) return false;
    switch (a.kind) {
      case 'void':
      case 'struct':
      case 'union':
      case 'enum':
      case 'enum64':
      case 'fwd':
        return true;
      case 'int':
        return !isPartial(a) && !isPartial(b);
      case 'ptr':
      case 'array':
        break;
      case 'funcProto': {
        if (b.kind !== 'funcProto' || a.parameters.length !== b.parameters.length) return false;
        const theirs = b.parameters;
        const alike = a.parameters.every(({ type }, i) =>
          typesCompatible(pair, type, theirs[i]!.type, left - 1),
        );
        if (!alike) return false;
        break;
      }
      default:
        return false;
    }
    [a, b] = [resolvedType(pair.local, a.type), resolvedType(pair.target, (b as { type: number }).type)];
  }
  throw badCore(`types lie more than ${maxDepth} deep in each other`);
}

interface MatchState {
  /** A struct that is only pointed to matches by its name. */
  readonly behindPointer: boolean;
  readonly depth: number;
}

const atRoot: MatchState = { behindPointer: false, depth: maxDepth };

/** Whether all that the object's type says (members, enumerators, signs, sizes) is so in the kernel's. */
export function typesMatch(pair: Pair, localId: number, targetId: number, state = atRoot): boolean {
  spend(pair.budget);
  const { behindPointer, depth } = state;
  if (depth <= 0) throw badCore(`types lie more than ${maxDepth} deep in each other`);
  const a = pair.local.type(resolveModifiers(pair.local, localId));
  const b = pair.target.type(resolveModifiers(pair.target, targetId));
  if (essentialName(a.name) !== essentialName(b.name)) return false;
  const deeper = (local: number, target: number, behind: boolean): boolean =>
    typesMatch(pair, local, target, { behindPointer: behind, depth: depth - 1 });
  switch (a.kind) {
    case 'void':
      return b.kind === 'void';
    case 'fwd':
      return b.kind === 'fwd' ? a.of === b.of : behindPointer && b.kind === a.of;
    case 'enum':
    case 'enum64':
      return isEnum(b) && enumsMatch(a, b);
    case 'struct':
    case 'union':
      if (behindPointer) return b.kind === 'fwd' ? b.of === a.kind : b.kind === a.kind;
      return isComposite(b) && a.kind === b.kind && membersMatch(pair, [a, b], depth - 1);
    case 'int':
      return b.kind === 'int' && a.size === b.size && a.signed === b.signed;
    case 'ptr':
      return b.kind === 'ptr' && deeper(a.type, b.type, true);
    case 'array':
      return b.kind === 'array' && a.length === b.length && deeper(a.type, b.type, behindPointer);
    case 'funcProto':
      return (
        b.kind === 'funcProto' &&
        a.parameters.length === b.parameters.length &&
        a.parameters.every(({ type }, i) => deeper(type, b.parameters[i]!.type, behindPointer)) &&
        deeper(a.type, b.type, behindPointer)
      );
    default:
      return false;
  }
}

function enumsMatch(a: BtfEnum, b: BtfEnum): boolean {
  const theirs = new Set(b.values.map(({ name }) => essentialName(name)));
  return a.values.length <= b.values.length && a.values.every(({ name }) => theirs.has(essentialName(name)));
}

function membersMatch(pair: Pair, [a, b]: readonly [BtfComposite, BtfComposite], depth: number): boolean {
  if (a.members.length > b.members.length) return false;
  return a.members.every((member) => {
    const name = essentialName(member.name);
    return b.members.some((theirs) => {
      spend(pair.budget);
      return (
        essentialName(theirs.name) === name &&
        typesMatch(pair, member.type, theirs.type, { behindPointer: false, depth })
      );
    });
  });
}
