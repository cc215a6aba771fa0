/** What a program hooks into and whether it may sleep there, before any path is explored (check_attach_btf_id). */
import type { ProgTypeName } from '../uapi/prog-types.ts';
import type { Env } from './env.ts';

/** Of `tracing` and `lsm` programs, which may sleep is a matter of what they are attached to. */
const maySleep: readonly (ProgTypeName | undefined)[] = ['kprobe', 'tracing', 'lsm', 'struct_ops', 'ext'];

export function checkAttach(env: Env): void {
  const { progType, sleepable } = env;
  if (progType === 'syscall') {
    if (!sleepable) env.reject('EINVAL', 'Syscall programs can only be sleepable');
  } else if (sleepable && !maySleep.includes(progType)) {
    env.reject(
      'EINVAL',
      'Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable',
    );
  }
}
