/**
 * What a program is verified against: tracing, LSM, iterator and replacing programs name a function or
 * tracepoint when they are loaded already, by the id of its type in the kernel's BTF or in that of the
 * program that they attach to (libbpf: libbpf_find_attach_btf_id). Which sections do so, and how their target is
 * called in BTF, is in object/sections.ts.
 */
import { SkepError } from '../base/errors.ts';
import type { Btf } from '../btf/index.ts';
import { type BtfTarget, findSectionName, sectionTable } from '../object/sections.ts';
import type { ProgramSpec } from '../object/spec.ts';
import type { InfoOf } from '../uapi/info.ts';
import type { System } from '../uapi/seam.ts';
import { btfById } from './kernel-types.ts';
import type { Modules } from './modules.ts';

/** The fields of PROG_LOAD that say what is attached to. */
export interface AttachTarget {
  readonly attachBtfId: number;
  readonly attachProgFd?: number;
  /** BTF of the module that has it. */
  readonly attachBtfObjFd?: number;
  /** Where the section does not say it: the kernel's number of a member of a struct. */
  readonly expectedAttachType?: number;
}

function missing(spec: ProgramSpec, message: string, hint?: string): SkepError {
  return new SkepError({ code: 'attach-target', where: `program '${spec.name}'`, message, hint });
}

/**
 * Finds what a program attaches to, where its section says that the verifier must know; undefined for others.
 * @param from.types the kernel's types, undefined where it has none
 * @param from.target the live program that it attaches to, instead of to the kernel
 * @throws {SkepError} 'attach-target' where no target is named, or nothing has its name
 */
export function findAttachTarget(
  spec: ProgramSpec,
  from: {
    readonly system: System;
    readonly types: () => Btf | undefined;
    readonly modules?: Modules | undefined;
    readonly target?: { readonly fd: number } | undefined;
  },
): AttachTarget | undefined {
  const section = findSectionName(spec.section);
  const btf = section === undefined ? undefined : sectionTable[section.name].btf;
  if (section === undefined || btf === undefined) return undefined;
  if (spec.attachTo === undefined || spec.attachTo === '') {
    throw missing(
      spec,
      'its section does not say what to attach to',
      `write SEC("${section.name}/NAME"), or set attachTo in its spec`,
    );
  }
  const { target, system } = from;
  if (target !== undefined) return inProgram(spec, system, target.fd);
  if (section.name === 'freplace') {
    throw missing(
      spec,
      'it replaces a function of another program, which is not given',
      `load(object, { targets: { ${spec.name}: program } })`,
    );
  }
  return inKernel(spec, btf, from);
}

/** 'function', or 'module:function'. */
function inKernel(
  spec: ProgramSpec,
  { prefix, kind }: BtfTarget,
  from: { readonly types: () => Btf | undefined; readonly modules?: Modules | undefined },
): AttachTarget {
  const types = from.types();
  if (types === undefined) {
    throw missing(
      spec,
      `it attaches to '${spec.attachTo}' by the types of the kernel, and this kernel has no BTF`,
      'give the BTF of a kernel',
    );
  }
  const [, module, name = ''] = /^(?:([^:]*):)?(.*)$/s.exec(spec.attachTo ?? '') ?? [];
  const id = module === undefined ? types.find(`${prefix}${name}`, kind) : undefined;
  if (id !== undefined) return { attachBtfId: id };
  const found = from.modules?.find(`${prefix}${name}`, kind, module);
  if (found !== undefined) return { attachBtfId: found.typeId, attachBtfObjFd: found.fd };
  throw missing(
    spec,
    `the kernel's types have no ${kind} '${prefix}${spec.attachTo}' to attach to`,
    'new Kernel({ btf }) and --btf FILE give the embedded kernel the types of another',
  );
}

function inProgram(spec: ProgramSpec, system: System, fd: number): AttachTarget {
  const info: InfoOf<'prog'> = { kind: 'prog' };
  system.bpf('objGetInfoByFd', { bpfFd: fd, info });
  if (info.btfId === undefined || info.btfId === 0) {
    throw missing(spec, `the program that it attaches to, '${info.name}', has no BTF`, 'compile it with -g');
  }
  const id = btfById(system, info.btfId).find(spec.attachTo!, 'func');
  if (id !== undefined) return { attachBtfId: id, attachProgFd: fd };
  throw missing(spec, `the program that it attaches to, '${info.name}', has no function '${spec.attachTo}'`);
}
