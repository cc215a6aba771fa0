/**
 * Reading BTF (kernel doc: bpf/btf): raw bytes in, a `Btf` out that answers for types by id and by name.
 *
 * Opening walks the type section flat and validates it (validate.ts). Types become objects when they are
 * asked for, and names are indexed at the first search, so that the kernel's 130 thousand types cost little
 * to open. Writing is in write.ts; split BTF is not here.
 */
import { Reader } from '../base/bytes.ts';
import { badBtf, flagOf, kindOf, layout, maxTypes, typeSize, vlenOf } from './layout.ts';
import { type BtfKind, type BtfMember, type BtfType, btfKinds } from './types.ts';
import { checkNesting, validate } from './validate.ts';

const magic = 0xeb9f;
const headerSize = 24;
/** Longer names are refused: they could make indexing quadratic. Linux stops at 512. */
const maxName = 4096;

interface Parts {
  readonly bytes: Uint8Array;
  readonly types: Uint8Array;
  readonly strings: Uint8Array;
  readonly offsets: Uint32Array;
  readonly kinds: Uint8Array;
}

/** The types of an object or a kernel. Made by `readBtf`. */
export class Btf {
  /** The whole, as it was given. */
  readonly bytes: Uint8Array;
  /** Its two sections, views of `bytes`. */
  readonly typeSection: Uint8Array;
  readonly stringSection: Uint8Array;
  /** Ids are 0 (void) to `typeCount` - 1. */
  readonly typeCount: number;
  private readonly reader: Reader;
  private readonly strings: Reader;
  /** Of each type's record in `bytes`, by id; [0] unused. */
  private readonly offsets: Uint32Array;
  /** Numbers of kinds, by id. */
  private readonly kinds: Uint8Array;
  private readonly decoded: (BtfType | undefined)[] = [];
  private readonly names = new Map<number, string>();
  private index: Map<string, number[]> | undefined;

  constructor(parts: Parts) {
    this.bytes = parts.bytes;
    this.typeSection = parts.types;
    this.stringSection = parts.strings;
    this.typeCount = parts.offsets.length;
    this.offsets = parts.offsets;
    this.kinds = parts.kinds;
    this.reader = new Reader(parts.bytes, 'BTF');
    this.strings = new Reader(parts.strings, 'BTF strings');
  }

  /** The string at `offset` of the string section: names of types, files and source lines of BTF.ext. */
  string(offset: number): string {
    return this.strings.cstring(offset);
  }

  /** Where the record of type `id` is in `bytes`. */
  recordOffset(id: number): number {
    if (id > 0 && id < this.typeCount) return this.offsets[id]!;
    throw badBtf(`type ${id} is not there: ids are 1 to ${this.typeCount - 1}`);
  }

  /** @throws {SkepError} where there is no such type */
  kind(id: number): BtfKind {
    const kind = this.kinds[id];
    if (kind === undefined) this.recordOffset(id);
    return btfKinds[kind!]!;
  }

  /** The ids of all types of a kind, in order. */
  idsOf(kind: BtfKind): number[] {
    const number = btfKinds.indexOf(kind);
    const ids: number[] = [];
    for (let id = this.kinds.indexOf(number); id >= 0; id = this.kinds.indexOf(number, id + 1)) ids.push(id);
    return ids;
  }

  /** The same, decoded anew: for whoever changed sizes, offsets or linkages in its `bytes`. */
  refreshed(): Btf {
    const { bytes, typeSection: types, stringSection: strings, offsets, kinds } = this;
    return new Btf({ bytes, types, strings, offsets, kinds });
  }

  /** @throws {SkepError} where there is no such type */
  type(id: number): BtfType {
    return (this.decoded[id] ??= id === 0 ? { kind: 'void', name: '' } : this.decode(this.recordOffset(id)));
  }

  /** The ids of all types of that name, in order. Tags are not found: their text is no name. */
  findAll(name: string): readonly number[] {
    this.index ??= this.buildIndex();
    return this.index.get(name) ?? [];
  }

  /** All names of types, once each. */
  allNames(): IterableIterator<string> {
    this.index ??= this.buildIndex();
    return this.index.keys();
  }

