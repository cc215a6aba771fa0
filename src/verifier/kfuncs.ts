/**
 * Kernel functions: which one a call names, by the kernel's BTF, and what is known of it: its prototype there, and
 * the facts of uapi/kfuncs.ts, without which it is no function for programs.
 */
import type { BtfType } from '../btf/index.ts';
import { resolveModifiers } from '../btf/index.ts';
import { type KfuncFacts, kfuncAllowed, kfuncFacts } from '../uapi/kfuncs.ts';
import type { Env } from './env.ts';

type Proto = Extract<BtfType, { kind: 'funcProto' }>;

export interface Kfunc {
  readonly id: number;
  readonly name: string;
  readonly proto: Proto;
  /** Undefined where it is a function of the kernel, but none for programs. */
  readonly facts: KfuncFacts | undefined;
  /** A family of functions of an iterator: `new`, `next` and `destroy` take the same struct. */
  readonly iterator: IteratorKind | undefined;
}

/** An iterator's state on the stack: a struct of the kernel, in so many slots. */
export interface IteratorKind {
  readonly step: 'new' | 'next' | 'destroy';
  readonly btfId: number;
  /** As messages call it: `iter_num`. */
  readonly name: string;
  readonly slots: number;
}

const cache = new WeakMap<object, Map<number, Kfunc | undefined>>();

/** The kernel's function of a BTF id; undefined where that is none. */
export function findKfunc(env: Env, id: number): Kfunc | undefined {
  const { kernel } = env.types;
  if (kernel === undefined || id <= 0 || id >= kernel.typeCount) return undefined;
  let known = cache.get(kernel);
  if (known === undefined) cache.set(kernel, (known = new Map()));
  if (known.has(id)) return known.get(id);
  const type = kernel.type(id);
  const proto = type.kind === 'func' ? kernel.type(type.type) : undefined;
  let kfunc: Kfunc | undefined;
  if (type.kind === 'func' && proto?.kind === 'funcProto') {
    const facts = kfuncFacts(type.name);
    kfunc = { id, name: type.name, proto, facts, iterator: iteratorOf(env, facts, proto) };
  }
  known.set(id, kfunc);
  return kfunc;
}

function iteratorOf(env: Env, facts: KfuncFacts | undefined, proto: Proto): IteratorKind | undefined {
  const flags = facts?.flags ?? [];
  const step = flags.includes('iterNew')
    ? 'new'
    : flags.includes('iterNext')
      ? 'next'
      : flags.includes('iterDestroy')
        ? 'destroy'
        : undefined;
  const first = proto.parameters[0];
  const { kernel } = env.types;
  if (step === undefined || first === undefined || kernel === undefined) return undefined;
  const pointer = kernel.type(resolveModifiers(kernel, first.type));
  if (pointer.kind !== 'ptr') return undefined;
  const btfId = resolveModifiers(kernel, pointer.type);
  const struct = kernel.type(btfId);
  if (struct.kind !== 'struct') return undefined;
  return { step, btfId, name: struct.name.replace(/^bpf_/, ''), slots: Math.ceil(struct.size / 8) };
}

/** Whether this program may call it. */
export function mayCall(env: Env, kfunc: Kfunc): boolean {
  return (
    kfunc.facts !== undefined && kfuncAllowed(kfunc.facts, { type: env.progType, attachType: env.attachType })
  );
}

/** How many registers it takes as arguments. */
export function kfuncArgs(kfunc: Kfunc): number {
  return kfunc.proto.parameters.length;
}
