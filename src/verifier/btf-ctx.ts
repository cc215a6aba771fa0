/**
 * Contexts that are typed by BTF: the arguments of the function, tracepoint or iterator that a program is attached
 * to, eight bytes each, and what the function returned (btf_ctx_access). The log says of every pointer read what it
 * points to, in words of its own.
 */
import { type Btf, type BtfType, resolvedType, resolveModifiers } from '../btf/index.ts';
import { attachTypes } from '../uapi/attach-types.ts';
import { iteratorArg, tracepointArgMayBeNull } from '../uapi/tracing-args.ts';
import type { AttachTarget } from './attach-target.ts';
import { kindText } from './btf-objects.ts';
import { tagFlags } from './btf-walk.ts';
import type { Env } from './env.ts';
import { type RegType, regTypes, typeFlags } from './state/reg-types.ts';

const WORD = 8;
/** MAX_BPF_FUNC_ARGS */
const MAX_ARGS = 12;

export interface CtxValue {
  readonly type: RegType;
  /** The struct of the kernel that it points to; 0 is none. */
  readonly btfId: number;
  /** The number that the kernel's function returned. */
  readonly isReturn?: boolean;
}

const SCALAR: CtxValue = { type: regTypes.scalar, btfId: 0 };

export interface CtxAccess {
  readonly off: number;
  readonly size: number;
  readonly write: boolean;
}

/** Program types whose context is typed by BTF. */
export function hasBtfContext(env: Env): boolean {
  return env.target !== undefined || env.progType === 'netfilter';
}

/** What an access of such a context yields; undefined where it is refused, the reason being in the log. */
export function btfCtxAccess(env: Env, access: CtxAccess): CtxValue | undefined {
  const { off, size, write } = access;
  if (env.progType === 'netfilter') return netfilterAccess(env, access);
  const { target } = env;
  const btf = env.types.kernel;
  if (target === undefined || btf === undefined) return undefined;
  if (off < 0 || off >= MAX_ARGS * WORD || write || off % size !== 0) return undefined;
  return argument(env, { btf, target, off, size });
}

/** struct bpf_nf_ctx */
function netfilterAccess(env: Env, access: CtxAccess): CtxValue | undefined {
  const { off, size, write } = access;
  if (write || size !== WORD || (off !== 0 && off !== WORD)) return undefined;
  const btfId = env.types.kernelStruct(off === 0 ? 'nf_hook_state' : 'sk_buff');
  return btfId === 0 ? undefined : { type: regTypes.btfId | typeFlags.trusted, btfId };
}

interface Asked {
  readonly btf: Btf;
  readonly target: AttachTarget;
  readonly off: number;
  readonly size: number;
}

function argument(env: Env, asked: Asked): CtxValue | undefined {
  const { btf, target, off, size } = asked;
  const say = (text: string): undefined => {
    env.write(`${text}\n`);
    return undefined;
  };
  if (off % WORD !== 0) return say(`func '${target.name}' offset ${off} is not multiple of 8`);
  const index = argumentAt(btf, target, off);
  const parameter = target.args[index];
  let type: BtfType;
  let isReturn = false;
  let id = 0;
  if (parameter === undefined) {
    if (index > target.args.length || !seesReturn(env)) {
      return say(`func '${target.name}' doesn't have ${index + 1}-th argument`);
    }
    isReturn = env.progType === 'lsm' && env.attachType === attachTypes.lsm_mac.id;
    id = target.proto.type;
    type = resolvedType(btf, id);
    if (env.attachType === attachTypes.modify_return.id && !isSmallNumber(type)) {
      return say(`ret type ${kindText(type)} not allowed for fmod_ret`);
    }
  } else {
    id = parameter.type;
    type = resolvedType(btf, id);
  }
  if (isSmallNumber(type) || type.kind === 'struct' || type.kind === 'union') {
    return isReturn ? { ...SCALAR, isReturn } : SCALAR;
  }
  if (type.kind !== 'ptr') {
    return say(
      `func '${target.name}' arg${index} '${type.name}' has type ${kindText(type)}. Only pointer access is allowed`,
    );
  }
  if (size !== WORD) return say(`func '${target.name}' size ${size} must be 8`);
  return pointer(env, { ...asked, index, pointee: type.type });
}

