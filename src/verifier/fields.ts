/**
 * Fields that only helpers and kernel functions may touch: locks, timers, kernel pointers, the heads and nodes of
 * lists and trees. They are found in the BTF of a map's values, or of a struct that programs allocate
 * (btf_parse_fields).
 */
import { type Btf, type BtfType, readBtf, resolveModifiers } from '../btf/index.ts';
import type { TypeRef } from './btf-objects.ts';
import { KERNEL } from './btf-objects.ts';
import type { Env } from './env.ts';
import type { MapFacts } from './types.ts';

export type FieldKind =
  | 'spinLock'
  | 'resSpinLock'
  | 'timer'
  | 'wq'
  | 'taskWork'
  | 'listHead'
  | 'listNode'
  | 'rbRoot'
  | 'rbNode'
  | 'refcount'
  | 'kptrUntrusted'
  | 'kptr'
  | 'percpuKptr'
  | 'uptr';

export interface Field {
  readonly kind: FieldKind;
  /** As messages call it (btf_field_type_name). */
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  /** Of pointers: the type pointed to, in the BTF that the field is in. */
  readonly target?: number;
  /** Of heads of lists and trees: the struct of their elements, and where in it the node is. */
  readonly element?: { readonly id: number; readonly nodeName: string; readonly offset: number };
}

interface Structure {
  readonly kind: FieldKind;
  readonly size: number;
  readonly inMaps: boolean;
}

const structures: Readonly<Record<string, Structure>> = {
  bpf_spin_lock: { kind: 'spinLock', size: 4, inMaps: true },
  bpf_res_spin_lock: { kind: 'resSpinLock', size: 4, inMaps: true },
  bpf_timer: { kind: 'timer', size: 16, inMaps: true },
  bpf_wq: { kind: 'wq', size: 16, inMaps: true },
  bpf_task_work: { kind: 'taskWork', size: 8, inMaps: true },
  bpf_list_head: { kind: 'listHead', size: 16, inMaps: true },
  bpf_list_node: { kind: 'listNode', size: 24, inMaps: false },
  bpf_rb_root: { kind: 'rbRoot', size: 16, inMaps: true },
  bpf_rb_node: { kind: 'rbNode', size: 32, inMaps: false },
  bpf_refcount: { kind: 'refcount', size: 4, inMaps: true },
};

const pointerTags: Readonly<Record<string, FieldKind>> = {
  kptr_untrusted: 'kptrUntrusted',
  kptr: 'kptr',
  percpu_kptr: 'percpuKptr',
  uptr: 'uptr',
};

const pointerNames: Partial<Record<FieldKind, string>> = {
  kptrUntrusted: 'kptr',
  kptr: 'kptr',
  percpuKptr: 'percpu_kptr',
  uptr: 'uptr',
};

/** BTF_FIELDS_MAX, which bounds the arrays of them too. */
const MAX_FIELDS = 11;
const MAX_DEPTH = 32;
const POINTER_SIZE = 8;

const ofMaps = new WeakMap<object, readonly Field[]>();
const ofTypes = new WeakMap<Btf, Map<number, readonly Field[]>>();
const readings = new WeakMap<Uint8Array, Btf>();

/** The BTF that a map was made with. */
export function mapBtf(map: MapFacts): Btf | undefined {
  if (!(map.btf instanceof Uint8Array)) return map.btf as Btf | undefined;
  let btf = readings.get(map.btf);
  if (btf === undefined) readings.set(map.btf, (btf = readBtf(map.btf)));
  return btf;
}

/** The fields of values of a type, as a map of such values is made. */
export function valueFields(btf: Btf, id: number): readonly Field[] {
  return parse(btf, id, true);
}

/** The fields of a map's values. */
export function mapFields(map: MapFacts): readonly Field[] {
  const known = ofMaps.get(map);
  if (known !== undefined) return known;
  const btf = mapBtf(map);
  const fields = btf === undefined || !map.btfValueTypeId ? [] : parse(btf, map.btfValueTypeId, true);
  ofMaps.set(map, fields);
  return fields;
}

/** The fields of a struct that programs allocate; the kernel's have none. */
export function ownRecord(env: Env, ref: TypeRef): readonly Field[] {
  const btf = ref.object === KERNEL ? undefined : env.types.at(ref.object);
  if (btf === undefined) return [];
  let types = ofTypes.get(btf);
  if (types === undefined) ofTypes.set(btf, (types = new Map()));
  let fields = types.get(ref.id);
  if (fields === undefined) types.set(ref.id, (fields = parse(btf, ref.id, false)));
  return fields;
}

/** The field of a map's value that overlaps [min, max). */
export function fieldAt(fields: readonly Field[], min: number, max: number): Field | undefined {
  return fields.find((field) => min < field.offset + field.size && field.offset < max);
}

export function fieldOf(fields: readonly Field[], kind: FieldKind): Field | undefined {
  return fields.find((field) => field.kind === kind);
}

interface Parsing {
  readonly btf: Btf;
  readonly inMap: boolean;
  readonly found: Field[];
  /** Structs in which there is nothing, so that one that is in many places is searched once. */
  readonly barren: Set<number>;
  /** Of the struct that was asked for: tags of its members. */
  tags: ReadonlyMap<string, readonly string[]> | undefined;
}

