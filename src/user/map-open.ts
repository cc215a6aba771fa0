/**
 * What the kernel says about a map by its fd, and the types of its elements, read back when they are needed.
 */
import type { Btf } from '../btf/index.ts';
import type { InfoOf } from '../uapi/info.ts';
import type { System } from '../uapi/seam.ts';
import type { ElementTypes } from './element.ts';
import { btfById } from './kernel-types.ts';

export function mapInfo(system: System, fd: number): InfoOf<'map'> {
  const info: InfoOf<'map'> = { kind: 'map' };
  system.bpf('objGetInfoByFd', { bpfFd: fd, info });
  return info;
}

/** The types of a map that came with BTF. */
export function typesOf(system: System, info: InfoOf<'map'>): ElementTypes | undefined {
  const { btfId = 0, btfKeyTypeId: keyTypeId = 0, btfValueTypeId: valueTypeId = 0 } = info;
  if (btfId === 0) return undefined;
  let parsed: Btf | undefined;
  return { btf: () => (parsed ??= btfById(system, btfId)), keyTypeId, valueTypeId };
}

/** What `make` makes of an fd, which is closed where that fails. */
export function owning<T>(system: System, fd: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    system.close(fd);
    throw error;
  }
}