/** Which argument is at an offset: structs passed by value take as many words as they need (btf_ctx_arg_idx). */
function argumentAt(btf: Btf, target: AttachTarget, off: number): number {
  const bytes = (id: number): number => {
    const type = resolvedType(btf, id);
    const size = type.kind === 'ptr' ? WORD : 'size' in type ? type.size : 0;
    return Math.ceil(size / WORD) * WORD;
  };
  let end = 0;
  for (const [index, { type }] of target.args.entries()) {
    end += bytes(type);
    if (off < end) return index;
  }
  // Of a tracepoint Linux counts the hidden argument here.
  const shift = target.args.length - target.proto.parameters.length;
  return off < end + bytes(target.proto.type) - shift * WORD
    ? target.args.length
    : target.proto.parameters.length + 1;
}

/** Programs that run after the function, or in its place, see what it returns behind its arguments. */
function seesReturn(env: Env): boolean {
  const { attachType } = env;
  return (
    attachType === attachTypes.lsm_mac.id ||
    attachType === attachTypes.lsm_cgroup.id ||
    (env.progType === 'tracing' &&
      (attachType === attachTypes.trace_fexit.id || attachType === attachTypes.modify_return.id))
  );
}

function isSmallNumber(type: BtfType): boolean {
  return (type.kind === 'int' && type.size <= WORD) || type.kind === 'enum' || type.kind === 'enum64';
}

function pointer(env: Env, asked: Asked & { index: number; pointee: number }): CtxValue | undefined {
  const { btf, target, index, pointee } = asked;
  const known = env.attachType === attachTypes.trace_iter.id ? iteratorArg(target.name, index) : undefined;
  if (known?.kind === 'buffer') {
    const readOnly = known.readOnly ? typeFlags.rdonly : 0;
    return { type: regTypes.buf | typeFlags.maybeNull | readOnly, btfId: 0 };
  }
  const to = resolvedType(btf, pointee);
  if (to.kind === 'void' || to.kind === 'int') return SCALAR;
  const id = resolveModifiers(btf, pointee);
  if (known?.kind === 'btf') {
    const flags = (known.mayBeNull ? typeFlags.maybeNull : 0) | (known.trusted ? typeFlags.trusted : 0);
    return { type: regTypes.btfId | flags, btfId: id };
  }
  const flags =
    (argumentsTrusted(env) ? typeFlags.trusted : 0) |
    (isNullable(env, index) ? typeFlags.maybeNull : 0) |
    tagFlags(btf, pointee);
  if (to.kind !== 'struct' && to.kind !== 'union') {
    env.write(`func '${target.name}' arg${index} type ${kindText(to)} is not a struct\n`);
    return undefined;
  }
  env.write(`func '${target.name}' arg${index} has btf_id ${id} type ${kindText(to)} '${to.name}'\n`);
  return { type: regTypes.btfId | flags, btfId: promoted(env, id) };
}

/** prog_args_trusted */
function argumentsTrusted(env: Env): boolean {
  if (env.progType === 'struct_ops' || env.progType === 'lsm') return true;
  return env.attachType === attachTypes.trace_raw_tp.id || env.attachType === attachTypes.trace_iter.id;
}

function isNullable(env: Env, index: number): boolean {
  const { target } = env;
  if (target === undefined) return false;
  const name = target.argNames[index] ?? target.args[index]?.name ?? '';
  if (name.endsWith('__nullable')) return true;
  return env.attachType === attachTypes.trace_raw_tp.id && tracepointArgMayBeNull(target.name, index);
}

/** Congestion control is told of TCP sockets alone, whatever its prototypes say. */
function promoted(env: Env, id: number): number {
  if (env.target?.structOps !== 'tcp_congestion_ops') return id;
  return id === env.types.kernelStruct('sock') ? env.types.kernelStruct('tcp_sock') : id;
}
