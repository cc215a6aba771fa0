/** What the arguments of a kernel function's call said, for its effects and its result (bpf_kfunc_call_arg_meta). */
import type { TypeRef } from './btf-objects.ts';
import type { DynptrKind } from './dynptr.ts';
import type { Field } from './fields.ts';
import type { IteratorAt } from './iterators.ts';
import type { Kfunc } from './kfuncs.ts';

export interface KfuncCall {
  readonly kfunc: Kfunc;
  /** Index of a map passed, or -1; and what tells apart maps found in another map. */
  map: number;
  mapUid: number;
  refObjId: number;
  releaseReg: number;
  constant: bigint | undefined;
  callback: number;
  dynptr: { id: number; kind: DynptrKind; refObjId: number } | undefined;
  iterator: IteratorAt | undefined;
  /** The head of a list or tree, the struct that is in it. */
  root: { readonly field: Field; readonly object: number } | undefined;
  /** The object passed: to be given up, or counted once more. */
  object: TypeRef | undefined;
  ownsObject: boolean;
  /** The struct that a context is cast to. */
  castTo: number;
  usesProgram: boolean;
}

export function newKfuncCall(kfunc: Kfunc): KfuncCall {
  return {
    kfunc,
    map: -1,
    mapUid: 0,
    refObjId: 0,
    releaseReg: -1,
    constant: undefined,
    callback: -1,
    dynptr: undefined,
    iterator: undefined,
    root: undefined,
    object: undefined,
    ownsObject: false,
    castTo: 0,
    usesProgram: false,
  };
}
