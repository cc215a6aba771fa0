/** The arguments of a kernel function's call, one by one in order (check_kfunc_args). */

import { SkepError } from '../base/errors.ts';
import { type Btf, resolvedType, sizeOf } from '../btf/index.ts';
import { typeRef } from './btf-access.ts';
import { KERNEL, kindText } from './btf-objects.ts';
import { checkConstString } from './const-string.ts';
import { isConst } from './domain/index.ts';
import { processKfuncDynptr } from './dynptr-args.ts';
import type { Env } from './env.ts';
import { fieldOf, mapFields } from './fields.ts';
import { processListNode, processRbNode, processRoot } from './graph.ts';
import { checkMemory, checkOffset, checkSizedMemory } from './helper-memory.ts';
import { processIrqFlag } from './irq.ts';
import { processIterator } from './iterators.ts';
import type { KfuncCall } from './kfunc-facts.ts';
import {
  contextStruct,
  hasSuffix,
  isScalarType,
  type Parameter,
  type PointerKind,
  pointeeOf,
  pointerKind,
  projections,
} from './kfunc-kinds.ts';
import { processResLock } from './locks.ts';
import { processAllocated, processRefcounted } from './objects.ts';
import { markPrecise } from './precision.ts';
import { isNull, isScalar, typeOf, word } from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, AUX1, OFF, REF_OBJ_ID, TNUM_VALUE } from './state/layout.ts';
import { baseType, mayBeNull, regTypeName, regTypes, typeFlagsOf } from './state/reg-types.ts';
import { processTaskWork, processWq } from './timers.ts';
import { hasUnsafeFlags, isRcu, isTrusted, kernelStructs, TRUSTED } from './trust.ts';

const MAX_ARGS = 5;

export function checkKfuncArgs(env: Env, call: KfuncCall): void {
  const { kfunc } = call;
  const { parameters } = kfunc.proto;
  if (parameters.length > MAX_ARGS) {
    env.reject('EINVAL', `Function ${kfunc.name} has ${parameters.length} > ${MAX_ARGS} args`);
  }
  for (let index = 0; index < parameters.length; index++) {
    const parameter: Parameter = {
      index,
      name: parameters[index]?.name ?? '',
      type: parameters[index]?.type ?? 0,
    };
    if (checkArg(env, call, parameter) === 'memSize') index++;
  }
  if (has(call, 'release') && call.releaseReg < 0) {
    env.reject('EINVAL', `release kernel function ${kfunc.name} expects refcounted PTR_TO_BTF_ID`);
  }
}

const has = (call: KfuncCall, flag: 'release' | 'rcu' | 'trustedArgs'): boolean =>
  call.kfunc.facts?.flags.includes(flag) === true;

function checkArg(env: Env, call: KfuncCall, parameter: Parameter): PointerKind | undefined {
  const btf = env.types.kernel as Btf;
  const reg = parameter.index + 1;
  const r = regAt(reg);
  if (hasSuffix(parameter, '__ign')) return undefined;
  if (hasSuffix(parameter, '__prog')) {
    call.usesProgram = true;
    return undefined;
  }
  const type = resolvedType(btf, parameter.type);
  if (isScalarType(type)) {
    checkNumber(env, call, parameter);
    return undefined;
  }
  if (type.kind !== 'ptr') {
    return env.reject('EINVAL', `Unrecognized arg#${parameter.index} type ${kindText(type)}`);
  }
  const file = env.frame;
  const wantsTrust = has(call, 'trustedArgs') || has(call, 'release') || has(call, 'rcu');
  if (wantsTrust && (isNull(file, r) || mayBeNull(typeOf(file, r))) && !hasSuffix(parameter, '__nullable')) {
    env.reject('EACCES', `Possibly NULL pointer passed to trusted arg${parameter.index}`);
  }
  const ref = word(file, r, REF_OBJ_ID);
  if (ref !== 0) {
    call.refObjId = ref;
    if (has(call, 'release')) call.releaseReg = reg;
  }
  const kind = pointerKind(env, call.kfunc, parameter);
  if (kind === 'null') return kind;
  if (kind === 'map') takeMap(env, call, reg);
  if (wantsTrust && (kind === 'map' || kind === 'allocated' || kind === 'btfId')) {
    checkTrust(env, call, reg);
  }
  checkOffset(env, {
    reg,
    release: has(call, 'release') && ref !== 0,
    kind: kind === 'dynptr' ? 'dynptr' : 'other',
  });
  checkKind(env, call, { ...parameter, kind });
  return kind;
}

/** KF_RCU takes what RCU protects too. */
function checkTrust(env: Env, call: KfuncCall, reg: number): void {
  const r = regAt(reg);
  if (isTrusted(env.frame, r)) return;
  if (!has(call, 'rcu')) env.reject('EINVAL', `R${reg} must be referenced or trusted`);
  if (!isRcu(env.frame, r)) env.reject('EINVAL', `R${reg} must be a rcu pointer`);
}

