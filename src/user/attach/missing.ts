/**
 * What a kernel lacks, by name: an errno that means "no such thing here" becomes the version of Linux or the
 * option of its build that has it.
 */
import { type AttachKind, type AttachKindName, attachKinds } from '../../uapi/attach-kinds.ts';
import { BpfError, type Errno } from '../../uapi/errno.ts';
import type { System } from '../../uapi/seam.ts';

/** What kernels say to something that they do not know. */
const meansUnknown: ReadonlySet<Errno> = new Set<Errno>([
  'EINVAL',
  'ENOTSUP',
  'ENOTSUPP',
  'ENOSYS',
  'ENOPROTOOPT',
]);
/** What they say only to something that they know and were built without. */
const meansNotBuilt: ReadonlySet<Errno> = new Set<Errno>(['ENOTSUP', 'ENOTSUPP', 'ENOSYS']);

/** Whether the kernel is older than a version; false where it does not say. */
export function isOlder(system: System, [major, minor]: readonly [number, number]): boolean {
  const version = system.kernelVersion?.();
  return version !== undefined && version < ((major << 16) | (minor << 8));
}

function versionText(version: number): string {
  return `${version >> 16}.${(version >> 8) & 0xff}`;
}

/** The error with a hint at what the kernel lacks, where that is what its errno means. */
export function explain(system: System, kind: AttachKindName, error: unknown): unknown {
  if (!(error instanceof BpfError) || error.hint !== undefined) return error;
  const { since, config }: AttachKind = attachKinds[kind];
  const what = error.message.slice(0, error.message.indexOf(':'));
  if (meansUnknown.has(error.errno) && isOlder(system, since)) {
    const own = versionText(system.kernelVersion?.() ?? 0);
    return new BpfError(error.errno, what, `needs Linux ${since.join('.')}, this is ${own}`);
  }
  if (meansNotBuilt.has(error.errno)) {
    return new BpfError(error.errno, what, `this kernel was built without ${config}`);
  }
  return error;
}
