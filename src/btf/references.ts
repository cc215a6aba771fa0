/** The types that a type refers to, in order, and a type with others in their place. */
import type { BtfType } from './types.ts';

export function referencesOf(type: BtfType): number[] {
  switch (type.kind) {
    case 'void':
    case 'int':
    case 'float':
    case 'fwd':
    case 'enum':
    case 'enum64':
      return [];
    case 'array':
      return [type.type, type.indexType];
    case 'struct':
    case 'union':
      return type.members.map((member) => member.type);
    case 'funcProto':
      return [type.type, ...type.parameters.map((parameter) => parameter.type)];
    case 'datasec':
      return type.variables.map((variable) => variable.type);
    default:
      return [type.type];
  }
}

/** The same type with `of(id)` for every id of a type in it. */
export function withReferences(type: BtfType, of: (id: number) => number): BtfType {
  const each = <T extends { readonly type: number }>(items: readonly T[]): T[] =>
    items.map((item) => ({ ...item, type: of(item.type) }));
  switch (type.kind) {
    case 'void':
    case 'int':
    case 'float':
    case 'fwd':
    case 'enum':
    case 'enum64':
      return type;
    case 'array':
      return { ...type, type: of(type.type), indexType: of(type.indexType) };
    case 'struct':
    case 'union':
      return { ...type, members: each(type.members) };
    case 'funcProto':
      return { ...type, type: of(type.type), parameters: each(type.parameters) };
    case 'datasec':
      return { ...type, variables: each(type.variables) };
    default:
      return { ...type, type: of(type.type) };
  }
}