function parse(btf: Btf, id: number, inMap: boolean): readonly Field[] {
  const parsing: Parsing = { btf, inMap, found: [], barren: new Set(), tags: undefined };
  const top = resolveModifiers(btf, id);
  const type = btf.type(top);
  if (type.kind === 'datasec') {
    for (const { type: variable, offset } of type.variables) {
      const one = btf.type(variable);
      if (one.kind === 'var') member(parsing, { id: one.type, offset, depth: 0, tagged: `${variable}:-1` });
    }
  } else if (type.kind === 'struct') members(parsing, { id: top, offset: 0, depth: 0 });
  return parsing.found.sort((a, b) => a.offset - b.offset);
}

function members(parsing: Parsing, at: { id: number; offset: number; depth: number }): void {
  const { btf, found, barren } = parsing;
  const type = btf.type(at.id);
  if (type.kind !== 'struct' || at.depth > MAX_DEPTH || barren.has(at.id)) return;
  const before = found.length;
  for (const [index, { type: id, bitOffset }] of type.members.entries()) {
    if (found.length > MAX_FIELDS) return;
    const offset = at.offset + (bitOffset >> 3);
    member(parsing, { id, offset, depth: at.depth + 1, tagged: `${at.id}:${index}` });
  }
  if (found.length === before) barren.add(at.id);
}

interface MemberAt {
  readonly id: number;
  readonly offset: number;
  readonly depth: number;
  /** What declaration tags refer to it as. */
  readonly tagged: string;
}

function member(parsing: Parsing, at: MemberAt): void {
  const { btf, found } = parsing;
  let id = resolveModifiers(btf, at.id);
  let count = 1;
  for (let type = btf.type(id); type.kind === 'array'; type = btf.type(id)) {
    count *= type.length;
    id = resolveModifiers(btf, type.type);
  }
  if (count === 0) return;
  const before = found.length;
  const type = btf.type(id);
  const size = one(parsing, at, { id, type });
  const added = found.slice(before);
  for (let i = 1; i < count && added.length > 0 && found.length <= MAX_FIELDS; i++) {
    for (const field of added) found.push({ ...field, offset: field.offset + i * size });
  }
}

/** What one element adds; its size. */
function one(parsing: Parsing, at: MemberAt, element: { id: number; type: BtfType }): number {
  const { found } = parsing;
  const { type, id } = element;
  if (type.kind === 'ptr') {
    const kind = pointerKind(parsing.btf, type.type);
    if (kind !== undefined) {
      const target = resolveModifiers(parsing.btf, type.type);
      const name = pointerNames[kind] ?? '';
      found.push({ kind, name, offset: at.offset, size: POINTER_SIZE, target });
    }
    return POINTER_SIZE;
  }
  if (type.kind !== 'struct') return 0;
  const known = Object.hasOwn(structures, type.name) ? structures[type.name] : undefined;
  if (known === undefined) {
    members(parsing, { id, offset: at.offset, depth: at.depth });
    return type.size;
  }
  if (parsing.inMap && !known.inMaps) return type.size;
  const { kind, size } = known;
  const field: Field = { kind, name: type.name, offset: at.offset, size };
  if (kind !== 'listHead' && kind !== 'rbRoot') found.push(field);
  else {
    const target = elementOf(parsing, at.tagged, kind);
    if (target !== undefined) found.push({ ...field, element: target });
  }
  return size;
}

function pointerKind(btf: Btf, id: number): FieldKind | undefined {
  const tag = btf.type(id);
  if (tag.kind !== 'typeTag' || tag.attribute === true || !Object.hasOwn(pointerTags, tag.name)) {
    return undefined;
  }
  return pointerTags[tag.name];
}

const CONTAINS = 'contains:';

/** The struct that `contains:STRUCT:NODE` names (btf_find_graph_root). */
function elementOf(parsing: Parsing, tagged: string, kind: FieldKind): Field['element'] {
  const { btf } = parsing;
  parsing.tags ??= tagsOf(btf);
  const text = parsing.tags.get(tagged)?.find((tag) => tag.startsWith(CONTAINS));
  const [name, node] = text?.slice(CONTAINS.length).split(':') ?? [];
  const id = name === undefined ? undefined : btf.find(name, 'struct');
  const type = id === undefined ? undefined : btf.type(id);
  if (id === undefined || type?.kind !== 'struct' || node === undefined) return undefined;
  const found = type.members.find((one) => one.name === node);
  const wanted = kind === 'listHead' ? 'bpf_list_node' : 'bpf_rb_node';
  if (found === undefined || btf.type(resolveModifiers(btf, found.type)).name !== wanted) return undefined;
  return { id, nodeName: node, offset: found.bitOffset >> 3 };
}

function tagsOf(btf: Btf): ReadonlyMap<string, readonly string[]> {
  const tags = new Map<string, string[]>();
  for (const id of btf.idsOf('declTag')) {
    const tag = btf.type(id);
    if (tag.kind !== 'declTag') continue;
    const key = `${tag.type}:${tag.component}`;
    const known = tags.get(key);
    if (known === undefined) tags.set(key, [tag.name]);
    else known.push(tag.name);
  }
  return tags;
}

/** What a pointer in a map or object points to: a type of the kernel of that name, else of the program's own. */
export function pointee(env: Env, field: Field, btf: Btf): TypeRef {
  const own = { object: env.types.numberOf(btf), id: field.target ?? 0 };
  if (field.kind === 'uptr') return own;
  const type = btf.type(own.id);
  if (type.name === '' || type.kind === 'void') return own;
  const id = env.types.kernel?.find(type.name, type.kind);
  return id === undefined ? own : { object: KERNEL, id };
}
