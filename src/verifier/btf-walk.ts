/**
 * What lies at an offset of a struct: a number, a pointer to another struct, or a member that is a struct itself
 * (btf_struct_walk). Members that are unions are entered, but what is read through them is not trusted.
 */

import { SkepError } from '../base/errors.ts';
import {
  type Btf,
  type BtfMember,
  type BtfType,
  resolvedType,
  resolveModifiers,
  sizeOf,
} from '../btf/index.ts';
import { type RegType, typeFlags } from './state/reg-types.ts';

export interface Walk {
  readonly id: number;
  readonly off: number;
  readonly size: number;
  readonly untrusted: boolean;
}

export type Found =
  | { readonly kind: 'scalar' }
  /** Flags of the pointer: untrusted after a union, and its type tag. */
  | { readonly kind: 'pointer'; readonly id: number; readonly flags: RegType; readonly field: string }
  /** A pointer to what is no struct: reads through it are of whatever is there. */
  | { readonly kind: 'memory' }
  /** The access starts where this member starts. */
  | { readonly kind: 'struct'; readonly id: number; readonly untrusted: boolean }
  | { readonly kind: 'error'; readonly errno: 'EINVAL' | 'EACCES' | 'EFAULT'; readonly message: string };

const nameOf = (named: { readonly name: string }): string => named.name || '(anon)';

const SCALAR: Found = { kind: 'scalar' };

const bad = (errno: 'EINVAL' | 'EACCES' | 'EFAULT', message: string): Found => ({
  kind: 'error',
  errno,
  message,
});

type Composite = Extract<BtfType, { members: readonly BtfMember[] }>;

interface Place {
  readonly type: Composite;
  readonly off: number;
  readonly size: number;
  readonly untrusted: boolean;
}

/** One step: into the struct of a type. */
export function typedWalk(btf: Btf, walk: Walk): Found {
  let type: BtfType = resolvedType(btf, walk.id);
  let { off, untrusted } = walk;
  const { size } = walk;
  for (;;) {
    if (type.kind !== 'struct' && type.kind !== 'union') {
      return bad('EINVAL', `Type '${nameOf(type)}' is not a struct`);
    }
    if (type.kind === 'union' && type.members.length !== 1) untrusted = true;
    if (off + size > type.size) {
      const tail = flexibleTail(btf, type, off);
      if (tail === undefined) {
        return bad('EACCES', `access beyond struct ${nameOf(type)} at off ${off >>> 0} size ${size}`);
      }
      if (tail.type.kind === 'int') return SCALAR;
      type = tail.type;
      off = tail.off;
      continue;
    }
    const next = inMembers(btf, { type, off, size, untrusted });
    if (!('inner' in next)) return next;
    type = next.inner;
    off = next.off;
  }
}

/** The element of an array without a length at a struct's end that an offset is in. */
function flexibleTail(btf: Btf, type: Composite, off: number): { type: BtfType; off: number } | undefined {
  const last = type.members[type.members.length - 1];
  if (last === undefined) return undefined;
  const array = resolvedType(btf, last.type);
  const start = last.bitOffset >> 3;
  if (array.kind !== 'array' || array.length !== 0 || off < start) return undefined;
  const element = resolvedType(btf, array.type);
  if (element.kind === 'int') return { type: element, off: 0 };
  if ((element.kind !== 'struct' && element.kind !== 'union') || element.size === 0) return undefined;
  return { type: element, off: (off - start) % element.size };
}

type Step = Found | { readonly inner: Composite; readonly off: number };

function inMembers(btf: Btf, place: Place): Step {
  const { type, off, size } = place;
  for (const member of type.members) {
    const start = member.bitOffset >> 3;
    if (off + size <= start) break;
    if (member.bitSize > 0) {
      const end = (member.bitOffset + member.bitSize + 7) >> 3;
      if (off <= start && end <= off + size) return SCALAR;
      continue;
    }
    if (off < start) break;
    const bytes = sizeOrUndefined(btf, member.type);
    if (bytes === undefined) return bad('EFAULT', `field ${nameOf(member)} doesn't have size`);
    if (off >= start + bytes) continue;
    return inMember(btf, place, { member, start, end: start + bytes });
  }
  return bad('EINVAL', `struct ${nameOf(type)} doesn't have field at offset ${off}`);
}

function sizeOrUndefined(btf: Btf, id: number): number | undefined {
  try {
    return sizeOf(btf, id);
  } catch (error) {
    if (error instanceof SkepError) return undefined;
    throw error;
  }
}

function inMember(
  btf: Btf,
  place: Place,
  at: { readonly member: BtfMember; readonly start: number; readonly end: number },
): Step {
  const { off, size } = place;
  const { member, end } = at;
  let { start } = at;
  let id = resolveModifiers(btf, member.type);
  let type = btf.type(id);
  while (type.kind === 'array') {
    const bytes = sizeOf(btf, type.type);
    if (bytes > 0) start += Math.floor((off - start) / bytes) * bytes;
    id = resolveModifiers(btf, type.type);
    type = btf.type(id);
  }
  if (type.kind === 'struct' || type.kind === 'union') {
    if (off === start) return { kind: 'struct', id, untrusted: place.untrusted };
    return { inner: type, off: off - start };
  }
  if (type.kind === 'ptr') {
    const bytes = 8;
    if (bytes !== size || off !== start) {
      return bad(
        'EACCES',
        `cannot access ptr member ${nameOf(member)} with moff ${start} in struct ${nameOf(place.type)} with off ${off} size ${size}`,
      );
    }
    const target = resolveModifiers(btf, type.type);
    const kind = btf.kind(target);
    if (kind !== 'struct' && kind !== 'union') return { kind: 'memory' };
    const flags = tagFlags(btf, type.type) | (place.untrusted ? typeFlags.untrusted : 0);
    return { kind: 'pointer', id: target, flags, field: member.name };
  }
  if (off + size > end && !place.untrusted) {
    return bad(
      'EACCES',
      `access beyond the end of member ${nameOf(member)} (mend:${end}) in struct ${nameOf(place.type)} with off ${off} size ${size}`,
    );
  }
  return SCALAR;
}

/** What a pointer's type tag says of its target. */
export function tagFlags(btf: Btf, id: number): RegType {
  const type = btf.type(id);
  if (type.kind !== 'typeTag' || type.attribute === true) return 0;
  switch (type.name) {
    case 'user':
      return typeFlags.user;
    case 'percpu':
      return typeFlags.percpu;
    case 'rcu':
      return typeFlags.rcu;
    default:
      return 0;
  }
}

/** All steps, down to a number or a pointer (btf_struct_access). */
export function structAccess(btf: Btf, walk: Walk): Found {
  let at = walk;
  for (;;) {
    const found = typedWalk(btf, at);
    if (found.kind !== 'struct') return found;
    at = { id: found.id, off: 0, size: walk.size, untrusted: found.untrusted };
  }
}
