/**
 * Kernel functions: which one a call names, by the kernel's BTF, and what arguments it takes. Known
 * are the open-coded iterators over numbers and bits; a call of another one is refused.
 */
import { type Btf, readBtf } from '../btf/index.ts';
import type { Env } from './env.ts';

/** A family of bpf_iter_NAME_new, _next and _destroy; its state on the stack takes `slots` slots. */
export interface IteratorKind {
  readonly name: string;
  readonly slots: number;
  /** What _new takes after the iterator: numbers, and what it checks when it runs. */
  readonly args: readonly ('scalar' | 'ignored')[];
  /** The size of what _next points to. */
  readonly itemSize: number;
}

export const iteratorKinds: readonly IteratorKind[] = [
  { name: 'num', slots: 1, args: ['scalar', 'scalar'], itemSize: 4 },
  { name: 'bits', slots: 2, args: ['ignored', 'scalar'], itemSize: 4 },
];

export interface Kfunc {
  readonly name: string;
  /** Index in `iteratorKinds`. */
  readonly iterator: number;
  readonly step: 'new' | 'next' | 'destroy';
}

const kernels = new WeakMap<Uint8Array, Btf>();

function kernelBtf(env: Env): Btf | undefined {
  const bytes = env.input.kernelBtf;
  if (bytes === undefined) return undefined;
  let btf = kernels.get(bytes);
  if (btf === undefined) kernels.set(bytes, (btf = readBtf(bytes)));
  return btf;
}

const pattern = /^bpf_iter_(.+)_(new|next|destroy)$/;

/** The kernel function of a BTF id, if it is one that is known. */
export function findKfunc(env: Env, id: number): Kfunc | undefined {
  const btf = kernelBtf(env);
  if (btf === undefined || id <= 0 || id >= btf.typeCount) return undefined;
  const type = btf.type(id);
  const parts = type.kind === 'func' ? pattern.exec(type.name) : null;
  const iterator = iteratorKinds.findIndex((kind) => kind.name === parts?.[1]);
  if (parts === null || iterator < 0) return undefined;
  return { name: parts[0], iterator, step: parts[2] as Kfunc['step'] };
}

/** How many registers it takes as arguments. */
export function kfuncArgs(kfunc: Kfunc): number {
  return kfunc.step === 'new' ? 1 + (iteratorKinds[kfunc.iterator] as IteratorKind).args.length : 1;
}
