/**
 * MAP_CREATE of one map, filling it, freezing it, and reusing a pinned one.
 */
import { SkepError } from '../base/errors.ts';
import type { MapSpec } from '../object/spec.ts';
import { BpfError } from '../uapi/errno.ts';
import type { InfoOf } from '../uapi/info.ts';
import { mapTypeName, mapTypes } from '../uapi/map-types.ts';
import type { Mapping, System } from '../uapi/seam.ts';
import { supports } from './features.ts';
import { objectName } from './load-program.ts';

/** Kinds whose elements Linux takes no types for, though an object may have some (libbpf: bpf_object__create_map). */
const untyped: ReadonlySet<number> = new Set(
  [
    mapTypes.perf_event_array,
    mapTypes.cgroup_array,
    mapTypes.stack_trace,
    mapTypes.array_of_maps,
    mapTypes.hash_of_maps,
    mapTypes.devmap,
    mapTypes.devmap_hash,
    mapTypes.cpumap,
    mapTypes.xskmap,
    mapTypes.sockmap,
    mapTypes.sockhash,
    mapTypes.queue,
    mapTypes.stack,
    mapTypes.arena,
  ].map(({ id }) => id),
);

const pageSize = 4096;

/** What a spec leaves to the machine: a slot for each CPU, and whole pages of a ring. */
function sizeFor(system: System, { type, maxEntries }: MapSpec): number {
  if (type === mapTypes.perf_event_array.id && maxEntries === 0) return system.possibleCpus();
  if (type !== mapTypes.ringbuf.id && type !== mapTypes.user_ringbuf.id) return maxEntries;
  if (maxEntries === 0 || maxEntries > 2 ** 31) return maxEntries;
  return Math.max(pageSize, 2 ** Math.ceil(Math.log2(maxEntries)));
}

/** BPF_F_MMAPABLE, BPF_F_VTYPE_BTF_OBJ_FD. */
const [mmapable, vtypeBtfObjFd] = [1 << 10, 1 << 15];

/**
 * The attributes to try: what the spec says, then without types, as libbpf does, and for an old kernel without
 * what it does not know.
 */
function* attempts(system: System, spec: MapSpec, fds: { btfFd?: number; innerMapFd?: number }) {
  const { btfKeyTypeId, btfValueTypeId } = spec;
  const { btfFd, innerMapFd } = fds;
  const untypedAttr = {
    mapType: spec.type,
    keySize: spec.keySize,
    valueSize: spec.valueSize,
    maxEntries: sizeFor(system, spec),
    mapFlags: spec.flags,
    mapExtra: spec.mapExtra,
    numaNode: spec.numaNode,
    mapName: objectName(spec.name),
    innerMapFd,
    // The kernel wants BTF of the object with the id of a type of its own, though it looks nothing up in it.
    ...(spec.kernelValueTypeId && { btfFd, btfVmlinuxValueTypeId: spec.kernelValueTypeId }),
    ...(spec.kernelValueTypeFd && {
      mapFlags: spec.flags | vtypeBtfObjFd,
      valueTypeBtfObjFd: spec.kernelValueTypeFd,
    }),
  };
  if (btfFd !== undefined && (btfKeyTypeId !== 0 || btfValueTypeId !== 0) && !untyped.has(spec.type)) {
    yield { ...untypedAttr, btfFd, btfKeyTypeId, btfValueTypeId };
  }
  yield untypedAttr;
  const hasNames = supports(system, 'progName');
  const maps = supports(system, 'arrayMmap');
  if (hasNames && maps) return;
  const { mapName, ...nameless } = untypedAttr;
  const mapFlags = maps ? spec.flags : spec.flags & ~mmapable;
  yield { ...nameless, mapFlags, ...(hasNames ? { mapName } : {}) };
}

/**
 * Creates a map; returns its fd.
 * @throws {BpfError} EINVAL, E2BIG or ENOMEM for a size or flags that the kernel does not take
 */
export function createMap(system: System, spec: MapSpec, btfFd: number | undefined): number {
  const innerMapFd = spec.inner === undefined ? undefined : createMap(system, spec.inner, btfFd);
  let first: BpfError | undefined;
  try {
    for (const attr of attempts(system, spec, {
      ...(btfFd && { btfFd }),
      ...(innerMapFd && { innerMapFd }),
    })) {
      try {
        return system.bpf('mapCreate', attr);
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        first ??= error;
        if (!fallbackErrnos.has(error.errno)) break;
      }
    }
  } finally {
    if (innerMapFd !== undefined) system.close(innerMapFd);
  }
  const { errno = 'EINVAL', hint } = first ?? {};
  throw new BpfError(
    errno,
    `map '${spec.name}' (${shapeOf(spec)}) was not created`,
    hint ?? hintFor(system, spec),
  );
}

/** What a kernel says that does not know a field, a flag, or types for a kind of map. */
const fallbackErrnos: ReadonlySet<string> = new Set(['EINVAL', 'E2BIG', 'ENOTSUPP', 'EBADF']);

