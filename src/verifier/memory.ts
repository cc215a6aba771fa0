/**
 * Loads and stores: may this access happen, by the kind of pointer it goes through, and what does a load leave
 * in its register (check_mem_access). The stack has a file of its own.
 */

import { mapTypes } from '../uapi/map-types.ts';
import { type Access, leakCheck, loadUnknown } from './access.ts';
import { checkAlignment, offText } from './alignment.ts';
import { accessBtf } from './btf-access.ts';
import { accessCtx } from './ctx-access.ts';
import { coerceSize, coerceSizeSx, constNumber, isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { regions } from './facts.ts';
import { accessKptr, checkMapFields, kptrAt } from './kptr.ts';
import { unlink } from './linked.ts';
import { accessMapPointer } from './map-pointer.ts';
import { fitsBits, isPacket, isSock, isUnmoved, setKnown, setScalar, typeOf, word } from './regs.ts';
import { isHalfField, sockAllows } from './sock-fields.ts';
import { checkStackBounds, readStack, writeStack } from './stack.ts';
import { regAt } from './state/frame.ts';
import { AUX0, FRAME_NO, ID, OFF, type RegFile, SMIN, TNUM_VALUE, UMAX } from './state/layout.ts';
import { baseType, mayBeNull, type RegType, regTypeName, regTypes, typeFlags } from './state/reg-types.ts';
import type { MapFacts } from './types.ts';

/** BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG. */
export const RDONLY_PROG = 1 << 7;
const WRONLY_PROG = 1 << 8;
const MAX_VAR_OFF = 1n << 29n;
const MAX_OFF = 0x7fff_ffff;
const S64_MIN = -(1n << 63n);
const FLOW_KEYS_SIZE = 56n;

/** How much memory there is behind a pointer, and the words for an access outside. */
interface Region {
  readonly reg: number;
  readonly off: number;
  readonly size: number;
  readonly limit: number;
  readonly zeroOk: boolean;
}

function inRegion(region: Region, off: number): boolean {
  const sizeOk = region.size > 0 || (region.size === 0 && region.zeroOk);
  return off >= 0 && sizeOk && off + region.size <= region.limit;
}

function outsideText(env: Env, region: Region, off: bigint): string {
  const r = regAt(region.reg);
  const type = typeOf(env.frame, r);
  const at = `off=${BigInt.asIntN(32, off)} size=${region.size}`;
  switch (type) {
    case regTypes.mapKey:
      return `invalid access to map key, key_size=${region.limit} ${at}`;
    case regTypes.mapValue:
      return `invalid access to map value, value_size=${region.limit} ${at}`;
    case regTypes.packet:
    case regTypes.packetMeta:
    case regTypes.packetEnd:
      return `invalid access to packet, ${at}, R${region.reg}(id=${word(env.frame, r, ID)},off=${off},r=${region.limit})`;
    default:
      return `invalid access to memory, mem_size=${region.limit} ${at}`;
  }
}

/** check_mem_region_access */
function checkRegion(env: Env, region: Region): void {
  const { reg } = region;
  const file = env.frame;
  const r = regAt(reg);
  const off = BigInt(region.off);
  const smin = file.i64[r + SMIN] as bigint;
  const umax = file.u64[r + UMAX] as bigint;
  if (umax === 0n && smin === 0n && region.off <= MAX_OFF && inRegion(region, region.off)) return;
  const lowest = smin + off;
  if (smin < 0n && (smin === S64_MIN || BigInt.asIntN(32, lowest) !== lowest || lowest < 0n)) {
    env.reject(
      'EACCES',
      `R${reg} min value is negative, either use unsigned index or do a if (index >=0) check.`,
    );
  }
  if (!inRegion(region, Number(BigInt.asIntN(32, lowest)))) {
    env.write(`${outsideText(env, region, lowest)}\n`);
    env.reject('EACCES', `R${reg} min value is outside of the allowed memory range`);
  }
  if (umax >= MAX_VAR_OFF) {
    env.reject('EACCES', `R${reg} unbounded memory access, make sure to bounds check any such access`);
  }
  if (!inRegion(region, Number(umax + off))) {
    env.write(`${outsideText(env, region, umax + off)}\n`);
    env.reject('EACCES', `R${reg} max value is outside of the allowed memory range`);
  }
}

/** Memory that an instruction or a helper touches through a pointer to a region. */
export interface MemoryUse {
  readonly reg: number;
  /** Without the pointer's own offset. */
  readonly off: number;
  readonly size: number;
  readonly write: boolean;
  readonly zeroOk: boolean;
  readonly byHelper: boolean;
}

export function checkPacket(env: Env, use: MemoryUse): void {
  const file = env.frame;
  const r = regAt(use.reg);
  const off = use.off + word(file, r, OFF);
  if ((file.i32[2 * (r + SMIN) + 1] as number) < 0) {
    env.reject(
      'EACCES',
      `R${use.reg} min value is negative, either use unsigned index or do a if (index >=0) check.`,
    );
  }
  const range = word(file, r, AUX0);
  const region = { reg: use.reg, off, size: use.size, limit: range, zeroOk: use.zeroOk };
  if (range >= 0 && inRegion(region, off)) return;
  if (range >= 0) env.write(`${outsideText(env, region, BigInt(off))}\n`);
  env.reject(range < 0 ? 'EINVAL' : 'EACCES', `R${use.reg} offset is outside of the packet`);
}

export function checkMapAccessType(env: Env, use: MemoryUse, map: MapFacts): void {
  const off = use.off + word(env.frame, regAt(use.reg), OFF);
  const forbidden = use.write ? RDONLY_PROG : WRONLY_PROG;
  if ((map.flags & forbidden) === 0) return;
  const what = use.write ? 'write into' : 'read from';
  env.reject('EACCES', `${what} map forbidden, value_size=${map.valueSize} off=${off} size=${use.size}`);
}

export function checkMapValue(env: Env, use: MemoryUse): void {
  const file = env.frame;
  const r = regAt(use.reg);
  const map = env.map(word(file, r, AUX0));
  checkMapAccessType(env, use, map);
  checkMapRange(env, use);
}

/** That an access of a value lies within it, and not on what only helpers may touch (check_map_access). */
export function checkMapRange(env: Env, use: Omit<MemoryUse, 'write'>): void {
  const file = env.frame;
  const r = regAt(use.reg);
  const map = env.map(word(file, r, AUX0));
  const off = use.off + word(file, r, OFF);
  checkRegion(env, { reg: use.reg, off, size: use.size, limit: map.valueSize, zeroOk: use.zeroOk });
  checkMapFields(env, { reg: use.reg, off, size: use.size, byHelper: use.byHelper });
}

export function checkMapKey(env: Env, use: MemoryUse): void {
  const r = regAt(use.reg);
  const map = env.map(word(env.frame, r, AUX0));
  if (use.write) env.reject('EACCES', `R${use.reg} cannot write into ${regTypeName(typeOf(env.frame, r))}`);
  const off = use.off + word(env.frame, r, OFF);
  checkRegion(env, { reg: use.reg, off, size: use.size, limit: map.keySize, zeroOk: false });
}

export function checkMem(env: Env, use: MemoryUse): void {
  const r = regAt(use.reg);
  const type = typeOf(env.frame, r);
  if (mayBeNull(type)) env.reject('EACCES', `R${use.reg} invalid mem access '${regTypeName(type)}'`);
  if (use.write && (type & typeFlags.rdonly) !== 0) {
    env.reject('EACCES', `R${use.reg} cannot write into ${regTypeName(type)}`);
  }
  // Reads through it are of whatever is there, faults and all.
  if ((type & typeFlags.untrusted) !== 0) return;
  const off = use.off + word(env.frame, r, OFF);
  checkRegion(env, {
    reg: use.reg,
    off,
    size: use.size,
    limit: word(env.frame, r, AUX0) >>> 0,
    zeroOk: use.zeroOk,
  });
}

/** Program types that may write packets, and those that may only read them (may_access_direct_pkt_data). */
const packetWriters = new Set([
  'sched_cls',
  'sched_act',
  'xdp',
  'lwt_xmit',
  'sk_skb',
  'sk_msg',
  'cgroup_sockopt',
]);
const packetReaders = new Set([
  'lwt_in',
  'lwt_out',
  'lwt_seg6local',
  'sk_reuseport',
  'flow_dissector',
  'cgroup_skb',
  'sock_ops',
]);

export function mayUsePacket(env: Env, write: boolean): boolean {
  const type = env.progType ?? '';
  return packetWriters.has(type) || (!write && packetReaders.has(type));
}

function useOf(access: Access): MemoryUse {
  return {
    reg: access.reg,
    off: access.off,
    size: access.size,
    write: access.write,
    zeroOk: false,
    byHelper: false,
  };
}

/** The bytes that a load from a read-only, frozen array yields, as a number; undefined where not known. */
function constantLoad(env: Env, access: Access): bigint | undefined {
  const file = env.frame;
  const r = regAt(access.reg);
  const map = env.map(word(file, r, AUX0));
  if (!isConst(file, r) || !map.frozen || (map.flags & RDONLY_PROG) === 0 || map.readConstant === undefined) {
    return undefined;
  }
  const off = access.off + word(file, r, OFF) + Number(file.i64[r + TNUM_VALUE]);
  const bytes = map.readConstant(off, access.size);
  if (bytes === undefined || bytes.length !== access.size) return undefined;
  let value = 0n;
  for (let i = access.size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  return access.signed === true ? BigInt.asIntN(8 * access.size, value) : value;
}

function accessMapValue(env: Env, access: Access): void {
  leakCheck(env, access, 'map');
  checkMapValue(env, useOf(access));
  const kptr = kptrAt(env, access.reg, access.off + word(env.frame, regAt(access.reg), OFF));
  if (kptr !== undefined) {
    accessKptr(env, kptr, access);
    return;
  }
  if (access.write || access.value < 0) return;
  const constant = constantLoad(env, access);
  if (constant === undefined) setScalar(env.frame, regAt(access.value));
  else setKnown(env.frame, regAt(access.value), constant);
}

/** The sizes of what socket pointers show; their fields are those of struct bpf_sock and its relatives. */
function accessSock(env: Env, access: Access): void {
  const r = regAt(access.reg);
  const type = typeOf(env.frame, r);
  if (access.write) env.reject('EACCES', `R${access.reg} cannot write into ${regTypeName(type)}`);
  if ((env.frame.i64[r + SMIN] as bigint) < 0n) {
    env.reject(
      'EACCES',
      `R${access.reg} min value is negative, either use unsigned index or do a if (index >=0) check.`,
    );
  }
  const off = access.off + word(env.frame, r, OFF);
  if (!sockAllows(type, off, access.size)) {
    env.reject('EACCES', `R${access.reg} invalid ${regTypeName(type)} access off=${off} size=${access.size}`);
  }
  if (isHalfField(type, off, access.size)) env.unconvertible = true;
  loadUnknown(env, access);
}

/** Buffers whose size only the kernel knows: the furthest access is looked at when the program is attached. */
function accessBuffer(env: Env, access: Access): void {
  const { reg, size, write } = access;
  const file = env.frame;
  const r = regAt(reg);
  const type = typeOf(file, r);
  if (mayBeNull(type)) env.reject('EACCES', `R${reg} invalid mem access '${regTypeName(type)}'`);
  const readOnly = (type & typeFlags.rdonly) !== 0;
  if (readOnly && write) env.reject('EACCES', `R${reg} cannot write into ${regTypeName(type)}`);
  const off = access.off + word(file, r, OFF);
  const kind = type === regTypes.tpBuffer ? 'tracepoint' : readOnly ? 'rdonly' : 'rdwr';
  if (off < 0) env.reject('EACCES', `R${reg} invalid ${kind} buffer access: off=${off}, size=${size}`);
  if (!isUnmoved(file, r)) {
    env.reject('EACCES', `R${reg} invalid variable buffer offset: off=${off}, var_off=${offText(env, r)}`);
  }
  leakCheck(env, access, 'tracepoint buffer');
  loadUnknown(env, access);
}

/** Only the context, and the stack of this very frame, at an offset that does not vary. */
function noteRegion(env: Env, at: { r: number; type: RegType; off: number }): void {
  const { r, type, off } = at;
  const { frame, facts } = env;
  const own = type === regTypes.stack && word(frame, r, FRAME_NO) === frame.frameNo && isConst(frame, r);
  if (type === regTypes.ctx) facts.memory(env.insn, regions.ctx, off);
  else if (own) facts.memory(env.insn, regions.stack, off + constNumber(frame, r));
  else facts.memory(env.insn, regions.other, 0);
}

/** check_mem_access */
export function accessMemory(env: Env, access: Access): void {
  const { reg, size, write, value } = access;
  const r = regAt(reg);
  const type = typeOf(env.frame, r);
  checkAlignment(env, reg, { off: access.off, size, strict: access.aligned === true });
  const off = access.off + word(env.frame, r, OFF);
  if (!env.state.speculative) noteRegion(env, { r, type, off });
  if (type === regTypes.mapKey) {
    if (write) env.reject('EACCES', `write to change key R${reg} not allowed`);
    checkMapKey(env, useOf(access));
    loadUnknown(env, access);
  } else if (type === regTypes.mapValue) accessMapValue(env, access);
  else if (baseType(type) === regTypes.mem) {
    leakCheck(env, access, 'mem');
    checkMem(env, useOf(access));
    loadUnknown(env, access);
  } else if (type === regTypes.ctx) accessCtx(env, access);
  else if (type === regTypes.stack) {
    checkStackBounds(env, { reg, off, size }, write);
    const stackAccess = { reg, off, size, value, imm: access.imm ?? 0 };
    if (write) writeStack(env, stackAccess);
    else readStack(env, stackAccess);
  } else if (isPacket(type)) {
    if (write && !mayUsePacket(env, true)) env.reject('EACCES', 'cannot write into packet');
    leakCheck(env, access, 'packet');
    checkPacket(env, useOf(access));
    loadUnknown(env, access);
  } else if (type === regTypes.flowKeys) {
    leakCheck(env, access, 'flow keys');
    if (off < 0 || BigInt(off + size) > FLOW_KEYS_SIZE) {
      env.reject('EACCES', `invalid access to flow keys off=${off} size=${size}`);
    }
    loadUnknown(env, access);
  } else if (isSock(type)) accessSock(env, access);
  else if (type === regTypes.tpBuffer || baseType(type) === regTypes.buf) accessBuffer(env, access);
  else if (baseType(type) === regTypes.btfId && !mayBeNull(type)) accessBtf(env, access);
  else if (type === regTypes.constMapPtr) accessMapPointer(env, access);
  else if (type === regTypes.arena) loadUnknown(env, access);
  else env.reject('EACCES', `R${reg} invalid mem access '${regTypeName(type)}'`);
  if (write || value < 0 || size === 8) return;
  const to = regAt(value);
  if (typeOf(env.frame, to) !== regTypes.scalar) return;
  if (access.signed === true) {
    unlinkSigned(env.frame, to, size);
    coerceSizeSx(env.frame, to, size);
  } else coerceSize(env.frame, to, size);
}

/**
 * A spilled number that comes back sign-extended is the same number only where its sign bit is clear. Linux
 * 6.18 keeps the two linked anyway, and then takes one for the other.
 */
function unlinkSigned(frame: RegFile, r: number, size: number): void {
  if (!fitsBits(frame, r, 8 * size - 1)) unlink(frame, r);
}

/** Kinds of pointer that one instruction may not mix with others (reg_type_mismatch_ok). */
function mixes(type: RegType): boolean {
  const base = baseType(type);
  if (base === regTypes.mem) return (type & typeFlags.untrusted) === 0;
  return base !== regTypes.ctx && !isSock(base) && base !== regTypes.btfId && base !== regTypes.arena;
}

const isProbed = (type: RegType): boolean =>
  baseType(type) === regTypes.mem || baseType(type) === regTypes.btfId;

/**
 * An instruction is rewritten by its pointer's kind, which must be the same on every path (save_aux_ptr_type). Loads
 * are read with care where on any path the pointer cannot be trusted.
 */
export function rememberPointer(env: Env, type: RegType, loads: boolean): void {
  const before = env.pointerSeen[env.insn] as number;
  if (before === regTypes.notInit) {
    env.pointerSeen[env.insn] = type;
    return;
  }
  if (before === type || (mixes(type) && mixes(before))) return;
  if (!loads || !isProbed(type) || !isProbed(before)) {
    env.reject('EINVAL', 'same insn cannot be used with different pointers');
  }
  const isMemory = baseType(type) === regTypes.mem || baseType(before) === regTypes.mem;
  const flags = (type | before) & (typeFlags.untrusted | typeFlags.rdonly);
  env.pointerSeen[env.insn] = (isMemory ? regTypes.mem : regTypes.btfId) | flags;
}

/** Whether the values of a map are shared between elements, so that an id tells them apart. */
export function isArrayMap(map: MapFacts): boolean {
  return map.type === mapTypes.array.id || map.type === mapTypes.percpu_array.id;
}
