/** What a kernel function's call leaves in r0 (the second half of check_kfunc_call, check_special_kfunc). */

import { SkepError } from '../base/errors.ts';
import { type Btf, type BtfType, resolvedType, sizeOf } from '../btf/index.ts';
import { setBtfPointer } from './btf-access.ts';
import { KERNEL, kindText } from './btf-objects.ts';
import { dynptrFlags } from './dynptr.ts';
import type { Env } from './env.ts';
import { setNode, setNonOwning } from './graph.ts';
import { stepIterator, yieldsRcu } from './iterators.ts';
import type { KfuncCall } from './kfunc-facts.ts';
import { isScalarType, pointeeOf } from './kfunc-kinds.ts';
import { mayUsePacket } from './memory.ts';
import { mayHoldLock, newObjectType } from './objects.ts';
import { acquireReference } from './references.ts';
import { setKnownImm, setPointer, setScalar } from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, AUX1, ID, REF_OBJ_ID, TYPE } from './state/layout.ts';
import { type RegType, regTypes, typeFlags } from './state/reg-types.ts';

const R0 = regAt(0);
const W0 = 2 * R0;

const has = (call: KfuncCall, flag: 'acquire' | 'retNull' | 'rcuProtected' | 'arenaReturn'): boolean =>
  call.kfunc.facts?.flags.includes(flag) === true;

export function setKfuncResult(env: Env, call: KfuncCall): void {
  const btf = env.types.kernel as Btf;
  const type = resolvedType(btf, call.kfunc.proto.type);
  if (isScalarType(type)) {
    setScalar(env.frame, R0);
    if (call.kfunc.name === 'bpf_res_spin_lock' || call.kfunc.name === 'bpf_res_spin_lock_irqsave') {
      setKnownImm(env.frame, R0, 0);
    }
  } else if (type.kind === 'ptr') setPointerResult(env, call, btf);
  if (call.kfunc.iterator?.step === 'next' && call.iterator !== undefined) stepIterator(env, call.iterator);
}

function setPointerResult(env: Env, call: KfuncCall, btf: Btf): void {
  const target = pointeeOf(btf, call.kfunc.proto.type);
  if (!setSpecial(env, call, target.type)) {
    if (target.type.kind === 'void') {
      setScalar(env.frame, R0);
    } else if (target.type.kind === 'struct' || target.type.kind === 'union') {
      setBtfPointer(env, R0, { object: KERNEL, id: target.id, flags: structFlags(env, call) });
    } else setMemory(env, call, { btf, ...target });
  }
  const { frame } = env;
  const mayFail =
    has(call, 'retNull') && !(call.kfunc.name === 'bpf_refcount_acquire_impl' && call.ownsObject);
  if (mayFail) {
    frame.i32[W0 + TYPE] = (frame.i32[W0 + TYPE] as number) | typeFlags.maybeNull;
    frame.i32[W0 + ID] = env.newId();
  }
  if (has(call, 'acquire')) {
    const id = acquireReference(env);
    if (mayFail) frame.i32[W0 + ID] = id;
    frame.i32[W0 + REF_OBJ_ID] = id;
  } else if (target.type.name === 'bpf_rb_node' || target.type.name === 'bpf_list_node') {
    setNonOwning(env, frame, R0);
  }
  if (frame.i32[W0 + ID] === 0 && mayHoldLock(env, frame, R0)) frame.i32[W0 + ID] = env.newId();
}

function structFlags(env: Env, call: KfuncCall): RegType {
  if (call.kfunc.name === 'bpf_get_kmem_cache') return typeFlags.untrusted;
  let flags = has(call, 'rcuProtected') ? typeFlags.rcu : 0;
  if (call.kfunc.iterator?.step === 'next' && call.iterator !== undefined) {
    flags |= yieldsRcu(env, call.iterator) ? typeFlags.rcu : typeFlags.trusted;
  }
  return flags;
}

