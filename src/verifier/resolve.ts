/**
 * Instructions that name kernel objects: every two-slot load is tied to its map (resolve_pseudo_ldimm64), and
 * opcodes that do not exist are refused. In Linux's order: slot by slot, before control flow is looked at.
 */
import { type Btf, resolveModifiers, sizeOf } from '../btf/index.ts';
import type { Insn, InvalidInsn } from '../isa/index.ts';
import { type MapTypeName, mapTypeName, mapTypes } from '../uapi/map-types.ts';
import type { Env, WideLoad } from './env.ts';
import { mapFields } from './fields.ts';
import { regTypes, typeFlags } from './state/reg-types.ts';
import type { MapFacts } from './types.ts';

const WIDE_LOAD = 0x18;
const CLASS_LDX = 1;
const MODE_MEM = 0x60;
const MODE_MEMSX = 0x80;
const MODE_ATOMIC = 0xc0;
/** BPF_PSEUDO_* of the two-slot load: a number, a kernel variable, a function; maps are the rest. */
const SRC_NUMBER = 0;
const SRC_BTF_ID = 3;
const SRC_FUNC = 4;
/** Offsets into a map's value stop here (BPF_MAX_VAR_OFF). */
const MAX_OFFSET = 1 << 29;
const PAGE = 4096;

export function resolveLoads(env: Env): void {
  for (let slot = 0; slot < env.count; slot++) {
    const opcode = env.opcode(slot);
    const mode = opcode & 0xe0;
    if ((opcode & 7) === CLASS_LDX && ((mode !== MODE_MEM && mode !== MODE_MEMSX) || env.imm(slot) !== 0)) {
      env.reject('EINVAL', 'BPF_LDX uses reserved fields');
    }
    if (opcode === WIDE_LOAD) {
      resolveLoad(env, slot);
      slot++;
      continue;
    }
    if (!knownOpcode(env.insns[slot], opcode)) {
      env.reject('EINVAL', `unknown opcode ${opcode.toString(16).padStart(2, '0')}`);
    }
  }
}

function knownOpcode(insn: Insn | InvalidInsn | undefined, opcode: number): boolean {
  if (insn === undefined) return false;
  if (insn.op !== 'invalid' || insn.field !== 'opcode') return true;
  // An atomic of a size that does not exist has a known mode: its own check reports it.
  return (
    (opcode & 7) === 3 &&
    (opcode & 0xe0) === MODE_ATOMIC &&
    (opcode & 0x18) !== 0x08 &&
    (opcode & 0x18) !== 0x10
  );
}

function resolveLoad(env: Env, slot: number): void {
  const raw = env.raw(slot);
  if (slot + 1 >= env.count) env.reject('EINVAL', 'invalid bpf_ld_imm64 insn');
  const second = env.raw(slot + 1);
  if (second.opcode !== 0 || second.dst !== 0 || second.src !== 0 || second.off !== 0) {
    env.reject('EINVAL', 'invalid bpf_ld_imm64 insn');
  }
  if (raw.src === SRC_NUMBER) return;
  if (raw.src === SRC_BTF_ID) {
    env.wideLoads.set(slot, kernelSymbol(env, raw.imm, second.imm));
    return;
  }
  if (raw.src === SRC_FUNC) {
    env.wideLoads.set(slot, { kind: 'func', subprog: env.subprogStarting(slot + raw.imm + 1) });
    return;
  }
  const byIndex = raw.src === 5 || raw.src === 6;
  const asValue = raw.src === 2 || raw.src === 6;
  if (raw.src > 6 || (!asValue && second.imm !== 0)) env.reject('EINVAL', 'unrecognized bpf_ld_imm64 insn');
  const fd = byIndex ? fdAt(env, raw.imm) : raw.imm;
  const found = env.input.resolveMap(fd);
  if (typeof found === 'string') {
    env.reject(found, `fd ${fd} is not pointing to valid bpf_map`);
    return;
  }
  const map = addMap(env, found);
  if (!asValue) {
    env.wideLoads.set(slot, { kind: 'map', map });
    return;
  }
  const offset = second.imm >>> 0;
  if (offset >= MAX_OFFSET) env.reject('EINVAL', `direct value offset of ${offset} is not allowed`);
  const { type, valueSize } = found;
  const outside = `invalid access to map value pointer, value_size=${valueSize} off=${offset}`;
  if (type === mapTypes.arena.id) {
    if (offset >= found.maxEntries * PAGE) env.reject('ERANGE', outside);
  } else if (type !== mapTypes.array.id) {
    env.reject('EINVAL', 'no direct value access support for this map type');
  } else if (found.maxEntries !== 1) env.reject('ENOTSUPP', outside);
  else if (offset >= valueSize) env.reject('EINVAL', outside);
  env.wideLoads.set(slot, { kind: 'value', map, offset });
}

function fdAt(env: Env, index: number): number {
  const table = env.input.fdArray;
  if (table === undefined) return env.reject('EPROTO', 'fd_idx without fd_array is invalid');
  const fd = table[index];
  if (fd === undefined) return env.reject('EFAULT', `fd_array has no entry ${index}`);
  return fd;
}

