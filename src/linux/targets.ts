/**
 * What Linux tells about itself in files: targets to attach to, its BTF, its CPUs, the addresses of symbols.
 */
import { constants, openSync, readFileSync, statSync } from 'node:fs';
import { SkepError } from '../base/errors.ts';
import { BpfError, type Errno, errnos } from '../uapi/errno.ts';
import type { TargetKind } from '../uapi/seam.ts';
import { checked, type Libc, lastError } from './libc.ts';

/** Where tracefs may be mounted (Documentation/trace/ftrace.rst). */
const tracefsPlaces = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];

const needsRoot = { EACCES: 'run as root' } as const;

/** The error of a file operation of Node's as one of the kernel's. */
export function fileError(error: unknown, what: string, hints: Partial<Record<Errno, string>> = {}): unknown {
  const code = (error as { code?: unknown }).code;
  if (typeof code !== 'string' || !Object.hasOwn(errnos, code)) return error;
  return new BpfError(code as Errno, what, hints[code as Errno]);
}

export function isMissing(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ENOENT';
}

/** Opens a file for reading; the fd. */
export function openFile(path: string, flags = 0, hints: Partial<Record<Errno, string>> = {}): number {
  try {
    return openSync(path, constants.O_RDONLY | flags);
  } catch (error) {
    throw fileError(error, path, hints);
  }
}

/** The text of a file; undefined where there is none. */
export function readIfThere(
  path: string,
  hints: Partial<Record<Errno, string>> = {},
): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw fileError(error, path, hints);
  }
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).trim();

/**
 * The directory that tracefs is mounted at.
 * @throws {SkepError} 'no-tracefs'
 */
export function tracefs(places: readonly string[] = tracefsPlaces): string {
  for (const place of places) {
    try {
      // What every tracefs has; the directory itself is there without it, too.
      statSync(`${place}/events`);
      return place;
    } catch (error) {
      if (!isMissing(error)) throw fileError(error, place, needsRoot);
    }
  }
  throw new SkepError({
    code: 'no-tracefs',
    message: 'tracefs, which lists tracepoints and has the trace pipe, is not mounted',
    hint: `mount -t tracefs tracefs ${places[0]}`,
  });
}

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 0x80002;
const SIOCGIFINDEX = 0x8933;
/** struct ifreq: a name of 16 bytes with its NUL, then the number. */
const ifreq = { size: 40, nameSize: 16, index: 16 } as const;

/** netdevice(7); if_nametoindex(3) does not tell a missing device from a missing fd. */
function deviceIndex(libc: Libc, name: string): number | undefined {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length >= ifreq.nameSize || bytes.includes(0)) return undefined;
  const record = new Uint8Array(ifreq.size);
  record.set(bytes);
  const socket = checked(libc, libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0), 'network device');
  try {
    if (libc.ioctlRecord(socket, SIOCGIFINDEX, record) < 0) {
      const error = lastError(libc, 'network device');
      if (error.errno === 'ENODEV') return undefined;
      throw error;
    }
    return new DataView(record.buffer).getInt32(ifreq.index, true);
  } finally {
    libc.close(socket);
  }
}

const resolvers: Record<TargetKind, (libc: Libc, name: string) => number> = {
  netdev(libc, name) {
    const index = deviceIndex(libc, name);
    if (index !== undefined) return index;
    throw new BpfError('ENODEV', 'network device', `there is no network device ${JSON.stringify(name)}`);
  },
  /** The fd is the caller's to close. */
  cgroup: (_libc, path) =>
    openFile(path, constants.O_DIRECTORY, {
      ENOENT: 'give the path of a cgroup, as /sys/fs/cgroup/NAME',
    }),
  /** The fd is the caller's to close. */
  netns: (_libc, path) =>
    openFile(path, 0, { ENOENT: 'give the path of a network namespace, as /run/netns/NAME' }),
  pmu(_libc, name) {
    const type = /^\w+$/.test(name) ? readIfThere(`/sys/bus/event_source/devices/${name}/type`) : undefined;
    if (type !== undefined) return Number(text(type));
    throw new BpfError('ENOENT', 'events', `this kernel has no source of events ${JSON.stringify(name)}`);
  },
  tracepoint(_libc, name) {
    const [, group, event] = /^([\w-]+)[/:]([\w-]+)$/.exec(name) ?? [];
    const id =
      group === undefined ? undefined : readIfThere(`${tracefs()}/events/${group}/${event}/id`, needsRoot);
    if (id !== undefined) return Number(text(id));
    throw new BpfError('ENOENT', 'tracepoint', `there is no tracepoint ${JSON.stringify(name)}`);
  },
};

