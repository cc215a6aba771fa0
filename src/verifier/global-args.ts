/**
 * Arguments of functions by the program's BTF: their types, and the tags that say what a pointer is good for
 * (btf_prepare_func_args). A global function is verified by itself with any such arguments, and its callers must
 * pass such arguments (btf_check_func_arg_match).
 */

import { SkepError } from '../base/errors.ts';
import { type Btf, type BtfType, resolvedType, resolveModifiers, sizeOf } from '../btf/index.ts';
import { attachTypes } from '../uapi/attach-types.ts';
import type { Errno } from '../uapi/errno.ts';
import { KERNEL, kindText } from './btf-objects.ts';
import { dynptrKinds, FIRST } from './dynptr.ts';
import { processDynptr } from './dynptr-args.ts';
import { type Env, Rejection, type Subprog } from './env.ts';
import { checkStructArg } from './helper-args.ts';
import { checkMemory, checkOffset } from './helper-memory.ts';
import { contextStruct, projections } from './kfunc-kinds.ts';
import { isNull, isScalar, setPointer, setScalar, typeOf } from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, AUX1, ID } from './state/layout.ts';
import { mayBeNull, type RegType, regTypes, typeFlags } from './state/reg-types.ts';

export type GlobalArg =
  | { readonly kind: 'scalar' | 'ctx' | 'dynptr' | 'arena' }
  | { readonly kind: 'mem'; readonly size: number; readonly flags: RegType }
  | { readonly kind: 'btfId'; readonly id: number; readonly flags: RegType };

/** Why a function's arguments cannot be used; of static functions mostly nothing is said. */
export interface BadArgs {
  readonly errno: Errno;
  readonly message: string;
}

const MAX_ARGS = 5;
const TAG = 'arg:';
const tagNames = ['ctx', 'trusted', 'untrusted', 'nonnull', 'nullable', 'arena'] as const;
type Tag = (typeof tagNames)[number];

interface Describing {
  readonly env: Env;
  readonly btf: Btf;
  readonly isGlobal: boolean;
  readonly name: string;
}

/** The arguments of the function with that BTF id. */
export function describeArgs(env: Env, id: number, isGlobal: boolean): readonly GlobalArg[] | BadArgs {
  const btf = env.btf as Btf;
  const func = btf.type(id);
  const proto = func.kind === 'func' ? btf.type(func.type) : func;
  if (func.kind !== 'func' || proto.kind !== 'funcProto') return bad('');
  const { parameters } = proto;
  if (parameters.length > MAX_ARGS) {
    return bad(
      isGlobal
        ? `Global function ${func.name}() with ${parameters.length} > ${MAX_ARGS} args. Buggy compiler.`
        : '',
    );
  }
  if (!isNumber(resolvedType(btf, proto.type))) {
    return bad(
      isGlobal ? `Global function ${func.name}() doesn't return scalar. Only those are supported.` : '',
    );
  }
  const tags = tagsOf(btf, id);
  const args: GlobalArg[] = [];
  for (const [index, { type }] of parameters.entries()) {
    const arg = describe(
      { env, btf, isGlobal, name: func.name },
      { index, type, tags: tags.get(index) ?? [] },
    );
    if ('errno' in arg) return arg;
    args.push(arg);
  }
  return args;
}

const bad = (message: string, errno: Errno = 'EINVAL'): BadArgs => ({ errno, message });

const isNumber = (type: BtfType): boolean =>
  type.kind === 'int' || type.kind === 'enum' || type.kind === 'enum64';

/** By index of the parameter: the texts after `arg:`. */
function tagsOf(btf: Btf, id: number): ReadonlyMap<number, readonly string[]> {
  const tags = new Map<number, string[]>();
  for (const tagId of btf.idsOf('declTag')) {
    const tag = btf.type(tagId);
    if (tag.kind !== 'declTag' || tag.type !== id || !tag.name.startsWith(TAG)) continue;
    const known = tags.get(tag.component) ?? [];
    known.push(tag.name.slice(TAG.length));
    tags.set(tag.component, known);
  }
  return tags;
}

interface Param {
  readonly index: number;
  readonly type: number;
  readonly tags: readonly string[];
}

function describe(of: Describing, param: Param): GlobalArg | BadArgs {
  const { btf, isGlobal, name } = of;
  const { index } = param;
  const tags = new Set<Tag>();
  for (const text of param.tags) {
    if (!isGlobal) return bad(`arg#${index} type tag is not supported in static functions`, 'ENOTSUP');
    const tag = tagNames.find((one) => one === text);
    if (tag === undefined) return bad(`arg#${index} has unsupported set of tags`, 'ENOTSUP');
    tags.add(tag);
  }
  const type = resolvedType(btf, param.type);
  if (type.kind === 'ptr') {
    const pointer = describePointer(of, { index, target: type.type, tags });
    if (pointer !== undefined) return pointer;
  } else if (tags.size > 0) return bad(`arg#${index} has pointer tag, but is not a pointer type`);
  if (isNumber(type)) return { kind: 'scalar' };
  return bad(isGlobal ? `Arg#${index} type ${kindText(type)} in ${name}() is not supported yet.` : '');
}

