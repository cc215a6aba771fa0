/** A call of a helper: may this program make it, with these arguments, and what comes back (check_helper_call). */
import { helperAllowed } from '../uapi/helper-access.ts';
import { type HelperProto, helperProto, type ReturnKind } from '../uapi/helper-protos.ts';
import { type HelperName, helperName, helpers } from '../uapi/helpers.ts';
import { mapTypeName, mapTypes } from '../uapi/map-types.ts';
import { pushBranch } from './branches.ts';
import { callBack } from './callbacks.ts';
import { checkSnprintf } from './const-string.ts';
import { isConst, syncBounds } from './domain/index.ts';
import { forgetPackets, helperChangesPacket } from './effects.ts';
import type { Env } from './env.ts';
import { type CallFacts, checkArgs } from './helper-args.ts';
import { helperTakesMap } from './map-compat.ts';
import { isArrayMap, RDONLY_PROG } from './memory.ts';
import { markPrecise } from './precision.ts';
import { acquireReference, checkNothingHeld, releaseReference } from './references.ts';
import { isNull, isScalar, setNotInit, setPointer, setScalar, word } from './regs.ts';
import { clobberStack } from './stack.ts';
import { regAt } from './state/frame.ts';
import {
  AUX0,
  ID,
  OFF,
  REF_OBJ_ID,
  S32_MAX,
  S32_MIN,
  SMAX,
  SMIN,
  TNUM_VALUE,
  TYPE,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
} from './state/layout.ts';
import { mayBeNull, type RegType, regTypes, typeFlags } from './state/reg-types.ts';

const CALLER_SAVED = 6;
const MAX_ERRNO = 4095;

const writers: ReadonlySet<HelperName> = new Set([
  'map_delete_elem',
  'map_update_elem',
  'map_push_elem',
  'map_pop_elem',
]);
const acquirers: ReadonlySet<HelperName> = new Set([
  'sk_lookup_tcp',
  'sk_lookup_udp',
  'skc_lookup_tcp',
  'ringbuf_reserve',
]);
/** Results that are the same object as the argument. */
const casts: ReadonlySet<HelperName> = new Set(['tcp_sock', 'sk_fullsock']);
/** Results that are a length of at most the size passed, or an error. */
const lengths: ReadonlySet<HelperName> = new Set([
  'get_stack',
  'probe_read_str',
  'probe_read_kernel_str',
  'probe_read_user_str',
]);

const tracing: ReadonlySet<string> = new Set([
  'kprobe',
  'tracepoint',
  'perf_event',
  'raw_tracepoint',
  'raw_tracepoint_writable',
]);

const DENIED_0 = 'program of this type cannot use helper bpf_unspec#0';

function prototypeOf(env: Env, id: number): { name: HelperName; proto: HelperProto } {
  const name = helperName(id);
  if (name === undefined) {
    // Number 0 is a helper to Linux, one that nothing may call.
    return env.reject('EINVAL', id === 0 ? DENIED_0 : `invalid func unknown#${id}`);
  }
  const proto = helperProto(name, env.progType);
  const { bpf, perfmon } = env.input.capabilities;
  const privileged =
    (proto?.perfmon !== true || perfmon || tracing.has(env.progType ?? '')) &&
    (bpf || proto?.perfmon !== true);
  if (proto === undefined || !helperAllowed(name, env.progType) || !privileged) {
    return env.reject('EINVAL', `program of this type cannot use helper bpf_${name}#${id}`);
  }
  if (proto.gpl === true && !env.input.gplCompatible) {
    env.reject('EINVAL', 'cannot call GPL-restricted function from non-GPL compatible program');
  }
  if (proto.sleeps === true && !env.sleepable) {
    env.reject('EINVAL', 'helper call might sleep in a non-sleepable prog');
  }
  return { name, proto };
}

