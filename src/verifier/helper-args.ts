/**
 * The arguments of a helper, one by one in order, against its prototype (check_func_arg): what kind of
 * register each may be, and that memory passed with a size, or of a map's key or value size, is really there.
 */
import type { ArgKind, HelperProto } from '../uapi/helper-protos.ts';
import type { HelperName } from '../uapi/helpers.ts';
import { checkAlignment } from './alignment.ts';
import { typeRef } from './btf-access.ts';
import { KERNEL, type TypeRef } from './btf-objects.ts';
import { checkRead, isSecret } from './checks.ts';
import { checkConstString } from './const-string.ts';
import { isConst } from './domain/index.ts';
import { dynptrFacts, dynptrKinds, dynptrPlace } from './dynptr.ts';
import { processDynptr } from './dynptr-args.ts';
import type { Env } from './env.ts';
import { type Field, mapBtf } from './fields.ts';
import { inTreeCallback } from './graph.ts';
import {
  mayTakeNull,
  memory,
  pointers,
  readOnly,
  release,
  typesFor,
  uninit,
  written,
} from './helper-kinds.ts';
import { checkHelperMemory, checkOffset, checkSize, type RawMemory } from './helper-memory.ts';
import { isKptr, matchKptr } from './kptr.ts';
import { processLock } from './locks.ts';
import { constantKey } from './map-key.ts';
import { isArrayMap, mayUsePacket } from './memory.ts';
import { fieldsBehind } from './objects.ts';
import { markPrecise, markSlotPrecise } from './precision.ts';
import { isNull, isPacket, typeOf, word } from './regs.ts';
import { frameAt } from './stack-objects.ts';
import { regAt, spilledAt } from './state/frame.ts';
import { AUX0, AUX1, OFF, REF_OBJ_ID, TNUM_VALUE, UMAX } from './state/layout.ts';
import { baseType, mayBeNull, type RegType, regTypeName, regTypes, typeFlags } from './state/reg-types.ts';
import { processTimer } from './timers.ts';

/** What the arguments said, for the return value (struct bpf_call_arg_meta). */
export interface CallFacts extends RawMemory {
  readonly helper: HelperName;
  /** Index of the map, or -1; and what tells inner maps apart. */
  map: number;
  mapUid: number;
  /** The key where it is a known constant, or -1. */
  constKey: bigint;
  refObjId: number;
  releaseReg: number;
  memSize: number;
  /** The function that the helper calls. */
  callback: number;
  /** The largest size passed, which bounds some results. */
  sizeMax: bigint;
  /** The place that a kernel pointer is exchanged with, and the BTF that it is described by. */
  kptr: { readonly field: Field; readonly map: number; readonly object: number } | undefined;
  /** The type of a variable that every CPU has. */
  percpu: TypeRef | undefined;
  /** The dynptr that is read from, for its slices. */
  dynptrId: number;
}

export function checkArgs(env: Env, proto: HelperProto, facts: CallFacts): void {
  const kinds = proto.args;
  for (let i = 0; i < kinds.length; i++) checkArg(env, { kinds, index: i }, facts);
}

interface Arg {
  readonly kinds: readonly ArgKind[];
  readonly index: number;
}

function checkArg(env: Env, arg: Arg, facts: CallFacts): void {
  const kind = arg.kinds[arg.index] as ArgKind;
  const reg = arg.index + 1;
  checkRead(env, reg);
  if (kind === 'any') {
    if (isSecret(env, reg)) env.reject('EACCES', `R${reg} leaks addr into helper function`);
    return;
  }
  const r = regAt(reg);
  const frame = env.frame;
  if (isPacket(typeOf(frame, r)) && !mayPassPacket(env, facts.helper)) {
    env.reject('EACCES', 'helper access to the packet is not allowed');
  }
  const isRelease = release.has(kind);
  if (!(isNull(frame, r) && mayTakeNull(kind))) {
    checkType(env, { kind, reg }, facts);
    checkOffset(env, { reg, release: isRelease, kind: kind.startsWith('dynptr') ? 'dynptr' : 'other' });
  }
  if (isRelease) {
    checkReleased(env, kind, reg);
    facts.releaseReg = reg;
  }
  const ref = word(frame, r, REF_OBJ_ID);
  if (ref !== 0 && kind !== 'kptr') facts.refObjId = ref;
  checkValue(env, { ...arg, kind, reg }, facts);
}

