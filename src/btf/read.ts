/**
 * Reading BTF (kernel doc: bpf/btf): raw bytes in, a `Btf` out that answers for types by id and by name.
 *
 * Opening walks the type section flat and validates it (validate.ts). Types become objects when they are
 * asked for, and names are indexed at the first search (name-index.ts), so that the kernel's 130 thousand types cost
 * little to open. BTF of the other byte order is turned round first (header.ts). Writing is in write.ts.
 *
 * Split BTF is that of a kernel module: its ids and string offsets go on where those of its base, the kernel's, end.
 * A split `Btf` answers for all types, those of its base with its own.
 */
import { concatBytes, StringTable } from '../base/bytes.ts';
import { type ByteOrder, byteOrderOf, readSections, swapBtf } from './header.ts';
import {
  badBtf,
  eachWords,
  fixedWords,
  flagOf,
  kindNumberOf,
  kindOf,
  maxTypes,
  placeOf,
  typeSize,
  vlenOf,
} from './layout.ts';
import { checkLoadable } from './load-rules.ts';
import { NameIndex } from './name-index.ts';
import { type BtfEnum, type BtfKind, type BtfMember, type BtfType, btfKinds } from './types.ts';
import { checkNesting, type Records, validate } from './validate.ts';

const encoder = new TextEncoder();
const [declTag, typeTag] = [btfKinds.indexOf('declTag'), btfKinds.indexOf('typeTag')];
/** Longer names are refused. Linux stops at 512. */
const maxName = 4096;
const typeWords = typeSize / 4;

interface Parts {
  readonly bytes: Uint8Array;
  readonly types: Uint8Array;
  readonly strings: Uint8Array;
  /** The type section as numbers. */
  readonly words: Uint32Array;
  readonly starts: Uint32Array;
  readonly kinds: Uint8Array;
  readonly base: Btf | undefined;
  readonly byteOrder: ByteOrder;
}

/** The types of an object or a kernel. Made by `readBtf`. */
export class Btf {
  /** The whole, as it was given where that is little-endian. */
  readonly bytes: Uint8Array;
  /** Of the bytes that it was read from; `bytes` are little-endian always. */
  readonly byteOrder: ByteOrder;
  /** Its two sections, views of `bytes`. */
  readonly typeSection: Uint8Array;
  readonly stringSection: Uint8Array;
  /** What it goes on from; undefined for BTF that stands alone. */
  readonly base: Btf | undefined;
  /** Ids are 0 (void) to `typeCount` - 1; those from `firstId` are its own, not its base's. */
  readonly typeCount: number;
  readonly firstId: number;
  /** The string offset at which its own strings start. */
  readonly firstString: number;
  private readonly words: Uint32Array;
  private readonly strings: StringTable;
  /** Of its own types' records: where in `words`; and numbers of kinds. */
  private readonly starts: Uint32Array;
  private readonly kinds: Uint8Array;
  private decoded: (BtfType | undefined)[] | undefined;
  private readonly names = new Map<number, string>();
  private nameIndex: NameIndex | undefined;

  constructor(parts: Parts) {
    const { bytes, types, strings, words, starts, base, byteOrder } = parts;
    this.bytes = bytes;
    this.byteOrder = byteOrder;
    this.typeSection = types;
    this.stringSection = strings;
    this.base = base;
    this.firstId = base?.typeCount ?? 1;
    this.firstString = base === undefined ? 0 : base.firstString + base.stringSection.length;
    this.typeCount = this.firstId + starts.length;
    this.starts = starts;
    this.words = words;
    this.strings = new StringTable(strings, 'BTF strings');
    this.kinds = parts.kinds;
  }

  /** The string at `offset` of the strings, its base's first: names of types, files and source lines of BTF.ext. */
  string(offset: number): string {
    if (offset < this.firstString) return this.base!.string(offset);
    return this.strings.at(offset - this.firstString);
  }

  /** Where the record of type `id`, one of its own, is in `bytes`. */
  recordOffset(id: number): number {
    return this.typeSection.byteOffset - this.bytes.byteOffset + this.recordAt(id) * 4;
  }

