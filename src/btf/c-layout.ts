/**
 * How to write a struct so that a C compiler puts its members where BTF has them: which padding goes between
 * them, and whether it must be packed. All offsets in bits.
 */
import { resolvedType, sizeOf } from './query.ts';
import type { Btf } from './read.ts';
import type { BtfComposite, BtfMember, BtfType } from './types.ts';

export interface CLayout {
  readonly packed: boolean;
  /** Bytes that the compiler aligns it to. */
  readonly align: number;
  /** Bits of padding before each member, and behind the last. */
  readonly padding: readonly number[];
  /** For a union that is larger than its members: the bytes of one more. */
  readonly filler: number;
}

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

/** Computes layouts; a type's is computed once. */
export class CLayouts {
  private readonly btf: Btf;
  private readonly known = new Map<BtfType, CLayout>();

  constructor(btf: Btf) {
    this.btf = btf;
  }

  /** Bytes that a compiler aligns a type to, as it is written here. */
  alignOf(id: number): number {
    let type = resolvedType(this.btf, id);
    while (type.kind === 'array') type = resolvedType(this.btf, type.type);
    switch (type.kind) {
      case 'int':
      case 'float':
      case 'enum':
      case 'enum64':
        return type.size;
      case 'ptr':
        return 8;
      case 'struct':
      case 'union':
        return this.of(type).align;
      default:
        return 1;
    }
  }

  of(type: BtfComposite): CLayout {
    let layout = this.known.get(type);
    if (layout === undefined) {
      const plan = type.kind === 'struct' ? this.planStruct : this.planUnion;
      layout = plan.call(this, type, false) ?? plan.call(this, type, true)!;
      this.known.set(type, layout);
    }
    return layout;
  }

  sizeOf(id: number): number {
    return sizeOf(this.btf, id);
  }

  private bitsOf({ type, bitSize }: BtfMember): number {
    return bitSize > 0 ? bitSize : sizeOf(this.btf, type) * 8;
  }

  /** Undefined where it can only be written packed. */
  private planStruct(type: BtfComposite, packed: boolean): CLayout | undefined {
    const padding: number[] = [];
    let [at, align] = [0, 1];
    for (const member of type.members) {
      const unit = this.alignOf(member.type) * 8;
      const bits = this.bitsOf(member);
      const { bitOffset, bitSize } = member;
      const crosses = (from: number): boolean =>
        Math.floor(from / unit) !== Math.floor((from + bits - 1) / unit);
      // A bitfield stays behind the last where it does not cross a boundary of its type.
      let natural = at;
      if (!packed && (bitSize === 0 || crosses(at))) natural = roundUp(at, unit);
      if (packed && bitSize === 0) natural = roundUp(at, 8);
      if (!packed) {
        const misplaced = bitSize === 0 ? bitOffset % unit !== 0 : crosses(bitOffset);
        if (misplaced || bitOffset < natural) return undefined;
        align = Math.max(align, unit / 8);
      }
      padding.push(bitOffset > natural ? bitOffset - at : 0);
      at = bitOffset + bits;
    }
    const size = type.size * 8;
    if (!packed && (type.size % align !== 0 || at > size)) return undefined;
    const end = roundUp(at, align * 8);
    padding.push(size > end ? size - at : 0);
    return { packed, align, padding, filler: 0 };
  }

  private planUnion(type: BtfComposite, packed: boolean): CLayout | undefined {
    const aligns = type.members.map(({ type: id }) => this.alignOf(id));
    const align = packed ? 1 : Math.max(1, ...aligns);
    const largest = Math.max(0, ...type.members.map((member) => Math.ceil(this.bitsOf(member) / 8)));
    if (!packed && type.size % align !== 0) return undefined;
    const padding = [...type.members.map(() => 0), 0];
    return { packed, align, padding, filler: type.size > roundUp(largest, align) ? type.size : 0 };
  }
}

/** More padding than that, in bits, is an array with a name: unnamed bitfields would be very many lines. */
const maxBitfieldPadding = 4096;

/** Unnamed bitfields that fill `bits` from offset `at`: 'char: 4', 'long: 64'. They align nothing. */
export function paddingFields(at: number, bits: number): string[] {
  const fields: string[] = [];
  const end = at + bits;
  for (let from = at; from < end; ) {
    if (from % 8 === 0 && end - from > maxBitfieldPadding) {
      const bytes = Math.floor((end - from) / 8);
      fields.push(`char __padding_${from / 8}[${bytes}]`);
      from += bytes * 8;
      continue;
    }
    const [name, unit] = (
      [
        ['long', 64],
        ['int', 32],
        ['short', 16],
      ] as const
    ).find(([, unit]) => from % unit === 0 && end - from >= unit) ?? ['char', 8];
    const size = unit > 8 ? unit : Math.min(8 - (from % 8), end - from);
    fields.push(`${name}: ${size}`);
    from += size;
  }
  return fields;
}