/** A program has one arena at most. */
function addArena(env: Env, map: MapFacts): void {
  if (env.hasArena) env.reject('EBUSY', 'Only one arena per program');
  if (!env.allowLeaks || !env.input.capabilities.bpf) {
    env.reject('EPERM', 'CAP_BPF and CAP_PERFMON are required to use arena');
  }
  if (map.hasUserAddress !== true) {
    env.reject('EINVAL', "arena's user address must be set via map_extra or mmap()");
  }
  env.hasArena = true;
}

/** What a BTF id in a load stands for: a variable of the kernel, or a function (check_pseudo_btf_id). */
function kernelSymbol(env: Env, id: number, fd: number): WideLoad {
  const { kernel } = env.types;
  if (fd !== 0) env.reject('EINVAL', 'invalid module BTF object FD specified.');
  if (kernel === undefined) {
    return env.reject('EINVAL', 'a variable of the kernel is named, and no types of a kernel were given');
  }
  if (id < 0 || id >= kernel.typeCount) {
    return env.reject('ENOENT', `ldimm64 insn specifies invalid btf_id ${id}.`);
  }
  const type = kernel.type(id);
  if (type.kind !== 'var' && type.kind !== 'func') {
    return env.reject('EINVAL', `pseudo btf_id ${id} in ldimm64 isn't KIND_VAR or KIND_FUNC`);
  }
  const memory = { kind: 'variable', type: regTypes.mem | typeFlags.rdonly, typeId: 0, size: 0 } as const;
  if (type.kind === 'func') return memory;
  if (env.input.hasVariable?.(type.name) !== true) {
    return env.reject('ENOENT', `ldimm64 failed to find the address for kernel symbol '${type.name}'.`);
  }
  const typeId = resolveModifiers(kernel, type.type);
  if (isPerCpu(kernel, id)) {
    return { kind: 'variable', type: regTypes.btfId | typeFlags.percpu, typeId, size: 0 };
  }
  const kind = kernel.kind(typeId);
  if (kind === 'struct' || kind === 'union')
    return { kind: 'variable', type: regTypes.btfId, typeId, size: 0 };
  return { ...memory, size: sizeOf(kernel, typeId) };
}

const PER_CPU = '.data..percpu';

function isPerCpu(kernel: Btf, variable: number): boolean {
  const id = kernel.find(PER_CPU, 'datasec');
  const section = id === undefined ? undefined : kernel.type(id);
  return section?.kind === 'datasec' && section.variables.some(({ type }) => type === variable);
}

/** The index of a map, which is checked against the program when it is first named. */
function addMap(env: Env, map: MapFacts): number {
  const known = env.maps.findIndex((other) => other.handle === map.handle);
  if (known >= 0) return known;
  if (env.maps.length >= env.rules.maps) {
    env.reject('E2BIG', `The total number of maps per program has reached the limit of ${env.rules.maps}`);
  }
  checkMapFitsProgram(env, map);
  if (map.type === mapTypes.arena.id) addArena(env, map);
  env.maps.push(map);
  return env.maps.length - 1;
}

/** Maps that programs which sleep may name. */
const forSleepers: readonly (MapTypeName | undefined)[] = [
  'hash',
  'lru_hash',
  'array',
  'percpu_hash',
  'percpu_array',
  'lru_percpu_hash',
  'array_of_maps',
  'hash_of_maps',
  'ringbuf',
  'user_ringbuf',
  'inode_storage',
  'sk_storage',
  'task_storage',
  'cgrp_storage',
  'queue',
  'stack',
  'arena',
];

/** Tracing programs, which run anywhere, may not name maps whose values hold locks or timers. */
const tracing: readonly (string | undefined)[] = [
  'kprobe',
  'tracepoint',
  'perf_event',
  'raw_tracepoint',
  'raw_tracepoint_writable',
];

const cgroupStorage: readonly (MapTypeName | undefined)[] = ['cgroup_storage', 'percpu_cgroup_storage'];

function checkMapFitsProgram(env: Env, map: MapFacts): void {
  const special = new Set(mapFields(map).map((field) => field.name));
  if (tracing.includes(env.progType)) {
    if (special.has('bpf_spin_lock')) env.reject('EINVAL', 'tracing progs cannot use bpf_spin_lock yet');
    if (special.has('bpf_timer')) env.reject('EINVAL', 'tracing progs cannot use bpf_timer yet');
  }
  if (env.progType === 'socket_filter' && special.has('bpf_spin_lock')) {
    env.reject('EINVAL', 'socket filter progs cannot use bpf_spin_lock yet');
  }
  if (map.type === mapTypes.struct_ops.id) {
    env.reject('EINVAL', 'bpf_struct_ops map cannot be used in prog');
  }
  if (env.sleepable && !forSleepers.includes(mapTypeName(map.type))) {
    env.reject('EINVAL', 'Sleepable programs can only use array, hash, ringbuf and local storage maps');
  }
  const known = env.maps.find((other) => other.type === map.type);
  if (known !== undefined && cgroupStorage.includes(mapTypeName(map.type))) {
    env.reject('EBUSY', 'only one cgroup storage of each type is allowed');
  }
}
