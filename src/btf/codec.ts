/**
 * Typed values: the bytes of a C type, as BTF describes it, to and from values of TypeScript. Little-endian.
 *
 * | C | TypeScript |
 * | --- | --- |
 * | integers up to 32 bits, floats | number: of what is wider than a double, the nearest |
 * | 64- and 128-bit integers, pointers | bigint; a number is accepted where it is a safe integer |
 * | _Bool | boolean |
 * | enums | number, bigint where 64 bits wide; a name is accepted |
 * | structs, unions | an object; the members of anonymous ones are the outer type's |
 * | arrays | an array; of elements without size, an empty one |
 * | char[N] | a string where it is printable UTF-8, a NUL and only NULs after it; else an array of numbers |
 * | a section of variables | an object by name |
 *
 * For a struct all members are given; for a union at least one, and those given must agree on the bytes they
 * share. Instead of an object or array, a `Uint8Array` of the right length is taken as raw bytes.
 * A struct that ends in a flexible array takes more bytes than its size, and gives more: those of the array's elements.
 * Padding is zero. So `encode(decode(bytes))` is `bytes` wherever their padding is zero.
 */
import { SkepError } from '../base/errors.ts';
import { arrayNode, type CompositeField, compositeNode, textNode } from './codec-composite.ts';
import {
  bitfieldNode,
  floatNode,
  type Node,
  type Scalar,
  scalarNode,
  type Value,
  within,
} from './codec-scalar.ts';
import { badBtf } from './layout.ts';
import { cType, resolvedType } from './query.ts';
import type { Btf } from './read.ts';
import type { BtfComposite, BtfDatasec, BtfInt, BtfMember } from './types.ts';

export type { Value } from './codec-scalar.ts';

export interface Codec {
  /** Bytes; of a struct that ends in a flexible array, the least. */
  readonly size: number;
  /** Whether it is such a struct. */
  readonly isFlexible?: boolean;
  /** @throws {SkepError} where `bytes` are not `size`, or of a flexible struct fewer */
  decode(bytes: Uint8Array): Value;
  /** @throws {SkepError} code 'value': out of range or of another shape; `where` is the member's path */
  encode(value: Value): Uint8Array<ArrayBuffer>;
  /** The same in place, for many values side by side: no checks of lengths, and `write` wants zeros. */
  readonly inPlace?: InPlace;
}

export interface InPlace {
  read(view: DataView, at: number): Value;
  write(view: DataView, at: number, value: Value): void;
}

/** What is known of a `Btf`'s types. */
interface Known {
  readonly nodes: Map<number, Node>;
  /** Of members, in all codecs; those of anonymous types count wherever they are. */
  names: number;
}

const knownOf = new WeakMap<Btf, Known>();
/** The kernel's own types have about 70 thousand members. */
const maxNames = 1 << 20;

/** The scalar that an integer, enum or pointer type is; undefined for any other type. */
function scalarOf(btf: Btf, id: number): Scalar | undefined {
  const type = resolvedType(btf, id);
  const what = (): string => cType(btf, id);
  switch (type.kind) {
    case 'int':
      return {
        what,
        bits: type.bits,
        wide: type.size > 4,
        signed: type.signed,
        bool: type.bool,
        names: undefined,
      };
    case 'enum':
    case 'enum64': {
      const names = new Map(type.values.map(({ name, value }) => [name, value]));
      return { what, bits: type.size * 8, wide: type.size > 4, signed: type.signed, bool: false, names };
    }
    case 'ptr':
      return { what, bits: 64, wide: true, signed: false, bool: false, names: undefined };
    default:
      return undefined;
  }
}

function isText(type: BtfInt): boolean {
  return type.size === 1 && !type.bool && (type.char || type.name === 'char');
}

function memberField(btf: Btf, member: BtfMember): CompositeField {
  const { name, bitOffset } = member;
  const type = resolvedType(btf, member.type);
  // Compilers before kind_flag put a bitfield's place into its int type.
  const narrow = type.kind === 'int' && type.bits !== type.size * 8;
  if (member.bitSize === 0 && !narrow) {
    if (bitOffset % 8 !== 0) throw badBtf(`member ${name} is at bit ${bitOffset}`);
    return { name, at: bitOffset / 8, node: nodeOf(btf, member.type) };
  }
  const scalar = scalarOf(btf, member.type);
  const bits = member.bitSize === 0 && type.kind === 'int' ? type.bits : member.bitSize;
  if (scalar === undefined || bits > scalar.bits) {
    throw badBtf(`member ${name} is a bitfield of ${bits} bits in ${cType(btf, member.type)}`);
  }
  const start = bitOffset + (narrow ? type.bitOffset : 0);
  return { name, at: start >> 3, node: bitfieldNode({ ...scalar, bits }, start & 7) };
}

function fieldsOf(btf: Btf, type: BtfComposite | BtfDatasec): CompositeField[] {
  if (type.kind !== 'datasec') return type.members.map((member) => memberField(btf, member));
  return type.variables.map(({ type: id, offset }) => ({
    name: btf.type(id).name,
    at: offset,
    node: nodeOf(btf, id),
  }));
}

