/**
 * The running Linux kernel behind the seam: bpf(2) and what else user space does to BPF objects, on behalf of
 * this process. What it made lasts as long as its fds, which are this process's own.
 */
import { mkdirSync, unlinkSync } from 'node:fs';
import { release } from 'node:os';
import { type BpfAttr, type Cmd, commands } from '../uapi/commands.ts';
import { BpfError, errnoName } from '../uapi/errno.ts';
import type {
  BinaryFunctions,
  BinaryProbes,
  KernelFunction,
  Mapping,
  PerfEventAttr,
  System,
  TargetKind,
  Watch,
} from '../uapi/seam.ts';
import { binaryFunctions, binaryProbes, defineProbe, kernelFunctions } from './functions.ts';
import { bpfHint } from './hints.ts';
import { readKernelConfig } from './kernel-config.ts';
import { checked, type Libc, openLibc } from './libc.ts';
import { mapFd } from './mapping.ts';
import { Marshaller } from './marshal.ts';
import { liftMemlock } from './memlock.ts';
import { routeNetlink } from './netlink.ts';
import { openPerfEvent } from './perf-event.ts';
import {
  fileError,
  readKernelBtf,
  readPossibleCpus,
  readSymbolAddress,
  readSymbolsAt,
  resolveTarget,
  versionCode,
} from './targets.ts';
import { readTracePipe } from './trace-pipe.ts';
import { EpollWatch, waitReadable } from './wait.ts';

const F_DUPFD_CLOEXEC = 1030;

/** sysconf(3) */
const _SC_PAGESIZE = 30;

/** Calls are synchronous, so one is enough for every system of a thread. */
const shared = new WeakMap<Libc, Marshaller>();

/**
 * Never given back, as fds are the process's own: a handle that is collected must still find the system that
 * closes its fd.
 */
const systems = new Set<LinuxSystem>();

export class LinuxSystem implements System {
  readonly #libc: Libc;
  readonly #marshaller: Marshaller;

  /**
   * @throws {SkepError} 'no-linux' on another system or processor, 'no-koffi' where the package is missing
   */
  constructor(libc: Libc = openLibc()) {
    this.#libc = libc;
    const marshaller = shared.get(libc) ?? new Marshaller(libc);
    shared.set(libc, marshaller);
    this.#marshaller = marshaller;
    systems.add(this);
  }

