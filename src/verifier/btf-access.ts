/**
 * Reads, and a few writes, through pointers that are typed by BTF (check_ptr_to_btf_access): what lies at the
 * offset, and how far a pointer that is read from there can be relied upon.
 */
import { type BtfMember, resolvedType, resolveModifiers } from '../btf/index.ts';
import type { Access } from './access.ts';
import { KERNEL } from './btf-objects.ts';
import { structAccess } from './btf-walk.ts';
import { isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { ownRecord } from './fields.ts';
import { tnumText, unsignedText } from './log/index.ts';
import { setPointer, setScalar, typeOf, word } from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, AUX1, ID, OFF, type RegFile, TNUM_VALUE } from './state/layout.ts';
import { mayBeNull, type RegType, regTypes, typeFlags } from './state/reg-types.ts';
import { kernelWrite } from './struct-writes.ts';
import { inRcu, isOwnObject, isRcu, isTrusted, TRUSTED } from './trust.ts';

/** The struct that a register points to. */
export function typeRef(file: RegFile, r: number): { object: number; id: number } {
  return { object: word(file, r, AUX1), id: word(file, r, AUX0) };
}

/** A pointer to a type, null-checked later where it may be NULL (mark_btf_ld_reg). */
export function setBtfPointer(
  env: Env,
  r: number,
  to: { readonly object: number; readonly id: number; readonly flags: RegType },
): void {
  const file = env.frame;
  setPointer(file, r, regTypes.btfId | to.flags);
  file.i32[2 * r + AUX0] = to.id;
  file.i32[2 * r + AUX1] = to.object;
  if (mayBeNull(to.flags)) file.i32[2 * r + ID] = env.newId();
}

export function accessBtf(env: Env, access: Access): void {
  const { reg, size, write, value } = access;
  const file = env.frame;
  const r = regAt(reg);
  const type = typeOf(file, r);
  const ref = typeRef(file, r);
  const name = env.types.name(ref);
  const off = access.off + word(file, r, OFF);
  if (!env.allowLeaks) {
    env.reject('EPERM', `'struct ${name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN`);
  }
  if (!env.input.gplCompatible && ref.object === KERNEL) {
    env.reject('EINVAL', `Cannot access kernel 'struct ${name}' from non-GPL compatible program`);
  }
  if (off < 0) env.reject('EACCES', `R${reg} is ptr_${name} invalid negative access: off=${off}`);
  if (!isConst(file, r) || file.i64[r + TNUM_VALUE] !== 0n) {
    const varOff = isConst(file, r) ? unsignedText(file.u64[r + TNUM_VALUE] as bigint) : tnumText(file, r);
    env.reject('EACCES', `R${reg} is ptr_${name} invalid variable offset: off=${off}, var_off=${varOff}`);
  }
  if ((type & typeFlags.user) !== 0) {
    env.reject('EACCES', `R${reg} is ptr_${name} access user memory: off=${off}`);
  }
  if ((type & typeFlags.percpu) !== 0) {
    env.reject('EACCES', `R${reg} is ptr_${name} access percpu memory: off=${off}`);
  }
  if (write && kernelWrite(env, { reg, off, size })) return;
  if (write && !isOwnObject(type)) env.reject('EACCES', 'only read is supported');
  const found = readAt(env, { r, off, size });
  if (write || value < 0) return;
  const to = regAt(value);
  if (found === undefined) setScalar(file, to);
  else if (found === 'memory') setPointer(file, to, regTypes.mem | typeFlags.rdonly | typeFlags.untrusted);
  else {
    const flags = inherited(env, r, found);
    setBtfPointer(env, to, { object: ref.object, id: found.id, flags });
  }
}

interface Read {
  readonly id: number;
  readonly flags: RegType;
  readonly field: string;
}

/** What lies there: a pointer, or a number (btf_struct_access). */
function readAt(
  env: Env,
  at: { readonly r: number; readonly off: number; readonly size: number },
): Read | 'memory' | undefined {
  const { r, off, size } = at;
  const file = env.frame;
  const ref = typeRef(file, r);
  const isAllocated = (typeOf(file, r) & typeFlags.alloc) !== 0;
  if (isAllocated) {
    for (const field of ownRecord(env, ref)) {
      if (off >= field.offset + field.size || field.offset >= off + size) continue;
      env.reject('EACCES', `direct access to ${field.name} is disallowed`);
    }
  }
  const btf = env.types.at(ref.object);
  if (btf === undefined) return undefined;
  const found = structAccess(btf, { id: ref.id, off, size, untrusted: false });
  if (found.kind === 'error') return env.reject(found.errno, found.message);
  if (isAllocated) return undefined;
  if (found.kind === 'memory') return 'memory';
  if (found.kind !== 'pointer') return undefined;
  return found;
}

/** How far a pointer can be trusted that was read through another one. */
function inherited(env: Env, r: number, found: Read): RegType {
  const file = env.frame;
  const type = typeOf(file, r);
  if ((type & typeFlags.untrusted) !== 0) return typeFlags.untrusted;
  if (!isTrusted(file, r) && !isRcu(file, r)) return withoutTrust(found.flags);
  if (isSafe(env, r, { ...found, suffix: '__safe_trusted' })) return found.flags | typeFlags.trusted;
  if (isSafe(env, r, { ...found, suffix: '__safe_trusted_or_null' })) {
    return found.flags | typeFlags.trusted | typeFlags.maybeNull;
  }
  if (!inRcu(env) || mayBeNull(type)) return typeFlags.untrusted;
  if (isSafe(env, r, { ...found, suffix: '__safe_rcu' })) return found.flags | typeFlags.rcu;
  const orNull = isSafe(env, r, { ...found, suffix: '__safe_rcu_or_null' });
  if ((found.flags & typeFlags.rcu) !== 0 || orNull) {
    const flags = found.flags | typeFlags.rcu | typeFlags.maybeNull;
    return orNull ? flags & ~typeFlags.untrusted : flags;
  }
  if ((found.flags & (typeFlags.percpu | typeFlags.user)) !== 0) return found.flags;
  return withoutTrust(found.flags);
}

const withoutTrust = (flags: RegType): RegType => flags & ~(TRUSTED | typeFlags.rcu);

/**
 * Whether the kernel lists the field as one that keeps trust: it has structs of the same names with a suffix for
 * that (btf_nested_type_is_trusted).
 */
function isSafe(env: Env, r: number, field: Read & { suffix: string }): boolean {
  const ref = typeRef(env.frame, r);
  const btf = env.types.at(ref.object);
  const type = env.types.type(ref);
  if (btf === undefined || ref.object !== KERNEL || (type.kind !== 'struct' && type.kind !== 'union')) {
    return false;
  }
  const id = btf.find(`${type.name}${field.suffix}`, type.kind);
  const safe = id === undefined ? undefined : btf.type(id);
  if (safe?.kind !== 'struct' && safe?.kind !== 'union') return false;
  return safe.members.some((member: BtfMember) => {
    if (member.name !== field.field) return false;
    const pointer = resolvedType(btf, member.type);
    return pointer.kind === 'ptr' && resolveModifiers(btf, pointer.type) === field.id;
  });
}