function buildNode(btf: Btf, id: number): Node {
  const type = resolvedType(btf, id);
  switch (type.kind) {
    case 'int':
      if (type.bits !== type.size * 8) return bitfieldNode(scalarOf(btf, id)!, type.bitOffset, type.size);
      return scalarNode(scalarOf(btf, id)!);
    case 'enum':
    case 'enum64':
    case 'ptr':
      return scalarNode(scalarOf(btf, id)!);
    case 'float':
      return floatNode(type);
    case 'array': {
      const element = resolvedType(btf, type.type);
      const node = nodeOf(btf, type.type);
      return element.kind === 'int' && isText(element)
        ? textNode(node, type.length)
        : arrayNode(node, type.length);
    }
    case 'struct':
    case 'union':
    case 'datasec':
      return buildComposite(btf, type, cType(btf, id));
    case 'var':
      return nodeOf(btf, type.type);
    default:
      throw badBtf(`${cType(btf, id)} has no value`, `type ${id}`);
  }
}

function buildComposite(btf: Btf, type: BtfComposite | BtfDatasec, what: string): Node {
  const fields = fieldsOf(btf, type);
  const node = compositeNode({ what, size: type.size, isUnion: type.kind === 'union', fields });
  const known = knownOf.get(btf)!;
  known.names += node.names.size;
  if (known.names > maxNames) throw badBtf(`${what} and the types before it have too many members`);
  return node;
}

function nodeOf(btf: Btf, id: number): Node {
  let known = knownOf.get(btf);
  if (known === undefined) knownOf.set(btf, (known = { nodes: new Map(), names: 0 }));
  let node = known.nodes.get(id);
  if (node === undefined) known.nodes.set(id, (node = buildNode(btf, id)));
  return node;
}

/**
 * The codec of a type. Made once for each type of a `Btf`.
 * @throws {SkepError} code 'btf' for a type without values (void, a function, a forward declaration), or
 *   whose members lie outside it
 */
export function codec(btf: Btf, typeId: number): Codec {
  const node = nodeOf(btf, typeId);
  if (node.size > 0xffffffff) throw badBtf(`it is of ${node.size} bytes, more than 4 GiB`, `type ${typeId}`);
  if (node.work > 32 * node.size + 1024) {
    throw badBtf(`its ${node.size} bytes are described ${node.work} times over`, `type ${typeId}`);
  }
  const fixed: Codec = {
    size: node.size,
    decode: (bytes) => {
      if (bytes.length !== node.size) {
        throw new SkepError({
          code: 'value',
          message: `${cType(btf, typeId)} is ${node.size} bytes, not ${bytes.length}`,
        });
      }
      return node.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
    },
    encode: (value) => {
      const out = new Uint8Array(node.size);
      node.write(new DataView(out.buffer), 0, value);
      return out;
    },
    inPlace: node,
  };
  const tail = tailOf(btf, typeId);
  return tail === undefined ? fixed : flexibleCodec(fixed, tail);
}

/** The flexible array at the end of a struct. */
interface Tail {
  readonly name: string;
  /** Bytes from the struct's start. */
  readonly at: number;
  readonly elementSize: number;
  readonly node: (count: number) => Node;
}

function tailOf(btf: Btf, id: number): Tail | undefined {
  const type = resolvedType(btf, id);
  const last = type.kind === 'struct' ? type.members.at(-1) : undefined;
  const array = last && resolvedType(btf, last.type);
  if (last === undefined || last.name === '' || array?.kind !== 'array' || array.length !== 0)
    return undefined;
  const element = resolvedType(btf, array.type);
  const node = nodeOf(btf, array.type);
  if (node.size === 0) return undefined;
  const make = element.kind === 'int' && isText(element) ? textNode : arrayNode;
  const { name, bitOffset } = last;
  return { name, at: bitOffset / 8, elementSize: node.size, node: (count) => make(node, count) };
}

function flexibleCodec(fixed: Codec, tail: Tail): Codec {
  const { name, at, elementSize } = tail;
  return {
    size: fixed.size,
    isFlexible: true,
    decode: (bytes) => {
      const value = fixed.decode(bytes.subarray(0, fixed.size));
      if (bytes.length === fixed.size) return value;
      const count = Math.floor((bytes.length - at) / elementSize);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return { ...(value as { [member: string]: Value }), [name]: tail.node(count).read(view, at) };
    },
    encode: (value) => {
      const elements = elementsOf(value, name);
      const count = countOf(elements, elementSize);
      if (count === 0) return fixed.encode(value);
      const head = fixed.encode({ ...(value as { [member: string]: Value }), [name]: [] });
      const out = new Uint8Array(Math.max(head.length, at + count * elementSize));
      out.set(head);
      within(name, () => {
        tail.node(count).write(new DataView(out.buffer), at, elements);
      });
      return out;
    },
  };
}

/** How many elements an array has that is given as one, as text (with its NUL) or as bytes. */
function countOf(elements: Value[] | Uint8Array | string, elementSize: number): number {
  if (typeof elements === 'string') return new TextEncoder().encode(elements).length + 1;
  return elements instanceof Uint8Array ? Math.ceil(elements.length / elementSize) : elements.length;
}

/** What a value has in its flexible array; nothing where it has none, or is no object. */
function elementsOf(value: Value, name: string): Value[] | Uint8Array | string {
  if (typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array) return [];
  const elements = Object.hasOwn(value, name) ? value[name] : undefined;
  return Array.isArray(elements) || elements instanceof Uint8Array || typeof elements === 'string'
    ? elements
    : [];
}
