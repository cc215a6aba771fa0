/**
 * Structs of functions that programs implement for the kernel (libbpf: bpf_map__init_kern_struct_ops): from the
 * object's idea of the struct to the kernel's, or to a module's, by the names of members; then the live one, which is
 * registered by writing it into its map.
 */
import { SkepError } from '../base/errors.ts';
import { type Btf, type BtfComposite, type BtfMember, resolvedType, sizeOf } from '../btf/index.ts';
import type { MapSpec, StructOpsSpec } from '../object/spec.ts';
import { isFunctionPointer } from '../object/struct-ops.ts';
import { attachTypes } from '../uapi/attach-types.ts';
import { BpfError } from '../uapi/errno.ts';
import type { System } from '../uapi/seam.ts';
import { Link } from './link.ts';
import type { BpfMap } from './map.ts';
import type { Modules } from './modules.ts';

/** BPF_F_LINK. */
const linkFlag = 1 << 13;
/** Types of the kernel that hold a struct with the state of its registration. */
const wrapper = 'bpf_struct_ops_';

/** A struct as a kernel has it. */
export interface StructOpsLayout {
  /** Of the kernel's type of the map's value. */
  readonly kernelTypeId: number;
  /** BTF of the module that has it; undefined for the kernel itself. */
  readonly moduleFd: number | undefined;
  /** What the map holds, but for the functions. */
  readonly value: Uint8Array;
  /** Where in the value each program's fd goes, and what it is loaded with. */
  readonly functions: readonly {
    readonly program: string;
    readonly offset: number;
    readonly attachBtfId: number;
    readonly expectedAttachType: number;
  }[];
}

function failed(map: MapSpec, message: string, hint?: string): SkepError {
  return new SkepError({ code: 'struct-ops', where: `map '${map.name}'`, message, hint });
}

/** A struct of a BTF, with its id. */
interface Struct {
  readonly btf: Btf;
  readonly id: number;
  readonly type: BtfComposite;
}

function structNamed(btf: Btf, name: string): Struct | undefined {
  const id = btf.find(name, 'struct');
  const type = id === undefined ? undefined : btf.type(id);
  return id === undefined || type?.kind !== 'struct' ? undefined : { btf, id, type };
}

/** Where structs of functions are looked for. */
interface Kernel {
  readonly kernel: Btf;
  readonly modules?: Modules | undefined;
}

interface KernelStruct extends Struct {
  readonly moduleFd: number | undefined;
  /** The type of value that it is a member of, and where. */
  readonly holder: Struct;
  readonly at: number;
}

/** The struct in the kernel, or where it has none of that name in a module. */
function kernelStruct(map: MapSpec, { kernel, modules }: Kernel, localName: string): KernelStruct {
  // 'tcp_congestion_ops___mine' is the author's own view of tcp_congestion_ops.
  const name = localName.replace(/(?<=.)___.*$/, '');
  const module = kernel.find(name, 'struct') === undefined ? modules?.find(name, 'struct') : undefined;
  const btf = module?.btf ?? kernel;
  const struct = structNamed(btf, name);
  const holder = structNamed(btf, `${wrapper}${name}`);
  const member = holder?.type.members.find(({ type }) => type === struct?.id);
  if (struct !== undefined && holder !== undefined && member !== undefined) {
    return { ...struct, moduleFd: module?.fd, holder, at: member.bitOffset / 8 };
  }
  throw failed(map, `the kernel takes no implementations of struct ${name}`);
}

/** One member of the object's struct, and its bytes. */
interface Local {
  readonly btf: Btf;
  readonly member: BtfMember;
  readonly bytes: Uint8Array;
}

