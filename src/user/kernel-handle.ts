/**
 * A kernel as its user sees it: load objects, make maps and programs, open what is pinned or known by its
 * id. It sees nothing but a `System`, so it is the same on every kernel.
 */
import type { Btf, Value } from '../btf/index.ts';
import { encode, type Slots } from '../isa/index.ts';
import { openObject } from '../object/index.ts';
import { type CollectionSpec, emptyMap, type MapSpec, type ProgramSpec } from '../object/spec.ts';
import { BpfError } from '../uapi/errno.ts';
import { type MapTypeName, mapTypes } from '../uapi/map-types.ts';
import { type ProgTypeName, progTypes } from '../uapi/prog-types.ts';
import type { System } from '../uapi/seam.ts';
import type { Collection } from './collection.ts';
import { btfById } from './kernel-types.ts';
import { Link } from './link.ts';
import { type LoadOptions, loadCollection } from './load.ts';
import { createMap, fillMap } from './load-map.ts';
import { loadProgram } from './load-program.ts';
import type { BpfMap } from './map.ts';
import { handleFromFd, listIds, mapFromFd, programFromFd } from './open.ts';
import { Program } from './program.ts';

/** A map to make: keys and values of 4 bytes and no flags unless it says otherwise. */
export type NewMap = Partial<Omit<MapSpec, 'type' | 'maxEntries' | 'btfKeyTypeId' | 'btfValueTypeId'>> & {
  type: MapTypeName | number;
  maxEntries: number;
};

/** A program to load: a type, and its instructions, decoded or as bytes. The licence is GPL by default. */
export type NewProgram = Partial<Omit<ProgramSpec, 'insns' | 'progType' | 'references'>> & {
  type: ProgTypeName | number;
  insns: Uint8Array | Slots;
};

export class KernelHandle {
  /** The process on whose behalf everything is done: raw access to bpf(2). */
  readonly sys: System;

  constructor(system: System) {
    this.sys = system;
  }

  /**
   * Loads an object: a spec, or the bytes of an ELF file. All of it or nothing.
   * @throws {LoadError} where the verifier rejects a program
   * @throws {BpfError} where a map cannot be made
   * @throws {SkepError} where the bytes are no BPF object
   */
  load(object: CollectionSpec | Uint8Array, options: LoadOptions = {}): Collection {
    const spec = object instanceof Uint8Array ? openObject(object) : object;
    return loadCollection(this.sys, spec, options);
  }

  /**
   * Makes one map without BTF: keys and values are bytes, and integers are accepted.
   * @throws {BpfError} EINVAL, E2BIG or ENOMEM
   */
  createMap<K = Value, V = Value>(map: NewMap): BpfMap<K, V> {
    const type = typeof map.type === 'number' ? map.type : mapTypes[map.type].id;
    const spec: MapSpec = { ...plainMap, ...map, type };
    const made = mapFromFd(this.sys, createMap(this.sys, spec, undefined));
    try {
      fillMap(this.sys, spec, made.fd);
    } catch (error) {
      made.close();
      throw error;
    }
    return made as unknown as BpfMap<K, V>;
  }

  /**
   * Loads one program; maps that it uses are named in its instructions by their fds.
   * @throws {LoadError} with the verifier's log
   */
  loadProgram(program: NewProgram, options: Pick<LoadOptions, 'logLevel'> = {}): Program {
    const progType = typeof program.type === 'number' ? program.type : progTypes[program.type].id;
    const insns = program.insns instanceof Uint8Array ? program.insns : encode(program.insns);
    const spec: ProgramSpec = { ...plainProgram, ...program, progType, insns };
    const { fd, log } = loadProgram(spec, {
      system: this.sys,
      mapFds: new Map(),
      btfFd: undefined,
      logLevel: options.logLevel ?? 0,
    });
    return new Program(this.sys, fd, { ...spec, type: progType, log });
  }

  /**
   * Opens what is pinned at `path` in the BPF file system.
   * @throws {BpfError} ENOENT where nothing is
   */
  openPinned(path: string): BpfMap | Program | Link {
    let fd: number;
    try {
      fd = this.sys.bpf('objGet', { pathname: path });
    } catch (error) {
      throw error instanceof BpfError ? new BpfError(error.errno, `pin ${path}`, error.hint) : error;
    }
    return handleFromFd(this.sys, fd);
  }

  /** @throws {BpfError} ENOENT where there is no such map */
  mapById(id: number): BpfMap {
    return mapFromFd(this.sys, this.sys.bpf('mapGetFdById', { mapId: id }));
  }

  /** @throws {BpfError} ENOENT where there is no such program */
  programById(id: number): Program {
    return programFromFd(this.sys, this.sys.bpf('progGetFdById', { progId: id }));
  }

  /** @throws {BpfError} ENOENT where there is no such link */
  linkById(id: number): Link {
    return new Link(this.sys, this.sys.bpf('linkGetFdById', { linkId: id }));
  }

  /**
   * The types of a BTF object: of a program, a map or a module, or with id 1 the kernel's.
   * @throws {BpfError} ENOENT where there is no such BTF
   */
  btfById(id: number): Btf {
    return btfById(this.sys, id);
  }

  /** The ids of every map of the kernel, ascending. */
  mapIds(): number[] {
    return listIds(this.sys, 'mapGetNextId');
  }

  /** The ids of every program of the kernel, ascending. */
  programIds(): number[] {
    return listIds(this.sys, 'progGetNextId');
  }

  /** The ids of every link of the kernel, ascending. */
  linkIds(): number[] {
    return listIds(this.sys, 'linkGetNextId');
  }

  /** The lines of bpf_trace_printk as they are written, until aborted. */
  tracePipe(options: { signal?: AbortSignal } = {}): AsyncIterable<string> {
    return this.sys.tracePipe(options);
  }
}

const plainMap: MapSpec = { ...emptyMap(''), keySize: 4, valueSize: 4 };

const plainProgram: Omit<ProgramSpec, 'insns' | 'progType'> = {
  name: 'program',
  section: '',
  expectedAttachType: 0,
  progFlags: 0,
  attachTo: undefined,
  autoload: true,
  license: 'GPL',
  references: [],
  funcInfo: undefined,
  lineInfo: undefined,
};
