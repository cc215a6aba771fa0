/**
 * The kernel that `--kernel` names.
 */
import { Kernel, type KernelHandle } from '../user/index.ts';
import { usageError } from './args.ts';
import type { Invocation } from './invocation.ts';

const kernels: Readonly<Record<string, () => Promise<KernelHandle>>> = {
  embedded: async () => new Kernel(),
  linux: async () => new (await import('../linux-kernel.ts')).LinuxKernel(),
};

/**
 * @throws {SkepError} 'usage' for another name; 'no-linux' or 'no-koffi' where Linux cannot be asked
 */
export async function openKernel(invocation: Invocation): Promise<KernelHandle> {
  const name = invocation.value('kernel') ?? 'embedded';
  const open = Object.hasOwn(kernels, name) ? kernels[name] : undefined;
  if (open === undefined) {
    throw usageError(`option '--kernel' wants one of ${Object.keys(kernels).join(', ')}, not '${name}'`);
  }
  return open();
}
