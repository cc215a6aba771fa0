/** What a helper's call leaves in r0 (the second half of check_helper_call). */
import { resolvedType, sizeOf } from '../btf/index.ts';
import type { ReturnKind } from '../uapi/helper-protos.ts';
import type { HelperName } from '../uapi/helpers.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { setBtfPointer } from './btf-access.ts';
import { KERNEL } from './btf-objects.ts';
import { syncBounds } from './domain/index.ts';
import type { Env } from './env.ts';
import { pointee } from './fields.ts';
import type { CallFacts } from './helper-args.ts';
import { isArrayMap } from './memory.ts';
import { mayHoldLock } from './objects.ts';
import { acquireReference } from './references.ts';
import { setPointer, setScalar } from './regs.ts';
import { regAt } from './state/frame.ts';
import {
  AUX0,
  AUX1,
  ID,
  REF_OBJ_ID,
  S32_MAX,
  S32_MIN,
  SMAX,
  SMIN,
  TYPE,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
} from './state/layout.ts';
import { mayBeNull, type RegType, regTypes, typeFlags } from './state/reg-types.ts';

const MAX_ERRNO = 4095;

const acquirers: ReadonlySet<HelperName> = new Set([
  'sk_lookup_tcp',
  'sk_lookup_udp',
  'skc_lookup_tcp',
  'ringbuf_reserve',
  'kptr_xchg',
]);
/** Results that are the same object as the argument. */
const casts: ReadonlySet<HelperName> = new Set([
  'tcp_sock',
  'sk_fullsock',
  'skc_to_tcp_sock',
  'skc_to_tcp6_sock',
  'skc_to_udp6_sock',
  'skc_to_mptcp_sock',
  'skc_to_tcp_timewait_sock',
  'skc_to_tcp_request_sock',
]);
/** Results that are a length of at most the size passed, or an error. */
const lengths: ReadonlySet<HelperName> = new Set([
  'get_stack',
  'get_task_stack',
  'probe_read_str',
  'probe_read_kernel_str',
  'probe_read_user_str',
]);

type PlainReturn =
  | 'mapValue'
  | 'mapValueOrNull'
  | 'socketOrNull'
  | 'tcpSockOrNull'
  | 'sockCommonOrNull'
  | 'ringbufMemOrNull'
  | 'dynptrMemOrNull';

const pointers: Readonly<Record<PlainReturn, RegType>> = {
  mapValue: regTypes.mapValue,
  mapValueOrNull: regTypes.mapValue | typeFlags.maybeNull,
  socketOrNull: regTypes.socket | typeFlags.maybeNull,
  tcpSockOrNull: regTypes.tcpSock | typeFlags.maybeNull,
  sockCommonOrNull: regTypes.sockCommon | typeFlags.maybeNull,
  ringbufMemOrNull: regTypes.mem | typeFlags.ringbuf | typeFlags.maybeNull,
  dynptrMemOrNull: regTypes.mem | typeFlags.maybeNull,
};

type ResultFacts = CallFacts & { readonly allocated: boolean };

/** Results that are typed by BTF; false where this is none. */
function setBtfResult(env: Env, kind: Exclude<ReturnKind, 'int' | 'void'>, facts: ResultFacts): boolean {
  const r0 = regAt(0);
  switch (kind) {
    case 'percpu':
    case 'percpuOrNull':
      setPercpu(env, kind === 'percpuOrNull', facts);
      return true;
    case 'kptrOrNull': {
      const { kptr } = facts;
      const btf = kptr === undefined ? undefined : env.types.at(kptr.object);
      if (kptr === undefined || btf === undefined) return true;
      const ref = pointee(env, kptr.field, btf);
      const own = ref.object === KERNEL ? 0 : typeFlags.alloc;
      const flags = own | (own !== 0 && kptr.field.kind === 'percpuKptr' ? typeFlags.percpu : 0);
      setBtfPointer(env, r0, { ...ref, flags: flags | typeFlags.maybeNull });
      return true;
    }
    default: {
      const [how, name] = kind.split(':');
      if (name === undefined) return false;
      const flags = how === 'btfOrNull' ? typeFlags.maybeNull : how === 'btfTrusted' ? typeFlags.trusted : 0;
      setBtfPointer(env, r0, { object: KERNEL, id: env.types.kernelStruct(name), flags });
      return true;
    }
  }
}

/** A variable's copy of one CPU: a struct, or memory of a number's size. */
function setPercpu(env: Env, orNull: boolean, facts: ResultFacts): void {
  const r0 = regAt(0);
  const ref = facts.percpu ?? { object: KERNEL, id: 0 };
  const btf = env.types.at(ref.object);
  const type = btf === undefined ? undefined : resolvedType(btf, ref.id);
  const flags = orNull ? typeFlags.maybeNull : 0;
  if (btf !== undefined && type?.kind !== 'struct' && type?.kind !== 'union') {
    setPointer(env.frame, r0, regTypes.mem | typeFlags.rdonly | flags);
    env.frame.i32[2 * r0 + AUX0] = sizeOf(btf, ref.id);
    if (orNull) env.frame.i32[2 * r0 + ID] = env.newId();
    return;
  }
  const own = facts.allocated ? typeFlags.alloc | typeFlags.rcu : 0;
  setBtfPointer(env, r0, { ...ref, flags: own === 0 ? flags : own });
}

/** r0, by what the prototype says of it. */
export function setResult(env: Env, kind: ReturnKind, facts: ResultFacts): void {
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
  const w = 2 * r0;
  if (setBtfResult(env, kind, facts)) {
    finishPointer(env, facts);
    return;
  }
  setPointer(frame, r0, pointers[kind as PlainReturn]);
  if (kind === 'mapValue' || kind === 'mapValueOrNull') {
    const map = env.map(facts.map);
    frame.i32[w + AUX0] = facts.map;
    frame.i32[w + AUX1] = facts.mapUid;
    // A constant index within an array always finds its element.
    const elided = facts.helper === 'map_lookup_elem' && isArrayMap(map);
    if (elided && facts.constKey >= 0n && facts.constKey < BigInt(map.maxEntries)) {
      frame.i32[w + TYPE] = regTypes.mapValue;
    }
  }
  if (kind === 'ringbufMemOrNull' || kind === 'dynptrMemOrNull') frame.i32[w + AUX0] = facts.memSize;
  if (mayBeNull(frame.i32[w + TYPE] as number) || mayHoldLock(env, frame, r0)) {
    frame.i32[w + ID] = env.newId();
  }
  finishPointer(env, facts);
}

/** References that a result is, or that its argument was. */
function finishPointer(env: Env, facts: CallFacts): void {
  const { frame } = env;
  const w = 2 * regAt(0);
  if (facts.helper === 'dynptr_data') {
    frame.i32[w + AUX1] = facts.dynptrId;
    frame.i32[w + REF_OBJ_ID] = facts.refObjId;
  } else if (casts.has(facts.helper)) frame.i32[w + REF_OBJ_ID] = facts.refObjId;
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
