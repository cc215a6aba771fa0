/**
 * Writing BTF (kernel doc: bpf/btf): types as data in, raw bytes out. A builder starts empty, or with all types and
 * strings of another BTF, so that ids and string offsets of BTF.ext stay what they are; or where another BTF ends, for
 * split BTF.
 */
import { concatBytes } from '../base/bytes.ts';
import { SkepError, unreachable } from '../base/errors.ts';
import { type ByteOrder, headerSize, swapBtf } from './header.ts';
import type { Btf } from './read.ts';
import { type BtfType, btfKinds } from './types.ts';

/** BTF_MAX_VLEN. */
const maxElements = 0xffff;

/** How a type is encoded: struct btf_type's fields, then 32-bit words. */
interface Encoded {
  readonly name?: string;
  readonly vlen?: number;
  readonly flag?: boolean;
  /** Its size, or the type it is about. */
  readonly third?: number;
  readonly words?: readonly number[];
}

export class BtfBuilder {
  private readonly types: Uint8Array[] = [];
  private readonly strings: Uint8Array[] = [];
  /** The offset of the next string. */
  private nextString = 0;
  /** The offset of its own first string: behind those of a base. */
  private readonly firstString: number;
  private nextId = 1;
  /** Its own types are the first of `types`. */
  private base: Btf | undefined;
  private readonly offsets = new Map<string, number>();

  /**
   * @param base what to start with; of it, `take` 'strings' takes only those, for writing its types anew, and
   *   'split' nothing: types and strings go on where they end
   */
  constructor(base?: Btf, take: 'all' | 'strings' | 'split' = 'all') {
    for (let below = take === 'split' ? base : base?.base; below !== undefined; below = below.base) {
      this.knowStrings(below.stringSection, below.firstString);
    }
    if (base !== undefined && take === 'split') {
      this.nextString = base.firstString + base.stringSection.length;
      this.nextId = base.typeCount;
    } else {
      const strings = base?.stringSection ?? new Uint8Array(1);
      this.nextString = base?.firstString ?? 0;
      this.knowStrings(strings, this.nextString);
      this.strings.push(strings);
      this.nextString += strings.length;
      this.nextId = base?.firstId ?? 1;
    }
    this.firstString = this.nextString - this.strings.reduce((sum, { length }) => sum + length, 0);
    if (base === undefined || take !== 'all') return;
    this.base = base;
    this.types.push(new Uint8Array(base.typeSection));
    this.nextId = base.typeCount;
  }

  private knowStrings(section: Uint8Array, from: number): void {
    const decoder = new TextDecoder();
    for (let at = 0; at < section.length; ) {
      const end = section.indexOf(0, at);
      const text = decoder.decode(section.subarray(at, end));
      if (!this.offsets.has(text)) this.offsets.set(text, from + at);
      at = end + 1;
    }
  }

  /** The offset of a string, which is added where it is not there. */
  string(text: string): number {
    const known = this.offsets.get(text);
    if (known !== undefined) return known;
    if (text.includes('\0')) throw new SkepError({ code: 'btf', message: 'a name with a NUL in it' });
    const bytes = new TextEncoder().encode(`${text}\0`);
    const at = this.nextString;
    this.offsets.set(text, at);
    this.strings.push(bytes);
    this.nextString += bytes.length;
    return at;
  }

  /**
   * Adds a type; its id.
   * @throws {SkepError} code 'btf' for more than 65535 members or the like
   */
  add(type: BtfType): number {
    this.types.push(this.record(type));
    return this.nextId++;
  }

  /**
   * Puts another type in the place of one of the base's, of the same kind and with as many elements.
   * @throws {SkepError} code 'btf' where it would take more or less room
   */
  replace(id: number, type: BtfType): void {
    const { base } = this;
    const before =
      base === undefined ? 0 : base.recordOffset(id) + base.bytes.byteOffset - base.typeSection.byteOffset;
    const record = this.record(type);
    if (base === undefined || this.record(base.type(id)).length !== record.length) {
      throw new SkepError({
        code: 'btf',
        message: `type ${id} cannot become ${type.kind} '${type.name}' in its place`,
      });
    }
    this.types[0]!.set(record, before);
  }