interface PointerParam {
  readonly index: number;
  readonly target: number;
  readonly tags: ReadonlySet<Tag>;
}

const CLASH = 'has invalid combination of tags';

/** Undefined where a static function's pointer is of no interest. */
function describePointer(of: Describing, param: PointerParam): GlobalArg | BadArgs | undefined {
  const { env, btf, isGlobal } = of;
  const { index, target, tags } = param;
  const to = resolvedType(btf, target);
  const alone = (tag: Tag): boolean => tags.size === 1 && tags.has(tag);
  if (tags.has('ctx') || isContext(env, btf, target)) {
    if (tags.size > 0 && !alone('ctx')) return bad(`arg#${index} ${CLASH}`);
    const message = tags.has('ctx') ? wrongContext(env, btf, target) : undefined;
    return message === undefined ? { kind: 'ctx' } : bad(`arg#${index} ${message}`);
  }
  if (to.kind === 'struct' && to.name === 'bpf_dynptr') {
    return tags.size > 0 ? bad(`arg#${index} ${CLASH}`) : { kind: 'dynptr' };
  }
  if (tags.has('trusted')) {
    if (tags.has('nonnull')) return bad(`arg#${index} ${CLASH}`);
    const id = kernelType(of, param);
    if (typeof id !== 'number') return id;
    const flags = typeFlags.trusted | (tags.has('nullable') ? typeFlags.maybeNull : 0);
    return { kind: 'btfId', id, flags };
  }
  if (tags.has('untrusted')) return describeUntrusted(of, param, alone('untrusted'));
  if (tags.has('arena')) {
    return alone('arena')
      ? { kind: 'arena' }
      : bad(`arg#${index} arena cannot be combined with any other tags`);
  }
  if (!isGlobal) return undefined;
  if (tags.has('nullable')) return bad(`arg#${index} ${CLASH}`);
  try {
    const size = sizeOf(btf, target);
    return { kind: 'mem', size, flags: tags.has('nonnull') ? 0 : typeFlags.maybeNull };
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    return bad(`arg#${index} reference type('${kindText(to)} ${to.name}') size cannot be determined: -22`);
  }
}

function describeUntrusted(of: Describing, param: PointerParam, alone: boolean): GlobalArg | BadArgs {
  const { index, target } = param;
  if (!alone) return bad(`arg#${index} untrusted cannot be combined with any other tags`);
  const to = resolvedType(of.btf, target);
  if (to.kind === 'void' || isNumber(to)) {
    return { kind: 'mem', size: 0, flags: typeFlags.rdonly | typeFlags.untrusted };
  }
  const id = kernelType(of, param);
  if (typeof id !== 'number') return id;
  const found = of.env.types.type({ object: KERNEL, id });
  if (found.kind !== 'struct' && found.kind !== 'union') {
    return bad(
      `arg#${index} has type ${kindText(found)} '${found.name}', but only struct or primitive types are allowed`,
    );
  }
  return { kind: 'btfId', id, flags: typeFlags.untrusted };
}

const FLAVOR = '___';

/** The kernel's type of the same name, as CO-RE finds it: without a flavor (btf_get_ptr_to_btf_id). */
function kernelType(of: Describing, param: PointerParam): number | BadArgs {
  const { btf, env } = of;
  const to = resolvedType(btf, param.target);
  if (to.name === '') {
    return bad(`arg#${param.index} reference type('${kindText(to)} (anon)') candidate matching error: -22`);
  }
  const at = to.name.lastIndexOf(FLAVOR);
  const name = at > 0 ? to.name.slice(0, at) : to.name;
  const matches = (env.types.kernel?.findAll(name) ?? []).filter(
    (id) => env.types.kernel?.kind(id) === to.kind,
  );
  const [id] = matches;
  if (matches.length === 1 && id !== undefined) return id;
  const text = `arg#${param.index} reference type('${kindText(to)} ${to.name}')`;
  return id === undefined ? bad(`${text} has no matches`, 'ENOENT') : bad(`${text} is ambiguous`, 'ESRCH');
}

/** Whether a pointer to that type is this program type's context (btf_is_prog_ctx_type). */
function isContext(env: Env, btf: Btf, target: number): boolean {
  const name = contextStruct(env.progType);
  const type = btf.type(resolveModifiers(btf, target));
  if (env.progType === 'kprobe') {
    return (
      typedefName(btf, target) === 'bpf_user_pt_regs_t' || (type.kind === 'struct' && type.name === 'pt_regs')
    );
  }
  if (type.kind !== 'struct' || name === undefined) return false;
  return type.name === name || projections[name] === type.name;
}

