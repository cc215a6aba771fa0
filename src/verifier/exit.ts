/** The end of a program: what r0 may be, by program type and attach type (check_return_code). */
import { attachTypes } from '../uapi/attach-types.ts';
import { checkRead, isSecret } from './checks.ts';
import type { Env } from './env.ts';
import { markPrecise } from './precision.ts';
import { isScalar, typeOf } from './regs.ts';
import { regAt } from './state/frame.ts';
import { SMAX, SMIN } from './state/layout.ts';
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
    default:
      return undefined;
  }
}

export function checkReturn(env: Env): void {
  checkRead(env, 0);
  if (isSecret(env, 0)) env.reject('EACCES', 'R0 leaks addr as return value');
  const frame = env.frame;
  const r0 = regAt(0);
  if (frame.subprog > 0) {
    if (isScalar(frame, r0)) return;
    env.reject(
      'EINVAL',
      `At subprogram exit the register R0 is not a scalar value (${regTypeName(typeOf(frame, r0))})`,
    );
  }
  const range = returnRange(env);
  if (range === undefined) return;
  if (!isScalar(frame, r0)) {
    env.reject(
      'EINVAL',
      `At program exit the register R0 is not a known value (${regTypeName(typeOf(frame, r0))})`,
    );
  }
  markPrecise(env, 0);
  checkRange(env, range, 'At program exit');
}

/** r0 lies within `range` (retval_range_within, verbose_invalid_scalar). */
export function checkRange(env: Env, range: Range, where: string): void {
  const frame = env.frame;
  const r0 = regAt(0);
  const smin = frame.i64[r0 + SMIN] as bigint;
  const smax = frame.i64[r0 + SMAX] as bigint;
  if (BigInt(range[0]) <= smin && smax <= BigInt(range[1])) return;
  let has = '';
  if (smin > S64_MIN) has += ` smin=${smin}`;
  if (smax < S64_MAX) has += ` smax=${smax}`;
  env.reject(
    'EINVAL',
    `${where} the register R0 has${has === '' ? ' unknown scalar value' : has} should have been in [${range[0]}, ${range[1]}]`,
  );
}
