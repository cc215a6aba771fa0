/** The end of a program: what r0 may be, by program type and attach type (check_return_code). */
import { attachTypes } from '../uapi/attach-types.ts';
import { checkRead, isSecret } from './checks.ts';
import type { Env } from './env.ts';
import { lsmReturnRange } from './lsm.ts';
import { markPrecise } from './precision.ts';
import { isScalar, typeOf } from './regs.ts';
import { regAt } from './state/frame.ts';
import { S32_MAX, S32_MIN, SMAX, SMIN } from './state/layout.ts';
import { regTypeName } from './state/reg-types.ts';

type Range = readonly [min: number, max: number];

const S64_MIN = -(1n << 63n);
const S64_MAX = (1n << 63n) - 1n;

/** Attach types of cgroup_sock_addr that cannot refuse, and those that may return flags. */
const alwaysOne: readonly number[] = [
  attachTypes.cgroup_udp4_recvmsg.id,
  attachTypes.cgroup_udp6_recvmsg.id,
  attachTypes.cgroup_unix_recvmsg.id,
  attachTypes.cgroup_inet4_getpeername.id,
  attachTypes.cgroup_inet6_getpeername.id,
  attachTypes.cgroup_unix_getpeername.id,
  attachTypes.cgroup_inet4_getsockname.id,
  attachTypes.cgroup_inet6_getsockname.id,
  attachTypes.cgroup_unix_getsockname.id,
];
const binds: readonly number[] = [attachTypes.cgroup_inet4_bind.id, attachTypes.cgroup_inet6_bind.id];

/** What r0 must lie in; undefined: anything goes. */
function returnRange(env: Env): Range | undefined {
  const attach = env.attachType;
  switch (env.progType) {
    case 'cgroup_sock_addr':
      if (alwaysOne.includes(attach)) return [1, 1];
      return binds.includes(attach) ? [0, 3] : [0, 1];
    case 'cgroup_skb':
      return attach === attachTypes.cgroup_inet_egress.id ? [0, 3] : [0, 1];
    case 'cgroup_sock':
    case 'sock_ops':
    case 'cgroup_device':
    case 'cgroup_sysctl':
    case 'cgroup_sockopt':
    case 'sk_lookup':
    case 'netfilter':
      return [0, 1];
    case 'kprobe':
      return attach === attachTypes.trace_kprobe_session.id || attach === attachTypes.trace_uprobe_session.id
        ? [0, 1]
        : undefined;
    case 'tracing':
      return tracingRange(env);
    case 'lsm':
      return attach === attachTypes.lsm_cgroup.id ? [0, 1] : lsmReturnRange(env);
    default:
      return undefined;
  }
}

function tracingRange(env: Env): Range | undefined {
  switch (env.attachType) {
    case attachTypes.trace_fentry.id:
    case attachTypes.trace_fexit.id:
      return [0, 0];
    case attachTypes.trace_iter.id:
      return [0, 1];
    default:
      return undefined;
  }
}

/** Hooks and members without a result: what is in r0 does not matter. */
function returnsNothing(env: Env): boolean {
  const { target } = env;
  if (target === undefined || target.proto.type !== 0) return false;
  return (
    env.progType === 'struct_ops' || (env.progType === 'lsm' && env.attachType !== attachTypes.lsm_cgroup.id)
  );
}

/** What the program, or an exception thrown by it, ends with, in r0 or r1. */
export function checkReturn(env: Env, reg = 0): void {
  const frame = env.frame;
  const isMain = frame.subprog === 0 || frame.inExceptionCallback;
  if (isMain && returnsNothing(env)) return;
  checkRead(env, reg);
  if (isSecret(env, reg)) env.reject('EACCES', `R${reg} leaks addr as return value`);
  const r = regAt(reg);
  const known = (where: string): void => {
    if (isScalar(frame, r)) return;
    env.reject(
      'EINVAL',
      `${where} the register R${reg} is not a known value (${regTypeName(typeOf(frame, r))})`,
    );
  };
  if (frame.inAsyncCallback) {
    const where = 'At async callback return';
    known(where);
    markPrecise(env, reg);
    checkRange(env, { range: frame.results ?? [0, 0], where, reg });
    return;
  }
  if (!isMain) {
    if (isScalar(frame, r)) return;
    env.reject(
      'EINVAL',
      `At subprogram exit the register R${reg} is not a scalar value (${regTypeName(typeOf(frame, r))})`,
    );
  }
  const range = returnRange(env);
  if (range === undefined) return;
  known('At program exit');
  markPrecise(env, reg);
  checkRange(env, { range, where: 'At program exit', reg, word: env.progType === 'lsm' });
}

interface RangeCheck {
  readonly range: Range;
  readonly where: string;
  readonly reg: number;
  /** Only the lower half matters. */
  readonly word?: boolean;
}

/** A result lies within its range (retval_range_within, verbose_invalid_scalar). */
export function checkRange(env: Env, check: RangeCheck): void {
  const { range, where, reg } = check;
  const frame = env.frame;
  const r = regAt(reg);
  const smin = frame.i64[r + SMIN] as bigint;
  const smax = frame.i64[r + SMAX] as bigint;
  if (check.word === true) {
    const low = frame.i32[2 * r + S32_MIN] as number;
    if (range[0] <= low && (frame.i32[2 * r + S32_MAX] as number) <= range[1]) return;
  } else if (BigInt(range[0]) <= smin && smax <= BigInt(range[1])) return;
  let has = '';
  if (smin > S64_MIN) has += ` smin=${smin}`;
  if (smax < S64_MAX) has += ` smax=${smax}`;
  env.reject(
    'EINVAL',
    `${where} the register R${reg} has${has === '' ? ' unknown scalar value' : has} should have been in [${range[0]}, ${range[1]}]`,
  );
}