/** What is given back was acquired. */
function checkReleased(env: Env, kind: ArgKind, reg: number): void {
  const r = regAt(reg);
  const file = env.frame;
  if (kind === 'dynptrRelease:ringbuf') {
    if (typeOf(file, r) !== regTypes.stack) {
      env.reject('EINVAL', 'cannot release unowned const bpf_dynptr');
    }
    const place = dynptrPlace(env, reg);
    const ref =
      place === undefined || place.beyond
        ? 0
        : word(frameAt(env, place.frame), spilledAt(place.slot), REF_OBJ_ID);
    if (ref === 0) env.reject('EINVAL', `arg ${reg} is an unacquired reference`);
    return;
  }
  if (word(file, r, REF_OBJ_ID) === 0 && !isNull(file, r)) {
    env.reject('EINVAL', `R${reg} must be referenced when passed to release function`);
  }
}

/** Helpers that may be given packet memory (pkt_access), besides needing the type's right to packets. */
const packetHelpers: ReadonlySet<HelperName> = new Set([
  'map_lookup_elem',
  'map_update_elem',
  'map_delete_elem',
  'map_push_elem',
  'csum_diff',
  'sk_lookup_tcp',
  'sk_lookup_udp',
  'skc_lookup_tcp',
  'tcp_check_syncookie',
  'tcp_gen_syncookie',
  'tcp_raw_gen_syncookie_ipv4',
  'tcp_raw_gen_syncookie_ipv6',
  'tcp_raw_check_syncookie_ipv4',
  'tcp_raw_check_syncookie_ipv6',
  'map_lookup_percpu_elem',
]);

function mayPassPacket(env: Env, helper: HelperName): boolean {
  return mayUsePacket(env, false) && packetHelpers.has(helper);
}

function checkType(
  env: Env,
  arg: { readonly kind: Exclude<ArgKind, 'any'>; readonly reg: number },
  facts: CallFacts,
): void {
  const { kind, reg } = arg;
  const actual = typeOf(env.frame, regAt(reg));
  let type = actual;
  if (readOnly.has(kind)) type &= ~typeFlags.rdonly;
  if (mayTakeNull(kind)) type &= ~typeFlags.maybeNull;
  const types = typesFor(kind);
  if (types === memory) type &= ~dynptrMemory;
  if (kind === 'kptrNew') type &= ~(typeFlags.alloc | typeFlags.percpu);
  if (!types.includes(type)) {
    env.reject(
      'EACCES',
      `R${reg} type=${regTypeName(actual)} expected=${types.map((one) => regTypeName(one)).join(', ')}`,
    );
  }
  if (baseType(actual) === regTypes.btfId) checkStruct(env, { kind, reg, type: actual }, facts);
}

/** A trusted pointer to a struct of the kernel, as functions of the program ask for it. */
export function checkStructArg(
  env: Env,
  arg: { readonly reg: number; readonly id: number; readonly mayBeNull: boolean },
): void {
  const { reg, id } = arg;
  const actual = typeOf(env.frame, regAt(reg));
  const type = arg.mayBeNull ? actual & ~typeFlags.maybeNull : actual;
  if (!pointers.includes(type)) {
    env.reject(
      'EACCES',
      `R${reg} type=${regTypeName(actual)} expected=${pointers.map((one) => regTypeName(one)).join(', ')}`,
    );
  }
  const given = typeRef(env.frame, regAt(reg));
  const wanted = { object: KERNEL, id };
  if (
    env.types.matches({ ...given, off: word(env.frame, regAt(reg), OFF) }, wanted, {
      strict: false,
      log: (text) => env.write(text),
    })
  )
    return;
  env.reject(
    'EACCES',
    `R${reg} is of type ${env.types.name(given)} but ${env.types.name(wanted)} is expected`,
  );
}

/** DYNPTR_TYPE_FLAG_MASK: memory is memory, whatever dynptr it is a slice of. */
const dynptrMemory =
  typeFlags.dynptrLocal |
  typeFlags.dynptrRingbuf |
  typeFlags.dynptrSkb |
  typeFlags.dynptrXdp |
  typeFlags.dynptrSkbMeta;

