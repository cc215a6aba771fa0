/**
 * The types of records in ring buffers and perf buffers, which no map has. By convention, a map's records are what
 *
 * 1. a declaration tag on the map names: `__attribute__((btf_decl_tag("record:event")))`, `struct event`;
 * 2. or else the struct of the map's own name, or of its name without an s at the end: `events`, `struct event`.
 *
 * The struct must be among the object's types, where the compiler puts those of maps, global variables and arguments:
 * `const struct event *unused __attribute__((unused));` puts one there.
 */
import type { Btf } from '../../btf/index.ts';
import type { MapSpec } from '../../object/spec.ts';
import { mapTypes } from '../../uapi/map-types.ts';

export interface RecordType {
  /** The map's name. */
  readonly map: string;
  readonly reader: 'RingBuffer' | 'PerfBuffer';
  readonly typeName: string;
  readonly typeId: number;
}

const tagPrefix = 'record:';

const readers = new Map<number, RecordType['reader']>([
  [mapTypes.ringbuf.id, 'RingBuffer'],
  [mapTypes.perf_event_array.id, 'PerfBuffer'],
]);

/** What declaration tags on maps name, by map. */
function taggedRecords(btf: Btf): Map<string, string> {
  const found = new Map<string, string>();
  for (const id of btf.idsOf('declTag')) {
    const tag = btf.type(id);
    if (tag.kind !== 'declTag' || !tag.name.startsWith(tagPrefix)) continue;
    const variable = btf.type(tag.type);
    if (variable.kind === 'var')
      found.set(variable.name, tag.name.slice(tagPrefix.length).replace(/^struct /, ''));
  }
  return found;
}

/** The record types of those maps that have one. */
export function recordTypes(btf: Btf, maps: readonly MapSpec[]): RecordType[] {
  const tagged = taggedRecords(btf);
  return maps.flatMap((map): RecordType[] => {
    const reader = readers.get(map.type);
    if (reader === undefined) return [];
    const tag = tagged.get(map.name);
    const names = tag === undefined ? [map.name, map.name.replace(/s$/, '')] : [tag];
    for (const typeName of names) {
      const typeId = btf.find(typeName, 'struct') ?? btf.find(typeName, 'typedef');
      if (typeId !== undefined) return [{ map: map.name, reader, typeName, typeId }];
    }
    return [];
  });
}
