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

  /**
   * The same by the number of a command and bytes of `union bpf_attr`, of which there may be fewer or more than the
   * kernel knows; what it writes there is written to them. Pointers in them are addresses of this process.
   * @throws {BpfError} E2BIG for more than a page, and for bytes that the kernel does not know and are not zero
   */
  bpfRaw(nr: number, attr: Uint8Array): number;
}

/**
 * What `resolveTarget` can find: a network device → ifindex, a cgroup or a network namespace by its path → fd, a
 * tracepoint → id, a source of events ('kprobe', 'uprobe') → perf_event_attr.type.
 */
export type TargetKind = 'netdev' | 'cgroup' | 'netns' | 'tracepoint' | 'pmu';

export interface PerfEventAttr {
  /** perf_event_attr.type: 1 software, 2 tracepoint, or a dynamic PMU's. */
  readonly type: number;
  readonly config: bigint;
  /** A string is what the field points to: the function of a kprobe, the path of a uprobe. */
  readonly config1?: string | bigint;
  readonly config2?: bigint;
  readonly samplePeriod?: bigint;
  /** Samples a second, in place of a period. */
  readonly sampleFrequency?: bigint;
  /** PERF_SAMPLE_*: what a sample holds. */
  readonly sampleType?: bigint;
  /** After how many samples a reader is woken. */
  readonly wakeupEvents?: number;
  readonly pid?: number;
  readonly cpu?: number;
}

/** A function of the kernel that can be probed. */
export interface KernelFunction {
  readonly name: string;
  readonly address: bigint;
}

/** Functions of an executable or shared object. */
export interface BinaryFunctions {
  /** The file that a bare name was found to be. */
  readonly path: string;
  /** With their offsets in the file. */
  readonly functions: readonly { readonly name: string; readonly offset: bigint; readonly global: boolean }[];
}

/** Processors whose registers user space has to know. */
export type BinaryMachine = 'x64' | 'arm64';

/** A probe that an executable or shared object carries itself (USDT), at one of its places in the code. */
export interface BinaryProbe {
  readonly provider: string;
  readonly name: string;
  /** Of its instruction, in the file. */
  readonly offset: bigint;
  /** Of its instruction in memory, where the file is loaded at the addresses that it names. */
  readonly address: bigint;
  /** In the file, of a counter of those who listen; 0 where it has none. */
  readonly semaphore: bigint;
  /** Where its arguments are, as the assembler has them: '-4@%edi 8@-8(%rbp)'. */
  readonly args: string;
}

export interface BinaryProbes {
  /** The file that a bare name was found to be. */
  readonly path: string;
  /** Undefined for one that nobody here knows. */
  readonly machine: BinaryMachine | undefined;
  /** Whether it is loaded at the addresses that it names. */
  readonly isFixed: boolean;
  readonly probes: readonly BinaryProbe[];
}

/**
 * A mapping of an object's memory. `bytes` is that memory itself, not a copy; take it anew after every call
 * to the kernel, which may have moved it. It is empty after `unmap`.
 */
export interface Mapping {
  readonly bytes: Uint8Array;
  unmap(): void;
}

