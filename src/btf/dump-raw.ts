/**
 * A BTF's types as text, a type a paragraph, in the words of `bpftool btf dump format raw`.
 */
import { unreachable } from '../base/errors.ts';
import type { Btf } from './read.ts';
import type { BtfKind, BtfType } from './types.ts';

const words: Readonly<Record<BtfKind, string>> = {
  void: 'VOID',
  int: 'INT',
  ptr: 'PTR',
  array: 'ARRAY',
  struct: 'STRUCT',
  union: 'UNION',
  enum: 'ENUM',
  fwd: 'FWD',
  typedef: 'TYPEDEF',
  volatile: 'VOLATILE',
  const: 'CONST',
  restrict: 'RESTRICT',
  func: 'FUNC',
  funcProto: 'FUNC_PROTO',
  var: 'VAR',
  datasec: 'DATASEC',
  float: 'FLOAT',
  declTag: 'DECL_TAG',
  typeTag: 'TYPE_TAG',
  enum64: 'ENUM64',
};

const linkages = ['static', 'global', 'extern'];

function quoted(name: string): string {
  return `'${name === '' ? '(anon)' : name}'`;
}

function linkage(number: number): string {
  return linkages[number] ?? '(unknown)';
}

/** What follows kind and name, and the lines below. */
function fields(btf: Btf, type: BtfType): string[] {
  switch (type.kind) {
    case 'void':
      return [''];
    case 'int': {
      const { size, bitOffset, bits, signed, char, bool } = type;
      const encodings = [signed && 'SIGNED', char && 'CHAR', bool && 'BOOL'].filter((each) => each !== false);
      const encoding = encodings.length > 1 ? 'UNKN' : (encodings[0] ?? '(none)');
      return [`size=${size} bits_offset=${bitOffset} nr_bits=${bits} encoding=${encoding}`];
    }
    case 'array':
      return [`type_id=${type.type} index_type_id=${type.indexType} nr_elems=${type.length}`];
    case 'struct':
    case 'union':
      return [
        `size=${type.size} vlen=${type.members.length}`,
        ...type.members.map(({ name, type: id, bitOffset, bitSize }) => {
          const bits = bitSize === 0 ? '' : ` bitfield_size=${bitSize}`;
          return `\t${quoted(name)} type_id=${id} bits_offset=${bitOffset}${bits}`;
        }),
      ];
    case 'enum':
    case 'enum64': {
      const suffix = type.kind === 'enum' ? '' : type.signed ? 'LL' : 'ULL';
      return [
        `encoding=${type.signed ? 'SIGNED' : 'UNSIGNED'} size=${type.size} vlen=${type.values.length}`,
        ...type.values.map(({ name, value }) => `\t${quoted(name)} val=${value}${suffix}`),
      ];
    }
    case 'fwd':
      return [`fwd_kind=${type.of}`];
    case 'ptr':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'typeTag':
      return [`type_id=${type.type}`];
    case 'func':
      return [`type_id=${type.type} linkage=${linkage(type.linkage)}`];
    case 'funcProto':
      return [
        `ret_type_id=${type.type} vlen=${type.parameters.length}`,
        ...type.parameters.map(({ name, type: id }) => `\t${quoted(name)} type_id=${id}`),
      ];
    case 'var':
      return [`type_id=${type.type}, linkage=${linkage(type.linkage)}`];
    case 'datasec':
      return [
        `size=${type.size} vlen=${type.variables.length}`,
        ...type.variables.map(({ type: id, offset, size }) => {
          const { kind, name } = btf.type(id);
          return `\ttype_id=${id} offset=${offset} size=${size} (${words[kind]} ${quoted(name)})`;
        }),
      ];
    case 'float':
      return [`size=${type.size}`];
    case 'declTag':
      return [`type_id=${type.type} component_idx=${type.component}`];
    default:
      return unreachable(type);
  }
}

/** The lines of every type, one after the other. */
export function* dumpRaw(btf: Btf): Generator<string> {
  for (let id = 1; id < btf.typeCount; id++) {
    const type = btf.type(id);
    const [first = '', ...rest] = fields(btf, type);
    yield `[${id}] ${words[type.kind]} ${quoted(type.name)} ${first}`;
    yield* rest;
  }
}
