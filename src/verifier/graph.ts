/**
 * Lists and trees of objects: what goes in is given up and stays usable while the lock is held, what comes out has
 * to be given back (__process_kf_arg_ptr_to_graph_root and _node, ref_convert_owning_non_owning).
 */
import { typeRef } from './btf-access.ts';
import { isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { type Field, type FieldKind, fieldOf, mapBtf } from './fields.ts';
import type { KfuncCall } from './kfunc-facts.ts';
import { isLocked } from './locks.ts';
import { fieldsBehind } from './objects.ts';
import { dropReference } from './references.ts';
import { forEachReg, setPointer, typeOf, word } from './regs.ts';
import { type Frame, regAt } from './state/frame.ts';
import { AUX0, AUX1, OFF, REF_OBJ_ID, TNUM_VALUE, TYPE } from './state/layout.ts';
import { baseType, regTypes, typeFlags } from './state/reg-types.ts';
import { isNonOwning } from './trust.ts';

const ALLOCATED = regTypes.btfId | typeFlags.alloc;

const names = {
  listHead: 'bpf_list_head',
  listNode: 'bpf_list_node',
  rbRoot: 'bpf_rb_root',
  rbNode: 'bpf_rb_node',
} as const;
type GraphKind = keyof typeof names;

function constantOffset(env: Env, reg: number, name: string): number {
  const file = env.frame;
  const r = regAt(reg);
  if (!isConst(file, r)) {
    env.reject('EINVAL', `R${reg} doesn't have constant offset. ${name} has to be at the constant offset`);
  }
  return word(file, r, OFF) + Number(file.i64[r + TNUM_VALUE]);
}

function fieldIn(env: Env, r: number, at: { offset: number; kind: FieldKind }): Field | undefined {
  return fieldsBehind(env, env.frame, r).find(
    (field) => field.kind === at.kind && field.offset === at.offset,
  );
}

export function processRoot(
  env: Env,
  call: KfuncCall,
  arg: { readonly index: number; readonly kind: 'listHead' | 'rbRoot' },
): void {
  const { index, kind } = arg;
  const reg = index + 1;
  const r = regAt(reg);
  const file = env.frame;
  const type = typeOf(file, r);
  if (type !== regTypes.mapValue && type !== ALLOCATED) {
    env.reject('EINVAL', `arg#${index} expected pointer to map value or allocated object`);
  }
  if (type === ALLOCATED && word(file, r, REF_OBJ_ID) === 0) {
    env.reject('EINVAL', 'allocated object must be referenced');
  }
  const offset = constantOffset(env, reg, names[kind]);
  const field = fieldIn(env, r, { offset, kind });
  if (field === undefined) env.reject('EINVAL', `${names[kind]} not found at offset=${offset}`);
  if (!isLocked(env, r)) {
    const lock = fieldOf(fieldsBehind(env, file, r), 'spinLock')?.offset ?? -22;
    env.reject('EINVAL', `bpf_spin_lock at off=${lock} must be held for ${names[kind]}`);
  }
  call.root = { field, object: objectOf(env, r) };
}

/** The BTF that the fields of a map value or object are from. */
function objectOf(env: Env, r: number): number {
  const file = env.frame;
  if (baseType(typeOf(file, r)) !== regTypes.mapValue) return word(file, r, AUX1);
  const btf = mapBtf(env.map(word(file, r, AUX0)));
  return btf === undefined ? 0 : env.types.numberOf(btf);
}

export function processListNode(env: Env, call: KfuncCall, index: number): void {
  const r = regAt(index + 1);
  if (typeOf(env.frame, r) !== ALLOCATED) {
    env.reject('EINVAL', `arg#${index} expected pointer to allocated object`);
  }
  if (word(env.frame, r, REF_OBJ_ID) === 0) env.reject('EINVAL', 'allocated object must be referenced');
  processNode(env, call, { index, root: 'listHead', node: 'listNode' });
}

export function processRbNode(env: Env, call: KfuncCall, index: number): void {
  const { name } = call.kfunc;
  const r = regAt(index + 1);
  const type = typeOf(env.frame, r);
  if (name === 'bpf_rbtree_add_impl') {
    if (type !== ALLOCATED) env.reject('EINVAL', `arg#${index} expected pointer to allocated object`);
    if (word(env.frame, r, REF_OBJ_ID) === 0) env.reject('EINVAL', 'allocated object must be referenced');
  } else {
    if (!isNonOwning(type) && word(env.frame, r, REF_OBJ_ID) === 0) {
      env.reject('EINVAL', `${name} can only take non-owning or refcounted bpf_rb_node pointer`);
    }
    if (inTreeCallback(env)) env.reject('EINVAL', `${name} not allowed in rbtree cb`);
  }
  processNode(env, call, { index, root: 'rbRoot', node: 'rbNode' });
}

function processNode(
  env: Env,
  call: KfuncCall,
  arg: { readonly index: number; readonly root: GraphKind; readonly node: 'listNode' | 'rbNode' },
): void {
  const reg = arg.index + 1;
  const r = regAt(reg);
  const name = names[arg.node];
  const offset = constantOffset(env, reg, name);
  if (fieldIn(env, r, { offset, kind: arg.node }) === undefined) {
    env.reject('EINVAL', `${name} not found at offset=${offset}`);
  }
  const { root } = call;
  const element = root?.field.element;
  if (root === undefined || element === undefined) return;
  const given = typeRef(env.frame, r);
  const wanted = { object: root.object, id: element.id };
  const struct = env.types.name(wanted);
  if (!env.types.matches({ ...given, off: 0 }, wanted, { strict: true, log: (text) => env.write(text) })) {
    env.reject(
      'EINVAL',
      `operation on ${names[arg.root]} expects arg#1 ${name} at offset=${element.offset} in struct ${struct}, but arg is at offset=${offset} in struct ${env.types.name(given)}`,
    );
  }
  call.object = given;
  if (offset !== element.offset) {
    env.reject(
      'EINVAL',
      `arg#1 offset=${offset}, but expected ${name} at offset=${element.offset} in struct ${struct}`,
    );
  }
}

/** Whether what runs is the comparison of a tree that is being changed (in_rbtree_lock_required_cb). */
export function inTreeCallback(env: Env): boolean {
  const { frame } = env;
  if (env.state.curFrame === 0 || !frame.inCallback) return false;
  const call = env.insns[frame.callsite];
  return call?.op === 'call' && call.kind === 'kfunc';
}

/** A register becomes the node of an element (mark_reg_graph_node). */
export function setNode(frame: Frame, at: { r: number; root: NonNullable<KfuncCall['root']> }): void {
  const { r, root } = at;
  const element = root.field.element;
  setPointer(frame, r, ALLOCATED);
  frame.i32[2 * r + AUX0] = element?.id ?? 0;
  frame.i32[2 * r + AUX1] = root.object;
  frame.i32[2 * r + OFF] = element?.offset ?? 0;
}

/** Others own the object now; it may be used while the lock is held (ref_set_non_owning). */
export function setNonOwning(env: Env, frame: Frame, r: number): void {
  const refcounted = fieldOf(fieldsBehind(env, frame, r), 'refcount') !== undefined;
  const w = 2 * r + TYPE;
  frame.i32[w] = (frame.i32[w] as number) | typeFlags.nonOwnRef | (refcounted ? typeFlags.rcu : 0);
}

/** What is put into a list or tree is given up, and all pointers to it stay as such that own nothing. */
export function giveUp(env: Env, reg: number): void {
  const ref = word(env.frame, regAt(reg), REF_OBJ_ID);
  forEachReg(env.state, (frame, r) => {
    if (word(frame, r, REF_OBJ_ID) !== ref) return;
    frame.i32[2 * r + REF_OBJ_ID] = 0;
    setNonOwning(env, frame, r);
  });
  dropReference(env.state, ref);
}
