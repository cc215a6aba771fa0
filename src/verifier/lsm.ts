/** What security hooks may return: an errno, or for a few of them yes or no; nothing for hooks without a result. */
import { syncBounds } from './domain/index.ts';
import type { Env } from './env.ts';
import { S32_MAX, S32_MIN, SMAX, SMIN } from './state/layout.ts';

const MAX_ERRNO = 4095;
const asking: ReadonlySet<string> = new Set(['bpf_lsm_audit_rule_known', 'bpf_lsm_inode_xattr_skipcap']);

/** bpf_lsm_get_retval_range; undefined where the hook returns nothing. */
export function lsmReturnRange(env: Env): readonly [min: number, max: number] | undefined {
  const { target } = env;
  if (target === undefined || target.proto.type === 0) return undefined;
  return asking.has(target.name) ? [0, 1] : [-MAX_ERRNO, 0];
}

/** A register that holds what the hook has returned so far. */
export function boundLsmReturn(env: Env, r: number): void {
  const range = lsmReturnRange(env);
  if (range === undefined) return;
  const file = env.frame;
  file.i64[r + SMIN] = BigInt(range[0]);
  file.i64[r + SMAX] = BigInt(range[1]);
  file.i32[2 * r + S32_MIN] = range[0];
  file.i32[2 * r + S32_MAX] = range[1];
  syncBounds(file, r);
}
