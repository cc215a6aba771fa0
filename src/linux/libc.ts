/**
 * The C library of this process, by koffi: the handful of functions that the real kernel is reached with, and
 * their errors. Addresses are plain numbers, which user space's 47 bits fit. This is the one file that knows
 * of koffi; it leaves out what any function is called for.
 */
import { createRequire } from 'node:module';
import process from 'node:process';
import { SkepError } from '../base/errors.ts';
import { BpfError, errnoName } from '../uapi/errno.ts';

/** Numbers of system calls that libc has no function for, from each architecture's unistd.h. */
const syscallNumbers: Readonly<Record<string, { bpf: number; perfEventOpen: number }>> = {
  x64: { bpf: 321, perfEventOpen: 298 },
  arm64: { bpf: 280, perfEventOpen: 241 },
};

/** A wait for one fd to become readable, on the event loop. */
export interface PollHandle {
  start(options: { readable: true }, callback: () => void): void;
  stop(): void;
  close(): void;
}

export interface Libc {
  readonly numbers: { readonly bpf: number; readonly perfEventOpen: number };
  /** syscall(2) of five arguments, the first of them a buffer. */
  syscall(number: number, buffer: Uint8Array, b: number, c: number, d: number, e: number): number;
  /** `syscall` as bpf(2) needs it; fewer arguments cost less. */
  bpf(number: number, cmd: number, attr: number, size: number): number;
  close(fd: number): number;
  fcntl(fd: number, cmd: number, argument: number): number;
  read(fd: number, buffer: Uint8Array, count: number): number;
  ioctl(fd: number, request: number, argument: number): number;
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  send(fd: number, buffer: Uint8Array, length: number, flags: number): number;
  recv(fd: number, buffer: Uint8Array, length: number, flags: number): number;
  setrlimit(resource: number, limits: Uint8Array): number;
  /** `ioctl` with a record that the kernel reads and writes. */
  ioctlRecord(fd: number, request: number, record: Uint8Array): number;
  mmap(address: number, length: number, prot: number, flags: number, fd: number, offset: number): number;
  munmap(address: number, length: number): number;
  sysconf(name: number): number;
  epollCreate(flags: number): number;
  epollCtl(epfd: number, op: number, fd: number, event: Uint8Array): number;
  epollWait(epfd: number, events: Uint8Array, maxEvents: number, timeoutMs: number): number;
  /** The error number of the last call. */
  errno(): number;
  /** Memory at an address. The same bytes must not be viewed after they are unmapped. */
  view(address: number, length: number): ArrayBuffer;
  poll(fd: number, onReadable: () => void): PollHandle;
}

/** What of koffi is used here. */
interface Koffi {
  load(path: null): {
    func(name: string, result: string, parameters: string[]): (...args: never[]) => number;
  };
  errno(): number;
  view(pointer: bigint, length: number): ArrayBuffer;
  readonly node: { poll(fd: number, options: { readable: true }, callback: () => void): PollHandle };
}

let loaded: Libc | undefined;

/**
 * @throws {SkepError} 'no-linux' on another system or processor, 'no-koffi' where the package is missing
 */
export function openLibc(): Libc {
  loaded ??= loadLibc();
  return loaded;
}

function loadLibc(): Libc {
  const { platform, arch } = process;
  if (platform !== 'linux') {
    throw new SkepError({
      code: 'no-linux',
      message: `the Linux kernel is not here: this is ${platform}`,
      hint: 'use the embedded kernel, which runs anywhere',
    });
  }
  const numbers = syscallNumbers[arch];
  if (numbers === undefined) {
    throw new SkepError({
      code: 'no-linux',
      message: `the numbers of system calls are not known for ${arch}`,
      hint: `use the embedded kernel, or Linux on ${Object.keys(syscallNumbers).join(' or ')}`,
    });
  }
  return bind(loadKoffi(), numbers);
}

function loadKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch (cause) {
    throw new SkepError({
      code: 'no-koffi',
      message: 'the optional package koffi, by which the Linux kernel is called, cannot be loaded',
      hint: 'npm install koffi',
      cause,
    });
  }
}

function bind(koffi: Koffi, numbers: Libc['numbers']): Libc {
  const library = koffi.load(null);
  // biome-ignore lint/suspicious/noExplicitAny: the signature is what the interface above says
  const bound = (name: string, result: string, parameters: string): any =>
    library.func(name, result, parameters.split(' '));
  // syscall(2) is variadic in C; on both architectures such integers travel as others do.
  return {
    numbers,
    syscall: bound('syscall', 'long', 'long void* long long long long'),
    bpf: bound('syscall', 'long', 'long long uintptr_t long'),
    close: bound('close', 'int', 'int'),
    fcntl: bound('fcntl', 'int', 'int int long'),
    read: bound('read', 'long', 'int void* size_t'),
    ioctl: bound('ioctl', 'int', 'int ulong long'),
    socket: bound('socket', 'int', 'int int int'),
    setsockopt: bound('setsockopt', 'int', 'int int int void* uint'),
    send: bound('send', 'long', 'int void* size_t int'),
    recv: bound('recv', 'long', 'int void* size_t int'),
    setrlimit: bound('setrlimit', 'int', 'int void*'),
    ioctlRecord: bound('ioctl', 'int', 'int ulong void*'),
    mmap: bound('mmap', 'long', 'uintptr_t size_t int int int long'),
    munmap: bound('munmap', 'int', 'uintptr_t size_t'),
    sysconf: bound('sysconf', 'long', 'int'),
    epollCreate: bound('epoll_create1', 'int', 'int'),
    epollCtl: bound('epoll_ctl', 'int', 'int int int void*'),
    epollWait: bound('epoll_wait', 'int', 'int void* int int'),
    errno: () => koffi.errno(),
    view: (address, length) => koffi.view(BigInt(address), length),
    poll: (fd, onReadable) => koffi.node.poll(fd, { readable: true }, onReadable),
  };
}

/** The error of the call that just failed. */
export function lastError(libc: Pick<Libc, 'errno'>, what: string): BpfError {
  return new BpfError(errnoName(libc.errno()), what);
}

/** The result of a call, which is negative where it failed. */
export function checked(libc: Libc, result: number, what: string): number {
  if (result < 0) throw lastError(libc, what);
  return result;
}
