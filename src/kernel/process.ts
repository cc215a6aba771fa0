/**
 * A process on the embedded kernel: credentials and an fd table, and with them everything that user space
 * may do (`System`). What it made ends with it unless something else holds it.
 */
import { Bug } from '../base/errors.ts';
import type { Readable } from '../maps/index.ts';
import { type BpfAttr, type Cmd, commands } from '../uapi/commands.ts';
import { BpfError, type Errno } from '../uapi/errno.ts';
import type { Mapping, PerfEventAttr, System, TargetKind, Watch } from '../uapi/seam.ts';
import type { Task } from '../vm/types.ts';
import { Call, type Caller } from './commands/call.ts';
import { runCommand } from './commands/table.ts';
import { type Credentials, effective } from './credentials.ts';
import { FdTable, type OpenFile } from './fd-table.ts';
import { mapMemory, PAGE } from './mapping.ts';
import { PerfEvent } from './objects/perf-event.ts';
import { rawCall } from './raw-call.ts';
import type { KernelState } from './state.ts';
import { inError, ObjectWatch } from './waiting.ts';

/** perf_event_attr.type */
const PERF_TYPE_TRACEPOINT = 2;

export interface ProcessInit {
  readonly kernel: KernelState;
  readonly pid: number;
  readonly comm: string;
  readonly credentials: Credentials;
}

export class Process implements System {
  readonly credentials: Credentials;
  /** The process as helpers see it, where a program runs on its behalf. */
  readonly task: Task;
  readonly #kernel: KernelState;
  readonly #fds = new FdTable();
  readonly #caller: Caller;
  readonly #mappings = new Set<Mapping>();
  #ended = false;

