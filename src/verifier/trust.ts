/**
 * How far a pointer to a kernel object can be relied upon: referenced or trusted, protected by RCU for as long as
 * the program is in a critical section of it, or neither.
 */
import type { Env } from './env.ts';
import { typeOf, word } from './regs.ts';
import { REF_OBJ_ID, type RegFile } from './state/layout.ts';
import { baseType, mayBeNull, type RegType, regTypes, typeFlags, typeFlagsOf } from './state/reg-types.ts';

/** BPF_REG_TRUSTED_MODIFIERS */
export const TRUSTED = typeFlags.alloc | typeFlags.trusted | typeFlags.nonOwnRef;

/** Whether flags say anything that a trusted pointer must not have (bpf_type_has_unsafe_modifiers). */
export function hasUnsafeFlags(type: RegType): boolean {
  return (typeFlagsOf(type) & ~TRUSTED) !== 0;
}

/** The kernel's structs that pointers of other types stand for (reg2btf_ids). */
export const kernelStructs: Readonly<Record<number, string>> = {
  [regTypes.socket]: 'sock',
  [regTypes.sockCommon]: 'sock_common',
  [regTypes.tcpSock]: 'tcp_sock',
  [regTypes.constMapPtr]: 'bpf_map',
};

/** is_trusted_reg */
export function isTrusted(file: RegFile, r: number): boolean {
  if (word(file, r, REF_OBJ_ID) !== 0) return true;
  const type = typeOf(file, r);
  if (hasUnsafeFlags(type)) return false;
  return kernelStructs[baseType(type)] !== undefined || (typeFlagsOf(type) & TRUSTED) !== 0;
}

/** is_rcu_reg */
export function isRcu(file: RegFile, r: number): boolean {
  return (typeOf(file, r) & typeFlags.rcu) !== 0;
}

/** Whether what RCU protects stays for now: programs that cannot sleep are in a critical section all the time. */
export function inRcu(env: Env): boolean {
  const { state } = env;
  return state.rcuLocks > 0 || state.locks > 0 || !state.sleepable;
}

/** An object of a type of the program's, which it allocated (type_is_ptr_alloc_obj). */
export function isOwnObject(type: RegType): boolean {
  return baseType(type) === regTypes.btfId && (type & typeFlags.alloc) !== 0;
}

/** A pointer into a list or tree that others own (type_is_non_owning_ref). */
export function isNonOwning(type: RegType): boolean {
  return isOwnObject(type) && (type & typeFlags.nonOwnRef) !== 0;
}

/** A pointer that is never zero (reg_not_null). */
export function isNonNull(file: RegFile, r: number): boolean {
  const type = typeOf(file, r);
  if (mayBeNull(type)) return false;
  switch (baseType(type)) {
    case regTypes.socket:
    case regTypes.tcpSock:
    case regTypes.mapValue:
    case regTypes.mapKey:
    case regTypes.sockCommon:
    case regTypes.constMapPtr:
      return true;
    case regTypes.btfId:
      return isTrusted(file, r);
    case regTypes.mem:
      return (type & typeFlags.untrusted) === 0;
    default:
      return false;
  }
}
