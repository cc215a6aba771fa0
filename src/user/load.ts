/**
 * Loading a collection, all or nothing: BTF, maps and their contents, programs, then what maps hold of
 * programs and of other maps. What was made before a failure is closed again.
 */
import { SkepError } from '../base/errors.ts';
import { type Btf, CoreResolver, readBtf } from '../btf/index.ts';
import type { CollectionSpec, MapSpec, ProgramSpec } from '../object/spec.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { progTypes } from '../uapi/prog-types.ts';
import type { Mapping, System } from '../uapi/seam.ts';
import { type AttachTarget, findAttachTarget } from './attach-target.ts';
import { Collection } from './collection.ts';
import { withContextTypes } from './context-arguments.ts';
import {
  configContents,
  type KernelConfig,
  type KernelSymbol,
  parseConfig,
  resolveSymbols,
} from './externs.ts';
import { closeAll } from './handle.ts';
import { ownTypes, typesForCore } from './kernel-types.ts';
import { loadBtf } from './load-btf.ts';
import { createOrReuse, fillMap, linkMap, mapArena } from './load-map.ts';
import { type LoadContext, loadProgram } from './load-program.ts';
import type { BpfMap } from './map.ts';
import { Modules } from './modules.ts';
import { mapFromFd } from './open.ts';
import { Program } from './program.ts';
import { layOutStructOps, StructOps, type StructOpsLayout } from './struct-ops.ts';
import { UsdtSpecs } from './usdt-specs.ts';
import { Variable } from './variable.ts';

export interface LoadOptions {
  /** The verifier's log level; the log is `Program.log`, or `LoadError.log`. Default 0: a log on failure only. */
  readonly logLevel?: number | undefined;
  /** The folder in the BPF file system for maps that are pinned by name. Default '/sys/fs/bpf'. */
  readonly pinPath?: string | undefined;
  /** Raw BTF of a kernel that CO-RE relocations are resolved against. Default: the kernel's own. */
  readonly kernelBtf?: Uint8Array | undefined;
  /**
   * Values of the kernel's configuration for `__kconfig` externs, in front of what the kernel knows itself: by
   * name, or the text of a .config file.
   */
  readonly kconfig?: KernelConfig | string | undefined;
  /**
   * Live programs that programs of the object attach to, instead of to the kernel: by the name of the program
   * that attaches. A SEC("freplace/…") needs one.
   */
  readonly targets?: Readonly<Record<string, { readonly fd: number }>> | undefined;
}

/**
 * Loads everything that a spec describes.
 * @throws {LoadError} where the verifier rejects a program
 * @throws {BpfError} where a map cannot be made
 */
export function loadCollection(system: System, given: CollectionSpec, options: LoadOptions): Collection {
  const spec = withContextTypes(given, system);
  if (spec.byteOrder !== 'little') {
    throw new SkepError({
      code: 'byte-order',
      message: 'the object is big-endian, this kernel is little-endian',
      hint: 'compile with -target bpfel',
    });
  }
  const types = spec.btf === undefined ? undefined : loadBtf(system, spec.btf);
  const btfFd = types !== undefined && 'fd' in types ? types.fd : undefined;
  const loading = new Loading(system, spec, {
    btfFd,
    note:
      types !== undefined && 'refused' in types
        ? `the kernel did not take the object's BTF: ${types.refused.errno}`
        : undefined,
  });
  try {
    return loading.run(options);
  } catch (error) {
    closeAll(loading.made);
    throw error;
  } finally {
    // Maps and programs refer to the BTF from here on.
    if (btfFd !== undefined) system.close(btfFd);
    loading.modules.close();
  }
}

/** One load under way. The records have no prototype: an object may name its maps as it likes. */
class Loading {
  readonly made: { close(): void }[] = [];
  readonly modules: Modules;
  readonly #system: System;
  readonly #spec: CollectionSpec;
  readonly #btfFd: number | undefined;
  readonly #note: string | undefined;
  readonly #btf: (() => Btf) | undefined;
  readonly #arenas: Record<string, Mapping> = Object.create(null);
  readonly #layouts: Record<string, StructOpsLayout> = Object.create(null);
  readonly #maps: Record<string, BpfMap> = Object.create(null);
  readonly #programs: Record<string, Program> = Object.create(null);

