/**
 * The types of the kernel's modules, for what programs name and the kernel itself does not have: functions to call
 * or to attach to, variables, structs of functions, and what CO-RE asks about. A load holds descriptors of those that it uses until it is done.
 */
import type { Btf, BtfKind } from '../btf/index.ts';
import { BpfError } from '../uapi/errno.ts';
import type { InfoOf } from '../uapi/info.ts';
import type { System } from '../uapi/seam.ts';
import { btfById, ownTypes } from './kernel-types.ts';

interface Module {
  readonly id: number;
  readonly name: string;
}

/** A type of a module. */
export interface ModuleType {
  readonly btf: Btf;
  readonly typeId: number;
  /** Of the module's BTF; the list closes it. */
  readonly fd: number;
}

/** The modules with BTF, as a kernel lists them. */
function* listModules(system: System): Generator<Module> {
  const attr = { startId: 0, nextId: 0 };
  for (;;) {
    try {
      system.bpf('btfGetNextId', attr);
    } catch (error) {
      if (error instanceof BpfError) return;
      throw error;
    }
    const id = attr.nextId;
    if (id <= attr.startId) return;
    attr.startId = id;
    const name = moduleName(system, id);
    if (name !== undefined) yield { id, name };
  }
}

/** The name of a module; undefined for other BTF, which may be gone by now. */
function moduleName(system: System, id: number): string | undefined {
  try {
    const fd = system.bpf('btfGetFdById', { btfId: id });
    try {
      const name = new Uint8Array(64);
      const info: InfoOf<'btf'> = { kind: 'btf', name, nameLen: name.length };
      system.bpf('objGetInfoByFd', { bpfFd: fd, info });
      const text = new TextDecoder().decode(name.subarray(0, Math.max(0, name.indexOf(0))));
      return (info.kernelBtf ?? 0) === 0 || text === 'vmlinux' ? undefined : text;
    } finally {
      system.close(fd);
    }
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

/** Finds types in modules. */
export class Modules {
  readonly #system: System;
  readonly #types = new Map<number, Btf>();
  readonly #fds = new Map<number, number>();
  #list: Module[] | undefined;

  constructor(system: System) {
    this.#system = system;
  }

  /** The types of each, as they are asked for. */
  *all(): Generator<Btf> {
    for (const module of this.#modules()) yield this.#typesOf(module);
  }

  /** Their types go on where the kernel's end: without those there are none. */
  #modules(): readonly Module[] {
    if (ownTypes(this.#system) === undefined) return [];
    return (this.#list ??= [...listModules(this.#system)]);
  }

  /** The first type of that name in a module, or in the one that is named. */
  find(name: string, kind: BtfKind, only?: string): ModuleType | undefined {
    for (const module of this.#modules()) {
      if (only !== undefined && module.name !== only) continue;
      const btf = this.#typesOf(module);
      const typeId = btf.findAll(name).find((id) => id >= btf.firstId && btf.kind(id) === kind);
      if (typeId !== undefined) return { btf, typeId, fd: this.#fdOf(module) };
    }
    return undefined;
  }

  #typesOf({ id }: Module): Btf {
    let btf = this.#types.get(id);
    if (btf === undefined) this.#types.set(id, (btf = btfById(this.#system, id)));
    return btf;
  }

  #fdOf({ id }: Module): number {
    let fd = this.#fds.get(id);
    if (fd === undefined) this.#fds.set(id, (fd = this.#system.bpf('btfGetFdById', { btfId: id })));
    return fd;
  }

  close(): void {
    for (const fd of this.#fds.values()) this.#system.close(fd);
    this.#fds.clear();
  }
}
