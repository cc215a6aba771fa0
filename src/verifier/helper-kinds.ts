/** What each kind of argument of a helper takes: types of registers, NULL, memory that is read or written. */
import type { ArgKind } from '../uapi/helper-protos.ts';
import { type RegType, regTypes, typeFlags } from './state/reg-types.ts';

export const pointers: readonly RegType[] = [
  regTypes.btfId,
  regTypes.btfId | typeFlags.trusted,
  regTypes.btfId | typeFlags.rcu,
];
const dynptrs: readonly RegType[] = [regTypes.stack, regTypes.constDynptr];
export const memory: readonly RegType[] = [
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
type NamedKind = Exclude<ArgKind, 'any' | `btf:${string}` | `btfOrNull:${string}`>;

const accepted: Readonly<Record<NamedKind, readonly RegType[]>> = {
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
  spinLock: [regTypes.mapValue, regTypes.btfId | typeFlags.alloc],
  timer: [regTypes.mapValue],
  kptr: [regTypes.mapValue, regTypes.btfId | typeFlags.alloc],
  kptrNew: pointers,
  percpuBtf: [
    regTypes.btfId | typeFlags.percpu,
    regTypes.btfId | typeFlags.percpu | typeFlags.rcu,
    regTypes.btfId | typeFlags.percpu | typeFlags.trusted,
  ],
  dynptrRead: dynptrs,
  dynptrWrite: dynptrs,
  'dynptrUninit:local': dynptrs,
  'dynptrUninit:ringbuf': dynptrs,
  'dynptrRelease:ringbuf': dynptrs,
  allocSizeOrZero: scalar,
  constStr: [regTypes.mapValue],
  func: [regTypes.func],
  stackOrNull: [regTypes.stack],
};

/** The types that an argument takes. */
export function typesFor(kind: Exclude<ArgKind, 'any'>): readonly RegType[] {
  return isNamed(kind) ? accepted[kind] : pointers;
}

function isNamed(kind: Exclude<ArgKind, 'any'>): kind is NamedKind {
  return !kind.startsWith('btf:') && !kind.startsWith('btfOrNull:');
}

export const release: ReadonlySet<ArgKind> = new Set([
  'releaseSockCommon',
  'releaseRingbufMem',
  'kptrNew',
  'dynptrRelease:ringbuf',
]);

const nullable: ReadonlySet<ArgKind> = new Set([
  'ctxOrNull',
  'memOrNull',
  'memOrNullUninit',
  'mapValueOrNullArg',
  'stackOrNull',
  'sockBtfOrNull',
  'socketArgOrNull',
  'kptrNew',
]);
export const mayTakeNull = (kind: ArgKind): boolean => nullable.has(kind) || kind.startsWith('btfOrNull:');
export const written: ReadonlySet<ArgKind> = new Set([
  'memUninit',
  'memOrNullUninit',
  'memRw',
  'mapValueUninit',
]);
export const uninit: ReadonlySet<ArgKind> = new Set(['memUninit', 'memOrNullUninit', 'mapValueUninit']);
/** Only these read: a read-only pointer will do. */
export const readOnly: ReadonlySet<ArgKind> = new Set([
  'mem',
  'memOrNull',
  'mapKey',
  'mapValue',
  'fixedMem:20',
  'fixedMem:40',
]);