  /** The same in `words`. */
  private recordAt(id: number): number {
    const start = this.starts[id - this.firstId];
    if (start !== undefined) return start;
    throw badBtf(`type ${id} is not there: ids are ${this.firstId} to ${this.typeCount - 1}`);
  }

  /** @throws {SkepError} where there is no such type */
  kind(id: number): BtfKind {
    if (id === 0) return 'void';
    if (id < this.firstId && this.base !== undefined) return this.base.kind(id);
    const kind = this.kinds[id - this.firstId];
    if (kind === undefined) this.recordOffset(id);
    return btfKinds[kind!]!;
  }

  /** The ids of all types of a kind, in order. */
  idsOf(kind: BtfKind): number[] {
    const number = btfKinds.indexOf(kind);
    const ids = this.base?.idsOf(kind) ?? [];
    for (let i = this.kinds.indexOf(number); i >= 0; i = this.kinds.indexOf(number, i + 1))
      ids.push(this.firstId + i);
    return ids;
  }

  /** The same, for whoever changed sizes, offsets or linkages in its `bytes`: `changed` types are decoded anew. */
  refreshed(changed: readonly number[]): Btf {
    const { bytes, typeSection: types, stringSection: strings, starts, kinds, base, byteOrder } = this;
    const same = new Btf({ bytes, types, strings, words: wordsOf(types), starts, kinds, base, byteOrder });
    const decoded = this.decoded?.slice();
    if (decoded !== undefined) for (const id of changed) decoded[id - this.firstId + 1] = undefined;
    same.decoded = decoded;
    return same;
  }

  /** @throws {SkepError} where there is no such type */
  type(id: number): BtfType {
    if (id < this.firstId && this.base !== undefined) return this.base.type(id);
    this.decoded ??= new Array(this.starts.length + 1);
    const index = id === 0 ? 0 : id - this.firstId + 1;
    let type = this.decoded[index];
    if (type === undefined) {
      type = id === 0 ? { kind: 'void', name: '' } : this.decode(this.recordAt(id));
      this.decoded[index] = type;
    }
    return type;
  }

  /** The ids of all types of that name, in order. Tags are not found: their text is no name. */
  findAll(name: string): readonly number[] {
    const found = this.base?.findAll(name) ?? [];
    if (name === '' || name.includes('\0')) return found;
    const entries = this.index().find(encoder.encode(`${name}\0`));
    return [...found, ...entries.map((entry) => this.firstId + entry)];
  }

  /** The ids of all types whose names may have a flavour: which have `___` in them. */
  flavoured(): number[] {
    const entries = this.index().flavoured();
    return [...(this.base?.flavoured() ?? []), ...entries.map((entry) => this.firstId + entry)];
  }

  /** The first type of that name, of `kind` where it is given. */
  find(name: string, kind?: BtfKind): number | undefined {
    return this.findAll(name).find((id) => kind === undefined || this.kind(id) === kind);
  }

  /** Of its own types. */
  private index(): NameIndex {
    if (this.nameIndex !== undefined) return this.nameIndex;
    const offsets = new Uint32Array(this.starts.length);
    for (let i = 0; i < offsets.length; i++) {
      const kind = this.kinds[i]!;
      if (kind !== declTag && kind !== typeTag) offsets[i] = this.words[this.starts[i]!]!;
    }
    this.nameIndex =
      this.base === undefined ? new NameIndex(offsets, this.stringSection) : this.splitIndex(offsets);
    return this.nameIndex;
  }

  /** Of types whose names may be its base's strings: only those names are copied. */
  private splitIndex(offsets: Uint32Array): NameIndex {
    const copied = new Map<number, number>([[0, 0]]);
    const names: Uint8Array[] = [Uint8Array.of(0)];
    let end = 1;
    // Each name is there once; names that lie in each other would be many times as long as the file.
    const most = 4 * (this.firstString + this.stringSection.length);
    const placed = offsets.map((offset) => {
      let at = copied.get(offset);
      if (at === undefined) {
        const name = encoder.encode(`${this.name(offset)}\0`);
        copied.set(offset, (at = end));
        names.push(name);
        end += name.length;
        if (end > most) throw badBtf('the names of its types overlap');
      }
      return at;
    });
    return new NameIndex(placed, concatBytes(names));
  }

