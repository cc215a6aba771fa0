/** An access through a pointer, and what accesses of all kinds share: leaks of pointers, loads of unknown numbers. */
import { isSecret } from './checks.ts';
import type { Env } from './env.ts';
import { setScalar } from './regs.ts';
import { regAt } from './state/frame.ts';

export interface Access {
  /** The pointer. */
  readonly reg: number;
  readonly off: number;
  readonly size: number;
  readonly write: boolean;
  /** The register loaded or stored; -1 is none, -2 the immediate `imm`. */
  readonly value: number;
  readonly imm?: number;
  readonly signed?: boolean;
  /** Atomics must be aligned. */
  readonly aligned?: boolean;
}

/** A store must not tell a loader without CAP_PERFMON an address. */
export function leakCheck(env: Env, access: Access, into: string): void {
  if (!access.write || access.value < 0 || !isSecret(env, access.value)) return;
  env.reject('EACCES', `R${access.value} leaks addr into ${into}`);
}

/** A load whose value is not known. */
export function loadUnknown(env: Env, access: Access): void {
  if (!access.write && access.value >= 0) setScalar(env.frame, regAt(access.value));
}