/** By which programs are attached where bpf(2) has no link for them, and what targets are called. */
export interface AttachHost {
  perfEventOpen(attr: PerfEventAttr): number;
  /** @throws {BpfError} ENOENT or ENODEV where there is no such target */
  resolveTarget(kind: TargetKind, name: string): number;
  /** ioctl(2) with an integer, for perf events. */
  ioctl(fd: number, request: number, argument: number): number;
  /** setsockopt(2) of an integer. */
  setsockopt(fd: number, option: { level: number; name: number; value: number }): void;
  /**
   * A request of route netlink (rtnetlink(7)), header included, which must ask for an acknowledgement; the
   * messages that answer it before that.
   * @throws {BpfError} the errno of the acknowledgement, with what the kernel says about it
   */
  netlink(request: Uint8Array): Uint8Array[];
  /** Functions of the kernel that can be probed, by name. */
  kernelFunctions(wanted: (name: string) => boolean): KernelFunction[];
  /**
   * Functions of a file: a path, or a name to be searched for as a shell or a loader does.
   * @throws {BpfError} ENOENT where there is no such file
   * @throws {SkepError} where it is no ELF file
   */
  binaryFunctions(binary: string, wanted: (name: string) => boolean): BinaryFunctions;
  /**
   * Probes that a file carries (USDT), by provider and name; the file as for `binaryFunctions`.
   * @throws {BpfError} ENOENT where there is no such file
   * @throws {SkepError} where it is no ELF file
   */
  binaryProbes(binary: string, wanted: (provider: string, name: string) => boolean): BinaryProbes;
  /** Adds a line to kprobe_events or uprobe_events of tracefs, or takes one away ('-:group/name'). */
  defineProbe(kind: 'kprobe' | 'uprobe', definition: string): void;
}

/**
 * Wakes a reader of fds again and again; made once, so that reading on needs no new fd. Nothing spins: a
 * record that is there but not finished wakes nobody until it is.
 */
export interface Watch {
  /**
   * Resolves with true when there may be something new since the last wait (the first time: when there is
   * anything), with false at the timeout, at the abort, and when it is closed. Read until nothing is left before
   * waiting again. Of several waits at a time an event ends all.
   */
  wait(options?: { timeoutMs?: number | undefined; signal?: AbortSignal | undefined }): Promise<boolean>;
  /** Ends a wait under way. Closing twice is harmless. */
  close(): void;
}

export interface Host extends AttachHost {
  close(fd: number): void;
  /** A second fd for the same object. */
  dup(fd: number): number;
  /** read(2), for iterators: fills `buffer`, returns the number of bytes, 0 at the end. */
  read(fd: number, buffer: Uint8Array): number;
  /** With `address`, at that place of the process, or not at all; an arena is mapped where its programs see it. */
  mmap(
    fd: number,
    options: { length: number; offset: number; writable: boolean; address?: number | undefined },
  ): Mapping;
  /** Resolves with the fds that are readable, or with none at the timeout or abort. */
  wait(fds: readonly number[], options: { timeoutMs?: number; signal?: AbortSignal }): Promise<number[]>;
  /** @throws {BpfError} EBADF for an fd that is not open, EPERM for one that cannot be waited for, EMFILE */
  watch(fds: readonly number[]): Watch;
  /** Bytes of a page: the unit of `mmap`. */
  pageSize(): number;
  /** The raw BTF of the kernel, as in /sys/kernel/btf/vmlinux; undefined where it has none. */
  kernelBtf(): Uint8Array | undefined;
  /** The text of the kernel's .config; undefined where it does not tell. */
  kernelConfig?(): string | undefined;
  /** Makes a folder in the BPF file system, and those above it, unless it is there. */
  makeFolder?(path: string): void;
  /** Takes a name out of the BPF file system: unlink(2). */
  removePin?(path: string): void;
  /** LINUX_VERSION_CODE of the kernel, as it says itself. */
  kernelVersion?(): number;
  /** The address of a kernel symbol (/proc/kallsyms); undefined where there is none, or it may not be seen. */
  symbolAddress?(name: string): bigint | undefined;
  /** The names of kernel symbols at addresses, for those that have one. */
  symbolsAt?(addresses: ReadonlySet<bigint>): ReadonlyMap<bigint, string>;
  /** Lines of the trace pipe as they are written, until aborted. */
  tracePipe(options?: { signal?: AbortSignal }): AsyncIterable<string>;
  /** The CPUs that per-CPU values have a slot for (/sys/devices/system/cpu/possible). */
  possibleCpus(): number;
}

/** A process on some kernel: everything that `user/` needs. */
export type System = Bpf & Host;