/** The struct that a pointer is to is the one that the argument is of. */
function checkStruct(
  env: Env,
  arg: { readonly kind: Exclude<ArgKind, 'any'>; readonly reg: number; readonly type: RegType },
  facts: CallFacts,
): void {
  const { kind, reg, type } = arg;
  if (typesFor(kind) === memory) {
    if (readOnly.has(kind) && kind !== 'mapKey' && kind !== 'mapValue') return;
    env.reject(
      'EACCES',
      `bpf_${facts.helper}() may write into memory pointed by R${reg} type=${regTypeName(type)}`,
    );
  }
  if (kind === 'percpuBtf' || kind === 'spinLock' || kind === 'kptr') return;
  if (mayBeNull(type) && (!mayTakeNull(kind) || release.has(kind))) {
    env.reject('EACCES', `Possibly NULL pointer passed to helper arg${reg}`);
  }
  if (kind === 'kptrNew') {
    if (facts.kptr === undefined) return;
    const { field, object } = facts.kptr;
    const btf = env.types.at(object);
    if (btf !== undefined) matchKptr(env, { btf, field, reg }, 'EACCES');
    return;
  }
  const name = kind.startsWith('btf') ? kind.slice(kind.indexOf(':') + 1) : 'sock_common';
  const given = typeRef(env.frame, regAt(reg));
  const wanted = { object: KERNEL, id: env.types.kernelStruct(name) };
  if (
    env.types.matches({ ...given, off: word(env.frame, regAt(reg), OFF) }, wanted, {
      strict: false,
      log: (text) => env.write(text),
    })
  )
    return;
  env.reject('EACCES', `R${reg} is of type ${env.types.name(given)} but ${name} is expected`);
}

function checkValue(env: Env, arg: Arg & { kind: ArgKind; reg: number }, facts: CallFacts): void {
  const { kind, reg } = arg;
  const frame = env.frame;
  const r = regAt(reg);
  switch (kind) {
    case 'mapPtr': {
      const uid = word(frame, r, AUX1);
      if (facts.map >= 0 && (facts.map !== word(frame, r, AUX0) || facts.mapUid !== uid)) {
        env.reject(
          'EINVAL',
          `timer pointer in R1 map_uid=${facts.mapUid} doesn't match map pointer in R2 map_uid=${uid}`,
        );
      }
      facts.map = word(frame, r, AUX0);
      facts.mapUid = uid;
      return;
    }
    case 'spinLock':
      if (inTreeCallback(env)) env.reject('EACCES', "can't spin_{lock,unlock} in rbtree cb");
      processLock(env, { reg, kind: 'spinLock', locks: facts.helper === 'spin_lock' });
      return;
    case 'timer': {
      const { map, uid } = processTimer(env, reg);
      facts.map = map;
      facts.mapUid = uid;
      return;
    }
    case 'kptr':
      processKptr(env, reg, facts);
      return;
    case 'percpuBtf':
      facts.percpu = typeRef(frame, r);
      return;
    case 'dynptrRead':
    case 'dynptrWrite':
    case 'dynptrUninit:local':
    case 'dynptrUninit:ringbuf':
    case 'dynptrRelease:ringbuf':
      processHelperDynptr(env, { kind, reg }, facts);
      return;
    case 'constStr':
      checkConstString(env, reg);
      return;
    case 'func':
      facts.callback = word(frame, r, AUX0);
      return;
    case 'mapKey':
      checkKey(env, reg, facts);
      return;
    case 'mapValue':
    case 'mapValueUninit':
    case 'mapValueOrNullArg': {
      if (kind === 'mapValueOrNullArg' && isNull(frame, r)) return;
      if (facts.map < 0) env.reject('EACCES', 'invalid map_ptr to access map->value');
      facts.raw = kind === 'mapValueUninit';
      const size = env.map(facts.map).valueSize;
      checkHelperMemory(env, { reg, size, write: written.has(kind), zeroOk: false }, facts);
      return;
    }
    case 'mem':
    case 'memOrNull':
    case 'memUninit':
    case 'memOrNullUninit':
    case 'memRw':
      facts.raw = uninit.has(kind);
      return;
    case 'fixedMem:20':
    case 'fixedMem:40':
      facts.raw = false;
      checkHelperMemory(
        env,
        { reg, size: kind === 'fixedMem:20' ? 20 : 40, write: false, zeroOk: false },
        facts,
      );
      return;
    case 'longOut':
    case 'intInOut': {
      const size = kind === 'longOut' ? 8 : 4;
      facts.raw = kind === 'longOut';
      checkHelperMemory(env, { reg, size, write: true, zeroOk: false }, facts);
      checkAlignment(env, reg, { off: 0, size, strict: true });
      return;
    }
    case 'size':
    case 'sizeOrZero': {
      const before = arg.kinds[arg.index - 1] as ArgKind;
      facts.sizeMax = frame.u64[r + UMAX] as bigint;
      checkSize(env, { reg, write: written.has(before), zeroOk: kind === 'sizeOrZero' }, facts);
      return;
    }
    case 'allocSize':
    case 'allocSizeOrZero':
      if (!isConst(frame, r)) env.reject('EACCES', `R${reg} is not a known constant'`);
      facts.memSize = Number(BigInt.asUintN(32, frame.u64[r + TNUM_VALUE] as bigint));
      markPrecise(env, reg);
      return;
    default:
      return;
  }
}

