/**
 * The kernel that `--kernel` names, and the engine that `--engine` names.
 */
import { type Engine, interpreter, jit } from '../kernel/index.ts';
import { Kernel, type KernelHandle } from '../user/index.ts';
import { usageError } from './args.ts';
import type { Invocation } from './invocation.ts';

interface Options {
  /** The types that the embedded kernel has as its own. */
  readonly btf?: Uint8Array | undefined;
  /** What the embedded kernel runs programs on, where it is not what the command line names. */
  readonly engine?: Engine;
}

type Open = (invocation: Invocation, options: Options) => Promise<KernelHandle>;

const kernels: Readonly<Record<string, Open>> = {
  embedded: async (invocation, { btf, engine = engineOf(invocation) }) =>
    new Kernel({ engine, ...(btf && { btf }) }),
  linux: async () => new (await import('../linux-kernel.ts')).LinuxKernel(),
};

const engines: Readonly<Record<string, Engine>> = { interp: interpreter, jit };

/** @throws {SkepError} 'usage' for another name than those of `engines` */
export function engineOf(invocation: Invocation): Engine {
  const name = invocation.value('engine') ?? (invocation.has('interp') ? interpreter.name : jit.name);
  const engine = Object.hasOwn(engines, name) ? engines[name] : undefined;
  if (engine === undefined) {
    throw usageError(`option '--engine' wants one of ${Object.keys(engines).join(', ')}, not '${name}'`);
  }
  return engine;
}

/**
 * @throws {SkepError} 'usage' for another name; 'no-linux' or 'no-koffi' where Linux cannot be asked
 */
export async function openKernel(invocation: Invocation, options: Options = {}): Promise<KernelHandle> {
  const name = invocation.value('kernel') ?? 'embedded';
  const open = Object.hasOwn(kernels, name) ? kernels[name] : undefined;
  if (open === undefined) {
    throw usageError(`option '--kernel' wants one of ${Object.keys(kernels).join(', ')}, not '${name}'`);
  }
  if (name !== 'embedded' && (invocation.has('engine') || invocation.has('interp'))) {
    throw usageError(`option '--engine' is for the embedded kernel; ${name} has its own`);
  }
  return open(invocation, options);
}