  /** The first type of that name, of `kind` where it is given. */
  find(name: string, kind?: BtfKind): number | undefined {
    return this.findAll(name).find((id) => kind === undefined || this.kind(id) === kind);
  }

  private buildIndex(): Map<string, number[]> {
    const index = new Map<string, number[]>();
    for (let id = 1; id < this.typeCount; id++) {
      const offset = this.reader.u32(this.offsets[id]!);
      const kind = this.kind(id);
      if (offset === 0 || kind === 'declTag' || kind === 'typeTag') continue;
      const name = this.name(offset);
      const known = index.get(name);
      if (known === undefined) index.set(name, [id]);
      else known.push(id);
    }
    return index;
  }

  private name(offset: number): string {
    let name = this.names.get(offset);
    if (name === undefined) {
      name = this.strings.cstring(offset);
      if (name.length > maxName)
        throw badBtf(`a name of ${name.length} characters at string offset ${offset}`);
      this.names.set(offset, name);
    }
    return name;
  }

  private nameAt(at: number): string {
    return this.name(this.reader.u32(at));
  }

  private decode(at: number): BtfType {
    const { reader } = this;
    const info = reader.u32(at + 4);
    const kind = kindOf(info)!;
    const name = this.nameAt(at);
    /** Its size, or the type it is about: by kind. */
    const third = reader.u32(at + 8);
    const body = at + typeSize;
    const list = <T>(each: (at: number) => T): T[] =>
      Array.from({ length: vlenOf(info) }, (_, i) => each(body + i * layout[kind].each));
    switch (kind) {
      case 'int': {
        // bits 0–7, offset 16–23, encoding 24–27
        const data = reader.u32(body);
        const is = (bit: number): boolean => (data & (bit << 24)) !== 0;
        const [signed, char, bool] = [is(1), is(2), is(4)];
        return {
          kind,
          name,
          size: third,
          signed,
          char,
          bool,
          bitOffset: (data >>> 16) & 0xff,
          bits: data & 0xff,
        };
      }
      case 'array': {
        const [type, indexType, length] = [reader.u32(body), reader.u32(body + 4), reader.u32(body + 8)];
        return { kind, name: '', type, indexType, length };
      }
      case 'struct':
      case 'union':
        return { kind, name, size: third, members: list((each) => this.member(each, flagOf(info))) };
      case 'enum':
      case 'enum64':
        return { kind, name, size: third, signed: flagOf(info), values: this.enumerators(at) };
      case 'fwd':
        return { kind, name, of: flagOf(info) ? 'union' : 'struct' };
      case 'func':
        return { kind, name, type: third, linkage: vlenOf(info) };
      case 'funcProto': {
        const parameters = list((each) => ({ name: this.nameAt(each), type: reader.u32(each + 4) }));
        return { kind, name: '', type: third, parameters };
      }
      case 'var':
        return { kind, name, type: third, linkage: reader.u32(body) };
      case 'datasec': {
        const variables = list((each) => ({
          type: reader.u32(each),
          offset: reader.u32(each + 4),
          size: reader.u32(each + 8),
        }));
        return { kind, name, size: third, variables };
      }
      case 'float':
        return { kind, name, size: third };
      case 'declTag':
        return { kind, name, type: third, component: reader.i32(body), ...attributeOf(info) };
      case 'ptr':
        return { kind, name: '', type: third };
      case 'void':
        return { kind, name: '' };
      default:
        return { kind, name, type: third, ...attributeOf(info) };
    }
  }

  /** struct btf_member. With kind_flag, its offset is bits 0–23 and the size of a bitfield bits 24–31. */
  private member(at: number, flag: boolean): BtfMember {
    const offset = this.reader.u32(at + 8);
    const [bitOffset, bitSize] = flag ? [offset & 0xffffff, offset >>> 24] : [offset, 0];
    return { name: this.nameAt(at), type: this.reader.u32(at + 4), bitOffset, bitSize };
  }

