/**
 * Where tests may use the running kernel without touching what is not theirs: a mount namespace with a bpffs
 * of its own, and a network namespace. Both belong to the main thread of this process and end with it.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { whyNoLinux } from './linux.ts';

type Call = (...args: (number | string | Uint8Array | null)[]) => number;

/** Functions of libc, by koffi. */
export function libcFunctions<N extends string>(signatures: Record<N, readonly string[]>): Record<N, Call> {
  const koffi = createRequire(import.meta.url)('koffi');
  const libc = koffi.load(null);
  const entries = Object.entries<readonly string[]>(signatures);
  return Object.fromEntries(entries.map(([name, types]) => [name, libc.func(name, 'int', types)])) as Record<
    N,
    Call
  >;
}

const CLONE_NEWNS = 0x20000;
const CLONE_NEWNET = 0x40000000;
const MS_REC_PRIVATE = 0x44000;
const MNT_DETACH = 2;
const RLIMIT_NOFILE = 7;

/** Few enough to run out of quickly. */
const MAX_FDS = 1024n;

type Sandbox = { bpffs: string } | { reason: string };

let entered: Sandbox | undefined;

/**
 * Enters it; the place of its bpffs, or the reason why there is none. Test files that share a process share it:
 * another network namespace under the feet of a test would be without its devices.
 */
export function enterSandbox(): Sandbox {
  entered ??= enterIfPossible();
  return entered;
}

function enterIfPossible(): Sandbox {
  const reason = whyNoLinux();
  if (reason !== false) return { reason };
  if (!existsSync('/dev/net/tun')) return { reason: 'there is no /dev/net/tun to make devices with' };
  return enter();
}

function enter(): Sandbox {
  const { unshare, mount, umount2, setrlimit } = libcFunctions({
    unshare: ['int'],
    mount: ['str', 'str', 'str', 'ulong', 'str'],
    umount2: ['str', 'int'],
    setrlimit: ['int', 'void*'],
  });
  if (unshare(CLONE_NEWNS | CLONE_NEWNET) !== 0) return { reason: 'unshare(2) is refused' };
  if (mount('none', '/', null, MS_REC_PRIVATE, null) !== 0) return { reason: 'mount(2) is refused' };
  const bpffs = mkdtempSync(join(tmpdir(), 'skep-bpffs-'));
  process.on('exit', () => {
    umount2(bpffs, MNT_DETACH);
    rmdirSync(bpffs);
  });
  if (mount('bpf', bpffs, 'bpf', 0, null) !== 0) return { reason: 'no bpffs can be mounted' };
  const tracing = '/sys/kernel/tracing';
  if (!existsSync(`${tracing}/events`) && mount('tracefs', tracing, 'tracefs', 0, null) !== 0) {
    return { reason: 'no tracefs can be mounted' };
  }
  const limits = new BigUint64Array([MAX_FDS, MAX_FDS]);
  setrlimit(RLIMIT_NOFILE, new Uint8Array(limits.buffer));
  return { bpffs };
}

const TUNSETIFF = 0x400454ca;
const SIOCSIFFLAGS = 0x8914;
const IFF_TAP_NO_PI = 0x1002;
const IFF_UP = 1;
const AF_INET = 2;
const SOCK_DGRAM = 2;
const O_RDWR_CLOEXEC = 0x80002;

/** struct ifreq with flags. */
function ifreq(name: string, flags: number): Uint8Array {
  const request = new Uint8Array(40);
  new TextEncoder().encodeInto(name, request.subarray(0, 15));
  new DataView(request.buffer).setInt16(16, flags, true);
  return request;
}

/** Lets a device of the sandbox send and receive. */
export function bringUp(name: string): void {
  const { ioctl, socket, close } = libcFunctions({
    ioctl: ['int', 'ulong', 'void*'],
    socket: ['int', 'int', 'int'],
    close: ['int'],
  });
  const control = socket(AF_INET, SOCK_DGRAM, 0);
  const done = ioctl(control, SIOCSIFFLAGS, ifreq(name, IFF_UP)) === 0;
  close(control);
  if (!done) throw new Error(`${name} cannot be brought up`);
}

/** A cgroup of its own, by a cgroup2 that is mounted in the sandbox; the reason where there is none. */
export class OwnCgroup {
  readonly path: string;
  readonly #mounted: string;
  readonly #home: string;

  constructor() {
    const { mount } = libcFunctions({ mount: ['str', 'str', 'str', 'ulong', 'str'] });
    this.#mounted = mkdtempSync(join(tmpdir(), 'skep-cgroup-'));
    if (mount('cgroup2', this.#mounted, 'cgroup2', 0, null) !== 0) {
      rmdirSync(this.#mounted);
      throw new Error('no cgroup2 can be mounted');
    }
    const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'latin1'))?.[1] ?? '/';
    this.#home = join(this.#mounted, own);
    this.path = mkdtempSync(join(this.#mounted, 'skep-'));
  }

  /** Runs something as a process of the cgroup: this one, for that long. */
  async within(run: () => void | Promise<void>): Promise<void> {
    writeFileSync(join(this.path, 'cgroup.procs'), String(process.pid));
    try {
      await run();
    } finally {
      writeFileSync(join(this.#home, 'cgroup.procs'), String(process.pid));
    }
  }

  close(): void {
    const { umount2 } = libcFunctions({ umount2: ['str', 'int'] });
    rmdirSync(this.path);
    umount2(this.#mounted, MNT_DETACH);
    rmdirSync(this.#mounted);
  }
}

/** A network device in the sandbox whose wire is an fd: what is written there arrives. */
export class Tap {
  readonly name: string;
  readonly fd: number;
  readonly #libc = libcFunctions({
    open: ['str', 'int'],
    ioctl: ['int', 'ulong', 'void*'],
    socket: ['int', 'int', 'int'],
    close: ['int'],
  });

  constructor(name: string) {
    const { open, ioctl, socket, close } = this.#libc;
    this.name = name;
    this.fd = open('/dev/net/tun', O_RDWR_CLOEXEC);
    const control = socket(AF_INET, SOCK_DGRAM, 0);
    const made =
      this.fd >= 0 &&
      ioctl(this.fd, TUNSETIFF, ifreq(name, IFF_TAP_NO_PI)) === 0 &&
      ioctl(control, SIOCSIFFLAGS, ifreq(name, IFF_UP)) === 0;
    close(control);
    if (!made) throw new Error(`no tap device can be made`);
  }

  /** Takes the device away. */
  close(): void {
    this.#libc.close(this.fd);
  }
}

/** A pinning directory of its own for one test. */
export function makePinDirectory(bpffs: string, name: string): string {
  const directory = join(bpffs, name);
  mkdirSync(directory);
  return directory;
}
