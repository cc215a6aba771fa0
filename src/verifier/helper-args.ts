/**
 * The arguments of a helper, one by one in order, against its prototype (check_func_arg): what kind of
 * register each may be, and that memory passed with a size, or of a map's key or value size, is really there.
 */
import type { ArgKind, HelperProto } from '../uapi/helper-protos.ts';
import type { HelperName } from '../uapi/helpers.ts';
import { checkAlignment, checkUnmoved } from './alignment.ts';
import { checkRead, isSecret } from './checks.ts';
import { checkConstString } from './const-string.ts';
import { isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { constantKey } from './map-key.ts';
import {
  checkMapKey,
  checkMapValue,
  checkMem,
  checkPacket,
  isArrayMap,
  type MemoryUse,
  mayUsePacket,
} from './memory.ts';
import { markPrecise, markSlotPrecise } from './precision.ts';
import { isNull, isPacket, typeOf, word } from './regs.ts';
import { checkStackRange } from './stack.ts';
import { regAt } from './state/frame.ts';
import { AUX0, OFF, REF_OBJ_ID, SMIN, TNUM_VALUE, UMAX, UMIN } from './state/layout.ts';
import { baseType, type RegType, regTypeName, regTypes, typeFlags } from './state/reg-types.ts';

const MAX_SIZE = 1n << 29n;

/** What the arguments said, for the return value (struct bpf_call_arg_meta). */
export interface CallFacts {
  readonly helper: HelperName;
  /** Index of the map, or -1. */
  map: number;
  /** The key where it is a known constant, or -1. */
  constKey: bigint;
  /** Stack memory that the helper fills: the register and how many bytes. */
  rawReg: number;
  rawSize: number;
  /** Whether the memory argument before a size is written whole. */
  raw: boolean;
  refObjId: number;
  releaseReg: number;
  memSize: number;
  /** The function that the helper calls. */
  callback: number;
  /** The largest size passed, which bounds some results. */
  sizeMax: bigint;
}

const memory: readonly RegType[] = [
  regTypes.stack,
  regTypes.packet,
  regTypes.packetMeta,
  regTypes.mapKey,
  regTypes.mapValue,
  regTypes.mem,
  regTypes.mem | typeFlags.ringbuf,
  regTypes.buf,
  regTypes.btfId | typeFlags.trusted,
];
const socks: readonly RegType[] = [regTypes.sockCommon, regTypes.socket, regTypes.tcpSock, regTypes.xdpSock];
const socksByBtf: readonly RegType[] = [...socks, regTypes.btfId, regTypes.btfId | typeFlags.trusted];
const scalar: readonly RegType[] = [regTypes.scalar];

/** The types that each kind of argument takes, in the order in which the log lists them. */
const accepted: Readonly<Record<Exclude<ArgKind, 'any'>, readonly RegType[]>> = {
  ctx: [regTypes.ctx],
  ctxOrNull: [regTypes.ctx],
  mapPtr: [regTypes.constMapPtr],
  mapKey: memory,
  mapValue: memory,
  mapValueOrNullArg: memory,
  mapValueUninit: memory,
  mem: memory,
  memOrNull: memory,
  memUninit: memory,
  memOrNullUninit: memory,
  memRw: memory,
  'fixedMem:20': memory,
  'fixedMem:40': memory,
  longOut: memory,
  intInOut: memory,
  size: scalar,
  sizeOrZero: scalar,
  allocSize: scalar,
  sockCommon: socks,
  sockBtf: socksByBtf,
  sockBtfOrNull: socksByBtf,
  socketArgOrNull: [regTypes.socket],
  releaseSockCommon: socksByBtf,
  releaseRingbufMem: [regTypes.mem | typeFlags.ringbuf],
  spinLock: [regTypes.mapValue],
  constStr: [regTypes.mapValue],
  func: [regTypes.func],
  stackOrNull: [regTypes.stack],
};

const nullable: ReadonlySet<ArgKind> = new Set([
  'ctxOrNull',
  'memOrNull',
  'memOrNullUninit',
  'mapValueOrNullArg',
  'stackOrNull',
  'sockBtfOrNull',
  'socketArgOrNull',
]);
const written: ReadonlySet<ArgKind> = new Set(['memUninit', 'memOrNullUninit', 'memRw', 'mapValueUninit']);
const uninit: ReadonlySet<ArgKind> = new Set(['memUninit', 'memOrNullUninit', 'mapValueUninit']);
/** Only these read: a read-only pointer will do. */
const readOnly: ReadonlySet<ArgKind> = new Set([
  'mem',
  'memOrNull',
  'mapKey',
  'mapValue',
  'fixedMem:20',
  'fixedMem:40',
]);

export function checkArgs(env: Env, proto: HelperProto, facts: CallFacts): void {
  for (let i = 0; i < proto.args.length; i++) checkArg(env, { proto, index: i }, facts);
}

interface Arg {
  readonly proto: HelperProto;
  readonly index: number;
}

function checkArg(env: Env, arg: Arg, facts: CallFacts): void {
  const kind = arg.proto.args[arg.index] as ArgKind;
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
  const isNullArg = isNull(frame, r) && nullable.has(kind);
  if (!isNullArg) {
    checkType(env, { kind, reg });
    checkOffset(env, { kind, reg });
  }
  if (kind === 'releaseSockCommon' || kind === 'releaseRingbufMem') {
    if (word(frame, r, REF_OBJ_ID) === 0 && !isNull(frame, r)) {
      env.reject('EINVAL', `R${reg} must be referenced when passed to release function`);
    }
    facts.releaseReg = reg;
  }
  const ref = word(frame, r, REF_OBJ_ID);
  if (ref !== 0) facts.refObjId = ref;
  checkValue(env, { ...arg, kind, reg }, facts);
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

function checkType(env: Env, arg: { kind: Exclude<ArgKind, 'any'>; reg: number }): void {
  const { kind, reg } = arg;
  const actual = typeOf(env.frame, regAt(reg));
  let type = actual;
  if (readOnly.has(kind)) type &= ~typeFlags.rdonly;
  if (nullable.has(kind)) type &= ~typeFlags.maybeNull;
  const types = accepted[kind];
  if (types.includes(type)) return;
  env.reject(
    'EACCES',
    `R${reg} type=${regTypeName(actual)} expected=${types.map((one) => regTypeName(one)).join(', ')}`,
  );
}

const anyOffset: ReadonlySet<number> = new Set([
  regTypes.stack,
  regTypes.packet,
  regTypes.packetMeta,
  regTypes.mapKey,
  regTypes.mapValue,
  regTypes.mem,
  regTypes.buf,
  regTypes.scalar,
]);

/** check_func_arg_reg_off */
function checkOffset(env: Env, arg: { kind: ArgKind; reg: number }): void {
  const type = typeOf(env.frame, regAt(arg.reg));
  if (arg.kind === 'releaseSockCommon' || arg.kind === 'releaseRingbufMem') {
    if (word(env.frame, regAt(arg.reg), OFF) !== 0) {
      env.reject(
        'EINVAL',
        `R${arg.reg} must have zero offset when passed to release func or trusted arg to kfunc`,
      );
    }
    checkUnmoved(env, arg.reg);
    return;
  }
  if (anyOffset.has(baseType(type))) return;
  checkUnmoved(env, arg.reg, baseType(type) === regTypes.btfId);
}

function checkValue(env: Env, arg: Arg & { kind: ArgKind; reg: number }, facts: CallFacts): void {
  const { kind, reg } = arg;
  const frame = env.frame;
  const r = regAt(reg);
  switch (kind) {
    case 'mapPtr':
      facts.map = word(frame, r, AUX0);
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
      const before = arg.proto.args[arg.index - 1] as ArgKind;
      checkSize(env, { reg, write: written.has(before), zeroOk: kind === 'sizeOrZero' }, facts);
      return;
    }
    case 'allocSize':
      if (!isConst(frame, r)) env.reject('EACCES', `R${reg} is not a known constant'`);
      facts.memSize = Number(BigInt.asUintN(32, frame.u64[r + TNUM_VALUE] as bigint));
      markPrecise(env, reg);
      return;
    case 'constStr':
      checkConstString(env, reg);
      return;
    case 'spinLock':
      env.reject('EINVAL', `arguments of ${facts.helper} are not supported`);
      return;
    default:
      return;
  }
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

/** check_mem_size_reg */
function checkSize(env: Env, size: { reg: number; write: boolean; zeroOk: boolean }, facts: CallFacts): void {
  const { reg } = size;
  const frame = env.frame;
  const r = regAt(reg);
  const umax = frame.u64[r + UMAX] as bigint;
  const umin = frame.u64[r + UMIN] as bigint;
  facts.sizeMax = umax;
  const raw = facts.raw && isConst(frame, r);
  if ((frame.i64[r + SMIN] as bigint) < 0n) {
    env.reject('EACCES', `R${reg} min value is negative, either use unsigned or 'var &= const'`);
  }
  if (umin === 0n && !size.zeroOk) {
    env.reject('EACCES', `R${reg} invalid zero-sized read: u64=[${umin},${umax}]`);
  }
  if (umax >= MAX_SIZE) {
    env.reject('EACCES', `R${reg} unbounded memory access, use 'var &= const' or 'if (var < const)'`);
  }
  const use = { reg: reg - 1, size: Number(umax), write: size.write, zeroOk: size.zeroOk };
  facts.raw = raw;
  checkHelperMemory(env, use, facts);
  markPrecise(env, reg);
}

/** check_helper_mem_access */
function checkHelperMemory(
  env: Env,
  use: { reg: number; size: number; write: boolean; zeroOk: boolean },
  facts: CallFacts,
): void {
  const { reg, size, write, zeroOk } = use;
  const r = regAt(reg);
  const frame = env.frame;
  const type = typeOf(frame, r);
  const full: MemoryUse = { reg, off: 0, size, write, zeroOk, byHelper: true };
  switch (baseType(type)) {
    case regTypes.packet:
    case regTypes.packetMeta:
      checkPacket(env, full);
      return;
    case regTypes.mapKey:
      checkMapKey(env, full);
      return;
    case regTypes.mapValue:
      checkMapValue(env, full);
      return;
    case regTypes.mem:
      checkMem(env, full);
      return;
    case regTypes.stack: {
      if (size === 0 && !zeroOk) env.reject('EACCES', 'invalid zero-sized read');
      const raw = checkStackRange(env, { reg, off: word(frame, r, OFF), size, write, raw: facts.raw });
      if (!raw) return;
      facts.rawReg = reg;
      facts.rawSize = size;
      return;
    }
    default:
      if (zeroOk && size === 0 && isNull(frame, r)) return;
      env.reject('EACCES', `R${reg} type=${regTypeName(type)} expected=${regTypeName(regTypes.stack)}`);
  }
}
