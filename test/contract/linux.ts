/** The running Linux kernel as a target of the contract, inside the sandbox. */
import { readFileSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { release } from 'node:os';
import { LinuxSystem } from '../../src/linux/index.ts';
import { versionCode } from '../../src/linux/targets.ts';
import { type BpfAttr, type Cmd, commands } from '../../src/uapi/commands.ts';
import type { Mapping, PerfEventAttr, System, TargetKind } from '../../src/uapi/seam.ts';
import { libcFunctions, makePinDirectory, Tap } from '../support/linux-sandbox.ts';
import type { Target, TestProcess } from './harness.ts';

const XDP_DROP = 1;
const XDP_PASS = 2;

/** What a process of its own would be: fds that end with it. They are numbers of this process all the same. */
export class Actor implements TestProcess {
  readonly #system: System;
  readonly #fds = new Set<number>();
  readonly #mappings: Mapping[] = [];
  /** Makes a call with the rights of the actor. */
  readonly #as: <T>(call: () => T) => T;

  constructor(system: System, as: <T>(call: () => T) => T) {
    this.#system = system;
    this.#as = as;
  }

  bpf<C extends Cmd>(cmd: C, attr: BpfAttr<C>): number {
    const result = this.#as(() => this.#system.bpf(cmd, attr));
    return commands[cmd].returns === 'fd' ? this.#own(result) : result;
  }

  /** What is a fd among the results is for the caller to close. */
  bpfRaw = (nr: number, attr: Uint8Array): number => this.#as(() => this.#system.bpfRaw(nr, attr));

  close(fd: number): void {
    this.#system.close(fd);
    this.#fds.delete(fd);
  }

  dup(fd: number): number {
    return this.#own(this.#system.dup(fd));
  }

  perfEventOpen(attr: PerfEventAttr): number {
    return this.#own(this.#as(() => this.#system.perfEventOpen(attr)));
  }

  mmap(fd: number, options: { length: number; offset: number; writable: boolean }): Mapping {
    const mapping = this.#system.mmap(fd, options);
    this.#mappings.push(mapping);
    return mapping;
  }

  ioctl: System['ioctl'] = (fd, request, argument) => this.#system.ioctl(fd, request, argument);
  setsockopt: System['setsockopt'] = (fd, option) => this.#system.setsockopt(fd, option);
  netlink: System['netlink'] = (request) => this.#system.netlink(request);
  kernelFunctions: System['kernelFunctions'] = (wanted) => this.#system.kernelFunctions(wanted);
  binaryFunctions: System['binaryFunctions'] = (binary, wanted) =>
    this.#system.binaryFunctions(binary, wanted);
  binaryProbes: System['binaryProbes'] = (binary, wanted) => this.#system.binaryProbes(binary, wanted);
  defineProbe: System['defineProbe'] = (kind, definition) => this.#system.defineProbe(kind, definition);
  read = (fd: number, buffer: Uint8Array): number => this.#system.read(fd, buffer);
  wait: System['wait'] = (fds, options) => this.#system.wait(fds, options);
  watch: System['watch'] = (fds) => this.#system.watch(fds);
  pageSize = (): number => this.#system.pageSize();
  resolveTarget = (kind: TargetKind, name: string): number => this.#system.resolveTarget(kind, name);
  kernelBtf = (): Uint8Array | undefined => this.#system.kernelBtf();
  tracePipe: System['tracePipe'] = (options) => this.#system.tracePipe(options);
  possibleCpus = (): number => this.#system.possibleCpus();

  end(): void {
    for (const mapping of this.#mappings.splice(0)) mapping.unmap();
    for (const fd of this.#fds) this.close(fd);
  }

  #own(fd: number): number {
    this.#fds.add(fd);
    return fd;
  }
}

const setresuid = { x64: 117, arm64: 147 }[process.arch as 'x64' | 'arm64'];
const NOBODY = 65534;

/** Makes a call as nobody: the thread's effective user, and with it its capabilities, for that long. */
export function asNobody<T>(call: () => T): T {
  const { syscall } = libcFunctions({ syscall: ['long', 'long', 'long', 'long'] });
  syscall(setresuid, -1, NOBODY, -1);
  try {
    return call();
  } finally {
    syscall(setresuid, -1, 0, -1);
  }
}

/** Packets that a device of this thread's network namespace took from its wire, without those that XDP did not pass. */
function received(device: string): number {
  const line = readFileSync('/proc/thread-self/net/dev', 'latin1')
    .split('\n')
    .find((candidate) => candidate.trimStart().startsWith(`${device}:`));
  return Number(line?.split(':')[1]?.trim().split(/\s+/)[1]);
}

let machines = 0;

export const linux = (bpffs: string): Target => ({
  name: 'linux',
  version: versionCode(release()),
  skip: [],
  start() {
    const name = `skep${machines++}`;
    const system = new LinuxSystem();
    const tap = new Tap(name);
    const pinDirectory = makePinDirectory(bpffs, name);
    const actors: Actor[] = [];
    return {
      spawn(kind = 'root') {
        const actor = new Actor(system, kind === 'root' ? (call) => call() : asNobody);
        actors.push(actor);
        return actor;
      },
      pinDirectory,
      unlink: unlinkSync,
      device: name,
      receive(packet) {
        const before = received(name);
        writeSync(tap.fd, packet);
        return received(name) === before ? XDP_DROP : XDP_PASS;
      },
      bytesInUse: undefined,
      close() {
        for (const actor of actors) actor.end();
        rmSync(pinDirectory, { recursive: true });
        tap.close();
      },
    };
  },
});
