/** How BTF lays out its types (kernel doc: bpf/btf), shared by reading and validating. */
import { SkepError } from '../base/errors.ts';
import { type BtfKind, btfKinds } from './types.ts';

/** struct btf_type: name_off, info, size or type. */
export const typeSize = 12;
/** BTF_MAX_TYPE. */
export const maxTypes = 0x100000;

/** Bytes after struct btf_type: fixed, and for each of the `vlen` elements. */
export const layout: Readonly<Record<BtfKind, { readonly fixed: number; readonly each: number }>> = {
  void: { fixed: 0, each: 0 },
  int: { fixed: 4, each: 0 },
  ptr: { fixed: 0, each: 0 },
  array: { fixed: 12, each: 0 },
  struct: { fixed: 0, each: 12 },
  union: { fixed: 0, each: 12 },
  enum: { fixed: 0, each: 8 },
  fwd: { fixed: 0, each: 0 },
  typedef: { fixed: 0, each: 0 },
  volatile: { fixed: 0, each: 0 },
  const: { fixed: 0, each: 0 },
  restrict: { fixed: 0, each: 0 },
  func: { fixed: 0, each: 0 },
  funcProto: { fixed: 0, each: 8 },
  var: { fixed: 4, each: 0 },
  datasec: { fixed: 0, each: 12 },
  float: { fixed: 0, each: 0 },
  declTag: { fixed: 4, each: 0 },
  typeTag: { fixed: 0, each: 0 },
  enum64: { fixed: 0, each: 12 },
};

/** The same in words and by the kind's number, for loops over all types. */
export const fixedWords = Uint8Array.from(btfKinds, (kind) => layout[kind].fixed / 4);
export const eachWords = Uint8Array.from(btfKinds, (kind) => layout[kind].each / 4);

/** btf_type.info: vlen in bits 0–15, the kind in 24–28, kind_flag in 31. */
export const vlenOf = (info: number): number => info & 0xffff;
export const kindNumberOf = (info: number): number => (info >>> 24) & 0x1f;
export const kindOf = (info: number): BtfKind | undefined => btfKinds[kindNumberOf(info)];
export const flagOf = (info: number): boolean => info >>> 31 === 1;

export function badBtf(message: string, where?: string): SkepError {
  return new SkepError({ code: 'btf', message, where });
}

/** A type that leads to itself, which Linux answers with EEXIST. */
export function loopOf(where: string): SkepError {
  return new SkepError({ code: 'btf-loop', where, message: 'it contains itself' });
}

/** Where a type's record is, for messages; `start` in words of the type section. */
export function placeOf(id: number, start: number): string {
  return `type ${id}, at byte ${start * 4} of the type section`;
}
