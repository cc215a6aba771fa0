/**
 * Loading a collection, all or nothing: BTF, maps and their contents, programs, then what maps hold of
 * programs and of other maps. What was made before a failure is closed again.
 */
import { SkepError } from '../base/errors.ts';
import { type Btf, CoreResolver, readBtf } from '../btf/index.ts';
import type { CollectionSpec, MapSpec } from '../object/spec.ts';
import type { System } from '../uapi/seam.ts';
import { findAttachTarget } from './attach-target.ts';
import { Collection } from './collection.ts';
import {
  configContents,
  type KernelConfig,
  type KernelSymbol,
  parseConfig,
  resolveSymbols,
} from './externs.ts';
import { closeAll } from './handle.ts';
import { createOrReuse, fillMap, linkMap } from './load-map.ts';
import { type LoadContext, loadProgram } from './load-program.ts';
import type { BpfMap } from './map.ts';
import { mapFromFd } from './open.ts';
import { Program } from './program.ts';
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
export function loadCollection(system: System, spec: CollectionSpec, options: LoadOptions): Collection {
  if (spec.byteOrder !== 'little') {
    throw new SkepError({
      code: 'byte-order',
      message: 'the object is big-endian, this kernel is little-endian',
      hint: 'compile with -target bpfel',
    });
  }
  const raw = spec.btf;
  const btfFd = raw === undefined ? undefined : system.bpf('btfLoad', { btf: raw, btfSize: raw.length });
  const loading = new Loading(system, spec, btfFd);
  try {
    return loading.run(options);
  } catch (error) {
    closeAll(loading.made);
    throw error;
  } finally {
    // Maps and programs refer to the BTF from here on.
    if (btfFd !== undefined) system.close(btfFd);
  }
}

/** What is known of kernels: their types do not change. */
const typesOfSystem = new WeakMap<System, Btf>();

/** The kernel's own types, where it has any. */
function ownTypes(system: System): Btf | undefined {
  let types = typesOfSystem.get(system);
  if (types !== undefined) return types;
  const raw = system.kernelBtf();
  if (raw === undefined) return undefined;
  types = readBtf(raw);
  typesOfSystem.set(system, types);
  return types;
}

/** What CO-RE is answered from: the types of the kernel that is given, or the kernel's own. */
function typesForCore(system: System, given: Btf | undefined): Btf {
  const types = given ?? ownTypes(system);
  if (types !== undefined) return types;
  throw new SkepError({
    code: 'kernel-btf',
    message: 'the program asks for types of the kernel, and this kernel has no BTF',
    hint: 'give the BTF of a kernel: load(object, { kernelBtf })',
  });
}

/** One load under way. The records have no prototype: an object may name its maps as it likes. */
class Loading {
  readonly made: { close(): void }[] = [];
  readonly #system: System;
  readonly #spec: CollectionSpec;
  readonly #btfFd: number | undefined;
  readonly #btf: (() => Btf) | undefined;
  readonly #maps: Record<string, BpfMap> = Object.create(null);
  readonly #programs: Record<string, Program> = Object.create(null);

  constructor(system: System, spec: CollectionSpec, btfFd: number | undefined) {
    this.#system = system;
    this.#spec = spec;
    this.#btfFd = btfFd;
    const raw = spec.btf;
    let parsed: Btf | undefined;
    this.#btf = raw === undefined ? undefined : () => (parsed ??= readBtf(raw));
  }

  run(options: LoadOptions): Collection {
    const { kconfig = {}, kernelBtf, targets } = options;
    let parsed: Btf | undefined;
    const given = () => (parsed ??= kernelBtf === undefined ? undefined : readBtf(kernelBtf));
    const config = typeof kconfig === 'string' ? parseConfig(kconfig) : kconfig;
    this.#loadMaps(options.pinPath ?? '/sys/fs/bpf', this.#config(config));
    const maps = fdsOf(this.#maps);
    this.#loadPrograms({
      system: this.#system,
      mapFds: maps,
      btfFd: this.#btfFd,
      core: this.#resolver(given),
      symbols: this.#symbols(),
      attachTarget: (program) =>
        findAttachTarget(program, {
          system: this.#system,
          types: () => ownTypes(this.#system) ?? given(),
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
    return new Collection({ programs: this.#programs, maps: this.#maps, variables: this.#variables() });
  }

  #resolver(given: () => Btf | undefined): CoreResolver | undefined {
    const btf = this.#btf;
    const isNeeded = Object.values(this.#spec.programs).some((spec) => spec.coreRelocations?.length);
    if (btf === undefined || !isNeeded) return undefined;
    return new CoreResolver(btf(), () => typesForCore(this.#system, given()));
  }

  /** Contents of maps that hold values of the kernel's configuration. */
  #config(config: KernelConfig): ReadonlyMap<string, MapSpec> {
    const btf = this.#btf;
    return btf === undefined ? new Map() : configContents(this.#spec, { btf, system: this.#system, config });
  }

  #symbols(): ReadonlyMap<string, KernelSymbol> {
    const btf = this.#btf;
    if (btf === undefined) return new Map();
    return resolveSymbols(this.#spec, { btf, system: this.#system, types: () => ownTypes(this.#system) });
  }

  #loadMaps(pinPath: string, withConfig: ReadonlyMap<string, MapSpec>): void {
    for (const [name, given] of Object.entries(this.#spec.maps)) {
      const spec = withConfig.get(name) ?? given;
      const { fd, reused } = createOrReuse(this.#system, spec, { btfFd: this.#btfFd, pinPath });
      const btf = this.#btf;
      const { btfKeyTypeId: keyTypeId, btfValueTypeId: valueTypeId } = spec;
      const map = mapFromFd(
        this.#system,
        fd,
        btf === undefined ? undefined : { btf, keyTypeId, valueTypeId },
      );
      this.made.push(map);
      if (!reused) fillMap(this.#system, spec, fd);
      this.#maps[name] = map;
    }
  }

  #loadPrograms(context: LoadContext): void {
    for (const [name, spec] of Object.entries(this.#spec.programs)) {
      if (!spec.autoload) continue;
      const { fd, log } = loadProgram(spec, context);
      const program = new Program(this.#system, fd, {
        name,
        type: spec.progType,
        attachTo: spec.attachTo,
        log,
      });
      this.made.push(program);
      this.#programs[name] = program;
    }
  }

  #variables(): Record<string, Variable> {
    const variables: Record<string, Variable> = Object.create(null);
    for (const [name, spec] of Object.entries(this.#spec.variables)) {
      const map = this.#maps[spec.map];
      if (map !== undefined) variables[name] = new Variable(spec, map, this.#btf);
    }
    return variables;
  }
}

function fdsOf(handles: Readonly<Record<string, { fd: number }>>): Map<string, number> {
  return new Map(Object.entries(handles).map(([name, handle]) => [name, handle.fd]));
}