function checkNumber(env: Env, call: KfuncCall, parameter: Parameter): void {
  const reg = parameter.index + 1;
  const r = regAt(reg);
  if (!isScalar(env.frame, r)) env.reject('EINVAL', `R${reg} is not a scalar`);
  if (!hasSuffix(parameter, '__k')) return;
  takeConstant(env, call, reg);
  markPrecise(env, reg);
}

function takeConstant(env: Env, call: KfuncCall, reg: number): void {
  const r = regAt(reg);
  if (!isConst(env.frame, r)) env.reject('EINVAL', `R${reg} must be a known constant`);
  call.constant = env.frame.u64[r + TNUM_VALUE] as bigint;
}

/** A map, which what it holds must belong to. */
function takeMap(env: Env, call: KfuncCall, reg: number): void {
  const file = env.frame;
  const r = regAt(reg);
  const type = typeOf(file, r);
  // A kernel pointer may be one to a map, which its type will say.
  if (baseType(type) === regTypes.btfId) return;
  if (type !== regTypes.constMapPtr && baseType(type) !== regTypes.mapValue && type !== regTypes.mapKey) {
    env.reject('EINVAL', `pointer in R${reg} isn't map pointer`);
  }
  const map = word(file, r, AUX0);
  const uid = word(file, r, AUX1);
  const fields = mapFields(env.map(map));
  const work = fieldOf(fields, 'taskWork') !== undefined;
  if (call.map >= 0 && (work || fieldOf(fields, 'wq') !== undefined)) {
    if (call.map !== map || call.mapUid !== uid) {
      env.reject(
        'EINVAL',
        work
          ? `bpf_task_work pointer in R2 map_uid=${call.mapUid} doesn't match map pointer in R3 map_uid=${uid}`
          : `workqueue pointer in R1 map_uid=${call.mapUid} doesn't match map pointer in R2 map_uid=${uid}`,
      );
    }
  }
  call.map = map;
  call.mapUid = uid;
}

type Arg = Parameter & { readonly kind: PointerKind };

function checkKind(env: Env, call: KfuncCall, arg: Arg): void {
  const reg = arg.index + 1;
  switch (arg.kind) {
    case 'ctx':
      checkContext(env, call, arg);
      return;
    case 'allocated':
      processAllocated(env, call, arg.index);
      return;
    case 'dynptr':
      processKfuncDynptr(env, call, { reg, uninit: hasSuffix(arg, '__uninit') });
      return;
    case 'iterator':
      if (call.kfunc.name === 'bpf_iter_css_task_new' && !mayIterateTasks(env)) {
        env.reject('EINVAL', 'css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs');
      }
      processIterator(env, call);
      return;
    case 'listHead':
    case 'rbRoot':
      processRoot(env, call, { index: arg.index, kind: arg.kind });
      return;
    case 'listNode':
      processListNode(env, call, arg.index);
      return;
    case 'rbNode':
      processRbNode(env, call, arg.index);
      return;
    case 'map':
      checkStruct(env, call, { ...arg, struct: env.types.kernelStruct('bpf_map') });
      return;
    case 'btfId':
      checkStruct(env, call, { ...arg, struct: pointeeOf(env.types.kernel as Btf, arg.type).id });
      return;
    case 'mem':
      checkPlainMemory(env, arg);
      return;
    case 'memSize':
      checkSized(env, call, arg);
      return;
    case 'callback': {
      const r = regAt(reg);
      if (typeOf(env.frame, r) !== regTypes.func) {
        env.reject('EINVAL', `arg${arg.index} expected pointer to func`);
      }
      call.callback = word(env.frame, r, AUX0);
      return;
    }
    case 'refcounted':
      processRefcounted(env, call, arg.index);
      return;
    case 'string':
      if (typeOf(env.frame, regAt(reg)) !== regTypes.mapValue) {
        env.reject('EINVAL', `arg#${arg.index} doesn't point to a const string`);
      }
      checkConstString(env, reg);
      return;
    case 'wq':
    case 'taskWork':
      if (typeOf(env.frame, regAt(reg)) !== regTypes.mapValue) {
        env.reject('EINVAL', `arg#${arg.index} doesn't point to a map value`);
      }
      if (arg.kind === 'wq') processWq(env, call, reg);
      else processTaskWork(env, call, reg);
      return;
    case 'irqFlag':
      if (typeOf(env.frame, regAt(reg)) !== regTypes.stack) {
        env.reject('EINVAL', `arg#${arg.index} doesn't point to an irq flag on stack`);
      }
      processIrqFlag(env, call, reg);
      return;
    case 'resLock':
      processResLock(env, call, arg.index);
      return;
    case 'null':
      return;
  }
}