  constructor(
    system: System,
    spec: CollectionSpec,
    { btfFd, note }: { btfFd: number | undefined; note: string | undefined },
  ) {
    this.modules = new Modules(system);
    this.#system = system;
    this.#spec = spec;
    this.#btfFd = btfFd;
    this.#note = note;
    const raw = spec.btf;
    let parsed: Btf | undefined;
    this.#btf = raw === undefined ? undefined : () => (parsed ??= readBtf(raw));
  }

  run(options: LoadOptions): Collection {
    const { kconfig = {}, kernelBtf, targets } = options;
    let parsed: Btf | undefined;
    const given = () => (parsed ??= kernelBtf === undefined ? undefined : readBtf(kernelBtf));
    const config = typeof kconfig === 'string' ? parseConfig(kconfig) : kconfig;
    const types = (): Btf | undefined => ownTypes(this.#system) ?? given();
    this.#layOut(types);
    this.#loadMaps(options.pinPath ?? '/sys/fs/bpf', this.#config(config));
    const maps = fdsOf(this.#maps);
    this.#loadPrograms({
      system: this.#system,
      mapFds: maps,
      btfFd: this.#btfFd,
      note: this.#note,
      core: this.#resolver(given),
      symbols: this.#symbols(),
      attachTarget: (program) =>
        program.progType === progTypes.struct_ops.id
          ? this.#memberOf(program)
          : findAttachTarget(program, {
              system: this.#system,
              types,
              modules: this.modules,
              target: targets?.[program.name],
            }),
      kernVersion: this.#spec.kernVersion,
      logLevel: options.logLevel ?? 0,
    });
    const fds = { maps, programs: fdsOf(this.#programs) };
    for (const [name, map] of Object.entries(this.#maps)) {
      const spec = this.#spec.maps[name];
      if (spec !== undefined) linkMap(this.#system, spec, { mapFd: map.fd, fds });
    }
    return new Collection({
      programs: this.#programs,
      maps: this.#maps,
      variables: this.#variables(),
      structOps: this.#structOps(fds.programs),
      arenas: Object.values(this.#arenas),
    });
  }

  /** Puts structs of functions into the shape that the kernel has them in. */
  #layOut(types: () => Btf | undefined): void {
    const btf = this.#btf;
    for (const [name, map] of Object.entries(this.#spec.maps)) {
      if (map.structOps === undefined || map.autocreate === false || btf === undefined) continue;
      this.#layouts[name] = layOutStructOps(map, map.structOps, {
        btf: btf(),
        kernel: typesForCore(this.#system, types()),
        modules: this.modules,
      });
    }
  }

  /** The member of a struct that a program implements; undefined where there is no such struct, or no such member. */
  #memberOf({ name }: ProgramSpec): AttachTarget | undefined {
    for (const { functions, moduleFd } of Object.values(this.#layouts)) {
      const found = functions.find(({ program }) => program === name);
      if (found === undefined) continue;
      const { attachBtfId, expectedAttachType } = found;
      return {
        attachBtfId,
        expectedAttachType,
        ...(moduleFd === undefined ? {} : { attachBtfObjFd: moduleFd }),
      };
    }
    return undefined;
  }

  #structOps(programs: ReadonlyMap<string, number>): Record<string, StructOps> {
    const made: Record<string, StructOps> = Object.create(null);
    for (const [name, { value, functions }] of Object.entries(this.#layouts)) {
      const [map, spec] = [this.#maps[name], this.#spec.maps[name]];
      if (map === undefined || spec === undefined) continue;
      const filled = new Uint8Array(value);
      for (const { program, offset } of functions) {
        new DataView(filled.buffer).setUint32(offset, programs.get(program) ?? 0, true);
      }
      made[name] = new StructOps(this.#system, map, { spec, value: filled });
    }
    return made;
  }

  #resolver(given: () => Btf | undefined): CoreResolver | undefined {
    const btf = this.#btf;
    const isNeeded = Object.values(this.#spec.programs).some((spec) => spec.coreRelocations?.length);
    if (btf === undefined || !isNeeded) return undefined;
    return new CoreResolver(btf(), {
      kernel: () => typesForCore(this.#system, given()),
      modules: () => (given() === undefined ? this.modules.all() : []),
    });
  }

  /** Contents of maps that hold values of the kernel's configuration. */
  #config(config: KernelConfig): ReadonlyMap<string, MapSpec> {
    const btf = this.#btf;
    return btf === undefined ? new Map() : configContents(this.#spec, { btf, system: this.#system, config });
  }

  #symbols(): ReadonlyMap<string, KernelSymbol> {
    const btf = this.#btf;
    if (btf === undefined) return new Map();
    const types = (): Btf | undefined => ownTypes(this.#system);
    return resolveSymbols(this.#spec, { btf, system: this.#system, types, modules: this.modules });
  }

  #loadMaps(pinPath: string, withConfig: ReadonlyMap<string, MapSpec>): void {
    for (const [name, given] of Object.entries(this.#spec.maps)) {
      if (given.autocreate === false) continue;
      const spec = this.#forKernel(name, withConfig.get(name) ?? given);
      const { fd, reused, pinned } = createOrReuse(this.#system, spec, { btfFd: this.#btfFd, pinPath });
      if (pinned !== undefined) this.made.push({ close: () => this.#system.removePin?.(pinned) });
      const btf = this.#btf;
      const { btfKeyTypeId: keyTypeId, btfValueTypeId: valueTypeId } = spec;
      const map = mapFromFd(
        this.#system,
        fd,
        btf === undefined ? undefined : { btf, keyTypeId, valueTypeId },
      );
      this.made.push(map);
      if (spec.type === mapTypes.arena.id) this.#mapArena(name, spec, fd);
      else if (!reused) fillMap(this.#system, spec, fd);
      this.#maps[name] = map;
    }
  }

  #mapArena(name: string, spec: MapSpec, fd: number): void {
    const arena = mapArena(this.#system, spec, fd);
    if (arena === undefined) return;
    this.made.push({ close: () => arena.unmap() });
    this.#arenas[name] = arena;
  }

  /** A map of a struct of functions with the kernel's type and size. */
  #forKernel(name: string, spec: MapSpec): MapSpec {
    const layout = this.#layouts[name];
    if (layout === undefined) return spec;
    const { value, kernelTypeId, moduleFd } = layout;
    const inModule = moduleFd === undefined ? {} : { kernelValueTypeFd: moduleFd };
    return { ...spec, valueSize: value.length, kernelValueTypeId: kernelTypeId, ...inModule };
  }

  /** Whether a program is loaded: one of a struct of functions only where that is made and has its member. */
  #isWanted(spec: ProgramSpec): boolean {
    if (!spec.autoload || spec.progType !== progTypes.struct_ops.id) return spec.autoload;
    const isNamed = Object.values(this.#spec.maps).some(({ structOps }) =>
      Object.values(structOps?.programs ?? {}).includes(spec.name),
    );
    return !isNamed || this.#memberOf(spec) !== undefined;
  }

  #loadPrograms(context: LoadContext): void {
    const usdt = UsdtSpecs.of(this.#system, this.#maps);
    for (const [name, spec] of Object.entries(this.#spec.programs)) {
      if (!this.#isWanted(spec)) continue;
      const { fd, log } = loadProgram(spec, context);
      const program = new Program(this.#system, fd, { ...spec, name, type: spec.progType, log, usdt });
      this.made.push(program);
      this.#programs[name] = program;
    }
  }

  #variables(): Record<string, Variable> {
    const variables: Record<string, Variable> = Object.create(null);
    for (const [name, spec] of Object.entries(this.#spec.variables)) {
      const map = this.#maps[spec.map];
      if (map !== undefined)
        variables[name] = new Variable(spec, map, { btf: this.#btf, memory: this.#arenas[spec.map] });
    }
    return variables;
  }
}

function fdsOf(handles: Readonly<Record<string, { fd: number }>>): Map<string, number> {
  return new Map(Object.entries(handles).map(([name, handle]) => [name, handle.fd]));
}
