/**
 * CO-RE relocations as data (struct bpf_core_relo in linux/bpf.h): what the compiler asks about a type, and how
 * libbpf's messages spell it.
 */
import { SkepError } from '../../base/errors.ts';
import { typeName } from '../query.ts';
import type { Btf } from '../read.ts';
import type { AccessSpec } from './access.ts';

/** enum bpf_core_relo_kind: the index is the number; names are those of libbpf's messages. */
export const coreKinds = [
  { name: 'byte_off', about: 'field' },
  { name: 'byte_sz', about: 'field' },
  { name: 'field_exists', about: 'field' },
  { name: 'signed', about: 'field' },
  { name: 'lshift_u64', about: 'field' },
  { name: 'rshift_u64', about: 'field' },
  { name: 'local_type_id', about: 'type' },
  { name: 'target_type_id', about: 'type' },
  { name: 'type_exists', about: 'type' },
  { name: 'type_size', about: 'type' },
  { name: 'enumval_exists', about: 'enumerator' },
  { name: 'enumval_value', about: 'enumerator' },
  { name: 'type_matches', about: 'type' },
] as const;

export type CoreKind = (typeof coreKinds)[number];

/** One question of the compiler's, about a type of the object's own BTF. */
export interface CoreRelocation {
  /** The instruction that holds the answer, in slots. */
  readonly slot: number;
  readonly kind: CoreKind['name'];
  readonly typeId: number;
  /** '0:1:2': array indexes and member numbers from the type; an enumerator's number; '0' for a type. */
  readonly access: string;
}

/** What goes wrong in here; the loader says in which program and instruction. */
export function badCore(message: string, hint?: string): SkepError {
  return new SkepError({ code: 'core', message, hint });
}

/** 'struct task_struct.pid (0:1 @ offset 4)': a place in a type as libbpf's messages write it. */
export function formatAccess(btf: Btf, spec: AccessSpec, about: CoreKind['about']): string {
  const root = `[${spec.rootId}] ${kindWord(btf, spec.rootId)}`;
  if (about === 'type') return root;
  const last = spec.accessors.at(-1);
  if (about === 'enumerator') {
    const type = btf.type(last?.typeId ?? 0);
    const value = 'values' in type ? type.values[last?.index ?? 0]?.value : undefined;
    return `${root}::${last?.name} = ${value}`;
  }
  let path = '';
  for (const [i, { name, index }] of spec.accessors.entries()) {
    if (name !== undefined) path += `.${name}`;
    else if (i > 0 || index > 0) path += `[${index}]`;
  }
  const [bytes, bits] = [Math.floor(spec.bitOffset / 8), spec.bitOffset % 8];
  const place = bits === 0 ? `${bytes}` : `${bytes}.${bits}`;
  return `${root}${path} (${spec.raw.join(':')} @ offset ${place})`;
}

function kindWord(btf: Btf, id: number): string {
  const type = btf.type(id);
  switch (type.kind) {
    case 'struct':
    case 'union':
    case 'enum':
      return `${type.kind} ${type.name === '' ? '<anon>' : type.name}`;
    case 'enum64':
      return `enum64 ${type.name === '' ? '<anon>' : type.name}`;
    default:
      return `${type.kind} ${typeName(btf, id)}`.trimEnd();
  }
}