/** A pointer to a number: memory of its size, to be read. */
function setMemory(env: Env, call: KfuncCall, target: { btf: Btf; id: number; type: BtfType }): void {
  const { frame } = env;
  let size: number;
  try {
    size = sizeOf(target.btf, target.id);
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    env.reject(
      'EINVAL',
      `kernel function ${call.kfunc.name} returns pointer type ${kindText(target.type)} ${target.type.name} is not supported`,
    );
  }
  const writable = call.kfunc.name === 'bpf_session_cookie';
  const flags = (writable ? 0 : typeFlags.rdonly) | (has(call, 'rcuProtected') ? typeFlags.rcu : 0);
  setPointer(frame, R0, regTypes.mem | flags);
  frame.i32[W0 + AUX0] = size;
  frame.i32[W0 + REF_OBJ_ID] = call.refObjId;
}

/** Functions that no prototype describes; true where this is one. */
function setSpecial(env: Env, call: KfuncCall, target: BtfType): boolean {
  switch (call.kfunc.name) {
    case 'bpf_obj_new_impl':
      setBtfPointer(env, R0, { ...newObjectType(env, call), flags: typeFlags.alloc });
      return true;
    case 'bpf_percpu_obj_new_impl':
      setBtfPointer(env, R0, { ...newObjectType(env, call), flags: typeFlags.alloc | typeFlags.percpu });
      return true;
    case 'bpf_refcount_acquire_impl':
      setBtfPointer(env, R0, { ...(call.object ?? { object: KERNEL, id: 0 }), flags: typeFlags.alloc });
      return true;
    case 'bpf_cast_to_kern_ctx':
      setBtfPointer(env, R0, { object: KERNEL, id: call.castTo, flags: typeFlags.trusted });
      return true;
    case 'bpf_rdonly_cast':
      setCast(env, call);
      return true;
    case 'bpf_dynptr_slice':
    case 'bpf_dynptr_slice_rdwr':
      setSlice(env, call);
      return true;
    case 'bpf_arena_alloc_pages':
      setScalar(env.frame, R0);
      return true;
    default:
      break;
  }
  if ((target.name === 'bpf_list_node' || target.name === 'bpf_rb_node') && call.root !== undefined) {
    setNode(env.frame, { r: R0, root: call.root });
    return true;
  }
  return false;
}

function setCast(env: Env, call: KfuncCall): void {
  const btf = env.types.kernel as Btf;
  const id = call.constant ?? 0n;
  if (id >= BigInt(btf.typeCount)) {
    env.reject('EINVAL', `Unknown type ID ${BigInt.asIntN(64, id)} passed to kfunc bpf_rdonly_cast`);
  }
  const { kind } = btf.type(Number(id));
  if (kind === 'struct' || kind === 'union') {
    setBtfPointer(env, R0, { object: KERNEL, id: Number(id), flags: typeFlags.untrusted });
  } else if (kind === 'void') {
    setPointer(env.frame, R0, regTypes.mem | typeFlags.rdonly | typeFlags.untrusted);
  } else {
    env.reject('EINVAL', 'kfunc bpf_rdonly_cast type ID argument must be of a struct or void');
  }
}

function setSlice(env: Env, call: KfuncCall): void {
  const { frame } = env;
  const { dynptr } = call;
  const flags = dynptr === undefined ? 0 : dynptrFlags[dynptr.kind];
  const readOnly = call.kfunc.name === 'bpf_dynptr_slice';
  if (!readOnly && !mayUsePacket(env, true)) {
    env.reject('EINVAL', 'the prog does not allow writes to packet data');
  }
  setPointer(frame, R0, regTypes.mem | flags | (readOnly ? typeFlags.rdonly : 0));
  frame.i32[W0 + AUX0] = Number(BigInt.asUintN(32, call.constant ?? 0n));
  frame.i32[W0 + AUX1] = dynptr?.id ?? 0;
}
