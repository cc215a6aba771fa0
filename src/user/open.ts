/**
 * Handles for objects that exist already: by an fd, whatever it turns out to be, and lists of ids.
 */
import { BpfError } from '../uapi/errno.ts';
import type { InfoOf } from '../uapi/info.ts';
import type { System } from '../uapi/seam.ts';
import type { ElementTypes } from './element.ts';
import { Link } from './link.ts';
import { BpfMap } from './map.ts';
import { mapInfo, owning, typesOf } from './map-open.ts';
import { Program } from './program.ts';

/** A handle on a map's fd, which is closed where that fails. Without `types`, the kernel is asked for them. */
export function mapFromFd(system: System, fd: number, types?: ElementTypes): BpfMap {
  return owning(system, fd, () => {
    const info = mapInfo(system, fd);
    return new BpfMap(system, fd, { info, types: types ?? typesOf(system, info) });
  });
}

/** A handle on a program's fd, which is closed where that fails. */
export function programFromFd(system: System, fd: number): Program {
  return owning(system, fd, () => {
    const info: InfoOf<'prog'> = { kind: 'prog' };
    system.bpf('objGetInfoByFd', { bpfFd: fd, info });
    return new Program(system, fd, { name: info.name ?? '', type: info.type ?? 0 });
  });
}

/**
 * A handle for an fd of any kind. Commands say what it is: they refuse an fd of another kind (EINVAL) before they
 * miss the rest of their arguments.
 */
export function handleFromFd(system: System, fd: number): BpfMap | Program | Link {
  const isTakenBy = (call: () => void): boolean =>
    owning(system, fd, () => {
      try {
        call();
        return true;
      } catch (error) {
        if (error instanceof BpfError) return error.errno !== 'EINVAL';
        throw error;
      }
    });
  const newProgFd = 0xffff_ffff;
  if (isTakenBy(() => system.bpf('linkUpdate', { linkFd: fd, newProgFd }))) return new Link(system, fd);
  return isTakenBy(() => system.bpf('mapLookupElem', { mapFd: fd }))
    ? mapFromFd(system, fd)
    : programFromFd(system, fd);
}

/** Every id that a GET_NEXT_ID command lists, ascending. */
export function listIds(system: System, cmd: 'mapGetNextId' | 'progGetNextId' | 'linkGetNextId'): number[] {
  const ids: number[] = [];
  const attr = { startId: 0, nextId: 0 };
  try {
    for (;;) {
      system.bpf(cmd, attr);
      ids.push(attr.nextId);
      attr.startId = attr.nextId;
    }
  } catch (error) {
    if (error instanceof BpfError && error.errno === 'ENOENT') return ids;
    throw error;
  }
}