/** Only maps of variables have a dot in their names. */
function hintFor(system: System, { name }: MapSpec): string | undefined {
  if (!name.includes('.') || supports(system, 'globalData')) return undefined;
  return 'this kernel has no global variables: Linux 5.2 has';
}

function shapeOf({ type, keySize, valueSize, maxEntries }: MapSpec): string {
  const typeName = mapTypeName(type) ?? `type ${type}`;
  return `${typeName}, key ${keySize} bytes, value ${valueSize} bytes, ${maxEntries} entries`;
}

/**
 * Opens the pinned map of that name, or creates and pins it; a map that is not pinned is created.
 * @returns `pinned`: the name that it was given just now
 */
export function createOrReuse(
  system: System,
  spec: MapSpec,
  { btfFd, pinPath }: { btfFd: number | undefined; pinPath: string },
): { fd: number; reused: boolean; pinned?: string } {
  if (spec.pinning === 'none') return { fd: createMap(system, spec, btfFd), reused: false };
  const pathname = [pinPath, spec.pinFolder, spec.name].filter((part) => part !== undefined).join('/');
  const pinned = openPin(system, pathname);
  if (pinned === undefined && spec.pinFolder !== undefined)
    system.makeFolder?.(`${pinPath}/${spec.pinFolder}`);
  const fd = pinned ?? createMap(system, spec, btfFd);
  try {
    if (pinned === undefined) system.bpf('objPin', { pathname, bpfFd: fd });
    else checkSame(system, spec, { fd, pathname });
  } catch (error) {
    system.close(fd);
    throw error;
  }
  return pinned === undefined ? { fd, reused: false, pinned: pathname } : { fd, reused: true };
}

function openPin(system: System, pathname: string): number | undefined {
  try {
    return system.bpf('objGet', { pathname });
  } catch (error) {
    if (error instanceof BpfError && error.errno === 'ENOENT') return undefined;
    throw error;
  }
}

/** A pinned map is used in place of the spec's only where it is the same. */
function checkSame(system: System, spec: MapSpec, pinned: { fd: number; pathname: string }): void {
  const info: InfoOf<'map'> = { kind: 'map' };
  system.bpf('objGetInfoByFd', { bpfFd: pinned.fd, info });
  const wanted = { ...spec, maxEntries: sizeFor(system, spec) };
  for (const field of ['type', 'keySize', 'valueSize', 'maxEntries'] as const) {
    if (info[field] === wanted[field]) continue;
    throw new SkepError({
      code: 'pin-mismatch',
      where: pinned.pathname,
      message: `the pinned map has ${field} ${info[field]}, the object wants ${wanted[field]}`,
      hint: 'remove the pin, or rename the map',
    });
  }
}

/** Writes the raw initial elements of a map, and freezes it where the spec says so. */
export function fillMap(system: System, spec: MapSpec, mapFd: number): void {
  for (const { key, value } of spec.contents) {
    if (value instanceof Uint8Array) system.bpf('mapUpdateElem', { mapFd, key, value, flags: 0n });
  }
  if (spec.freeze) system.bpf('mapFreeze', { mapFd });
}

/**
 * Maps an arena where its programs will see it, and puts its variables into its first pages. It stays mapped:
 * nobody may map it at another place. Undefined on a kernel that knows arenas for its verifier alone.
 */
export function mapArena(system: System, spec: MapSpec, mapFd: number): Mapping | undefined {
  const address = spec.mapExtra === 0n ? undefined : Number(spec.mapExtra);
  const length = spec.maxEntries * pageSize;
  for (const { value } of spec.contents) {
    if (!(value instanceof Uint8Array) || value.length <= length) continue;
    throw new SkepError({
      code: 'map-size',
      where: `map '${spec.name}'`,
      message: `its variables are ${value.length} bytes, its ${spec.maxEntries} pages ${length}`,
      hint: 'raise max_entries',
    });
  }
  let mapping: Mapping;
  try {
    mapping = system.mmap(mapFd, { length, offset: 0, writable: true, address });
  } catch (error) {
    if (error instanceof BpfError && error.errno === 'ENOTSUPP') return undefined;
    throw error;
  }
  for (const { value } of spec.contents) {
    if (value instanceof Uint8Array) mapping.bytes.set(value);
  }
  return mapping;
}

/** Live fds by the names of a spec. */
export interface FdsByName {
  readonly maps: ReadonlyMap<string, number>;
  readonly programs: ReadonlyMap<string, number>;
}

/** Writes the initial elements that are maps or programs, by their fds. */
export function linkMap(
  system: System,
  spec: MapSpec,
  { mapFd, fds }: { mapFd: number; fds: FdsByName },
): void {
  for (const { key, value } of spec.contents) {
    if (value instanceof Uint8Array) continue;
    const fd = 'map' in value ? fds.maps.get(value.map) : fds.programs.get(value.program);
    if (fd === undefined) {
      const name = 'map' in value ? `map '${value.map}'` : `program '${value.program}'`;
      throw new SkepError({
        code: 'reference',
        where: `map '${spec.name}'`,
        message: `its initial element ${name} is not loaded`,
      });
    }
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, fd, true);
    system.bpf('mapUpdateElem', { mapFd, key, value: bytes, flags: 0n });
  }
}
