import { attachTypes } from '../uapi/attach-types.ts';
import { type HelperName, helperName, helpers } from '../uapi/helpers.ts';
import { mapTypeName, mapTypes } from '../uapi/map-types.ts';
import { pushBranch } from './branches.ts';
import { callBack } from './callbacks.ts';
import { checkSnprintf } from './const-string.ts';
import { isConst } from './domain/index.ts';
import { dynptrFacts, dynptrKinds, releaseDynptr } from './dynptr.ts';
import { forgetPackets, helperChangesPacket } from './effects.ts';
import type { CalledHelper, Env, Subprog } from './env.ts';
import { allowedProto } from './helper-allowed.ts';
import { type CallFacts, checkArgs } from './helper-args.ts';
import { setResult } from './helper-result.ts';
import { helperTakesMap } from './map-compat.ts';
import { RDONLY_PROG } from './memory.ts';
import { markPrecise } from './precision.ts';
import { checkNothingHeld, dropReference, invalidate, releaseReference } from './references.ts';
import { forEachReg, isNull, isScalar, setNotInit, setScalar, typeOf, word } from './regs.ts';
import { clobberStack } from './stack.ts';
import { regAt } from './state/frame.ts';
import { OFF, REF_OBJ_ID, TNUM_VALUE, TYPE } from './state/layout.ts';
import { regTypeName, regTypes, typeFlags } from './state/reg-types.ts';
import { inRcu } from './trust.ts';

const CALLER_SAVED = 6;

const writers: ReadonlySet<HelperName> = new Set([
  'map_delete_elem',
  'map_update_elem',
  'map_push_elem',
  'map_pop_elem',
]);

const DENIED_0 = 'program of this type cannot use helper bpf_unspec#0';

function prototypeOf(env: Env, id: number): CalledHelper {
  let called = env.calledHelpers.get(id);
  if (called === undefined) env.calledHelpers.set(id, (called = findHelper(env, id)));
  const { name, proto } = called;
  if (proto.sleeps === true) checkSleeps(env, `bpf_${name}#${id}`);
  return called;
}

/** A helper that the program may call, wherever it does. */
function findHelper(env: Env, id: number): CalledHelper {
  const name = helperName(id);
  if (name === undefined) {
    // Number 0 is a helper to Linux, one that nothing may call.
    return env.reject('EINVAL', id === 0 ? DENIED_0 : `invalid func unknown#${id}`);
  }
  const proto = allowedProto(env, name);
  if (proto === undefined) {
    return env.reject('EINVAL', `program of this type cannot use helper bpf_${name}#${id}`);
  }
  if (proto.gpl === true && !env.input.gplCompatible) {
    env.reject('EINVAL', 'cannot call GPL-restricted function from non-GPL compatible program');
  }
  if (name === 'd_path' && !mayNamePaths(env)) env.reject('EINVAL', 'helper call is not allowed in probe');
  return { name, proto };
}

/** bpf_d_path_allowed: where the kernel is known to hold what it takes. */
const pathFunctions: ReadonlySet<string> = new Set([
  'security_file_permission',
  'security_inode_getattr',
  'security_file_open',
  'security_path_truncate',
  'vfs_truncate',
  'vfs_fallocate',
  'dentry_open',
  'vfs_getattr',
  'filp_close',
]);

function mayNamePaths(env: Env): boolean {
  if (env.progType === 'lsm') return true;
  const isIterator = env.progType === 'tracing' && env.attachType === attachTypes.trace_iter.id;
  return isIterator || pathFunctions.has(env.target?.name ?? '');
}

/** A helper that sleeps, where the program must not. */
function checkSleeps(env: Env, helper: string): void {
  const { state } = env;
  if (!state.sleepable) env.reject('EINVAL', 'helper call might sleep in a non-sleepable prog');
  if (state.rcuLocks > 0) env.reject('EINVAL', `sleepable helper ${helper} in rcu_read_lock region`);
  if (state.preemptLocks > 0) {
    env.reject('EINVAL', `sleepable helper ${helper} in non-preemptible region`);
  }
  if (state.irqId !== 0) env.reject('EINVAL', `sleepable helper ${helper} in IRQ-disabled region`);
}

export function callHelper(env: Env, id: number): void {
  const { name, proto } = prototypeOf(env, id);
  const facts: CallFacts = {
    helper: name,
    map: -1,
    mapUid: 0,
    constKey: -1n,
    rawReg: -1,
    rawSize: 0,
    raw: false,
    refObjId: 0,
    releaseReg: -1,
    memSize: 0,
    callback: -1,
    sizeMax: 0n,
    kptr: undefined,
    percpu: undefined,
    dynptrId: 0,
  };
  checkArgs(env, proto, facts);
  checkMapUse(env, facts);
  if (facts.rawReg >= 0) {
    const off = word(env.frame, regAt(facts.rawReg), OFF);
    clobberStack(env, facts.rawReg, { off, size: facts.rawSize });
  }
  release(env, facts, id);
  checkSpecial(env, name);
  const endsSlices = name === 'dynptr_write' && writesPacket(env);
  const allocated = (typeOf(env.frame, regAt(1)) & typeFlags.rcu) !== 0;
  if (facts.callback >= 0) {
    (env.subprogs[facts.callback] as Subprog).isCallback = true;
    callBack(env, facts);
  }
  for (let reg = 0; reg < CALLER_SAVED; reg++) {
    setNotInit(env.frame, regAt(reg));
    env.touchReg(reg);
  }
  setResult(env, proto.ret, { ...facts, allocated });
  checkMapKind(env, facts, id);
  if (endsSlices) forgetPackets(env);
  if (helperChangesPacket(id) && name !== 'tail_call') forgetPackets(env);
  if (name === 'tail_call') tailCall(env);
}

