/**
 * Flags of maps and of updates, and the checks on a definition that several kinds share (bpf(2), and what
 * Linux 6.18 was seen to answer).
 */
import { BpfError } from '../uapi/errno.ts';
import type { MapDef } from './types.ts';

export const mapFlags = {
  NO_PREALLOC: 1 << 0,
  NO_COMMON_LRU: 1 << 1,
  NUMA_NODE: 1 << 2,
  RDONLY: 1 << 3,
  WRONLY: 1 << 4,
  STACK_BUILD_ID: 1 << 5,
  ZERO_SEED: 1 << 6,
  RDONLY_PROG: 1 << 7,
  WRONLY_PROG: 1 << 8,
  CLONE: 1 << 9,
  MMAPABLE: 1 << 10,
  PRESERVE_ELEMS: 1 << 11,
  INNER_MAP: 1 << 12,
  LINK: 1 << 13,
  VTYPE_BTF_OBJ_FD: 1 << 15,
  SEGV_ON_FAULT: 1 << 17,
  NO_USER_CONV: 1 << 18,
} as const;

const { RDONLY, WRONLY, RDONLY_PROG, WRONLY_PROG } = mapFlags;

/** Who may read and write, from user space and from programs. */
export const ACCESS_FLAGS = RDONLY | WRONLY | RDONLY_PROG | WRONLY_PROG;

export const updateFlags = { ANY: 0n, NOEXIST: 1n, EXIST: 2n, LOCK: 4n } as const;

export function invalid(what: string): BpfError {
  return new BpfError('EINVAL', `creating a map: ${what}`);
}

export function tooBig(what: string): BpfError {
  return new BpfError('E2BIG', `creating a map: ${what}`);
}

/** What every kind refuses: flags outside `allowed`, both of a pair of opposite flags, map_extra. */
export function checkFlags(def: MapDef, allowed: number): void {
  const { flags } = def;
  const unknown = (flags & ~allowed) >>> 0;
  if (unknown !== 0) throw invalid(`flags 0x${unknown.toString(16)} are not for this kind`);
  checkAccess(def);
  if (def.mapExtra !== 0n) throw invalid('map_extra is not 0');
}

/** bpf_map_flags_access_ok(), and that an fd can read or write. */
export function checkAccess({ flags }: MapDef): void {
  if ((flags & RDONLY) !== 0 && (flags & WRONLY) !== 0) throw invalid('both BPF_F_RDONLY and BPF_F_WRONLY');
  if ((flags & RDONLY_PROG) !== 0 && (flags & WRONLY_PROG) !== 0) {
    throw invalid('both BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG');
  }
}