  private name(offset: number): string {
    let name = this.names.get(offset);
    if (name === undefined) {
      name = this.string(offset);
      if (name.length > maxName)
        throw badBtf(`a name of ${name.length} characters at string offset ${offset}`);
      this.names.set(offset, name);
    }
    return name;
  }

  private nameAt(at: number): string {
    return this.name(this.words[at]!);
  }

  /** The type whose record starts at a word. All words of it are there: the scan has seen to that. */
  private decode(at: number): BtfType {
    const { words } = this;
    const info = words[at + 1]!;
    const kind = kindOf(info)!;
    const name = this.nameAt(at);
    /** Its size, or the type it is about: by kind. */
    const third = words[at + 2]!;
    const body = at + typeWords;
    switch (kind) {
      case 'int': {
        // bits 0–7, offset 16–23, encoding 24–27
        const data = words[body]!;
        const is = (bit: number): boolean => (data & (bit << 24)) !== 0;
        const [signed, char, bool] = [is(1), is(2), is(4)];
        const [bitOffset, bits] = [(data >>> 16) & 0xff, data & 0xff];
        return { kind, name, size: third, signed, char, bool, bitOffset, bits };
      }
      case 'array':
        return { kind, name: '', type: words[body]!, indexType: words[body + 1]!, length: words[body + 2]! };
      case 'struct':
      case 'union': {
        // Most structs are asked for their size only.
        let members: BtfMember[] | undefined;
        const make = (): BtfMember[] => this.members(body, info);
        return {
          kind,
          name,
          size: third,
          get members() {
            return (members ??= make());
          },
        };
      }
      case 'enum':
      case 'enum64': {
        let values: BtfEnum['values'] | undefined;
        const make = (): BtfEnum['values'] => this.enumerators(body, info);
        return {
          kind,
          name,
          size: third,
          signed: flagOf(info),
          get values() {
            return (values ??= make());
          },
        };
      }
      case 'fwd':
        return { kind, name, of: flagOf(info) ? 'union' : 'struct' };
      case 'func':
        return { kind, name, type: third, linkage: vlenOf(info) };
      case 'funcProto':
        return { kind, name: '', type: third, parameters: this.parameters(body, info) };
      case 'var':
        return { kind, name, type: third, linkage: words[body]! };
      case 'datasec':
        return { kind, name, size: third, variables: this.variables(body, info) };
      case 'float':
        return { kind, name, size: third };
      case 'declTag':
        return { kind, name, type: third, component: words[body]! | 0, ...attributeOf(info) };
      case 'ptr':
        return { kind, name: '', type: third };
      case 'void':
        return { kind, name: '' };
      default:
        return { kind, name, type: third, ...attributeOf(info) };
    }
  }

  /** struct btf_member. With kind_flag, its offset is bits 0–23 and the size of a bitfield bits 24–31. */
  private members(body: number, info: number): BtfMember[] {
    const { words } = this;
    const members: BtfMember[] = [];
    for (let at = body, end = body + vlenOf(info) * 3; at < end; at += 3) {
      const offset = words[at + 2]!;
      const [bitOffset, bitSize] = flagOf(info) ? [offset & 0xffffff, offset >>> 24] : [offset, 0];
      members.push({ name: this.nameAt(at), type: words[at + 1]!, bitOffset, bitSize });
    }
    return members;
  }

  /** struct btf_enum, btf_enum64. */
  private enumerators(body: number, info: number): { name: string; value: bigint }[] {
    const { words } = this;
    const [signed, wide] = [flagOf(info), kindOf(info) === 'enum64'];
    const values: { name: string; value: bigint }[] = [];
    const each = wide ? 3 : 2;
    for (let at = body, end = body + vlenOf(info) * each; at < end; at += each) {
      const low = words[at + 1]!;
      const value = wide ? BigInt(low) | (BigInt(words[at + 2]!) << 32n) : BigInt(signed ? low | 0 : low);
      values.push({ name: this.nameAt(at), value: wide && signed ? BigInt.asIntN(64, value) : value });
    }
    return values;
  }