  constructor(init: ProcessInit) {
    const { kernel, credentials, pid, comm } = init;
    this.#kernel = kernel;
    this.credentials = credentials;
    this.task = { pid, tgid: pid, uid: credentials.uid, gid: credentials.gid, comm };
    this.#caller = {
      kernel,
      credentials,
      fds: this.#fds,
      can: effective(credentials.capabilities),
      task: this.task,
    };
  }

  #openFile(fd: number, what: string): OpenFile {
    const file = this.#fds.find(fd);
    if (file === undefined) throw new BpfError('EBADF', what, `${fd} is not an open fd`);
    return file;
  }

  /** Closes every fd and mapping. Nothing can be done with the process afterwards (ESRCH); ending it again does nothing. */
  end(): void {
    this.#ended = true;
    for (const mapping of this.#mappings) mapping.unmap();
    this.#mappings.clear();
    this.#fds.closeAll();
  }

  #alive(what: string): void {
    if (this.#ended) throw new BpfError('ESRCH', what, 'the process has ended');
  }

  bpf<C extends Cmd>(cmd: C, attr: BpfAttr<C>): number {
    if (!Object.hasOwn(commands, cmd))
      throw new BpfError('EINVAL', 'bpf', `there is no command ${String(cmd)}`);
    this.#alive(`BPF_${commands[cmd].name}`);
    return runCommand(new Call(cmd, this.#caller), cmd, attr);
  }

  bpfRaw(nr: number, attr: Uint8Array): number {
    this.#alive('bpf');
    return rawCall((cmd, values) => this.bpf(cmd, values), nr, attr);
  }

  close(fd: number): void {
    this.#alive('close');
    this.#fds.close(fd);
  }

  dup(fd: number): number {
    this.#alive('dup');
    return this.#fds.dup(fd);
  }

  read(fd: number, _buffer: Uint8Array): number {
    this.#alive('read');
    this.#openFile(fd, 'read');
    throw new BpfError('EINVAL', 'read', 'this kernel has no iterators, and other objects cannot be read');
  }

  mmap(fd: number, options: { length: number; offset: number; writable: boolean }): Mapping {
    this.#alive('mmap');
    const mapping = mapMemory(this.#openFile(fd, 'mmap'), options, this.#kernel.memory);
    this.#mappings.add(mapping);
    return {
      get bytes() {
        return mapping.bytes;
      },
      unmap: () => {
        this.#mappings.delete(mapping);
        mapping.unmap();
      },
    };
  }

  async wait(
    fds: readonly number[],
    options: { timeoutMs?: number; signal?: AbortSignal },
  ): Promise<number[]> {
    const watch = this.watch(fds);
    try {
      await watch.wait(options);
      return options.signal?.aborted ? [] : fds.filter((fd) => this.#readable(fd)?.isReadable());
    } finally {
      watch.close();
    }
  }

  watch(fds: readonly number[]): Watch {
    this.#alive('wait');
    const objects = fds.map((fd) => {
      this.#openFile(fd, 'wait');
      const readable = this.#readable(fd);
      if (readable === undefined) throw new BpfError('EPERM', 'wait', `${fd} is nothing to wait for`);
      return readable;
    });
    return new ObjectWatch(objects);
  }

  #readable(fd: number): Readable | undefined {
    const object = this.#fds.find(fd)?.object;
    return object?.kind === 'map' ? (object.map.ring ?? inError) : undefined;
  }

  pageSize(): number {
    return PAGE;
  }

  /** As perf_event_open(2); of the kinds of event, tracepoints are here. */
  perfEventOpen(attr: PerfEventAttr): number {
    this.#alive('perf_event_open');
    const fail = (errno: Errno, hint: string): BpfError => new BpfError(errno, 'perf_event_open', hint);
    const { pid = -1, cpu = -1 } = attr;
    if (attr.type !== PERF_TYPE_TRACEPOINT)
      throw fail('ENOENT', `this kernel has no events of type ${attr.type}`);
    if (pid < -1) throw fail('ESRCH', `there is no process ${pid}`);
    if (pid === -1 && cpu === -1) throw fail('EINVAL', 'an event is for a process or a CPU');
    if (cpu < -1 || cpu >= this.#kernel.cpus)
      throw fail('EINVAL', `this kernel has ${this.#kernel.cpus} CPUs`);
    if (!this.#caller.can.perfmon) throw fail('EACCES', 'tracepoints need CAP_PERFMON');
    const tracepoint = this.#kernel.tracepoints.byId(Number(attr.config));
    if (tracepoint === undefined) throw fail('EINVAL', `there is no tracepoint with id ${attr.config}`);
    return this.#fds.install(new PerfEvent(tracepoint));
  }

  makeFolder(path: string): void {
    this.#alive('mkdir');
    this.#kernel.bpffs.makeFolder(path);
  }

  removePin(path: string): void {
    this.#alive('unlink');
    this.#kernel.bpffs.unlink(path);
  }

  resolveTarget(kind: TargetKind, name: string): number {
    this.#alive('resolveTarget');
    const { devices, tracepoints } = this.#kernel;
    const find = {
      netdev: { errno: 'ENODEV', what: 'network device', number: devices.byName(name)?.ifindex },
      tracepoint: { errno: 'ENOENT', what: 'tracepoint', number: tracepoints.byName(name)?.id },
      cgroup: { errno: 'ENOENT', what: 'cgroup', number: undefined },
      netns: { errno: 'ENOENT', what: 'network namespace', number: undefined },
      pmu: { errno: 'ENOENT', what: 'source of events', number: undefined },
    } as const satisfies Record<TargetKind, { errno: Errno; what: string; number: number | undefined }>;
    if (!Object.hasOwn(find, kind)) throw new Bug(`no such kind of target: ${kind}`);
    const { errno, what, number } = find[kind];
    if (number === undefined)
      throw new BpfError(errno, what, `this kernel has no ${what} ${JSON.stringify(name)}`);
    return number;
  }

  ioctl(fd: number, _request: number, _argument: number): number {
    this.#alive('ioctl');
    this.#openFile(fd, 'ioctl');
    throw new BpfError('ENOTTY', 'ioctl', 'this kernel attaches by links alone');
  }

  setsockopt(fd: number, _option: { level: number; name: number; value: number }): void {
    this.#alive('setsockopt');
    this.#openFile(fd, 'setsockopt');
    throw new BpfError('ENOTSOCK', 'setsockopt', 'this kernel has no sockets');
  }

  netlink(_request: Uint8Array): Uint8Array[] {
    this.#alive('netlink');
    throw new BpfError('EAFNOSUPPORT', 'netlink', 'this kernel attaches by links alone');
  }

  /** The embedded kernel is no machine code that could be probed. */
  kernelFunctions(): [] {
    this.#alive('kernelFunctions');
    return [];
  }

  binaryFunctions(binary: string): never {
    this.#alive('binaryFunctions');
    throw new BpfError('ENOENT', binary, 'this kernel runs no executables that could be probed');
  }

  binaryProbes(binary: string): never {
    return this.binaryFunctions(binary);
  }

  defineProbe(kind: 'kprobe' | 'uprobe', _definition: string): never {
    this.#alive('defineProbe');
    throw new BpfError('ENOENT', `${kind}_events`, 'this kernel has no machine code that could be probed');
  }

  /** The embedded kernel is to its programs what Linux 6.18 is. */
  kernelVersion(): number {
    return (6 << 16) | (18 << 8);
  }

  /** The kernel's own types, or those that it was given. */
  kernelBtf(): Uint8Array {
    return this.#kernel.types.bytes;
  }

  tracePipe(options: { signal?: AbortSignal } = {}): AsyncIterable<string> {
    this.#alive('tracePipe');
    return this.#kernel.tracePipe.lines(options);
  }

  possibleCpus(): number {
    return this.#kernel.cpus;
  }
}