  private enumerators(at: number): { name: string; value: bigint }[] {
    const { reader } = this;
    const info = reader.u32(at + 4);
    const [signed, wide] = [flagOf(info), kindOf(info) === 'enum64'];
    return Array.from({ length: vlenOf(info) }, (_, i) => {
      const each = at + typeSize + i * (wide ? 12 : 8);
      const bits = BigInt(reader.u32(each + 4)) | (wide ? BigInt(reader.u32(each + 8)) << 32n : 0n);
      return { name: this.nameAt(each), value: signed ? BigInt.asIntN(wide ? 64 : 32, bits) : bits };
    });
  }
}

/** Of a tag: kind_flag. */
function attributeOf(info: number): { attribute?: true } {
  return flagOf(info) ? { attribute: true } : {};
}

/** btf_header: where its two sections are. */
function readHeader(bytes: Uint8Array): { types: Uint8Array; typesAt: number; strings: Uint8Array } {
  const reader = new Reader(bytes, 'BTF');
  const found = reader.u16(0);
  if (found === 0x9feb) throw badBtf('big-endian BTF; this is a little-endian kernel');
  if (found !== magic) throw badBtf(`not BTF: it starts with 0x${found.toString(16)}, not 0xeb9f`);
  if (reader.u8(2) !== 1) throw badBtf(`BTF version ${reader.u8(2)}, where 1 is known`);
  const length = reader.u32(4);
  if (length < headerSize) throw badBtf(`a BTF header of ${length} bytes; it has at least ${headerSize}`);
  const section = (at: number, what: string): Uint8Array => {
    const [offset, size] = [length + reader.u32(at), reader.u32(at + 4)];
    if (offset + size <= bytes.length) return reader.slice(offset, size);
    throw badBtf(
      `the ${what} section, ${size} bytes at ${offset}, reaches beyond the ${bytes.length} bytes of BTF`,
    );
  };
  const [types, strings] = [section(8, 'type'), section(16, 'string')];
  if (strings.length === 0 || strings[0] !== 0 || strings[strings.length - 1] !== 0) {
    throw badBtf('the string section does not start and end with a NUL');
  }
  return { types, typesAt: types.byteOffset - bytes.byteOffset, strings };
}

const isLittleEndianHost = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The type section as numbers: all that is in it has 4 bytes. Reading them so is what opening takes most of. */
function wordsOf(types: Uint8Array): Uint32Array {
  const words = new Uint32Array(types.length >> 2);
  new Uint8Array(words.buffer).set(types.subarray(0, words.byteLength));
  if (isLittleEndianHost) return words;
  const view = new DataView(words.buffer);
  return words.map((_, i) => view.getUint32(i * 4, true));
}

/** The offset of each type in the type section, of `length` bytes; [0] unused. */
function scan(words: Uint32Array, length: number): number[] {
  const offsets = [0];
  let at = 0;
  while (at < length) {
    const id = offsets.length;
    if (id >= maxTypes) throw badBtf(`more than ${maxTypes} types`);
    if (at + typeSize > length) throw badBtf('the type section ends inside it', `type ${id}`);
    const info = words[(at + 4) >> 2]!;
    const kind = kindOf(info);
    if (kind === undefined || kind === 'void') {
      throw badBtf(`kind ${(info >>> 24) & 0x1f} is unknown`, `type ${id}`);
    }
    offsets.push(at);
    at += typeSize + layout[kind].fixed + layout[kind].each * vlenOf(info);
  }
  if (at > length) throw badBtf('the type section ends inside it', `type ${offsets.length - 1}`);
  return offsets;
}

/**
 * Reads and validates raw BTF: the `.BTF` section of an object, or /sys/kernel/btf/vmlinux. The bytes are
 * kept, not copied.
 * @throws {SkepError} code 'btf' or 'truncated', with the type at fault
 */
export function readBtf(bytes: Uint8Array): Btf {
  const { types, typesAt, strings } = readHeader(bytes);
  const words = wordsOf(types);
  const relative = scan(words, types.length);
  validate(words, relative, strings.length);
  checkNesting(words, relative);
  const count = relative.length;
  const [offsets, kinds] = [new Uint32Array(count), new Uint8Array(count)];
  for (let id = 1; id < count; id++) {
    const at = relative[id]!;
    offsets[id] = at + typesAt;
    kinds[id] = (words[(at + 4) >> 2]! >>> 24) & 0x1f;
  }
  return new Btf({ bytes, types, strings, offsets, kinds });
}
