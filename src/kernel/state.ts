/**
 * What all processes of a kernel share: memory, objects by id, the file system, hooks, the clock. The
 * command table works on this; nothing outside the folder sees it.
 */
import { type Btf, readBtf } from '../btf/index.ts';
import { createMemory } from '../memory/index.ts';
import type { KernelMemory } from '../memory/types.ts';
import type { Engine } from '../vm/types.ts';
import { BpfFs } from './bpffs.ts';
import { Devices } from './devices.ts';
import { embeddedKernelBtf } from './kernel-btf.ts';
import type { BtfObject } from './objects/btf.ts';
import type { LinkObject } from './objects/links.ts';
import type { MapObject } from './objects/map.ts';
import { Registry } from './objects/object.ts';
import type { ProgObject } from './objects/program.ts';
import { idleTask, KernelRuntime } from './runtime.ts';
import { Tasks } from './tasks.ts';
import { TracePipe } from './trace-pipe.ts';
import { Tracepoints } from './tracepoints.ts';

export interface StateOptions {
  readonly now: () => bigint;
  readonly random: () => number;
  readonly cpus: number;
  readonly memoryLimit: number | undefined;
  readonly engine: Engine;
  readonly fuel: number | undefined;
  readonly warmUp: boolean;
  /** Raw BTF of the kernel; its own small one by default. */
  readonly btf: Uint8Array | undefined;
}

export class KernelState {
  readonly cpus: number;
  readonly engine: Engine;
  #types: Btf | undefined;
  readonly now: () => bigint;
  readonly random: () => number;
  readonly memory: KernelMemory;
  readonly maps = new Registry<MapObject>();
  readonly programs = new Registry<ProgObject>();
  readonly btfs = new Registry<BtfObject>();
  readonly links = new Registry<LinkObject>();
  readonly bpffs = new BpfFs();
  readonly tracePipe = new TracePipe();
  readonly runtime: KernelRuntime;
  readonly devices: Devices;
  readonly tracepoints: Tracepoints;

  constructor(options: StateOptions) {
    this.cpus = options.cpus;
    this.engine = options.engine;
    this.#types = options.btf === undefined ? undefined : readBtf(options.btf);
    this.now = options.now;
    this.random = options.random;
    this.memory = createMemory(options.memoryLimit === undefined ? {} : { limitBytes: options.memoryLimit });
    this.runtime = new KernelRuntime({
      memory: this.memory,
      now: options.now,
      random: options.random,
      tracePipe: this.tracePipe,
      tasks: new Tasks({ memory: this.memory, btf: () => this.types, now: options.now, idle: idleTask }),
      programs: this.programs,
      cpus: options.cpus,
      fuel: options.fuel,
      warmUp: options.warmUp,
    });
    this.devices = new Devices(this.runtime);
    this.tracepoints = new Tracepoints(this.runtime);
  }
  /** The types of this kernel: those that it was given, or its own, built when they are first asked for. */
  get types(): Btf {
    this.#types ??= readBtf(embeddedKernelBtf());
    return this.#types;
  }
}
