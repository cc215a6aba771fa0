/**
 * What kernels decide differently, one row each: the verifier asks here and nowhere else which kernel it stands for.
 * Sizes that the state itself is laid out for (frames, bytes of stack) are in state/ and wanted.ts.
 */
import { SkepError } from '../base/errors.ts';

export interface KernelRules {
  /** Instructions that a program may have for a loader with CAP_BPF, and that may be followed along all paths. */
  readonly instructions: number;
  /** Branches that may wait to be explored (BPF_COMPLEXITY_LIMIT_JMP_SEQ). */
  readonly pendingJumps: number;
  readonly subprogs: number;
  /** Maps that a program may name (MAX_USED_MAPS). */
  readonly maps: number;
}

const kernelRules = {
  '6.18': { instructions: 1_000_000, pendingJumps: 8192, subprogs: 256, maps: 64 },
} as const satisfies Record<string, KernelRules>;

/** The kernels that this verifier speaks for. */
export type KernelVersion = keyof typeof kernelRules;

const LATEST: KernelVersion = '6.18';

/**
 * The rules of a kernel; of the latest that is known where none is named.
 * @throws {SkepError} 'kernel-version'
 */
export function rulesOf(version: KernelVersion | undefined): KernelRules {
  const name: string = version ?? LATEST;
  if (Object.hasOwn(kernelRules, name)) return kernelRules[name as KernelVersion];
  throw new SkepError({
    code: 'kernel-version',
    message: `the verifier does not know Linux ${name}`,
    hint: `it speaks for ${Object.keys(kernelRules).join(', ')}`,
  });
}