/** Copies a member that is data to where the kernel has it. */
function copyMember(
  map: MapSpec,
  { btf, member, bytes }: Local,
  to: { kernel: Struct; value: Uint8Array; at: number },
): void {
  const theirs = to.kernel.type.members.find(({ name }) => name !== '' && name === member.name);
  if (theirs === undefined) {
    if (bytes.every((byte) => byte === 0)) return;
    throw failed(map, `'${member.name}' is set, and the kernel's struct has no such member`);
  }
  if (member.bitSize !== 0 || theirs.bitSize !== 0) throw failed(map, `'${member.name}' is a bitfield`);
  const [ours, size] = [sizeOf(btf, member.type), sizeOf(to.kernel.btf, theirs.type)];
  const [kind, wanted] = [resolvedType(btf, member.type).kind, resolvedType(to.kernel.btf, theirs.type).kind];
  if (ours !== size || kind !== wanted) {
    throw failed(
      map,
      `'${member.name}' is ${kind} of ${ours} bytes, in the kernel ${wanted} of ${size} bytes`,
    );
  }
  to.value.set(bytes, to.at + theirs.bitOffset / 8);
}

/**
 * Puts a struct into the shape that the kernel's has. Members that the kernel does not have are left out
 * where they are 0, or a function.
 * @throws {SkepError} 'struct-ops' where the kernel has no such struct, or one that it does not fit into
 */
export function layOutStructOps(
  map: MapSpec,
  spec: StructOpsSpec,
  { btf, ...from }: { btf: Btf } & Kernel,
): StructOpsLayout {
  const struct = btf.type(spec.btfTypeId);
  if (struct.kind !== 'struct') throw failed(map, 'its type is no struct');
  const theirs = kernelStruct(map, from, struct.name);
  const value = new Uint8Array(theirs.holder.type.size);
  const functions: StructOpsLayout['functions'][number][] = [];
  for (const member of struct.members) {
    const program = Object.hasOwn(spec.programs, member.name) ? spec.programs[member.name] : undefined;
    if (program === undefined && isFunctionPointer(btf, member.type)) continue;
    if (program === undefined) {
      const [at, size] = [member.bitOffset / 8, sizeOf(btf, member.type)];
      const bytes = spec.value.subarray(Math.floor(at), Math.floor(at) + size);
      copyMember(map, { btf, member, bytes }, { kernel: theirs, value, at: theirs.at });
      continue;
    }
    const index = theirs.type.members.findIndex(({ name }) => name === member.name);
    const target = theirs.type.members[index];
    if (target === undefined) continue;
    if (!isFunctionPointer(theirs.btf, target.type)) {
      throw failed(map, `'${member.name}' is a function, which it is not in the kernel`);
    }
    const offset = theirs.at + target.bitOffset / 8;
    functions.push({ program, offset, attachBtfId: theirs.id, expectedAttachType: index });
  }
  return { kernelTypeId: theirs.holder.id, moduleFd: theirs.moduleFd, value, functions };
}

/** A struct of functions whose programs are loaded: `attach()` gives it to the kernel. */
export class StructOps {
  readonly name: string;
  readonly map: BpfMap;
  readonly #system: System;
  readonly #value: Uint8Array;
  readonly #isLink: boolean;

  /** Made by `Kernel.load`. */
  constructor(system: System, map: BpfMap, { spec, value }: { spec: MapSpec; value: Uint8Array }) {
    this.#system = system;
    this.#value = value;
    this.#isLink = (spec.flags & linkFlag) !== 0;
    this.name = spec.name;
    this.map = map;
  }

  /**
   * Registers it, until what comes back is closed. A struct of SEC(".struct_ops.link") is held by a link, which
   * may be pinned; any other by its map.
   * @throws {BpfError} EEXIST or EBUSY where one of its name or its place is taken
   */
  attach(): { close(): void } {
    const [mapFd, key] = [this.map.fd, new Uint8Array(4)];
    try {
      this.#system.bpf('mapUpdateElem', { mapFd, key, value: this.#value, flags: 0n });
    } catch (error) {
      // What a link has held once is in the map for good, and another link may hold it.
      if (!this.#isLink || !(error instanceof BpfError) || error.errno !== 'EBUSY') throw error;
    }
    if (this.#isLink) {
      const fd = this.#system.bpf('linkCreate', { progFd: mapFd, attachType: attachTypes.struct_ops.id });
      return new Link(this.#system, fd, `link of struct_ops '${this.name}'`);
    }
    let isRegistered = true;
    return {
      close: () => {
        if (isRegistered) this.#system.bpf('mapDeleteElem', { mapFd, key });
        isRegistered = false;
      },
    };
  }
}
