/**
 * The seam: what a kernel offers to a process. `Bpf` is the one system call; `Host` is what else user space
 * does to BPF objects (closing, polling, mapping, attaching by perf event). The embedded kernel and the
 * real one each implement both; everything above sees nothing else.
 */
import type { BpfAttr, Cmd } from './commands.ts';

export interface Bpf {
  /**
   * bpf(2). Returns what the system call returns: a new fd, a count, or 0. Output scalars of a command
   * (`nextId`, `logTrueSize`, …) are written into `attr`, output buffers in place, as Linux does, also when
   * the call fails.
   * @throws {BpfError} with the errno
   */
  bpf<C extends Cmd>(cmd: C, attr: BpfAttr<C>): number;
}

/** What `resolveTarget` can find: a network device → ifindex, a cgroup → fd, a tracepoint → id. */
export type TargetKind = 'netdev' | 'cgroup' | 'tracepoint';

export interface PerfEventAttr {
  /** perf_event_attr.type: 1 software, 2 tracepoint, or a dynamic PMU's. */
  readonly type: number;
  readonly config: bigint;
  readonly samplePeriod?: bigint;
  readonly pid?: number;
  readonly cpu?: number;
}

/**
 * A mapping of an object's memory. `bytes` is that memory itself, not a copy; take it anew after every call
 * to the kernel, which may have moved it. It is empty after `unmap`.
 */
export interface Mapping {
  readonly bytes: Uint8Array;
  unmap(): void;
}

export interface Host {
  close(fd: number): void;
  /** A second fd for the same object. */
  dup(fd: number): number;
  /** read(2), for iterators: fills `buffer`, returns the number of bytes, 0 at the end. */
  read(fd: number, buffer: Uint8Array): number;
  mmap(fd: number, options: { length: number; offset: number; writable: boolean }): Mapping;
  /** Resolves with the fds that are readable, or with none at the timeout or abort. */
  wait(fds: readonly number[], options: { timeoutMs?: number; signal?: AbortSignal }): Promise<number[]>;
  perfEventOpen(attr: PerfEventAttr): number;
  /** @throws {BpfError} ENOENT or ENODEV where there is no such target */
  resolveTarget(kind: TargetKind, name: string): number;
  /** The raw BTF of the kernel, as in /sys/kernel/btf/vmlinux; undefined where it has none. */
  kernelBtf(): Uint8Array | undefined;
  /** LINUX_VERSION_CODE of the kernel, as it says itself. */
  kernelVersion?(): number;
  /** The address of a kernel symbol (/proc/kallsyms); undefined where there is none, or it may not be seen. */
  symbolAddress?(name: string): bigint | undefined;
  /** Lines of the trace pipe as they are written, until aborted. */
  tracePipe(options?: { signal?: AbortSignal }): AsyncIterable<string>;
  /** The CPUs that per-CPU values have a slot for (/sys/devices/system/cpu/possible). */
  possibleCpus(): number;
}

/** A process on some kernel: everything that `user/` needs. */
export type System = Bpf & Host;
