/**
 * MAP_LOOKUP_ELEM, UPDATE, DELETE, LOOKUP_AND_DELETE, GET_NEXT_KEY and FREEZE: rights and buffers are checked here, the rest is
 * the map kind's. Program arrays are written as fds and hold ids.
 */
import type { BpfMap } from '../../maps/index.ts';
import type { BpfAttr } from '../../uapi/commands.ts';
import { errnoName } from '../../uapi/errno.ts';
import { mapTypeName } from '../../uapi/map-types.ts';
import { F_XDP_HAS_FRAGS } from '../flags.ts';
import type { MapObject, ProgArrayOwner } from '../objects/map.ts';
import type { ProgObject } from '../objects/program.ts';
import type { Call } from './call.ts';

/** BPF_F_LOCK; maps with a spin lock are not here. */
export const F_LOCK = 4n;

type Access = 'read' | 'write';

/** The map of an fd that was opened for this (map_get_sys_perms); freezing takes the right to write away. */
function mapFor(call: Call, fd: number | undefined, access: Access): MapObject {
  const map = call.object(fd, 'map');
  if (!call.file(fd)[access]) throw call.fail('EPERM', `the fd was not opened to ${access}`);
  if (access === 'write' && map.frozen) throw call.fail('EPERM', 'the map is frozen');
  return map;
}

/** Its elements: a map that exists for the verifier alone has none. */
export function elementsOf(call: Call, fd: number | undefined, access: Access): MapObject {
  const map = mapFor(call, fd, access);
  if (!map.isVerifiedOnly) return map;
  const type = mapTypeName(map.map.def.type);
  throw call.fail(
    'ENOTSUPP',
    `maps of type ${type} are verified-only: this kernel keeps no elements in them`,
  );
}

/** Turns a map kind's negative errno into an exception. */
export function done(call: Call, result: number): number {
  if (result < 0) throw call.fail(errnoName(-result));
  return result;
}

/** The key; kinds without keys take none (___bpf_copy_key). */
function keyOf(call: Call, map: BpfMap, key: Uint8Array | undefined): Uint8Array {
  if (map.def.keySize > 0) return call.buffer(key, map.def.keySize, 'the key');
  if (key !== undefined) throw call.fail('EINVAL', 'the map has no keys');
  return new Uint8Array();
}

export function mapLookupElem(call: Call, attr: BpfAttr<'mapLookupElem'>): number {
  const flags = attr.flags ?? 0n;
  if ((flags & ~F_LOCK) !== 0n) throw call.fail('EINVAL', 'the only flag of a lookup is BPF_F_LOCK');
  const { map } = elementsOf(call, attr.mapFd, 'read');
  if (flags !== 0n) throw call.fail('EINVAL', 'the map has no spin lock');
  const key = keyOf(call, map, attr.key);
  return done(call, map.userLookup(key, call.buffer(attr.value, map.userValueSize, 'the value')));
}

export function mapUpdateElem(call: Call, attr: BpfAttr<'mapUpdateElem'>): number {
  const object = elementsOf(call, attr.mapFd, 'write');
  const { map } = object;
  const flags = attr.flags ?? 0n;
  if ((flags & F_LOCK) !== 0n) throw call.fail('EINVAL', 'the map has no spin lock');
  const key = keyOf(call, map, attr.key);
  const value = call.buffer(attr.value, map.userValueSize, 'the value');
  if (object.isProgArray) return updateProgArray(call, object, { key, value, flags });
  return done(call, map.userUpdate(key, value, flags));
}

export function mapLookupAndDeleteElem(call: Call, attr: BpfAttr<'mapLookupAndDeleteElem'>): number {
  const flags = attr.flags ?? 0n;
  if ((flags & ~F_LOCK) !== 0n) throw call.fail('EINVAL', 'the only flag is BPF_F_LOCK');
  // Both rights are wanted (map_lookup_and_delete_elem).
  const { map } = elementsOf(call, attr.mapFd, 'read');
  elementsOf(call, attr.mapFd, 'write');
  if (flags !== 0n) throw call.fail('EINVAL', 'the map has no spin lock');
  const key = keyOf(call, map, attr.key);
  const value = call.buffer(attr.value, map.userValueSize, 'the value');
  if (map.userPop !== undefined) return done(call, map.userPop(value));
  if (map.bucketKeys === undefined) throw call.fail('ENOTSUPP', 'elements of this kind cannot be taken out');
  done(call, map.userLookup(key, value));
  return done(call, map.userDelete(key));
}

export function mapDeleteElem(call: Call, attr: BpfAttr<'mapDeleteElem'>): number {
  const object = elementsOf(call, attr.mapFd, 'write');
  const key = call.buffer(attr.key, object.map.def.keySize, 'the key');
  done(call, object.map.userDelete(key));
  if (object.isProgArray) {
    const index = readU32(key);
    object.programs.get(index)?.put();
    object.programs.delete(index);
  }
  return 0;
}

export function mapGetNextKey(call: Call, attr: BpfAttr<'mapGetNextKey'>): number {
  const { map } = elementsOf(call, attr.mapFd, 'read');
  const { keySize } = map.def;
  const key = attr.key === undefined ? undefined : call.buffer(attr.key, keySize, 'the key');
  // The next key may be written over the one given.
  return done(call, map.userNextKey(key?.slice(), call.buffer(attr.nextKey, keySize, 'the next key')));
}

export function mapFreeze(call: Call, attr: BpfAttr<'mapFreeze'>): number {
  const map = mapFor(call, attr.mapFd, 'write');
  if (map.writers > 0) throw call.fail('EBUSY', 'a writable mapping of the map is open');
  map.frozen = true;
  return 0;
}

interface Element {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly flags: bigint;
}

/** bpf_fd_array_map_update_elem() */
function updateProgArray(call: Call, object: MapObject, { key, value, flags }: Element): number {
  const index = readU32(key);
  if (flags !== 0n) throw call.fail('EINVAL', 'a slot of a program array is set with BPF_ANY');
  if (index >= object.map.def.maxEntries) throw call.fail('E2BIG', `the array has no slot ${index}`);
  const program = call.object(readU32(value), 'prog');
  if (!joinProgArray(object, program.facts)) {
    throw call.fail('EINVAL', 'the program differs in type from those that use the array');
  }
  const id = new Uint8Array(4);
  new DataView(id.buffer).setUint32(0, program.id, true);
  done(call, object.map.userUpdate(key, id, flags));
  const old = object.programs.get(index);
  object.programs.set(index, program.get());
  old?.put();
  return 0;
}

/** The first program that an array holds or is used by decides what the others must be. */
export function joinProgArray(
  array: MapObject,
  program: Pick<ProgObject['facts'], 'type' | 'expectedAttachType' | 'flags'>,
): boolean {
  const mine: ProgArrayOwner = {
    type: program.type,
    expectedAttachType: program.expectedAttachType,
    xdpHasFrags: (program.flags & F_XDP_HAS_FRAGS) !== 0,
  };
  const owner = (array.owner ??= mine);
  return (
    owner.type === mine.type &&
    owner.expectedAttachType === mine.expectedAttachType &&
    owner.xdpHasFrags === mine.xdpHasFrags
  );
}

function readU32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}
