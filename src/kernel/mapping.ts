/**
 * mmap(2) of arrays made with BPF_F_MMAPABLE, and of ring buffers. What is mapped is in the kernel's memory
 * already, so a mapping is a window on it: taken anew at each use of `bytes`, because the memory may have grown
 * in between.
 */
import type { Ring } from '../maps/index.ts';
import type { KernelMemory } from '../memory/types.ts';
import { BpfError, type Errno } from '../uapi/errno.ts';
import { mapTypes } from '../uapi/map-types.ts';
import type { Mapping } from '../uapi/seam.ts';
import type { OpenFile } from './fd-table.ts';
import { F_MMAPABLE, F_RDONLY_PROG, type MapObject } from './objects/map.ts';

export const PAGE = 4096;

const fail = (errno: Errno, hint: string): BpfError => new BpfError(errno, 'mmap', hint);

export interface MapRequest {
  readonly length: number;
  readonly offset: number;
  readonly writable: boolean;
}

/**
 * bpf_map_mmap() and array_map_mmap().
 * @throws {BpfError} ENODEV for what is no map, ENOTSUPP for a kind that cannot be mapped, EACCES or EPERM for
 *   rights, EINVAL for a map not made for it or a range outside
 */
export function mapMemory(file: OpenFile, request: MapRequest, memory: KernelMemory): Mapping {
  const { length, offset, writable } = request;
  const { object } = file;
  if (object.kind !== 'map') throw fail('ENODEV', 'only maps can be mapped');
  const { def, valueAddress, ring } = object.map;
  // There is no memory behind an arena here, but where it was to be counts for the verifier.
  if (def.type === mapTypes.arena.id) object.hasUserAddress = true;
  if (valueAddress === undefined && ring === undefined)
    throw fail('ENOTSUPP', 'maps of this kind cannot be mapped');
  if (ring === undefined && (def.flags & F_MMAPABLE) === 0)
    throw fail('EINVAL', 'make the array with BPF_F_MMAPABLE to map it');
  if (!Number.isInteger(length) || length <= 0) throw fail('EINVAL', `a length of ${length}`);
  if (!Number.isInteger(offset) || offset < 0 || offset % PAGE !== 0)
    throw fail('EINVAL', `an offset of ${offset}`);
  if (!file.read || (writable && !file.write)) throw fail('EACCES', 'the fd was not opened for that');
  if (writable && object.frozen) throw fail('EPERM', 'the map is frozen');
  if (writable && (def.flags & F_RDONLY_PROG) !== 0) {
    throw fail('EACCES', 'a map that is read-only for programs could change after it is frozen');
  }
  if (ring !== undefined) return mapRange(object, memory, { ...ringRange(ring, request), writable });
  const size = def.maxEntries * (Math.ceil(def.valueSize / 8) * 8);
  if (offset + length > Math.ceil(size / PAGE) * PAGE) throw fail('EINVAL', `the values have ${size} bytes`);
  // Values take whole pages only on paper: what lies behind the last one is not the map's.
  const start = (valueAddress ?? 0) + Math.min(offset, size);
  const end = (valueAddress ?? 0) + Math.min(offset + length, size);
  return mapRange(object, memory, { start, end, writable });
}

/** ringbuf_map_mmap_kern() and ringbuf_map_mmap_user(): each side writes its own position only. */
function ringRange({ pages, capacity, producer }: Ring, request: MapRequest): { start: number; end: number } {
  const { length, offset, writable } = request;
  const mayWrite = producer === 'user' ? offset !== 0 : offset === 0 && length <= PAGE;
  if (writable && !mayWrite) throw fail('EPERM', 'that part of a ring buffer is read-only');
  if (offset + length > 2 * PAGE + 2 * capacity)
    throw fail('EINVAL', `two pages and twice ${capacity} bytes are there`);
  return { start: pages + offset, end: pages + offset + length };
}

function mapRange(
  object: MapObject,
  memory: KernelMemory,
  { start, end, writable }: { start: number; end: number; writable: boolean },
): Mapping {
  let mapped = true;
  object.get();
  if (writable) object.writers++;
  return {
    get bytes() {
      return mapped ? memory.u8.subarray(start, end) : new Uint8Array();
    },
    unmap() {
      if (!mapped) return;
      mapped = false;
      if (writable) object.writers--;
      object.put();
    },
  };
}
