/**
 * Spin locks in map values and objects: one at a time, or, of the resilient kind, several that are released in the
 * reverse order (process_spin_lock).
 */
import { isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { fieldOf, mapBtf } from './fields.ts';
import type { KfuncCall } from './kfunc-facts.ts';
import { fieldsBehind, ownerOf } from './objects.ts';
import { hold, invalidate } from './references.ts';
import { forEachReg, typeOf, word } from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, ID, OFF, TNUM_VALUE } from './state/layout.ts';
import { baseType, regTypes, typeFlags } from './state/reg-types.ts';
import type { Held, HeldKind } from './state/state.ts';
import { isNonOwning } from './trust.ts';

const lockKinds: readonly HeldKind[] = ['spinLock', 'resLock', 'resLockIrq'];

const isLock = (held: Held): boolean => lockKinds.includes(held.kind);

interface LockCall {
  readonly reg: number;
  readonly kind: HeldKind;
  readonly locks: boolean;
}

/** The lock that a register points to is taken or let go. */
export function processLock(env: Env, call: LockCall): void {
  const { reg, kind } = call;
  const resilient = kind !== 'spinLock';
  const name = resilient ? 'bpf_res_spin' : 'bpf_spin';
  const file = env.frame;
  const r = regAt(reg);
  if (!isConst(file, r)) {
    env.reject(
      'EINVAL',
      `R${reg} doesn't have constant offset. ${name}_lock has to be at the constant offset`,
    );
  }
  const map = baseType(typeOf(file, r)) === regTypes.mapValue ? env.map(word(file, r, AUX0)) : undefined;
  if (map !== undefined && mapBtf(map) === undefined) {
    env.reject('EINVAL', `map '${map.name}' has to have BTF in order to use ${name}_lock`);
  }
  const field = fieldOf(fieldsBehind(env, file, r), resilient ? 'resSpinLock' : 'spinLock');
  if (field === undefined) {
    env.reject(
      'EINVAL',
      `${map === undefined ? 'local' : 'map'} '${map?.name ?? 'kptr'}' has no valid ${name}_lock`,
    );
  }
  const off = word(file, r, OFF) + Number(file.i64[r + TNUM_VALUE]);
  if (off !== field.offset) {
    env.reject('EINVAL', `off ${off} doesn't point to 'struct ${name}_lock' that is at ${field.offset}`);
  }
  const lock = { id: word(file, r, ID), owner: ownerOf(file, r), kind };
  if (call.locks) take(env, lock);
  else letGo(env, { ...lock, name });
}

function take(env: Env, lock: { id: number; owner: string; kind: HeldKind }): void {
  const held = env.state.refs.filter(isLock);
  if (lock.kind === 'spinLock') {
    if (held.some((one) => one.kind === 'spinLock')) {
      env.reject('EINVAL', 'Locking two bpf_spin_locks are not allowed');
    }
  } else if (held.some((one) => one.kind !== 'spinLock' && one.id === lock.id && one.owner === lock.owner)) {
    env.reject('EINVAL', 'Acquiring the same lock again, AA deadlock detected');
  }
  hold(env, lock);
  env.state.locks++;
}

function letGo(env: Env, lock: { id: number; owner: string; kind: HeldKind; name: string }): void {
  const { state } = env;
  const held = state.refs.filter(isLock);
  const last = held[held.length - 1];
  if (last === undefined) env.reject('EINVAL', `${lock.name}_unlock without taking a lock`);
  const isIt = (one: Held): boolean =>
    one.kind === lock.kind && one.id === lock.id && one.owner === lock.owner;
  const mine = held.find(isIt);
  if (mine === undefined) env.reject('EINVAL', `${lock.name}_unlock of different lock`);
  if (last?.id !== lock.id || last.owner !== lock.owner) {
    env.reject('EINVAL', `${lock.name}_unlock cannot be out of order`);
  }
  state.refs = state.refs.filter((one) => one !== mine);
  state.locks--;
  forEachReg(state, (frame, r) => {
    if (isNonOwning(typeOf(frame, r))) invalidate(env, frame, r);
  });
}

/** Whether the lock beside a list or tree is held (check_reg_allocation_locked). */
export function isLocked(env: Env, r: number): boolean {
  const held = env.state.refs.filter(isLock);
  if (held.length === 0) return false;
  const id = word(env.frame, r, ID);
  const owner = ownerOf(env.frame, r);
  if (held.some((one) => one.id === id && one.owner === owner)) return true;
  env.write('held lock and object are not in the same allocation\n');
  return false;
}

export function processResLock(env: Env, call: KfuncCall, index: number): void {
  const { name } = call.kfunc;
  const type = typeOf(env.frame, regAt(index + 1));
  if (type !== regTypes.mapValue && type !== (regTypes.btfId | typeFlags.alloc)) {
    env.reject('EINVAL', `arg#${index} doesn't point to map value or allocated object`);
  }
  processLock(env, {
    reg: index + 1,
    kind: name.includes('irq') ? 'resLockIrq' : 'resLock',
    locks: !name.includes('unlock'),
  });
}