function checkContext(env: Env, call: KfuncCall, arg: Arg): void {
  const type = typeOf(env.frame, regAt(arg.index + 1));
  if (type !== regTypes.ctx) {
    env.reject('EINVAL', `arg#${arg.index} expected pointer to ctx, but got ${regTypeName(type)}`);
  }
  if (call.kfunc.name !== 'bpf_cast_to_kern_ctx') return;
  call.castTo = kernelContext(env);
  if (call.castTo === 0) env.fail('EINVAL');
}

/** The struct that a context is inside the kernel (get_kern_ctx_btf_id). */
function kernelContext(env: Env): number {
  const name = contextStruct(env.progType);
  const number = plainContexts[env.progType ?? ''];
  if (number !== undefined) {
    const id = env.types.kernel?.find(number, 'typedef') ?? 0;
    env.write(`kern ctx type id ${id} is not a struct\n`);
    return 0;
  }
  if (name === undefined) {
    env.write(`btf type not found for prog type ${env.input.progType}\n`);
    return 0;
  }
  return env.types.kernelStruct(kernelContexts[name] ?? projections[name] ?? name);
}

/** Contexts that are words inside the kernel. */
const plainContexts: Readonly<Record<string, string>> = {
  tracepoint: 'u64',
  raw_tracepoint: 'u64',
  raw_tracepoint_writable: 'u64',
};

const kernelContexts: Readonly<Record<string, string>> = {
  bpf_sock: 'sock',
  bpf_sock_addr: 'bpf_sock_addr_kern',
  bpf_sock_ops: 'bpf_sock_ops_kern',
  sk_msg_md: 'sk_msg',
  bpf_user_pt_regs_t: 'pt_regs',
  bpf_perf_event_data: 'bpf_perf_event_data_kern',
  bpf_sysctl: 'bpf_sysctl_kern',
  bpf_sockopt: 'bpf_sockopt_kern',
  sk_reuseport_md: 'sk_reuseport_kern',
  bpf_sk_lookup: 'bpf_sk_lookup_kern',
};

/** check_css_task_iter_allowlist */
function mayIterateTasks(env: Env): boolean {
  if (env.progType === 'lsm') return true;
  const ITER = 28;
  if (env.progType === 'tracing' && env.attachType === ITER) return true;
  return env.state.sleepable;
}

const NOCAST = '___init';

/** process_kf_arg_ptr_to_btf_id */
function checkStruct(env: Env, call: KfuncCall, arg: Arg & { readonly struct: number }): void {
  const { kfunc } = call;
  const reg = arg.index + 1;
  const file = env.frame;
  const r = regAt(reg);
  const type = typeOf(file, r);
  const base = baseType(type);
  const standsFor = kernelStructs[base];
  if ((base !== regTypes.btfId || (hasUnsafeFlags(type) && !isRcu(file, r))) && standsFor === undefined) {
    const wanted = base | (typeFlagsOf(type) & TRUSTED);
    env.reject(
      'EINVAL',
      `arg#${arg.index} is ${regTypeName(type)} expected ${regTypeName(wanted)} or socket`,
    );
  }
  const given =
    base === regTypes.btfId
      ? typeRef(file, r)
      : { object: KERNEL, id: env.types.kernelStruct(standsFor ?? '') };
  const wanted = { object: KERNEL, id: arg.struct };
  const names = [env.types.name(given), env.types.name(wanted)] as const;
  const alias = names[0] === names[1] + NOCAST || names[1] === names[0] + NOCAST;
  const strict = (has(call, 'release') && word(file, r, REF_OBJ_ID) !== 0) || alias;
  if (
    env.types.matches({ ...given, off: word(file, r, OFF) }, wanted, {
      strict: strict,
      log: (text) => env.write(text),
    })
  )
    return;
  if (projections[names[1]] === names[0]) return;
  env.reject(
    'EINVAL',
    `kernel function ${kfunc.name} args#${arg.index} expected pointer to ${kindText(env.types.type(wanted))} ${names[1]} but R${reg} has a pointer to ${kindText(env.types.type(given))} ${names[0]}`,
  );
}

function checkPlainMemory(env: Env, arg: Arg): void {
  const btf = env.types.kernel as Btf;
  const { id, type } = pointeeOf(btf, arg.type);
  let size: number;
  try {
    size = sizeOf(btf, id);
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    env.reject(
      'EINVAL',
      `arg#${arg.index} reference type('${kindText(type)} ${type.name}') size cannot be determined: -22`,
    );
  }
  checkMemory(env, { reg: arg.index + 1, size });
}

function checkSized(env: Env, call: KfuncCall, arg: Arg): void {
  const reg = arg.index + 1;
  const file = env.frame;
  const optional = hasSuffix(arg, '__opt');
  if (!isNull(file, regAt(reg)) || !optional) {
    checkSizedMemory(env, reg, () =>
      env.write(`arg#${arg.index} arg#${arg.index + 1} memory, len pair leads to invalid memory access\n`),
    );
  }
  if (call.kfunc.proto.parameters[arg.index + 1]?.name.endsWith('__szk') === true) {
    takeConstant(env, call, reg + 1);
  }
}
