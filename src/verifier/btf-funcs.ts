/**
 * The program's func_info and line_info: names of subprograms, which of them are global, and that lines are in order
 * (check_btf_info).
 */

import { SkepError } from '../base/index.ts';
import { type Btf, btfLinkages, resolvedType } from '../btf/index.ts';
import type { Env, Subprog } from './env.ts';

const RECORD = 8;

/**
 * The records by themselves, before the program is looked at: in order, and of functions (check_btf_func_early). What
 * Linux says of them has no line break.
 */
export function checkFuncRecords(env: Env): void {
  const info = env.input.funcInfo;
  const { btf } = env;
  if (info === undefined || btf === undefined) return;
  const refuse = (text: string): never => {
    env.write(text);
    return env.fail('EINVAL');
  };
  const view = new DataView(info.buffer, info.byteOffset, info.byteLength);
  let before = 0;
  for (let at = 0; at + RECORD <= info.length; at += RECORD) {
    const start = view.getUint32(at, true);
    const id = view.getUint32(at + 4, true);
    if (at === 0) {
      if (start !== 0) refuse(`nonzero insn_off ${start} for the first func info record`);
    } else if (start <= before) {
      refuse(`same or smaller insn offset (${start}) than previous func info record (${before})`);
    }
    if (!isFunction(btf, id)) refuse(`invalid type id ${id} in func info`);
    before = start;
  }
}

function isFunction(btf: Btf, id: number): boolean {
  try {
    const func = btf.type(id);
    return func.kind === 'func' && btf.type(func.type).kind === 'funcProto';
  } catch (error) {
    if (error instanceof SkepError) return false;
    throw error;
  }
}

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

/** check_btf_line() */
export function checkLineInfo(env: Env): void {
  const problem = env.lines?.problem({
    slots: env.count,
    isInsn: (slot) => env.raw(slot).opcode !== 0,
    subprogStarts: env.subprogs.map(({ start }) => start),
  });
  if (problem !== undefined) env.reject('EINVAL', problem);
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
  subprog.btfId = id;
  subprog.isGlobal = index > 0 && func.linkage === btfLinkages.global;
}
