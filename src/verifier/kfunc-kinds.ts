/**
 * What a kernel function's pointer argument is: its name's suffix, its type in the kernel's BTF and sometimes the
 * register passed decide (get_kfunc_ptr_arg_type; kernel doc bpf/kfuncs describes the suffixes).
 */
import { type Btf, type BtfType, resolvedType, resolveModifiers } from '../btf/index.ts';
import type { ProgTypeName } from '../uapi/prog-types.ts';
import { kindText } from './btf-objects.ts';
import type { Env } from './env.ts';
import type { Kfunc } from './kfuncs.ts';
import { isNull, isScalar, typeOf } from './regs.ts';
import { regAt } from './state/frame.ts';
import { baseType, regTypes } from './state/reg-types.ts';
import { kernelStructs } from './trust.ts';

export type PointerKind =
  | 'ctx'
  | 'null'
  | 'allocated'
  | 'refcounted'
  | 'dynptr'
  | 'iterator'
  | 'listHead'
  | 'listNode'
  | 'rbRoot'
  | 'rbNode'
  | 'string'
  | 'map'
  | 'wq'
  | 'taskWork'
  | 'irqFlag'
  | 'resLock'
  | 'btfId'
  | 'callback'
  | 'mem'
  | 'memSize';

export interface Parameter {
  readonly index: number;
  readonly name: string;
  readonly type: number;
}

/** The struct that each type of program calls its context (find_canonical_prog_ctx_type). */
const contextStructs: Readonly<Partial<Record<ProgTypeName, string>>> = {
  socket_filter: '__sk_buff',
  sched_cls: '__sk_buff',
  sched_act: '__sk_buff',
  cgroup_skb: '__sk_buff',
  lwt_in: '__sk_buff',
  lwt_out: '__sk_buff',
  lwt_xmit: '__sk_buff',
  lwt_seg6local: '__sk_buff',
  sk_skb: '__sk_buff',
  flow_dissector: '__sk_buff',
  xdp: 'xdp_md',
  cgroup_sock: 'bpf_sock',
  cgroup_sock_addr: 'bpf_sock_addr',
  sock_ops: 'bpf_sock_ops',
  sk_msg: 'sk_msg_md',
  kprobe: 'bpf_user_pt_regs_t',
  perf_event: 'bpf_perf_event_data',
  raw_tracepoint: 'bpf_raw_tracepoint_args',
  raw_tracepoint_writable: 'bpf_raw_tracepoint_args',
  cgroup_device: 'bpf_cgroup_dev_ctx',
  cgroup_sysctl: 'bpf_sysctl',
  cgroup_sockopt: 'bpf_sockopt',
  sk_reuseport: 'sk_reuseport_md',
  sk_lookup: 'bpf_sk_lookup',
  netfilter: 'bpf_nf_ctx',
};

export function contextStruct(type: ProgTypeName | undefined): string | undefined {
  return type === undefined ? undefined : contextStructs[type];
}

/** What contexts are inside the kernel (btf_is_projection_of). */
export const projections: Readonly<Record<string, string>> = { __sk_buff: 'sk_buff', xdp_md: 'xdp_buff' };

export const hasSuffix = (parameter: Parameter, suffix: string): boolean => parameter.name.endsWith(suffix);

/** is_kfunc_arg_ignore and is_kfunc_arg_prog apart, the pointer's target. */
export function pointeeOf(btf: Btf, id: number): { id: number; type: BtfType } {
  const pointer = resolvedType(btf, id);
  const target = resolveModifiers(btf, pointer.kind === 'ptr' ? pointer.type : 0);
  return { id: target, type: btf.type(target) };
}

const structKinds: Readonly<Record<string, PointerKind>> = {
  bpf_dynptr: 'dynptr',
  bpf_list_head: 'listHead',
  bpf_list_node: 'listNode',
  bpf_rb_root: 'rbRoot',
  bpf_rb_node: 'rbNode',
};
const lateStructKinds: Readonly<Record<string, PointerKind>> = {
  bpf_wq: 'wq',
  bpf_task_work: 'taskWork',
};

