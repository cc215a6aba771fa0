/** The types of a kernel: those that it tells, read once for each system, or those that someone gives. */
import { SkepError } from '../base/errors.ts';
import { type Btf, readBtf } from '../btf/index.ts';
import type { System } from '../uapi/seam.ts';

/** What is known of kernels: their types do not change. */
const typesOfSystem = new WeakMap<System, Btf>();

/** The kernel's own types, where it has any. */
export function ownTypes(system: System): Btf | undefined {
  let types = typesOfSystem.get(system);
  if (types !== undefined) return types;
  const raw = system.kernelBtf();
  if (raw === undefined) return undefined;
  types = readBtf(raw);
  typesOfSystem.set(system, types);
  return types;
}

/**
 * What CO-RE is answered from: the types of the kernel that is given, or the kernel's own.
 * @throws {SkepError} 'kernel-btf' where there are neither
 */
export function typesForCore(system: System, given: Btf | undefined): Btf {
  const types = given ?? ownTypes(system);
  if (types !== undefined) return types;
  throw new SkepError({
    code: 'kernel-btf',
    message: 'the program asks for types of the kernel, and this kernel has no BTF',
    hint: 'give the BTF of a kernel: load(object, { kernelBtf })',
  });
}
