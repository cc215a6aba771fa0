/**
 * The types of a kernel: those that it tells, read once for each system, or those that someone gives; and those of the
 * BTF that was loaded into it with programs, maps and modules.
 */
import { SkepError } from '../base/errors.ts';
import { type Btf, readBtf } from '../btf/index.ts';
import type { InfoOf } from '../uapi/info.ts';
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

/**
 * The types of a BTF object of the kernel. A module's go on where the kernel's own end.
 * @throws {BpfError} ENOENT where there is none of that id
 */
export function btfById(system: System, btfId: number): Btf {
  const fd = system.bpf('btfGetFdById', { btfId });
  try {
    const size: InfoOf<'btf'> = { kind: 'btf' };
    system.bpf('objGetInfoByFd', { bpfFd: fd, info: size });
    const [btf, name] = [new Uint8Array(size.btfSize ?? 0), new Uint8Array((size.nameLen ?? 0) + 1)];
    const info: InfoOf<'btf'> = { kind: 'btf', btf, btfSize: btf.length, name, nameLen: name.length };
    system.bpf('objGetInfoByFd', { bpfFd: fd, info });
    const isModule = (info.kernelBtf ?? 0) !== 0 && new TextDecoder().decode(name) !== 'vmlinux\0';
    return readBtf(btf, { base: isModule ? baseOfModule(system) : undefined });
  } finally {
    system.close(fd);
  }
}

function baseOfModule(system: System): Btf {
  const base = ownTypes(system);
  if (base !== undefined) return base;
  throw new SkepError({
    code: 'kernel-btf',
    message: 'the kernel has types of a module, and none of its own',
  });
}