/** Where a kernel pointer is exchanged (process_kptr_func). */
function processKptr(env: Env, reg: number, facts: CallFacts): void {
  const file = env.frame;
  const r = regAt(reg);
  const isMap = baseType(typeOf(file, r)) === regTypes.mapValue;
  const map = isMap ? env.map(word(file, r, AUX0)) : undefined;
  const btf = map === undefined ? undefined : mapBtf(map);
  if (map !== undefined && btf === undefined) {
    env.reject('EINVAL', `map '${map.name}' has to have BTF in order to use bpf_kptr_xchg`);
  }
  if (!isConst(file, r)) {
    env.reject('EINVAL', `R${reg} doesn't have constant offset. kptr has to be at the constant offset`);
  }
  const fields = fieldsBehind(env, file, r).filter((field) => isKptr(field) && field.kind !== 'uptr');
  if (fields.length === 0) env.reject('EINVAL', `R${reg} has no valid kptr`);
  const off = word(file, r, OFF) + Number(file.i64[r + TNUM_VALUE]);
  const field = fields.find((one) => one.offset === off);
  if (field === undefined) env.reject('EACCES', `off=${off} doesn't point to kptr`);
  if (field.kind === 'kptrUntrusted') env.reject('EACCES', `off=${off} kptr isn't referenced kptr`);
  facts.kptr = {
    field,
    map: isMap ? word(file, r, AUX0) : -1,
    object: btf === undefined ? word(file, r, AUX1) : env.types.numberOf(btf),
  };
}

function processHelperDynptr(env: Env, arg: { kind: ArgKind; reg: number }, facts: CallFacts): void {
  const { kind, reg } = arg;
  const uninit = kind.startsWith('dynptrUninit');
  processDynptr(env, {
    reg,
    uninit,
    kind:
      kind === 'dynptrUninit:local'
        ? dynptrKinds.local
        : kind.endsWith(':ringbuf')
          ? dynptrKinds.ringbuf
          : undefined,
    readOnly: kind === 'dynptrRead',
    cloneOf: 0,
  });
  if (facts.helper !== 'dynptr_data') return;
  const { id, refObjId } = dynptrFacts(env, reg);
  facts.dynptrId = id;
  facts.refObjId = refObjId;
}

function checkKey(env: Env, reg: number, facts: CallFacts): void {
  if (facts.map < 0) env.reject('EACCES', 'invalid map_ptr to access map->key');
  const map = env.map(facts.map);
  facts.raw = false;
  checkHelperMemory(env, { reg, size: map.keySize, write: false, zeroOk: false }, facts);
  if (!isArrayMap(map)) return;
  facts.constKey = constantKey(env, reg, {
    size: map.keySize,
    precise: (frame, slot) => markSlotPrecise(env, frame, slot),
  });
}
