/**
 * Which types of a kernel a CO-RE question may be about: those of the same kind and essential name as the object's
 * type. They are looked for in the kernel itself, and only where it has none in its modules, as libbpf does
 * (bpf_core_find_cands).
 */
import type { Btf } from '../read.ts';
import type { BtfType } from '../types.ts';
import { essentialName, isEnum, sameKind } from './compare.ts';

/** A type of the kernel or of one of its modules. */
export interface Candidate {
  readonly btf: Btf;
  readonly id: number;
}

/** The types of a kernel; each function is called when it is first needed. */
export interface CoreTarget {
  /** @throws {SkepError} where the kernel has no BTF */
  readonly kernel: () => Btf;
  /** Those of its modules, which go on where the kernel's end; none where BTF of a kernel was given. */
  readonly modules?: (() => Iterable<Btf>) | undefined;
}

export class Candidates {
  private readonly target: CoreTarget;
  private readonly found = new Map<string, readonly Candidate[]>();
  /** Names of types that have a flavour, by their essential names. */
  private readonly flavours = new Map<Btf, ReadonlyMap<string, readonly string[]>>();
  private modules: readonly Btf[] | undefined;

  constructor(target: CoreTarget) {
    this.target = target;
  }

  /** By id, those of one module behind those of another. */
  of(type: BtfType, name: string): readonly Candidate[] {
    const key = `${isEnum(type) ? 'enum' : type.kind} ${name}`;
    let found = this.found.get(key);
    if (found === undefined) {
      found = this.in(this.target.kernel(), type, name);
      if (found.length === 0) {
        this.modules ??= [...(this.target.modules?.() ?? [])];
        found = this.modules.flatMap((module) => this.in(module, type, name));
      }
      this.found.set(key, found);
    }
    return found;
  }

  /** Of a module only what is its own. */
  private in(btf: Btf, type: BtfType, name: string): Candidate[] {
    const names = [name, ...(this.flavoursOf(btf).get(name) ?? [])];
    return names
      .flatMap((each) => btf.findAll(each))
      .filter((id) => id >= btf.firstId && sameKind(btf.type(id), type))
      .sort((a, b) => a - b)
      .map((id) => ({ btf, id }));
  }

  private flavoursOf(btf: Btf): ReadonlyMap<string, readonly string[]> {
    const known = this.flavours.get(btf);
    if (known !== undefined) return known;
    const flavours = new Map<string, string[]>();
    const names = btf.flavoured().filter((id) => id >= btf.firstId);
    for (const name of new Set(names.map((id) => btf.type(id).name))) {
      const essential = essentialName(name);
      if (essential === name) continue;
      const same = flavours.get(essential);
      if (same === undefined) flavours.set(essential, [name]);
      else same.push(name);
    }
    this.flavours.set(btf, flavours);
    return flavours;
  }
}