  private record(type: BtfType): Uint8Array {
    const { name = '', vlen = 0, flag = false, third = 0, words = [] } = this.encode(type);
    if (vlen > maxElements) {
      throw new SkepError({
        code: 'btf',
        message: `${type.kind} '${name}' has ${vlen} elements, above ${maxElements}`,
      });
    }
    const info = (flag ? 0x80000000 : 0) | (btfKinds.indexOf(type.kind) << 24) | vlen;
    const out = new Uint8Array(12 + words.length * 4);
    const view = new DataView(out.buffer);
    for (const [i, word] of [this.string(name), info, third, ...words].entries()) {
      view.setUint32(i * 4, word >>> 0, true);
    }
    return out;
  }

  private encode(type: BtfType): Encoded {
    const { name } = type;
    const each = <T>(items: readonly T[], words: (item: T) => number[]): Pick<Encoded, 'vlen' | 'words'> => ({
      vlen: items.length,
      words: items.flatMap(words),
    });
    switch (type.kind) {
      case 'void':
        throw new SkepError({ code: 'btf', message: 'void is no type of its own: its id is 0' });
      case 'int': {
        const encoding = Number(type.signed) | (Number(type.char) << 1) | (Number(type.bool) << 2);
        return { name, third: type.size, words: [(encoding << 24) | (type.bitOffset << 16) | type.bits] };
      }
      case 'ptr':
        return { third: type.type };
      case 'array':
        return { words: [type.type, type.indexType, type.length] };
      case 'struct':
      case 'union': {
        const flag = type.members.some(({ bitSize }) => bitSize > 0);
        const members = each(type.members, (member) => [
          this.string(member.name),
          member.type,
          member.bitOffset | (member.bitSize << 24),
        ]);
        return { name, third: type.size, flag, ...members };
      }
      case 'enum':
      case 'enum64': {
        const wide = type.kind === 'enum64';
        const values = each(type.values, (item) => {
          const low = Number(BigInt.asUintN(32, item.value));
          const high = Number(BigInt.asUintN(32, item.value >> 32n));
          return [this.string(item.name), low, ...(wide ? [high] : [])];
        });
        return { name, third: type.size, flag: type.signed, ...values };
      }
      case 'fwd':
        return { name, flag: type.of === 'union' };
      case 'typedef':
      case 'volatile':
      case 'const':
      case 'restrict':
      case 'typeTag':
        return { name, third: type.type, flag: type.attribute === true };
      case 'func':
        return { name, third: type.type, vlen: type.linkage };
      case 'funcProto':
        return { third: type.type, ...each(type.parameters, (one) => [this.string(one.name), one.type]) };
      case 'var':
        return { name, third: type.type, words: [type.linkage] };
      case 'datasec':
        return { name, third: type.size, ...each(type.variables, (one) => [one.type, one.offset, one.size]) };
      case 'float':
        return { name, third: type.size };
      case 'declTag':
        return { name, third: type.type, flag: type.attribute === true, words: [type.component] };
      default:
        return unreachable(type);
    }
  }

  /** The raw BTF. */
  build(byteOrder: ByteOrder = 'little'): Uint8Array<ArrayBuffer> {
    const types = concatBytes(this.types);
    const stringsLength = this.nextString - this.firstString;
    const header = new DataView(new ArrayBuffer(headerSize));
    header.setUint16(0, 0xeb9f, true);
    header.setUint8(2, 1);
    for (const [i, field] of [headerSize, 0, types.length, types.length, stringsLength].entries()) {
      header.setUint32(4 + i * 4, field, true);
    }
    const bytes = concatBytes([new Uint8Array(header.buffer), types, ...this.strings]);
    return byteOrder === 'little' ? bytes : swapBtf(bytes, 'little');
  }
}

/** All types of a BTF, but its base's, written anew from what they are as data, over its strings. */
export function writeBtf(btf: Btf, byteOrder: ByteOrder = 'little'): Uint8Array<ArrayBuffer> {
  const builder = new BtfBuilder(btf, 'strings');
  for (let id = btf.firstId; id < btf.typeCount; id++) builder.add(btf.type(id));
  return builder.build(byteOrder);
}
