/**
 * Fields of map values that only helpers may touch: locks, timers, kernel pointers and the like, found in the
 * BTF of the value (btf_parse_fields).
 */
import { type Btf, readBtf, resolvedType } from '../btf/index.ts';
import type { MapFacts } from './types.ts';

export interface SpecialField {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

const structs: Readonly<Record<string, number>> = {
  bpf_spin_lock: 4,
  bpf_res_spin_lock: 4,
  bpf_timer: 16,
  bpf_wq: 16,
  bpf_task_work: 8,
  bpf_list_head: 16,
  bpf_list_node: 24,
  bpf_rb_root: 16,
  bpf_rb_node: 32,
  bpf_refcount: 4,
};

const cache = new WeakMap<object, readonly SpecialField[]>();

/** The fields, by what of a map says what its value is. */
export function specialFields(map: Pick<MapFacts, 'btf' | 'btfValueTypeId'>): readonly SpecialField[] {
  const known = cache.get(map);
  if (known !== undefined) return known;
  const found: SpecialField[] = [];
  const btf = btfOf(map);
  if (btf !== undefined && map.btfValueTypeId)
    collect(btf, { id: map.btfValueTypeId, base: 0, depth: 0 }, found);
  cache.set(map, found);
  return found;
}

function btfOf(map: Pick<MapFacts, 'btf'>): Btf | undefined {
  return map.btf instanceof Uint8Array ? readBtf(map.btf) : (map.btf as Btf | undefined);
}

const MAX_DEPTH = 8;

/** Tags of what a pointer in a value points to: kernel objects, or memory of user space. */
const kptrTags = ['kptr', 'kptr_untrusted', 'percpu_kptr', 'uptr'];

function collect(btf: Btf, at: { id: number; base: number; depth: number }, found: SpecialField[]): void {
  if (at.depth > MAX_DEPTH) return;
  const type = resolvedType(btf, at.id);
  if (type.kind === 'datasec') {
    for (const one of type.variables) {
      const variable = btf.type(one.type);
      if (variable.kind === 'var')
        collect(btf, { id: variable.type, base: at.base + one.offset, depth: at.depth + 1 }, found);
    }
    return;
  }
  if (type.kind === 'array') {
    const size = structs[nameOf(btf, type.type)];
    if (size !== undefined)
      found.push({ name: nameOf(btf, type.type), offset: at.base, size: size * type.length });
    else collect(btf, { id: type.type, base: at.base, depth: at.depth + 1 }, found);
    return;
  }
  if (type.kind !== 'struct') {
    const tag = type.kind === 'ptr' ? btf.type(type.type) : undefined;
    if (tag?.kind === 'typeTag' && kptrTags.includes(tag.name)) {
      found.push({ name: tag.name === 'uptr' ? 'uptr' : 'kptr', offset: at.base, size: 8 });
    }
    return;
  }
  const size = structs[type.name];
  if (size !== undefined) {
    found.push({ name: type.name, offset: at.base, size });
    return;
  }
  for (const member of type.members) {
    collect(btf, { id: member.type, base: at.base + (member.bitOffset >> 3), depth: at.depth + 1 }, found);
  }
}

function nameOf(btf: Btf, id: number): string {
  const type = resolvedType(btf, id);
  return 'name' in type ? type.name : '';
}

/** The special field that [min, max) of a value overlaps. */
export function specialAt(map: MapFacts, min: number, max: number): string | undefined {
  return specialFields(map).find((field) => min < field.offset + field.size && field.offset < max)?.name;
}
