/** The parts of codecs for types that hold others: arrays, texts, structs, unions and sections. */
import { badValue, type Node, show, type Value, within } from './codec-scalar.ts';
import { badBtf } from './layout.ts';

/** Takes raw bytes for any type that holds others; false where `value` is none. */
function writeRaw(view: DataView, at: number, options: { value: Value; size: number }): boolean {
  const { value, size } = options;
  if (!(value instanceof Uint8Array)) return false;
  if (value.length !== size) throw badValue(`${value.length} bytes given, ${size} wanted`);
  new Uint8Array(view.buffer, view.byteOffset + at, size).set(value);
  return true;
}

export function arrayNode(element: Node, length: number): Node {
  const size = element.size * length;
  const count = element.size === 0 ? 0 : length;
  return {
    size,
    work: 1 + element.work * count,
    read: (view, at) => Array.from({ length: count }, (_, i) => element.read(view, at + i * element.size)),
    write: (view, at, value) => {
      if (writeRaw(view, at, { value, size })) return;
      if (!Array.isArray(value))
        throw badValue(`${show(value)} is no array; one of ${count} elements is wanted`);
      if (value.length !== count) throw badValue(`an array of ${value.length} elements; ${count} are wanted`);
      value.forEach((item, i) => {
        within(`[${i}]`, () => {
          element.write(view, at + i * element.size, item);
        });
      });
    },
    cover: (mask, at) => {
      for (let i = 0; i < count; i++) element.cover(mask, at + i * element.size);
    },
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text that `bytes` hold by the rule of codec.ts, or undefined. */
function textOf(bytes: Uint8Array): string | undefined {
  const end = bytes.indexOf(0);
  if (end < 0 || bytes.subarray(end).some((byte) => byte !== 0)) return undefined;
  let text: string;
  try {
    text = utf8.decode(bytes.subarray(0, end));
  } catch {
    return undefined;
  }
  return /^[\t\n\P{C}]*$/u.test(text) ? text : undefined;
}

/** char[length] */
export function textNode(element: Node, length: number): Node {
  const numbers = arrayNode(element, length);
  return {
    ...numbers,
    read: (view, at) =>
      textOf(new Uint8Array(view.buffer, view.byteOffset + at, length)) ?? numbers.read(view, at),
    write: (view, at, value) => {
      if (typeof value !== 'string') {
        numbers.write(view, at, value);
        return;
      }
      const bytes = new TextEncoder().encode(value);
      if (bytes.includes(0)) throw badValue('a text with a NUL in it');
      if (bytes.length >= length) {
        throw badValue(`${show(value)} is ${bytes.length + 1} bytes with its NUL; there are ${length}`);
      }
      new Uint8Array(view.buffer, view.byteOffset + at, length).set(bytes);
    },
  };
}

type Members = { [member: string]: Value };

export interface CompositeField {
  /** Empty for an anonymous struct or union. */
  readonly name: string;
  readonly at: number;
  readonly node: Node;
}

export interface CompositeNode extends Node {
  /** All names that its objects have, those of anonymous members with them. */
  readonly names: ReadonlySet<string>;
  readInto(target: Members, view: DataView, at: number): void;
  writeFrom(source: Members, view: DataView, at: number): void;
}

interface Field extends CompositeField {
  /** An anonymous one's own fields. */
  readonly inner: CompositeNode | undefined;
}

function isComposite(node: Node): node is CompositeNode {
  return 'names' in node;
}

/** Checks that the fields lie inside the type and have names of their own. */
function checkedFields(shape: CompositeShape): { fields: Field[]; names: Set<string> } {
  const names = new Set<string>();
  const fields: Field[] = [];
  for (const field of shape.fields) {
    if (field.at + field.node.size > shape.size) {
      throw badBtf(`member '${field.name}' of ${shape.what} lies outside its ${shape.size} bytes`);
    }
    const inner = field.name === '' && isComposite(field.node) ? field.node : undefined;
    // An unnamed integer is padding.
    if (field.name === '' && inner === undefined) continue;
    for (const name of inner?.names ?? [field.name]) {
      if (names.has(name) || name === '__proto__') throw badBtf(`${shape.what} has two members '${name}'`);
      names.add(name);
    }
    fields.push({ ...field, inner });
  }
  return { fields, names };
}

interface CompositeShape {
  readonly what: string;
  readonly size: number;
  readonly isUnion: boolean;
  readonly fields: readonly CompositeField[];
}

/** A struct, union or section with its fields checked: what reading and writing one needs. */
interface Layout extends CompositeShape {
  readonly fields: readonly Field[];
  readonly names: ReadonlySet<string>;
}

/** Names for a message. */
function listed(names: ReadonlySet<string>): string {
  return [...names].slice(0, 8).join(', ');
}

function isGiven(field: Field, source: Members): boolean {
  if (field.inner === undefined) return Object.hasOwn(source, field.name);
  return [...field.inner.names].some((name) => Object.hasOwn(source, name));
}

/** Writes one field at `at`, its own place. */
function writeField(field: Field, source: Members, to: { view: DataView; at: number; what: string }): void {
  if (field.inner !== undefined) {
    field.inner.writeFrom(source, to.view, to.at);
    return;
  }
  const value = source[field.name];
  if (value === undefined) throw badValue(`${to.what} has no value for it`, field.name);
  within(field.name, () => {
    field.node.write(to.view, to.at, value);
  });
}

/** Members that are given together must agree where both have bits. */
function writeUnion(union: Layout, source: Members, to: { view: DataView; at: number }): void {
  const { what, size, fields, names } = union;
  const given = fields.filter((field) => isGiven(field, source));
  if (given.length === 0 && fields.length > 0) {
    throw badValue(`${what} wants one of its members ${listed(names)}`);
  }
  const out = new Uint8Array(to.view.buffer, to.view.byteOffset + to.at, size);
  const used = new Uint8Array(size);
  for (const field of given) {
    const bytes = new Uint8Array(size);
    writeField(field, source, { view: new DataView(bytes.buffer), at: field.at, what });
    const mask = new Uint8Array(size);
    field.node.cover(mask, field.at);
    if (bytes.some((byte, i) => ((byte ^ out[i]!) & mask[i]! & used[i]!) !== 0)) {
      throw badValue(
        `members of ${what} disagree; give one of them`,
        field.name === '' ? undefined : field.name,
      );
    }
    for (let i = 0; i < size; i++) {
      out[i]! |= bytes[i]!;
      used[i]! |= mask[i]!;
    }
  }
}

/** The object that `value` is, with no member that the type does not have. */
function checkedMembers({ what, names }: Layout, value: Value): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw badValue(`${show(value)} is no object; ${what} is wanted`);
  }
  for (const name of Object.keys(value)) {
    if (!names.has(name)) throw badValue(`${what} has no member ${show(name)}; it has ${listed(names)}`);
  }
  return value;
}

export function compositeNode(shape: CompositeShape): CompositeNode {
  const { what, size, isUnion } = shape;
  const { fields, names } = checkedFields(shape);
  const layout: Layout = { what, size, isUnion, fields, names };

  const readInto = (target: Members, view: DataView, at: number): void => {
    for (const field of fields) {
      if (field.inner !== undefined) field.inner.readInto(target, view, at + field.at);
      else target[field.name] = field.node.read(view, at + field.at);
    }
  };
  const writeFrom = (source: Members, view: DataView, at: number): void => {
    if (isUnion) writeUnion(layout, source, { view, at });
    else for (const field of fields) writeField(field, source, { view, at: at + field.at, what });
  };
  return {
    size,
    work: 1 + fields.reduce((sum, field) => sum + field.node.work, 0),
    names,
    readInto,
    writeFrom,
    read: (view, at) => {
      const target: Members = {};
      readInto(target, view, at);
      return target;
    },
    write: (view, at, value) => {
      if (writeRaw(view, at, { value, size })) return;
      writeFrom(checkedMembers(layout, value), view, at);
    },
    cover: (mask, at) => {
      for (const field of fields) field.node.cover(mask, at + field.at);
    },
  };
}
