/** Dynptrs passed to helpers and kernel functions: to be begun, or begun before (process_dynptr_func). */
import {
  beginDynptr,
  DYNPTR_BYTES,
  type DynptrKind,
  dynptrFacts,
  dynptrKinds,
  dynptrNames,
  dynptrPlace,
  isInitialised,
  noteDynptrRead,
} from './dynptr.ts';
import type { Env } from './env.ts';
import type { KfuncCall } from './kfunc-facts.ts';
import { accessMemory } from './memory.ts';
import { typeOf } from './regs.ts';
import { regAt, SLOT_BYTES } from './state/frame.ts';
import { regTypes } from './state/reg-types.ts';

export interface DynptrArg {
  readonly reg: number;
  /** The call begins it. */
  readonly uninit: boolean;
  /** What is begun, or has to be there; undefined: any. */
  readonly kind: DynptrKind | undefined;
  /** The call leaves it as it is, so that one that cannot be changed will do. */
  readonly readOnly: boolean;
  readonly cloneOf: number;
}

export function processDynptr(env: Env, arg: DynptrArg): void {
  const { reg } = arg;
  const type = typeOf(env.frame, regAt(reg));
  if (type !== regTypes.stack && type !== regTypes.constDynptr) {
    env.reject('EINVAL', `arg#${reg - 1} expected pointer to stack or const struct bpf_dynptr`);
  }
  if (arg.uninit) {
    const place = type === regTypes.stack ? dynptrPlace(env, reg) : undefined;
    if (place === undefined) env.reject('EINVAL', 'Dynptr has to be an uninitialized dynptr');
    for (let off = 0; off < DYNPTR_BYTES; off += SLOT_BYTES) {
      accessMemory(env, { reg, off, size: SLOT_BYTES, write: true, value: -1 });
    }
    beginDynptr(env, place, { kind: arg.kind ?? dynptrKinds.local, cloneOf: arg.cloneOf });
    return;
  }
  if (type === regTypes.constDynptr && !arg.readOnly) {
    env.reject('EINVAL', 'cannot pass pointer to const bpf_dynptr, the helper mutates it');
  }
  if (!isInitialised(env, reg)) {
    env.reject('EINVAL', `Expected an initialized dynptr as arg #${reg - 1}`);
  }
  if (arg.kind !== undefined && dynptrFacts(env, reg).kind !== arg.kind) {
    env.reject('EINVAL', `Expected a dynptr of type ${dynptrNames[arg.kind]} as arg #${reg - 1}`);
  }
  noteDynptrRead(env, reg);
}

const made: Readonly<Record<string, DynptrKind>> = {
  bpf_dynptr_from_skb: dynptrKinds.skb,
  bpf_dynptr_from_xdp: dynptrKinds.xdp,
  bpf_dynptr_from_skb_meta: dynptrKinds.skbMeta,
};

/** Of a kernel function's call. */
export function processKfuncDynptr(
  env: Env,
  call: KfuncCall,
  arg: { readonly reg: number; readonly uninit: boolean },
): void {
  const isConst = typeOf(env.frame, regAt(arg.reg)) === regTypes.constDynptr;
  const clones = arg.uninit && call.kfunc.name === 'bpf_dynptr_clone';
  processDynptr(env, {
    ...arg,
    readOnly: isConst,
    kind: clones ? call.dynptr?.kind : made[call.kfunc.name],
    cloneOf: clones ? (call.dynptr?.refObjId ?? 0) : 0,
  });
  if (!arg.uninit) call.dynptr = dynptrFacts(env, arg.reg);
}
