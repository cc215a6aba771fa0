/**
 * Kernel pointers in values of maps: programs load and store them whole, and what they point to must be of the
 * field's type (check_map_kptr_access, map_kptr_match_type).
 */

import { type Btf, sizeOf } from '../btf/index.ts';
import { checkUnmoved } from './alignment.ts';
import { setBtfPointer, typeRef } from './btf-access.ts';
import { KERNEL, type TypeRef } from './btf-objects.ts';
import { isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { type Field, mapBtf, mapFields, pointee } from './fields.ts';
import { isNull, setPointer, typeOf, word } from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, ID, OFF, SMIN, TNUM_VALUE, UMAX } from './state/layout.ts';
import { baseType, type RegType, regTypeName, regTypes, typeFlags } from './state/reg-types.ts';
import { inRcu } from './trust.ts';
import type { MapFacts } from './types.ts';

export const isKptr = (field: Field): boolean =>
  field.kind === 'kptr' ||
  field.kind === 'kptrUntrusted' ||
  field.kind === 'percpuKptr' ||
  field.kind === 'uptr';

/** Objects of the kernel that RCU keeps while a program reads them from a map. */
const rcuProtected: ReadonlySet<string> = new Set([
  'cgroup',
  'bpf_cpumask',
  'task_struct',
  'bpf_crypto_ctx',
  'prog_test_ref_kfunc',
]);

function target(env: Env, map: MapFacts, field: Field): TypeRef {
  return pointee(env, field, mapBtf(map) as Btf);
}

/** Why a field may not be accessed, or not by a helper. */
export function fieldText(field: Field): string {
  return isKptr(field)
    ? `${field.name} cannot be accessed indirectly by helper`
    : `${field.name} cannot be accessed directly by load/store`;
}

/** Fields of a value that an access overlaps: only kernel pointers may be, whole (check_map_access). */
export function checkMapFields(
  env: Env,
  access: { readonly reg: number; readonly off: number; readonly size: number; readonly byHelper: boolean },
): void {
  const file = env.frame;
  const r = regAt(access.reg);
  const map = env.map(word(file, r, AUX0));
  const { off, size } = access;
  const min = off + Number(file.i64[r + SMIN]);
  const max = off + Number(file.u64[r + UMAX]) + size;
  for (const field of mapFields(map)) {
    if (min >= field.offset + field.size || field.offset >= max) continue;
    if (!isKptr(field) || access.byHelper) env.reject('EACCES', fieldText(field));
    if (!isConst(file, r)) env.reject('EACCES', `${field.name} access cannot have variable offset`);
    const at = off + Number(file.i64[r + TNUM_VALUE]);
    if (at !== field.offset) {
      env.reject('EACCES', `${field.name} access misaligned expected=${field.offset} off=${at}`);
    }
    if (size !== 8) env.reject('EACCES', `${field.name} access size must be BPF_DW`);
  }
}

/** The kernel pointer at a place of a value. */
export function kptrAt(env: Env, reg: number, off: number): Field | undefined {
  const file = env.frame;
  const r = regAt(reg);
  if (!isConst(file, r)) return undefined;
  const at = off + Number(file.i64[r + TNUM_VALUE]);
  return mapFields(env.map(word(file, r, AUX0))).find((field) => isKptr(field) && field.offset === at);
}

/** A load or store of one. `value` is a register, or -2 for the immediate `imm`. */
export function accessKptr(
  env: Env,
  field: Field,
  access: { readonly reg: number; readonly write: boolean; readonly value: number; readonly imm?: number },
): void {
  const { reg, write, value } = access;
  const map = env.map(word(env.frame, regAt(reg), AUX0));
  const insn = env.insns[env.insn];
  if (insn?.op !== 'load' && insn?.op !== 'store') {
    env.reject('EACCES', 'kptr in map can only be accessed using BPF_MEM instruction mode');
  }
  if (!write) {
    load(env, { map, field, to: regAt(value) });
    return;
  }
  if (field.kind === 'kptr' || field.kind === 'percpuKptr') {
    env.reject('EACCES', 'store to referenced kptr disallowed');
  }
  if (field.kind === 'uptr') env.reject('EACCES', 'store to uptr disallowed');
  if (value >= 0) {
    if (isNull(env.frame, regAt(value))) return;
    matchKptr(env, { btf: mapBtf(map) as Btf, field, reg: value }, 'EACCES');
  } else if (access.imm !== 0) {
    env.reject('EACCES', `BPF_ST imm must be 0 when storing to kptr at off=${field.offset}`);
  }
}

function load(env: Env, at: { map: MapFacts; field: Field; to: number }): void {
  const ref = target(env, at.map, at.field);
  if (at.field.kind === 'uptr') {
    const size = sizeOf(env.types.at(ref.object) as Btf, ref.id);
    setPointer(env.frame, at.to, regTypes.mem | typeFlags.maybeNull);
    env.frame.i32[2 * at.to + AUX0] = size;
    env.frame.i32[2 * at.to + ID] = env.newId();
    return;
  }
  setBtfPointer(env, at.to, { ...ref, flags: loadedFlags(env, at.field, ref) });
}

/** btf_ld_kptr_type */
function loadedFlags(env: Env, field: Field, ref: TypeRef): RegType {
  const isKernel = ref.object === KERNEL;
  const safe =
    field.kind === 'percpuKptr' ||
    (field.kind === 'kptr' && (!isKernel || rcuProtected.has(env.types.name(ref))));
  if (!safe || !inRcu(env)) return typeFlags.maybeNull | typeFlags.untrusted;
  const flags = typeFlags.maybeNull | typeFlags.rcu;
  if (field.kind === 'percpuKptr') return flags | typeFlags.percpu;
  return isKernel ? flags : flags | typeFlags.alloc | typeFlags.nonOwnRef;
}

/** A register may be put where a kernel pointer is. */
export function matchKptr(
  env: Env,
  at: { readonly btf: Btf; readonly field: Field; readonly reg: number },
  errno: 'EACCES' | 'EINVAL',
): void {
  const { field, reg } = at;
  const file = env.frame;
  const r = regAt(reg);
  const type = typeOf(file, r);
  const wanted = pointee(env, field, at.btf);
  const isPointer = baseType(type) === regTypes.btfId;
  const given = typeRef(file, r);
  const bad = (): never => {
    const from = isPointer ? env.types.name(given) : '';
    const to = env.types.name(wanted);
    const or =
      field.kind === 'kptrUntrusted' ? ` or ${regTypeName(regTypes.btfId | typeFlags.untrusted)}${to}` : '';
    return env.reject(
      errno,
      `invalid kptr access, R${reg} type=${regTypeName(type)}${from} expected=${regTypeName(regTypes.btfId)}${to}${or}`,
    );
  };
  let allowed: RegType = typeFlags.maybeNull;
  if (isPointer && given.object === KERNEL) {
    allowed |= typeFlags.trusted | typeFlags.rcu;
    if (field.kind === 'kptrUntrusted') allowed |= typeFlags.untrusted;
  } else {
    allowed |= typeFlags.alloc;
    if (field.kind === 'percpuKptr') allowed |= typeFlags.percpu;
  }
  if (!isPointer || (type & ~0xff & ~allowed) !== 0) bad();
  checkUnmoved(env, reg, true);
  const strict = field.kind !== 'kptrUntrusted';
  if (
    !env.types.matches({ ...given, off: word(file, r, OFF) }, wanted, {
      strict: strict,
      log: (text) => env.write(text),
    })
  )
    bad();
}
