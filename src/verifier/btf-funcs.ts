/**
 * The program's func_info: names of subprograms, which of them are global, and what a global one's arguments
 * are (check_btf_func, btf_prepare_func_args).
 */

import { SkepError } from '../base/index.ts';
import { type Btf, btfLinkages, resolvedType } from '../btf/index.ts';
import type { Env, Subprog } from './env.ts';

const RECORD = 8;

export function checkFuncInfo(env: Env): void {
  const info = env.input.funcInfo;
  if (info === undefined || info.length === 0) {
    checkAbnormalReturn(env);
    return;
  }
  const { btf } = env;
  if (btf === undefined) {
    env.fail('EINVAL');
    return;
  }
  const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
  const count = Math.floor(info.length / RECORD);
  if (count !== env.subprogs.length) {
    env.reject('EINVAL', "number of funcs in func_info doesn't match number of subprogs");
  }
  for (let i = 0; i < count; i++) {
    const start = view.getUint32(i * RECORD, true);
    const id = view.getUint32(i * RECORD + 4, true);
    const subprog = env.subprogs[i] as Subprog;
    if (subprog.start !== start) {
      env.reject('EINVAL', "func_info BTF section doesn't match subprog layout in BPF program");
    }
    try {
      describe(env, { btf, id, index: i }, subprog);
    } catch (error) {
      if (error instanceof SkepError) env.reject('EINVAL', `invalid type id ${id} in func info`);
      throw error;
    }
  }
}

/** Without BTF nothing says what a subprogram returns, which these instructions do for it. */
function checkAbnormalReturn(env: Env): void {
  for (const subprog of env.subprogs.slice(1)) {
    if (subprog.hasLdAbs) env.reject('EINVAL', 'LD_ABS is not allowed in subprogs without BTF');
    if (subprog.hasTailCall) env.reject('EINVAL', 'tail_call is not allowed in subprogs without BTF');
  }
}

function describe(env: Env, at: { btf: Btf; id: number; index: number }, subprog: Subprog): void {
  const { btf, id, index } = at;
  const func = btf.type(id);
  if (func.kind !== 'func') {
    env.reject('EINVAL', `invalid type id ${id} in func info`);
    return;
  }
  const proto = btf.type(func.type);
  if (proto.kind !== 'funcProto') {
    env.reject('EINVAL', `invalid type id ${id} in func info`);
    return;
  }
  subprog.name = func.name;
  const result = resolvedType(btf, proto.type);
  const isInt = result.kind === 'int' || result.kind === 'enum' || result.kind === 'enum64';
  if (index > 0 && !isInt) {
    if (subprog.hasLdAbs) env.reject('EINVAL', "LD_ABS is only allowed in functions that return 'int'.");
    if (subprog.hasTailCall)
      env.reject('EINVAL', "tail_call is only allowed in functions that return 'int'.");
  }
  if (func.linkage !== btfLinkages.global) return;
  if (index === 0) {
    // The entry's signature is only looked at; one that does not fit is said and ignored.
    env.mainWarning = isInt
      ? argWarning(btf, proto.parameters)
      : `Global function ${func.name}() doesn't return scalar. Only those are supported.\n`;
    return;
  }
  subprog.isGlobal = true;
  const kinds = proto.parameters.map((parameter) => argKind(btf, parameter.type));
  env.globalArgs.set(
    index,
    kinds.map((kind) => kind ?? 'scalar'),
  );
  if (kinds.includes(undefined) || !isInt) env.unsupportedGlobals.add(index);
}

/** An argument that points to something of no known size. */
function argWarning(btf: Btf, parameters: readonly { readonly type: number }[]): string {
  for (const [i, { type }] of parameters.entries()) {
    const pointer = resolvedType(btf, type);
    if (pointer.kind !== 'ptr') continue;
    const target = resolvedType(btf, pointer.type);
    if (target.kind !== 'void' && target.kind !== 'fwd') continue;
    const text = target.kind === 'fwd' ? `FWD ${target.name}` : 'UNKNOWN ';
    return `arg#${i} reference type('${text}') size cannot be determined: -22\n`;
  }
  return '';
}

function argKind(btf: Btf, id: number): 'scalar' | 'ctx' | undefined {
  const type = resolvedType(btf, id);
  if (type.kind === 'int' || type.kind === 'enum' || type.kind === 'enum64') return 'scalar';
  if (type.kind !== 'ptr') return undefined;
  const target = resolvedType(btf, type.type);
  if (target.kind !== 'struct') return undefined;
  return contextNames.has(target.name) ? 'ctx' : undefined;
}

const contextNames = new Set(['__sk_buff', 'xdp_md']);