export function pointerKind(env: Env, kfunc: Kfunc, parameter: Parameter): PointerKind {
  const btf = env.types.kernel as Btf;
  const reg = parameter.index + 1;
  const r = regAt(reg);
  if (kfunc.name === 'bpf_cast_to_kern_ctx') return 'ctx';
  const target = pointeeOf(btf, parameter.type);
  const struct = target.type.kind === 'struct' ? target.type.name : '';
  if (isContext(env, struct)) return 'ctx';
  if (hasSuffix(parameter, '__nullable') && isNull(env.frame, r)) return 'null';
  if (hasSuffix(parameter, '__alloc')) return 'allocated';
  if (hasSuffix(parameter, '__refcounted_kptr')) return 'refcounted';
  if (Object.hasOwn(structKinds, struct)) {
    return struct === 'bpf_dynptr' ? 'dynptr' : (structKinds[struct] as PointerKind);
  }
  if (kfunc.iterator !== undefined && parameter.index === 0) return 'iterator';
  if (hasSuffix(parameter, '__str')) return 'string';
  if (hasSuffix(parameter, '__map')) return 'map';
  if (Object.hasOwn(lateStructKinds, struct)) return lateStructKinds[struct] as PointerKind;
  if (hasSuffix(parameter, '__irq_flag')) return 'irqFlag';
  if (struct === 'bpf_res_spin_lock') return 'resLock';
  const base = baseType(typeOf(env.frame, r));
  if (base === regTypes.btfId || kernelStructs[base] !== undefined) {
    if (target.type.kind === 'struct' || target.type.kind === 'union') return 'btfId';
    env.reject(
      'EINVAL',
      `kernel function ${kfunc.name} args#${parameter.index} pointer type ${kindText(target.type)} ${target.type.name} is not supported`,
    );
  }
  if (target.type.kind === 'funcProto') return 'callback';
  const sized = takesSize(env, kfunc, parameter);
  if (
    !isScalarType(target.type) &&
    !isScalarStruct(btf, target.id, 0) &&
    !(sized && target.type.kind === 'void')
  ) {
    env.reject(
      'EINVAL',
      `arg#${parameter.index} pointer type ${kindText(target.type)} ${target.type.name} must point to ${sized ? 'void, ' : ''}scalar, or struct with scalar`,
    );
  }
  return sized ? 'memSize' : 'mem';
}

/** Whether the argument after a pointer is the size of its memory. */
function takesSize(env: Env, kfunc: Kfunc, parameter: Parameter): boolean {
  const next = kfunc.proto.parameters[parameter.index + 1];
  if (next === undefined || !(next.name.endsWith('__sz') || next.name.endsWith('__szk'))) return false;
  return isScalar(env.frame, regAt(parameter.index + 2));
}

function isContext(env: Env, struct: string): boolean {
  const name = contextStruct(env.progType);
  if (struct === '' || name === undefined) return false;
  if (struct === name || projections[name] === struct) return true;
  return name === 'bpf_user_pt_regs_t' && struct === 'pt_regs';
}

export function isScalarType(type: BtfType): boolean {
  return type.kind === 'int' || type.kind === 'enum' || type.kind === 'enum64';
}

const MAX_NESTING = 4;

/** A struct of numbers, of arrays of numbers and of such structs (__btf_type_is_scalar_struct). */
export function isScalarStruct(btf: Btf, id: number, depth: number): boolean {
  const type = resolvedType(btf, id);
  if (type.kind !== 'struct' && type.kind !== 'union') return false;
  return type.members.every((member) => {
    const inner = resolvedType(btf, member.type);
    if (inner.kind === 'struct' || inner.kind === 'union') {
      return depth + 1 < MAX_NESTING && isScalarStruct(btf, member.type, depth + 1);
    }
    if (inner.kind !== 'array') return isScalarType(inner);
    return isScalarType(resolvedType(btf, inner.type));
  });
}
