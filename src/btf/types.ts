/**
 * BTF types as data (kernel doc: bpf/btf): one record a type, decoded from the bytes on demand. Type 0 is
 * void; every `type` field is the id of another type in the same BTF.
 */

/** enum BTF_KIND_*: the index is the number; `void` is no record in the file. */
export const btfKinds = [
  'void',
  'int',
  'ptr',
  'array',
  'struct',
  'union',
  'enum',
  'fwd',
  'typedef',
  'volatile',
  'const',
  'restrict',
  'func',
  'funcProto',
  'var',
  'datasec',
  'float',
  'declTag',
  'typeTag',
  'enum64',
] as const;

export type BtfKind = (typeof btfKinds)[number];

export interface BtfMember {
  /** Empty for an anonymous struct or union, whose members count as the outer type's. */
  readonly name: string;
  readonly type: number;
  /** From the start of the struct, in bits. */
  readonly bitOffset: number;
  /** Of a bitfield; 0 for any other member. */
  readonly bitSize: number;
}

export interface BtfInt {
  readonly kind: 'int';
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  readonly signed: boolean;
  readonly char: boolean;
  readonly bool: boolean;
  /** Where the value is in its bytes: all of them, but for the bitfields of old compilers. */
  readonly bitOffset: number;
  readonly bits: number;
}

export interface BtfComposite {
  readonly kind: 'struct' | 'union';
  readonly name: string;
  readonly size: number;
  readonly members: readonly BtfMember[];
}

export interface BtfEnum {
  readonly kind: 'enum' | 'enum64';
  readonly name: string;
  readonly size: number;
  readonly signed: boolean;
  readonly values: readonly { readonly name: string; readonly value: bigint }[];
}

/** What names another type and adds nothing to its layout. */
export interface BtfModifier {
  readonly kind: 'typedef' | 'volatile' | 'const' | 'restrict' | 'typeTag';
  /** Empty for volatile, const and restrict. */
  readonly name: string;
  readonly type: number;
  /** A tag whose text is any attribute, 'address_space(1)', rather than a btf_type_tag's. */
  readonly attribute?: boolean;
}

export interface BtfDatasec {
  readonly kind: 'datasec';
  /** The section's name. */
  readonly name: string;
  readonly size: number;
  /** `type` is a var's; offset and size in bytes. */
  readonly variables: readonly { readonly type: number; readonly offset: number; readonly size: number }[];
}

export type BtfType =
  | { readonly kind: 'void'; readonly name: '' }
  | BtfInt
  | { readonly kind: 'ptr'; readonly name: ''; readonly type: number }
  | {
      readonly kind: 'array';
      readonly name: '';
      readonly type: number;
      readonly indexType: number;
      readonly length: number;
    }
  | BtfComposite
  | BtfEnum
  | { readonly kind: 'fwd'; readonly name: string; readonly of: 'struct' | 'union' }
  | BtfModifier
  | { readonly kind: 'func'; readonly name: string; readonly type: number; readonly linkage: number }
  | {
      readonly kind: 'funcProto';
      readonly name: '';
      /** What it returns. */
      readonly type: number;
      /** A last one of type 0 is `...`. */
      readonly parameters: readonly { readonly name: string; readonly type: number }[];
    }
  | { readonly kind: 'var'; readonly name: string; readonly type: number; readonly linkage: number }
  | BtfDatasec
  | { readonly kind: 'float'; readonly name: string; readonly size: number }
  | {
      readonly kind: 'declTag';
      readonly name: string;
      readonly type: number;
      /** The member or parameter that is tagged; -1 for the type itself. */
      readonly component: number;
      /** As of a type tag. */
      readonly attribute?: boolean;
    };

/** The linkage of a func or var (BTF_FUNC_*, BTF_VAR_*). */
export const btfLinkages = { static: 0, global: 1, extern: 2 } as const;