  /** struct btf_param. */
  private parameters(body: number, info: number): { name: string; type: number }[] {
    const parameters: { name: string; type: number }[] = [];
    for (let at = body, end = body + vlenOf(info) * 2; at < end; at += 2) {
      parameters.push({ name: this.nameAt(at), type: this.words[at + 1]! });
    }
    return parameters;
  }

  /** struct btf_var_secinfo. */
  private variables(body: number, info: number): { type: number; offset: number; size: number }[] {
    const { words } = this;
    const variables: { type: number; offset: number; size: number }[] = [];
    for (let at = body, end = body + vlenOf(info) * 3; at < end; at += 3) {
      variables.push({ type: words[at]!, offset: words[at + 1]!, size: words[at + 2]! });
    }
    return variables;
  }
}

/** Of a tag: kind_flag. */
function attributeOf(info: number): { attribute?: true } {
  return flagOf(info) ? { attribute: true } : {};
}

const isLittleEndianHost = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The type section as numbers: all that is in it has 4 bytes. A view of the bytes where they lie right for it. */
function wordsOf(types: Uint8Array): Uint32Array {
  if (isLittleEndianHost && types.byteOffset % 4 === 0) {
    return new Uint32Array(types.buffer, types.byteOffset, types.length >> 2);
  }
  const words = new Uint32Array(types.length >> 2);
  new Uint8Array(words.buffer).set(types.subarray(0, words.byteLength));
  if (isLittleEndianHost) return words;
  const view = new DataView(words.buffer);
  return words.map((_, i) => view.getUint32(i * 4, true));
}

/** Where each record starts in the type section, in words, and the number of its kind. */
function scan(
  words: Uint32Array,
  length: number,
  firstId: number,
): { starts: Uint32Array; kinds: Uint8Array } {
  const most = Math.min(maxTypes, Math.ceil(words.length / typeWords));
  const [starts, kinds] = [new Uint32Array(most), new Uint8Array(most)];
  let [at, count] = [0, 0];
  while (at * 4 < length) {
    if (firstId + count >= maxTypes) throw badBtf(`more than ${maxTypes} types`);
    if ((at + typeWords) * 4 > length)
      throw badBtf('the type section ends inside it', placeOf(firstId + count, at));
    const info = words[at + 1]!;
    const kind = kindNumberOf(info);
    if (kind === 0 || kind >= btfKinds.length)
      throw badBtf(`kind ${kind} is unknown`, placeOf(firstId + count, at));
    const size = typeWords + fixedWords[kind]! + eachWords[kind]! * vlenOf(info);
    if ((at + size) * 4 > length)
      throw badBtf('the type section ends inside it', placeOf(firstId + count, at));
    starts[count] = at;
    kinds[count++] = kind;
    at += size;
  }
  return { starts: starts.slice(0, count), kinds: kinds.slice(0, count) };
}

/**
 * Reads and validates raw BTF: the `.BTF` section of an object, or /sys/kernel/btf/vmlinux. The bytes are
 * kept, not copied, but where they are big-endian.
 * @param options.base what split BTF goes on from: the kernel's, for a module's
 * @param options.loadable whether it has to be what Linux loads (load-rules.ts)
 * @throws {SkepError} code 'btf' or 'truncated', with the type at fault
 */
export function readBtf(
  given: Uint8Array,
  options: { readonly base?: Btf | undefined; readonly loadable?: boolean } = {},
): Btf {
  const { base, loadable = false } = options;
  const byteOrder = byteOrderOf(given, 'BTF');
  const bytes = byteOrder === 'little' ? given : swapBtf(given, byteOrder);
  const { types, strings } = readSections(bytes, base !== undefined);
  const words = wordsOf(types);
  const firstId = base?.typeCount ?? 1;
  const { starts, kinds } = scan(words, types.length, firstId);
  const records: Records = {
    words,
    starts,
    kinds,
    firstId,
    stringsLength: strings.length + (base === undefined ? 0 : base.firstString + base.stringSection.length),
    baseKind: (id) => (base === undefined ? 'void' : base.kind(id)),
  };
  validate(records);
  checkNesting(records);
  if (loadable) checkLoadable(records, strings);
  return new Btf({ bytes, types, strings, words, starts, kinds, base, byteOrder });
}