export function resolveTarget(libc: Libc, kind: TargetKind, name: string): number {
  return resolvers[kind](libc, name);
}

/** The raw BTF of the kernel; undefined where it was built without (CONFIG_DEBUG_INFO_BTF). */
export function readKernelBtf(): Uint8Array | undefined {
  return readIfThere('/sys/kernel/btf/vmlinux');
}

/** LINUX_VERSION_CODE of what uname(2) says: '6.18.44-cloud'. Patch levels end at 255, as in linux/version.h. */
export function versionCode(release: string): number {
  const [major = 0, minor = 0, patch = 0] = (/^(\d+)\.(\d+)(?:\.(\d+))?/.exec(release) ?? [])
    .slice(1)
    .map(part);
  return (major << 16) | (minor << 8) | Math.min(patch, 255);
}

const part = (digits: string | undefined): number => Number(digits ?? 0);

/** The address of a symbol of the kernel or its modules; undefined where none is listed, or its address is hidden. */
export function readSymbolAddress(name: string): bigint | undefined {
  return findSymbol(new TextDecoder('latin1').decode(readIfThere('/proc/kallsyms')), name);
}

/** The names of the symbols at addresses; of several at one address, the first. */
export function readSymbolsAt(addresses: ReadonlySet<bigint>): Map<bigint, string> {
  const found = new Map<bigint, string>();
  if (addresses.size === 0) return found;
  const wanted = new Map([...addresses].map((address) => [address.toString(16).padStart(16, '0'), address]));
  const kallsyms = new TextDecoder('latin1').decode(readIfThere('/proc/kallsyms'));
  for (let at = 0; at < kallsyms.length; ) {
    const end = kallsyms.indexOf('\n', at);
    const address = wanted.get(kallsyms.slice(at, at + 16));
    if (address !== undefined && address !== 0n && !found.has(address)) {
      const name = kallsyms.slice(at + 19, end < 0 ? undefined : end).replace(/\t.*$/, '');
      found.set(address, name);
    }
    at = end < 0 ? kallsyms.length : end + 1;
  }
  return found;
}

/** In lines as '/proc/kallsyms' has them: 'ffffffff81000000 T _stext', with a module behind a tab. */
export function findSymbol(kallsyms: string, name: string): bigint | undefined {
  const space = ` ${name}`;
  for (let at = kallsyms.indexOf(space); at >= 0; at = kallsyms.indexOf(space, at + 1)) {
    const after = kallsyms[at + space.length];
    if (after !== '\n' && after !== '\t' && after !== undefined) continue;
    const start = kallsyms.lastIndexOf('\n', at) + 1;
    const address = BigInt(`0x${kallsyms.slice(start, kallsyms.indexOf(' ', start))}`);
    // Zeros are for readers without CAP_SYSLOG (kptr_restrict).
    return address === 0n ? undefined : address;
  }
  return undefined;
}

/** The number of CPUs in a list as sysfs prints it: '0-3', '0,2-5'. */
export function countCpus(list: string): number {
  let count = 0;
  for (const range of list.split(',')) {
    const [first, last = first] = range.split('-');
    count += Number(last) - Number(first) + 1;
  }
  return count;
}

export function readPossibleCpus(): number {
  const path = '/sys/devices/system/cpu/possible';
  const list = readIfThere(path);
  const count = list === undefined ? Number.NaN : countCpus(text(list));
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new SkepError({
    code: 'no-sysfs',
    message: 'the number of possible CPUs cannot be read',
    where: path,
    hint: 'mount -t sysfs sysfs /sys',
  });
}
