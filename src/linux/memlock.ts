/**
 * Kernels before 5.11 charge maps and programs to RLIMIT_MEMLOCK, which is 64 KiB for most users, and fail with
 * EPERM beyond it. As libbpf does, the limit is lifted, and only where the kernel is such: one that knows a
 * helper of 5.11 charges to the cgroup instead.
 */
import { errnos } from '../uapi/errno.ts';
import { progTypes } from '../uapi/prog-types.ts';
import type { Libc } from './libc.ts';
import type { Marshaller } from './marshal.ts';

const RLIMIT_MEMLOCK = 8;
const ACCOUNTS_TO_CGROUPS = (5 << 16) | (11 << 8);

/** call bpf_ktime_get_coarse_ns; r0 = 0; exit */
const probe = Uint8Array.of(
  ...[0x85, 0, 0, 0, 160, 0, 0, 0],
  ...[0xb7, 0, 0, 0, 0, 0, 0, 0],
  ...[0x95, 0, 0, 0, 0, 0, 0, 0],
);

/** Once for a process; a second time would not help. */
const tried = new WeakSet<Libc>();

/**
 * True where the limit is lifted now and was not before, so that what failed may be tried again. `version` is
 * the kernel's LINUX_VERSION_CODE.
 */
export function liftMemlock(libc: Libc, marshaller: Marshaller, version: number): boolean {
  if (tried.has(libc)) return false;
  tried.add(libc);
  const progType = progTypes.socket_filter.id;
  const fd = marshaller.call('progLoad', { progType, insns: probe, insnCnt: 3, license: 'GPL' });
  if (fd >= 0) libc.close(fd);
  // Where the limit is reached, the probe does not get as far as the helper.
  if (fd !== -errnos.EINVAL && (fd !== -errnos.EPERM || version >= ACCOUNTS_TO_CGROUPS)) return false;
  const unlimited = new Uint8Array(16).fill(0xff);
  return libc.setrlimit(RLIMIT_MEMLOCK, unlimited) === 0;
}
