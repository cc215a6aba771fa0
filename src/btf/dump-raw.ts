/**
 * A BTF's types one by one, in the words of `bpftool btf dump format raw`: as text, a type a paragraph, and as JSON.
 * Both are written from one description of a type; the JSON has its fields in the same order.
 */
import { unreachable } from '../base/errors.ts';
import type { Btf } from './read.ts';
import type { BtfEnum, BtfKind, BtfType } from './types.ts';

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

/** Words stand bare in the text and are strings in JSON. */
type Fields = readonly (readonly [key: string, value: number | bigint | string])[];

interface Item {
  /** Undefined for what has none: the variables of a section. */
  readonly name?: string;
  readonly fields: Fields;
  /** Behind the fields in the text. */
  readonly note?: string;
}

interface Described {
  readonly fields: Fields;
  /** What stands between fields in the text. */
  readonly separator?: string;
  readonly list?: { readonly key: string; readonly items: readonly Item[] };
}

function shown(name: string): string {
  return name === '' ? '(anon)' : name;
}

function linkage(number: number): string {
  return linkages[number] ?? '(unknown)';
}

function enumItems(type: BtfEnum): Item[] {
  return type.values.map(({ name, value }) => ({ name, fields: [['val', value]] }));
}

function describe(btf: Btf, type: BtfType): Described {
  switch (type.kind) {
    case 'void':
      return { fields: [] };
    case 'int': {
      const { size, bitOffset, bits, signed, char, bool } = type;
      const encodings = [signed && 'SIGNED', char && 'CHAR', bool && 'BOOL'].filter((each) => each !== false);
      const encoding = encodings.length > 1 ? 'UNKN' : (encodings[0] ?? '(none)');
      return {
        fields: [
          ['size', size],
          ['bits_offset', bitOffset],
          ['nr_bits', bits],
          ['encoding', encoding],
        ],
      };
    }
    case 'array':
      return {
        fields: [
          ['type_id', type.type],
          ['index_type_id', type.indexType],
          ['nr_elems', type.length],
        ],
      };
    case 'struct':
    case 'union': {
      const items = type.members.map(({ name, type: id, bitOffset, bitSize }): Item => {
        const bits = bitSize === 0 ? [] : ([['bitfield_size', bitSize]] as const);
        return { name, fields: [['type_id', id], ['bits_offset', bitOffset], ...bits] };
      });
      const fields: Fields = [
        ['size', type.size],
        ['vlen', items.length],
      ];
      return { fields, list: { key: 'members', items } };
    }
    case 'enum':
    case 'enum64': {
      const fields: Fields = [
        ['encoding', type.signed ? 'SIGNED' : 'UNSIGNED'],
        ['size', type.size],
        ['vlen', type.values.length],
      ];
      return { fields, list: { key: 'values', items: enumItems(type) } };
    }
    case 'fwd':
      return { fields: [['fwd_kind', type.of]] };
    case 'ptr':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'typeTag':
      return { fields: [['type_id', type.type]] };
    case 'func':
    case 'var': {
      const fields: Fields = [
        ['type_id', type.type],
        ['linkage', linkage(type.linkage)],
      ];
      return type.kind === 'var' ? { fields, separator: ', ' } : { fields };
    }
    case 'funcProto': {
      const items = type.parameters.map(({ name, type: id }): Item => ({ name, fields: [['type_id', id]] }));
      const fields: Fields = [
        ['ret_type_id', type.type],
        ['vlen', items.length],
      ];
      return { fields, list: { key: 'params', items } };
    }
    case 'datasec': {
      const items = type.variables.map(({ type: id, offset, size }): Item => {
        const { kind, name } = btf.type(id);
        const fields: Fields = [
          ['type_id', id],
          ['offset', offset],
          ['size', size],
        ];
        return { fields, note: ` (${words[kind]} '${shown(name)}')` };
      });
      const fields: Fields = [
        ['size', type.size],
        ['vlen', items.length],
      ];
      return { fields, list: { key: 'vars', items } };
    }
    case 'float':
      return { fields: [['size', type.size]] };
    case 'declTag':
      return {
        fields: [
          ['type_id', type.type],
          ['component_idx', type.component],
        ],
      };
    default:
      return unreachable(type);
  }
}

function textOf(fields: Fields, separator = ' '): string {
  return fields.map(([key, value]) => `${key}=${value}`).join(separator);
}

/** The numbers of a 64-bit enum end as C's do. */
function suffixOf(type: BtfType): string {
  if (type.kind !== 'enum64') return '';
  return type.signed ? 'LL' : 'ULL';
}

/** The ids that are listed: of split BTF its own. */
function* listed(btf: Btf, ids: readonly number[] | undefined): Generator<number> {
  if (ids !== undefined) yield* ids;
  else for (let id = btf.firstId; id < btf.typeCount; id++) yield id;
}

/** The lines of every type, one after the other; of split BTF, of its own. `ids` chooses some. */
export function* dumpRaw(btf: Btf, ids?: readonly number[]): Generator<string> {
  for (const id of listed(btf, ids)) {
    const type = btf.type(id);
    const { fields, separator, list } = describe(btf, type);
    yield `[${id}] ${words[type.kind]} '${shown(type.name)}' ${textOf(fields, separator)}`;
    const suffix = suffixOf(type);
    for (const { name, fields: inner, note = suffix } of list?.items ?? []) {
      const named = name === undefined ? '' : `'${shown(name)}' `;
      yield `\t${named}${textOf(inner)}${note}`;
    }
  }
}

function jsonFields(fields: Fields): string {
  return fields
    .map(([key, value]) => `"${key}":${typeof value === 'string' ? JSON.stringify(value) : value}`)
    .join(',');
}

function jsonName(name: string): string {
  return `"name":${JSON.stringify(shown(name))}`;
}

/** An enum's value as bpftool 7 writes it: of one that is unsigned, 32 bits are extended by their sign. */
function jsonItem(type: BtfType, { name, fields }: Item): string {
  const widened =
    type.kind === 'enum' && !type.signed
      ? fields.map(([key, value]) => [key, BigInt.asUintN(64, BigInt.asIntN(32, BigInt(value)))] as const)
      : fields;
  return `{${name === undefined ? '' : `${jsonName(name)},`}${jsonFields(widened)}}`;
}

/** The same as JSON, an object a type: the parts of an array, without what is between them. */
export function* dumpRawJson(btf: Btf, ids?: readonly number[]): Generator<string> {
  for (const id of listed(btf, ids)) {
    const type = btf.type(id);
    const { fields, list } = describe(btf, type);
    const items = list && `,"${list.key}":[${list.items.map((item) => jsonItem(type, item)).join(',')}]`;
    yield `{"id":${id},"kind":"${words[type.kind]}",${jsonName(type.name)},${jsonFields(fields)}${items ?? ''}}`;
  }
}
