/**
 * What a program that is typed by BTF is attached to: a tracepoint, a function of the kernel, an iterator, a
 * member of a struct of functions (check_attach_btf_id, check_struct_ops_btf_id). From it come the types of its
 * arguments and what it returns.
 */
import { SkepError } from '../base/errors.ts';
import { type Btf, type BtfType, resolvedType } from '../btf/index.ts';
import { attachTypes } from '../uapi/attach-types.ts';
import { isIteratorTarget } from '../uapi/tracing-args.ts';
import type { Env } from './env.ts';

const TRACEPOINT_PREFIX = 'btf_trace_';
const LSM_PREFIX = 'bpf_lsm_';

type Proto = Extract<BtfType, { kind: 'funcProto' }>;

export interface AttachTarget {
  /** Of the function; without the prefix of tracepoints. */
  readonly name: string;
  readonly proto: Proto;
  /** The arguments that the program sees. */
  readonly args: Proto['parameters'];
  /** The struct of functions, where that is what the program is for. */
  readonly structOps: string | undefined;
  /** Where stub functions of such a struct say what arguments may be NULL or are references, by index. */
  readonly argNames: readonly string[];
}

const sleepableAttach: readonly number[] = [
  attachTypes.trace_fentry.id,
  attachTypes.trace_fexit.id,
  attachTypes.modify_return.id,
  attachTypes.trace_iter.id,
];

/** can_be_sleepable */
function canSleep(env: Env): boolean {
  switch (env.progType) {
    case 'tracing':
      return sleepableAttach.includes(env.attachType);
    case 'lsm':
      return env.attachType !== attachTypes.lsm_cgroup.id;
    case 'kprobe':
    case 'struct_ops':
    case 'syscall':
      return true;
    default:
      return false;
  }
}

/** check_attach_btf_id */
export function checkAttachTarget(env: Env): void {
  if (env.progType === 'syscall') {
    if (!env.sleepable) env.reject('EINVAL', 'Syscall programs can only be sleepable');
    return;
  }
  if (env.sleepable && !canSleep(env)) {
    env.reject(
      'EINVAL',
      'Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable',
    );
  }
  switch (env.progType) {
    case 'tracing':
    case 'lsm':
      env.target = guarded(env, tracingTarget);
      return;
    case 'struct_ops':
      env.target = guarded(env, structOpsTarget);
      return;
    default:
      return;
  }
}

/** Types that do not exist are what the caller named. */
function guarded(env: Env, find: (env: Env, btf: Btf, id: number) => AttachTarget): AttachTarget {
  const id = env.input.attachBtfId ?? 0;
  const { kernel } = env.types;
  if (id === 0) {
    if (env.progType === 'struct_ops') return env.fail('ENOTSUPP');
    return env.reject('EINVAL', 'Tracing programs must provide btf_id');
  }
  if (kernel === undefined) {
    return env.reject('EINVAL', 'the types of a kernel are needed, and none were given');
  }
  try {
    return find(env, kernel, id);
  } catch (error) {
    if (error instanceof SkepError) return env.reject('EINVAL', `attach_btf_id ${id} is invalid`);
    throw error;
  }
}

function tracingTarget(env: Env, btf: Btf, id: number): AttachTarget {
  const type = btf.type(id);
  if (type.name === '') return env.reject('EINVAL', `attach_btf_id ${id} doesn't have a name`);
  switch (env.attachType) {
    case attachTypes.trace_raw_tp.id:
      return tracepoint(env, btf, id);
    case attachTypes.trace_iter.id: {
      const target = functionTarget(env, btf, id);
      if (!isIteratorTarget(target.name)) return env.fail('EINVAL');
      return target;
    }
    case attachTypes.trace_fentry.id:
    case attachTypes.trace_fexit.id:
    case attachTypes.modify_return.id:
      return functionTarget(env, btf, id);
    case attachTypes.lsm_mac.id:
    case attachTypes.lsm_cgroup.id: {
      const target = functionTarget(env, btf, id);
      if (!target.name.startsWith(LSM_PREFIX)) {
        env.reject('EINVAL', `attach_btf_id ${id} points to wrong type name ${target.name}`);
      }
      if (!env.input.gplCompatible) {
        env.reject('EINVAL', 'LSM programs must have a GPL compatible license');
      }
      return target;
    }
    default:
      return env.fail('EINVAL');
  }
}

function tracepoint(env: Env, btf: Btf, id: number): AttachTarget {
  const type = btf.type(id);
  if (type.kind !== 'typedef') return env.reject('EINVAL', `attach_btf_id ${id} is not a typedef`);
  if (!type.name.startsWith(TRACEPOINT_PREFIX)) {
    return env.reject('EINVAL', `attach_btf_id ${id} points to wrong type name ${type.name}`);
  }
  const pointer = btf.type(type.type);
  const proto = pointer.kind === 'ptr' ? btf.type(pointer.type) : pointer;
  if (proto.kind !== 'funcProto') return env.fail('EINVAL');
  // The first is the tracepoint's own.
  const name = type.name.slice(TRACEPOINT_PREFIX.length);
  return { name, proto, args: proto.parameters.slice(1), structOps: undefined, argNames: [] };
}

function functionTarget(env: Env, btf: Btf, id: number): AttachTarget {
  const type = btf.type(id);
  if (type.kind !== 'func') return env.reject('EINVAL', `attach_btf_id ${id} is not a function`);
  const proto = btf.type(type.type);
  if (proto.kind !== 'funcProto') return env.fail('EINVAL');
  return { name: type.name, proto, args: proto.parameters, structOps: undefined, argNames: [] };
}

function structOpsTarget(env: Env, btf: Btf, id: number): AttachTarget {
  if (!env.input.gplCompatible) {
    env.reject('EINVAL', 'struct ops programs must have a GPL compatible license');
  }
  const type = btf.type(id);
  // What can be registered has a struct of its own that the kernel keeps its state in.
  if (type.kind !== 'struct' || btf.find(`bpf_struct_ops_${type.name}`, 'struct') === undefined) {
    return env.reject('ENOTSUPP', `attach_btf_id ${id} is not a supported struct`);
  }
  const index = env.attachType;
  const member = type.members[index];
  if (member === undefined) {
    return env.reject('EINVAL', `attach to invalid member idx ${index} of struct ${type.name}`);
  }
  const pointer = resolvedType(btf, member.type);
  const proto = pointer.kind === 'ptr' ? resolvedType(btf, pointer.type) : pointer;
  if (proto.kind !== 'funcProto') {
    return env.reject(
      'EINVAL',
      `attach to invalid member ${member.name}(@idx ${index}) of struct ${type.name}`,
    );
  }
  const stub = btf.find(`${type.name}__${member.name}`, 'func');
  const stubType = stub === undefined ? undefined : btf.type(stub);
  const stubProto = stubType?.kind === 'func' ? btf.type(stubType.type) : undefined;
  const argNames = stubProto?.kind === 'funcProto' ? stubProto.parameters.map(({ name }) => name) : [];
  return { name: member.name, proto, args: proto.parameters, structOps: type.name, argNames };
}