  bpf<C extends Cmd>(cmd: C, attr: BpfAttr<C>): number {
    if (!Object.hasOwn(commands, cmd)) {
      throw new BpfError('EINVAL', 'bpf', `there is no command ${String(cmd)}`);
    }
    for (let tries = 1; ; tries++) {
      const result = this.#marshaller.call(cmd, attr);
      if (result >= 0) return result;
      const errno = errnoName(-result);
      // The verifier gives up where a signal is pending; what Node handles signals with is soon done.
      if (errno === 'EAGAIN' && cmd === 'progLoad' && tries < LOAD_TRIES) continue;
      if (errno === 'EPERM' && takesMemory.has(cmd) && this.#liftMemlock()) continue;
      throw new BpfError(errno, `BPF_${commands[cmd].name}`, bpfHint(errno, { cmd, attr }));
    }
  }

  bpfRaw(nr: number, attr: Uint8Array): number {
    const result = this.#marshaller.callRaw(nr, attr);
    if (result >= 0) return result;
    throw new BpfError(errnoName(-result), 'bpf');
  }

  #liftMemlock(): boolean {
    return liftMemlock(this.#libc, this.#marshaller, this.kernelVersion());
  }

  close(fd: number): void {
    checked(this.#libc, this.#libc.close(fd), 'close');
  }

  dup(fd: number): number {
    return checked(this.#libc, this.#libc.fcntl(fd, F_DUPFD_CLOEXEC, 0), 'dup');
  }

  read(fd: number, buffer: Uint8Array): number {
    return checked(this.#libc, this.#libc.read(fd, buffer, buffer.length), 'read');
  }

  /**
   * mmap(2). Writing to a mapping that is not writable kills the process, as it does in C.
   */
  mmap(
    fd: number,
    options: { length: number; offset: number; writable: boolean; address?: number | undefined },
  ): Mapping {
    return mapFd(this.#libc, fd, options);
  }

  /**
   * Resolves with the fds that are readable or in error.
   * @throws {BpfError} EBADF for an fd that is not open, EPERM for one that cannot be waited for
   */
  wait(fds: readonly number[], options: { timeoutMs?: number; signal?: AbortSignal }): Promise<number[]> {
    return waitReadable(this.#libc, fds, options);
  }

  perfEventOpen(attr: PerfEventAttr): number {
    return openPerfEvent(this.#libc, attr);
  }

  ioctl(fd: number, request: number, argument: number): number {
    return checked(this.#libc, this.#libc.ioctl(fd, request, argument), 'ioctl');
  }

  setsockopt(fd: number, { level, name, value }: { level: number; name: number; value: number }): void {
    const bytes = new Uint8Array(Int32Array.of(value).buffer);
    checked(this.#libc, this.#libc.setsockopt(fd, level, name, bytes, bytes.length), 'setsockopt');
  }

  netlink(request: Uint8Array): Uint8Array[] {
    return routeNetlink(this.#libc, request);
  }

  kernelFunctions(wanted: (name: string) => boolean): KernelFunction[] {
    return kernelFunctions(wanted);
  }

  binaryFunctions(binary: string, wanted: (name: string) => boolean): BinaryFunctions {
    return binaryFunctions(binary, wanted);
  }

  binaryProbes(binary: string, wanted: (provider: string, name: string) => boolean): BinaryProbes {
    return binaryProbes(binary, wanted);
  }

  defineProbe(kind: 'kprobe' | 'uprobe', definition: string): void {
    defineProbe(kind, definition);
  }

  /** Each call of `wait` there is woken by one more event of the fds: an epoll instance, edge-triggered. */
  watch(fds: readonly number[]): Watch {
    return new EpollWatch(this.#libc, fds);
  }

  pageSize(): number {
    return this.#libc.sysconf(_SC_PAGESIZE);
  }

  /**
   * A network device by its name, a tracepoint as 'group/name', a source of events by its name, a cgroup or a
   * network namespace by its path: the fd of those two is the caller's to close.
   * @throws {BpfError} ENODEV or ENOENT where there is no such target
   * @throws {SkepError} 'no-tracefs' where tracepoints cannot be looked up
   */
  resolveTarget(kind: TargetKind, name: string): number {
    return resolveTarget(this.#libc, kind, name);
  }

  kernelVersion(): number {
    return versionCode(release());
  }

  symbolAddress(name: string): bigint | undefined {
    return readSymbolAddress(name);
  }

  makeFolder(path: string): void {
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw fileError(error, path);
    }
  }

  removePin(path: string): void {
    try {
      unlinkSync(path);
    } catch (error) {
      throw fileError(error, path);
    }
  }

  symbolsAt(addresses: ReadonlySet<bigint>): ReadonlyMap<bigint, string> {
    return readSymbolsAt(addresses);
  }

  kernelConfig(): string | undefined {
    return readKernelConfig();
  }

  kernelBtf(): Uint8Array | undefined {
    return readKernelBtf();
  }

  tracePipe({ signal }: { signal?: AbortSignal } = {}): AsyncIterable<string> {
    return readTracePipe(this.#libc, signal);
  }

  possibleCpus(): number {
    return readPossibleCpus();
  }
}

/** What is charged to a limit that kernels before 5.11 have for each user. */
const takesMemory: ReadonlySet<Cmd> = new Set<Cmd>(['mapCreate', 'progLoad', 'btfLoad']);

/** As often as libbpf. */
const LOAD_TRIES = 5;
