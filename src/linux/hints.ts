/**
 * What to do about an errno that is about the process or the machine and not about the arguments: the capability
 * that is missing, the setting, the mount, the option of the kernel's build. Nothing is read before a call fails.
 */
import { readFileSync } from 'node:fs';
import type { BpfAttr, Cmd } from '../uapi/commands.ts';
import type { Errno } from '../uapi/errno.ts';
import { networkTypes, progTypeName, tracingTypes } from '../uapi/prog-types.ts';

/** Bits of CapEff (capabilities(7)). */
const bits = { CAP_NET_ADMIN: 12n, CAP_SYS_ADMIN: 21n, CAP_PERFMON: 38n, CAP_BPF: 39n } as const;
type Capability = keyof typeof bits;

/** What a process may do, and where. */
export interface Rights {
  /** CapEff of /proc/…/status; all bits where it cannot be read. */
  readonly capabilities: bigint;
  /** Whether it is in a user namespace of its own, in which being root means little. */
  readonly isNamespaced: boolean;
  /** kernel.unprivileged_bpf_disabled: 0 lets anyone load filters of sockets. */
  readonly unprivilegedDisabled: boolean;
}

/** A file of /proc; empty where it cannot be read. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

export function readRights(): Rights {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(read('/proc/thread-self/status'))?.[1];
  const users = read('/proc/self/uid_map').trim();
  return {
    capabilities: effective === undefined ? ~0n : BigInt(`0x${effective}`),
    isNamespaced: users !== '' && !/^0\s+0\s+4294967295$/.test(users),
    unprivilegedDisabled: !/^0\b/.test(read('/proc/sys/kernel/unprivileged_bpf_disabled')),
  };
}

const has = ({ capabilities }: Rights, name: Capability): boolean =>
  (capabilities & ((1n << bits[name]) | (1n << bits.CAP_SYS_ADMIN))) !== 0n;

/** Program types that anyone may load where the setting lets them (bpf_prog_load). */
const forAnyone: readonly (string | undefined)[] = ['socket_filter', 'cgroup_skb'];

/** For bpf(2). */
export function bpfHint<C extends Cmd>(
  errno: Errno,
  { cmd, attr, rights = readRights }: { cmd: C; attr: BpfAttr<C>; rights?: () => Rights },
): string | undefined {
  if (errno === 'ENOSYS') return 'this kernel was built without CONFIG_BPF_SYSCALL';
  if (errno !== 'EPERM') return undefined;
  const own = rights();
  if (!has(own, 'CAP_BPF')) return withoutBpf(own, cmd, attr);
  if (cmd === 'objPin') return 'the folder is in no BPF file system: mount -t bpf bpf /sys/fs/bpf';
  if (cmd !== 'progLoad') return inNamespace(own);
  const type = progTypeName((attr as BpfAttr<'progLoad'>).progType ?? 0);
  const missing = (['CAP_NET_ADMIN', 'CAP_PERFMON'] as const).find(
    (name) => (name === 'CAP_NET_ADMIN' ? networkTypes : tracingTypes).includes(type) && !has(own, name),
  );
  if (missing !== undefined) return `${type} programs need ${missing}, which this process has not`;
  return inNamespace(own) ?? 'this process has the capabilities for it: a policy of the machine refuses it';
}

function withoutBpf<C extends Cmd>(rights: Rights, cmd: C, attr: BpfAttr<C>): string {
  const type = cmd === 'progLoad' ? progTypeName((attr as BpfAttr<'progLoad'>).progType ?? 0) : undefined;
  const setting =
    forAnyone.includes(type) && rights.unprivilegedDisabled
      ? ', and the sysctl kernel.unprivileged_bpf_disabled keeps others from BPF'
      : '';
  return `this process has neither CAP_BPF nor CAP_SYS_ADMIN${setting}: run it as root, or with setpriv or setcap`;
}

function inNamespace({ isNamespaced }: Rights): string | undefined {
  return isNamespaced
    ? 'this process is root of a user namespace alone: BPF wants capabilities of the machine'
    : undefined;
}

/** For perf_event_open(2). */
export function perfHint(errno: Errno, rights: () => Rights = readRights): string | undefined {
  if (errno === 'ENOSYS') return 'this kernel was built without CONFIG_PERF_EVENTS';
  if (errno !== 'EPERM' && errno !== 'EACCES') return undefined;
  if (has(rights(), 'CAP_PERFMON')) return inNamespace(rights());
  return 'events need CAP_PERFMON, or less with a lower sysctl kernel.perf_event_paranoid';
}