export function callHelper(env: Env, id: number): void {
  const { name, proto } = prototypeOf(env, id);
  const facts: CallFacts = {
    helper: name,
    map: -1,
    constKey: -1n,
    rawReg: -1,
    rawSize: 0,
    raw: false,
    refObjId: 0,
    releaseReg: -1,
    memSize: 0,
    callback: -1,
    sizeMax: 0n,
  };
  checkArgs(env, proto, facts);
  checkMapUse(env, facts);
  if (facts.rawReg >= 0) {
    const off = word(env.frame, regAt(facts.rawReg), OFF);
    clobberStack(env, facts.rawReg, { off, size: facts.rawSize });
  }
  release(env, facts);
  checkSpecial(env, name);
  if (facts.callback >= 0) callBack(env, facts);
  for (let reg = 0; reg < CALLER_SAVED; reg++) {
    setNotInit(env.frame, regAt(reg));
    env.touchReg(reg);
  }
  setResult(env, proto.ret, facts);
  checkMapKind(env, facts, id);
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

function release(env: Env, facts: CallFacts): void {
  if (facts.releaseReg < 0) return;
  if (isNull(env.frame, regAt(facts.releaseReg))) return;
  if (releaseReference(env, facts.refObjId)) return;
  env.reject('EINVAL', `func bpf_${facts.helper} reference has not been acquired before`);
}

function checkSpecial(env: Env, name: HelperName): void {
  if (name === 'tail_call') checkNothingHeld(env, 'tail_call');
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
}

const pointers: Readonly<Record<Exclude<ReturnKind, 'int' | 'void'>, RegType>> = {
  mapValue: regTypes.mapValue,
  mapValueOrNull: regTypes.mapValue | typeFlags.maybeNull,
  socketOrNull: regTypes.socket | typeFlags.maybeNull,
  tcpSockOrNull: regTypes.tcpSock | typeFlags.maybeNull,
  sockCommonOrNull: regTypes.sockCommon | typeFlags.maybeNull,
  ringbufMemOrNull: regTypes.mem | typeFlags.ringbuf | typeFlags.maybeNull,
};

function setResult(env: Env, kind: ReturnKind, facts: CallFacts): void {
  const frame = env.frame;
  const r0 = regAt(0);
  if (kind === 'void') return;
  if (kind === 'int') {
    setScalar(frame, r0);
    if (lengths.has(facts.helper)) boundLength(env, facts.sizeMax);
    const { cpus } = env.input;
    if (facts.helper === 'get_smp_processor_id' && cpus !== undefined) boundCpu(env, cpus - 1);
    return;
  }
  setPointer(frame, r0, pointers[kind]);
  const w = 2 * r0;
  if (kind === 'mapValue' || kind === 'mapValueOrNull') {
    const map = env.map(facts.map);
    frame.i32[w + AUX0] = facts.map;
    // A constant index within an array always finds its element.
    const elided = facts.helper === 'map_lookup_elem' && isArrayMap(map);
    if (elided && facts.constKey >= 0n && facts.constKey < BigInt(map.maxEntries)) {
      frame.i32[w + TYPE] = regTypes.mapValue;
    }
  }
  if (kind === 'ringbufMemOrNull') frame.i32[w + AUX0] = facts.memSize;
  if (mayBeNull(frame.i32[w + TYPE] as number)) frame.i32[w + ID] = env.newId();
  if (casts.has(facts.helper)) frame.i32[w + REF_OBJ_ID] = facts.refObjId;
  else if (acquires(env, facts)) {
    const id = acquireReference(env);
    frame.i32[w + ID] = id;
    frame.i32[w + REF_OBJ_ID] = id;
  }
}

function acquires(env: Env, facts: CallFacts): boolean {
  if (acquirers.has(facts.helper)) return true;
  if (facts.helper !== 'map_lookup_elem') return false;
  const { type } = env.map(facts.map);
  return type === mapTypes.sockmap.id || type === mapTypes.sockhash.id;
}

/** do_refine_retval_range */
function boundLength(env: Env, max: bigint): void {
  const frame = env.frame;
  const r0 = regAt(0);
  frame.i64[r0 + SMAX] = max;
  frame.i32[2 * r0 + S32_MAX] = Number(BigInt.asIntN(32, max));
  frame.i64[r0 + SMIN] = BigInt(-MAX_ERRNO);
  frame.i32[2 * r0 + S32_MIN] = -MAX_ERRNO;
  syncBounds(frame, r0);
}

function boundCpu(env: Env, max: number): void {
  const frame = env.frame;
  const r0 = regAt(0);
  frame.u64[r0 + UMAX] = BigInt(max);
  frame.u32[2 * r0 + U32_MAX] = max;
  frame.i64[r0 + SMAX] = BigInt(max);
  frame.i32[2 * r0 + S32_MAX] = max;
  frame.u64[r0 + UMIN] = 0n;
  frame.u32[2 * r0 + U32_MIN] = 0;
  frame.i64[r0 + SMIN] = 0n;
  frame.i32[2 * r0 + S32_MIN] = 0;
  syncBounds(frame, r0);
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
