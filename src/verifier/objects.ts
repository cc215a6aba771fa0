/**
 * Objects that programs allocate: what of them only kernel functions may touch, giving one up, counting one more
 * reference of it (bpf_obj_new, bpf_obj_drop, bpf_refcount_acquire).
 */
import { type Btf, resolveModifiers } from '../btf/index.ts';
import { typeRef } from './btf-access.ts';
import type { TypeRef } from './btf-objects.ts';
import type { Env } from './env.ts';
import { type Field, fieldOf, mapFields, ownRecord } from './fields.ts';
import type { KfuncCall } from './kfunc-facts.ts';
import { isScalarStruct } from './kfunc-kinds.ts';
import { typeOf, word } from './regs.ts';
import { type Frame, regAt } from './state/frame.ts';
import { AUX0, AUX1, REF_OBJ_ID, type RegFile } from './state/layout.ts';
import { baseType, regTypes, typeFlags } from './state/reg-types.ts';
import { isNonOwning, isOwnObject } from './trust.ts';

/** Of the map value or object that a register points to (reg_btf_record). */
export function fieldsBehind(env: Env, file: RegFile, r: number): readonly Field[] {
  const type = typeOf(file, r);
  if (baseType(type) === regTypes.mapValue) return mapFields(env.map(word(file, r, AUX0)));
  return isOwnObject(type) ? ownRecord(env, typeRef(file, r)) : [];
}

/** Whether locks in what a register points to are told apart by its id (reg_may_point_to_spin_lock). */
export function mayHoldLock(env: Env, file: RegFile, r: number): boolean {
  const fields = fieldsBehind(env, file, r);
  return fieldOf(fields, 'spinLock') !== undefined || fieldOf(fields, 'resSpinLock') !== undefined;
}

const ALLOCATED = regTypes.btfId | typeFlags.alloc;

/** An object to be dropped. */
export function processAllocated(env: Env, call: KfuncCall, index: number): void {
  const r = regAt(index + 1);
  const type = typeOf(env.frame, r);
  if (type === ALLOCATED) {
    if (call.kfunc.name !== 'bpf_obj_drop_impl') {
      env.reject('EINVAL', `arg#${index} expected for bpf_obj_drop_impl()`);
    }
  } else if (type === (ALLOCATED | typeFlags.percpu)) {
    if (call.kfunc.name !== 'bpf_percpu_obj_drop_impl') {
      env.reject('EINVAL', `arg#${index} expected for bpf_percpu_obj_drop_impl()`);
    }
  } else env.reject('EINVAL', `arg#${index} expected pointer to allocated object`);
  if (word(env.frame, r, REF_OBJ_ID) === 0) env.reject('EINVAL', 'allocated object must be referenced');
  call.object = typeRef(env.frame, r);
}

/** An object whose references are counted. */
export function processRefcounted(env: Env, call: KfuncCall, index: number): void {
  const r = regAt(index + 1);
  const type = typeOf(env.frame, r);
  if (!isOwnObject(type)) env.reject('EINVAL', `arg#${index} is neither owning or non-owning ref`);
  call.ownsObject = !isNonOwning(type);
  if (fieldOf(fieldsBehind(env, env.frame, r), 'refcount') === undefined) {
    env.reject('EINVAL', `arg#${index} doesn't point to a type with bpf_refcount field`);
  }
  call.object = typeRef(env.frame, r);
}

/** BPF_GLOBAL_PERCPU_MA_MAX_SIZE */
const MAX_PERCPU = 512;
const U32_MAX = 0xffff_ffffn;

/** The struct of a new object: one of the program's own types. */
export function newObjectType(env: Env, call: KfuncCall): TypeRef {
  const id = call.constant ?? 0n;
  const perCpu = call.kfunc.name === 'bpf_percpu_obj_new_impl';
  if (id > U32_MAX) env.reject('EINVAL', 'local type ID argument must be in range [0, U32_MAX]');
  const { btf } = env;
  if (btf === undefined) return env.reject('EINVAL', 'bpf_obj_new/bpf_percpu_obj_new requires prog BTF');
  const struct = structAt(btf, Number(id));
  if (struct === undefined) {
    return env.reject('EINVAL', 'bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct');
  }
  const ref = { object: env.types.numberOf(btf), id: Number(id) };
  if (!perCpu) return ref;
  if (struct.size > MAX_PERCPU) {
    env.reject('EINVAL', `bpf_percpu_obj_new type size (${struct.size}) is greater than ${MAX_PERCPU}`);
  }
  if (!isScalarStruct(btf, ref.id, 0)) {
    env.reject('EINVAL', 'bpf_percpu_obj_new type ID argument must be of a struct of scalars');
  }
  if (ownRecord(env, ref).length > 0) {
    env.reject('EINVAL', 'bpf_percpu_obj_new type ID argument must not contain special fields');
  }
  return ref;
}

function structAt(btf: Btf, id: number): { readonly size: number } | undefined {
  if (id >= btf.typeCount) return undefined;
  const type = btf.type(id);
  return (type.kind === 'struct' || type.kind === 'union') && resolveModifiers(btf, id) === id
    ? type
    : undefined;
}

/** What a lock or a head of a list is within: the map, or the types of the object. */
export function ownerOf(file: Frame, r: number): string {
  const isMap = baseType(typeOf(file, r)) === regTypes.mapValue;
  return isMap ? `map ${word(file, r, AUX0)}` : `types ${word(file, r, AUX1)}`;
}
