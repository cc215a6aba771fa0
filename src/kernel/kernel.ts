/**
 * The embedded kernel: what an application starts in itself to run BPF programs. Processes on it make maps
 * and load programs through the system call; packets and events go in at its devices and tracepoints.
 */
import { SkepError } from '../base/errors.ts';
import type { KernelMemory } from '../memory/types.ts';
import { jit } from '../vm/index.ts';
import type { Engine } from '../vm/types.ts';
import type { BpfFs } from './bpffs.ts';
import { type Credentials, root } from './credentials.ts';
import type { Devices } from './devices.ts';
import { Process } from './process.ts';
import { KernelState } from './state.ts';
import type { TracePipe } from './trace-pipe.ts';
import type { Tracepoints } from './tracepoints.ts';

/** With `now` and `random` fixed, a run repeats bit for bit. */
export interface KernelOptions {
  /** CLOCK_MONOTONIC in nanoseconds; by default since the page or process started. */
  readonly now?: () => bigint;
  /** 32 random bits. */
  readonly random?: () => number;
  /** Number of CPUs, 1 to 4096; 1 by default. */
  readonly cpus?: number;
  /** Bytes of memory for maps, stacks and packets; ENOMEM beyond. */
  readonly memoryLimit?: number;
  /** What runs programs, `jit` or `interpreter`; the first by default. */
  readonly engine?: Engine;
  /**
   * How many instructions a run may take before it is stopped with a SkepError of code `budget`; a billion by
   * default. Infinity leaves out the counting: a run that goes on for ever then does.
   */
  readonly fuel?: number;
  /**
   * Whether a program that has run a thousand times is optimised at once, and not when the JavaScript engine gets round
   * to it; true by default. It changes no result.
   */
  readonly warmUp?: boolean;
  /**
   * Raw BTF of the kernel that it is to be for its programs: what CO-RE is resolved against, and how its tasks are laid
   * out. By default its own, which is small.
   */
  readonly btf?: Uint8Array;
}

export interface SpawnOptions {
  /** uid 0 with all capabilities by default. */
  readonly credentials?: Credentials;
  /** The name of the process, cut to 15 characters. */
  readonly comm?: string;
}

const CPUS_MAX = 4096;
const FIRST_PID = 1;
/** TASK_COMM_LEN less its NUL. */
const COMM_MAX = 15;

export class EmbeddedKernel {
  /** /sys/fs/bpf */
  readonly bpffs: BpfFs;
  readonly devices: Devices;
  readonly tracepoints: Tracepoints;
  readonly tracePipe: TracePipe;
  readonly #state: KernelState;
  #lastPid = FIRST_PID - 1;

  /** @throws {SkepError} 'kernel-options' for a number of CPUs that no kernel has */
  constructor(options: KernelOptions = {}) {
    const { cpus = 1 } = options;
    if (!Number.isInteger(cpus) || cpus < 1 || cpus > CPUS_MAX) {
      throw new SkepError({
        code: 'kernel-options',
        message: `a kernel has 1 to ${CPUS_MAX} CPUs, not ${cpus}`,
      });
    }
    this.#state = new KernelState({
      cpus,
      now: options.now ?? (() => BigInt(Math.round(performance.now() * 1e6))),
      random: options.random ?? (() => Math.floor(Math.random() * 2 ** 32)),
      memoryLimit: options.memoryLimit,
      engine: options.engine ?? jit,
      fuel: options.fuel,
      warmUp: options.warmUp ?? true,
      btf: options.btf,
    });
    this.bpffs = this.#state.bpffs;
    this.devices = this.#state.devices;
    this.tracepoints = this.#state.tracepoints;
    this.tracePipe = this.#state.tracePipe;
  }

  /** The kernel's address space. */
  get memory(): KernelMemory {
    return this.#state.memory;
  }

  /** A new process. */
  spawn(options: SpawnOptions = {}): Process {
    return new Process({
      kernel: this.#state,
      pid: ++this.#lastPid,
      comm: (options.comm ?? 'skep').slice(0, COMM_MAX),
      credentials: options.credentials ?? root,
    });
  }
}