/** record_func_map */
function checkMapUse(env: Env, facts: CallFacts): void {
  if (facts.map < 0) return;
  const map = env.map(facts.map);
  if (!env.state.speculative) {
    env.facts.map(env.insn, map.handle);
    if (facts.helper === 'map_lookup_elem') env.facts.key(env.insn, facts.constKey);
  }
  if ((map.flags & RDONLY_PROG) !== 0 && writers.has(facts.helper))
    env.reject('EACCES', 'write into map forbidden');
  if (facts.helper === 'tail_call') {
    const before = env.tailCallMaps.get(env.insn) ?? facts.map;
    env.tailCallMaps.set(env.insn, before === facts.map ? facts.map : -1);
  }
  if (facts.helper !== 'tail_call') return;
  if (map.type !== mapTypes.prog_array.id) {
    env.write('expected prog array map for tail call');
    env.fail('EINVAL');
  }
  // record_func_key(): an index within the array is relied upon.
  const index = env.frame.u64[regAt(3) + TNUM_VALUE] as bigint;
  const known =
    isScalar(env.frame, regAt(3)) && isConst(env.frame, regAt(3)) && index < BigInt(map.maxEntries);
  if (known) markPrecise(env, 3);
  if (!env.state.speculative) env.facts.key(env.insn, known ? index : -1n);
}

function checkMapKind(env: Env, facts: CallFacts, id: number): void {
  if (facts.map < 0) return;
  const map = env.map(facts.map);
  const kind = mapTypeName(map.type);
  if (kind !== undefined && helperTakesMap(facts.helper, kind)) {
    const several = env.subprogs.length > 1;
    if (facts.helper === 'tail_call' && several && !env.input.capabilities.bpf) {
      env.reject('EINVAL', 'mixing of tail_calls and bpf-to-bpf calls is not supported');
    }
    return;
  }
  env.reject('EINVAL', `cannot pass map_type ${map.type} into func bpf_${facts.helper}#${id}`);
}

function release(env: Env, facts: CallFacts, id: number): void {
  const { releaseReg: reg, helper } = facts;
  if (reg < 0) return;
  const isStack = typeOf(env.frame, regAt(reg)) === regTypes.stack;
  let done: boolean;
  if (isStack) done = releaseDynptr(env, reg);
  else if (facts.refObjId === 0) done = isNull(env.frame, regAt(reg));
  else if (helper === 'kptr_xchg') done = handOver(env, facts.refObjId);
  else done = releaseReference(env, facts.refObjId);
  if (!done) env.reject('EINVAL', `func bpf_${helper}#${id} reference has not been acquired before`);
}

/** A map owns the object now; what every CPU has of it may be used as long as RCU protects it. */
function handOver(env: Env, ref: number): boolean {
  if (!dropReference(env.state, ref)) return false;
  const protectedNow = inRcu(env);
  forEachReg(env.state, (frame, r) => {
    if (word(frame, r, REF_OBJ_ID) !== ref) return;
    const w = 2 * r;
    const type = frame.i32[w + TYPE] as number;
    const perCpu = typeFlags.alloc | typeFlags.percpu;
    if (protectedNow && (type & perCpu) === perCpu) {
      frame.i32[w + REF_OBJ_ID] = 0;
      frame.i32[w + TYPE] = (type & ~typeFlags.alloc) | typeFlags.rcu;
    } else invalidate(env, frame, r);
  });
  return true;
}

/** Whether a dynptr written through is over a packet, whose slices end then. */
function writesPacket(env: Env): boolean {
  const { kind } = dynptrFacts(env, 1);
  return kind === dynptrKinds.skb || kind === dynptrKinds.skbMeta;
}

function checkSpecial(env: Env, name: HelperName): void {
  if (name === 'tail_call') checkNothingHeld(env, { where: 'tail_call', locks: true });
  if (name === 'snprintf') checkSnprintf(env);
  if (name === 'get_func_ip' && env.progType !== 'kprobe' && env.progType !== 'tracing') {
    env.reject(
      'ENOTSUPP',
      `func bpf_get_func_ip#${helpers.get_func_ip.id} not supported for program type ${env.input.progType}`,
    );
  }
  if (name === 'get_local_storage' && !isNull(env.frame, regAt(2))) {
    env.reject('EINVAL', "get_local_storage() doesn't support non-zero flags");
  }
  if (name === 'dynptr_from_mem') {
    const type = typeOf(env.frame, regAt(1));
    if (type !== regTypes.mapValue) {
      env.reject('EACCES', `Unsupported reg type ${regTypeName(type)} for bpf_dynptr_from_mem data`);
    }
  }
  const voidHook = env.progType === 'lsm' && env.target?.proto.type === 0;
  if (name === 'set_retval' && voidHook && env.attachType === attachTypes.lsm_cgroup.id) {
    env.reject('EINVAL', "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!");
  }
}

/**
 * A tail call that succeeds does not come back here: in a subprogram it goes on in the caller, with any
 * result and a packet that may have changed; that it fails is the other path.
 */
function tailCall(env: Env): void {
  if (env.state.curFrame === 0) return;
  pushBranch(env, { insn: env.insn + 1, prev: env.insn });
  forgetPackets(env);
  setScalar(env.frame, regAt(0));
  env.returnNow = true;
}