/** Why a pointer to that type may not be tagged as the context (btf_validate_prog_ctx_type). */
function wrongContext(env: Env, btf: Btf, target: number): string | undefined {
  const type = resolvedType(btf, target);
  if (type.kind === 'void') return undefined;
  const registers = env.progType === 'kprobe' || env.progType === 'perf_event';
  if (registers && typedefName(btf, target) === 'bpf_user_pt_regs_t') return undefined;
  if (type.name === '') return "type doesn't have a name";
  const isStruct = type.kind === 'struct' || type.kind === 'union';
  if (registers && isStruct && type.name === 'pt_regs') return undefined;
  const isWord = type.kind === 'int' && type.size === 8;
  switch (env.progType) {
    case 'tracepoint':
    case 'syscall':
    case 'ext':
      return undefined;
    case 'raw_tracepoint':
    case 'raw_tracepoint_writable':
    case 'lsm':
    case 'struct_ops':
      if (isWord) return undefined;
      break;
    case 'tracing':
      if (env.attachType === attachTypes.trace_iter.id) {
        if (isStruct && type.name.startsWith('bpf_iter__')) return undefined;
      } else if (isWord) return undefined;
      if (isStruct && type.name === 'bpf_raw_tracepoint_args') return undefined;
      break;
    default:
      break;
  }
  const name = contextStruct(env.progType);
  if (name === undefined || name === 'bpf_user_pt_regs_t') return 'should be void pointer';
  return isStruct && type.name === name ? undefined : `should be \`struct ${name} *\``;
}

function typedefName(btf: Btf, id: number): string {
  let type = btf.type(id);
  while (type.kind === 'const' || type.kind === 'volatile' || type.kind === 'typeTag')
    type = btf.type(type.type);
  return type.kind === 'typedef' ? type.name : '';
}

/** The arguments that a function that is verified by itself is called with. */
export function setGlobalArgs(env: Env, args: readonly GlobalArg[]): void {
  const file = env.frame;
  args.forEach((arg, i) => {
    const r = regAt(i + 1);
    const w = 2 * r;
    switch (arg.kind) {
      case 'ctx':
        setPointer(file, r, regTypes.ctx);
        return;
      case 'scalar':
      case 'arena':
        setScalar(file, r);
        return;
      case 'dynptr':
        setPointer(file, r, regTypes.constDynptr);
        file.i32[w + ID] = env.newId();
        file.i32[w + AUX0] = dynptrKinds.local;
        file.i32[w + FIRST] = 1;
        return;
      case 'mem':
        setPointer(file, r, regTypes.mem | arg.flags);
        file.i32[w + AUX0] = arg.size;
        if (mayBeNull(arg.flags)) file.i32[w + ID] = env.newId();
        return;
      case 'btfId':
        setPointer(file, r, regTypes.btfId | arg.flags);
        file.i32[w + AUX0] = arg.id;
        file.i32[w + AUX1] = KERNEL;
        file.i32[w + ID] = env.newId();
        return;
    }
  });
}

/** What a caller passes fits the function; where not, the log says why and the errno comes back. */
export function matchArgs(env: Env, args: readonly GlobalArg[]): Errno | undefined {
  for (const [i, arg] of args.entries()) {
    try {
      matchArg(env, arg, i);
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      return arg.kind === 'mem' ? 'EINVAL' : error.errno;
    }
  }
  return undefined;
}

function matchArg(env: Env, arg: GlobalArg, index: number): void {
  const reg = index + 1;
  const r = regAt(reg);
  const file = env.frame;
  const type = typeOf(file, r);
  switch (arg.kind) {
    case 'scalar':
      if (!isScalar(file, r)) env.reject('EINVAL', `R${reg} is not a scalar`);
      return;
    case 'ctx':
      checkOffset(env, { reg, release: false, kind: 'other' });
      if (type !== regTypes.ctx) env.reject('EINVAL', `arg#${index} expects pointer to ctx`);
      return;
    case 'arena':
      if (type !== regTypes.arena && !isScalar(file, r)) {
        env.reject('EINVAL', `R${reg} is not a pointer to arena or scalar.`);
      }
      return;
    case 'dynptr':
      checkOffset(env, { reg, release: false, kind: 'dynptr' });
      processDynptr(env, { reg, uninit: false, kind: undefined, readOnly: true, cloneOf: 0 });
      return;
    case 'mem':
      if ((arg.flags & typeFlags.untrusted) !== 0) return;
      checkOffset(env, { reg, release: false, kind: 'other' });
      checkMemory(env, { reg, size: arg.size });
      if (!mayBeNull(arg.flags) && (mayBeNull(type) || isNull(file, r))) {
        if (mayBeNull(type)) env.reject('EINVAL', `arg#${index} is expected to be non-NULL`);
      }
      return;
    case 'btfId':
      if ((arg.flags & typeFlags.untrusted) !== 0) return;
      if (isNull(file, r) && mayBeNull(arg.flags)) return;
      checkStructArg(env, { reg, id: arg.id, mayBeNull: mayBeNull(arg.flags) });
      checkOffset(env, { reg, release: false, kind: 'other' });
      return;
  }
}

/** A global function's arguments, for its callers and for itself; a function without usable ones is refused. */
export function globalArgs(env: Env, index: number): readonly GlobalArg[] | BadArgs {
  const subprog = env.subprogs[index] as Subprog;
  return (subprog.args ??= describeArgs(env, subprog.btfId, subprog.isGlobal));
}
