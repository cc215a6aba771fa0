/**
 * What attaching is told and what it makes: the options of `Program.attach`, the program, and the attachment that
 * becomes a `Link`.
 */
import { SkepError } from '../../base/errors.ts';
import type { AttachTypeName } from '../../uapi/attach-types.ts';
import type { System } from '../../uapi/seam.ts';
import type { UsdtSpecs } from '../usdt-specs.ts';

/** What has an fd: a map, a program, a link. */
interface HasFd {
  readonly fd: number;
}

/** An event that is counted or sampled (perf_event_open(2)); a program runs for each sample. */
export interface SampledEvent {
  /** perf_event_attr.type: 0 hardware, 1 software, 3 cache, 4 raw, or a source of events by its name. */
  readonly type: number | string;
  /** perf_event_attr.config: which event of that type. Default 0: cycles, or the CPU's clock. */
  readonly config?: number | bigint | undefined;
  /** A sample every so many events; or so many samples a second. */
  readonly period?: number | bigint | undefined;
  readonly frequency?: number | bigint | undefined;
}

export interface NetfilterHook {
  readonly family: 'ipv4' | 'ipv6';
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
  /** Lower ones run first; neither the least nor the greatest number of 32 bits. Default 0. */
  readonly priority?: number | undefined;
  /** Whether fragments are put together first. */
  readonly defragment?: boolean | undefined;
}

/**
 * Where to attach, as far as the program's section does not say it or says otherwise. What a kind of program does
 * not look at is ignored; docs/attaching.md has a table of the kinds.
 */
export interface AttachOptions {
  /** The way to attach, where the section's name leaves it open: 'tcx_egress', 'cgroup_inet_egress'. */
  readonly attachType?: AttachTypeName | undefined;
  /** XDP, tc, netkit: the network device, by its name or number. */
  readonly device?: string | number | undefined;
  /** XDP: who runs the program. Default: the driver where it can, else the network stack. */
  readonly mode?: 'native' | 'generic' | 'offload' | undefined;
  /** Tracepoints: 'raw_syscalls/sys_enter'; raw tracepoints: 'sys_enter'. */
  readonly tracepoint?: string | undefined;
  /** Probes: a function, 'do_exit' or 'do_exit+0x10'; of those on many, a pattern with * and ?. */
  readonly function?: string | undefined;
  /** Probes on many functions: their names. */
  readonly functions?: readonly string[] | undefined;
  /** Probes: run when the function returns. Default: what the section says. */
  readonly retprobe?: boolean | undefined;
  /** Probes of user space: the executable or library, a path or a name to search for. */
  readonly binary?: string | undefined;
  /** Probes of user space: where in the file, or how far behind the function's start. */
  readonly offset?: number | bigint | undefined;
  /** Probes that programs carry themselves: which, as 'provider:name'. */
  readonly usdt?: string | undefined;
  /** Probes of user space, events and iterators over tasks: of this process alone. */
  readonly pid?: number | undefined;
  /** Events: on this CPU alone. Default: all. */
  readonly cpu?: number | undefined;
  /** Perf event programs: the event. */
  readonly event?: SampledEvent | undefined;
  /** What bpf_get_attach_cookie() returns, or bpf_usdt_cookie(). */
  readonly cookie?: bigint | undefined;
  /** The path of a cgroup: to attach to, or for an iterator to start at. */
  readonly cgroup?: string | undefined;
  /** The path of a network namespace. Default: the one of this thread. */
  readonly netns?: string | undefined;
  readonly netfilter?: NetfilterHook | undefined;
  /** A map: of sockets to attach to, or to iterate over. */
  readonly map?: HasFd | undefined;
  /** Socket filters: the socket's fd. */
  readonly socket?: number | undefined;
  /** tc, netkit and cgroups: before or behind a program or link that is attached there. */
  readonly before?: HasFd | undefined;
  readonly after?: HasFd | undefined;
  /** tc, netkit and cgroups: before or behind all that is attached there. Default 'last'. */
  readonly place?: 'first' | 'last' | undefined;
  /** tc, netkit and cgroups: attach only if the chain has this revision, as a query showed it. */
  readonly expectedRevision?: bigint | undefined;
  /**
   * Attach as before there were links: XDP and tc by netlink, cgroups and socket maps by BPF_PROG_ATTACH, perf
   * events by ioctl(2). But for events, such an attachment lives on when the process is killed.
   */
  readonly legacy?: boolean | undefined;
  /** More flags of BPF_LINK_CREATE. */
  readonly flags?: number | undefined;
}

/** The program to attach. */
export interface Attachable {
  readonly name: string;
  readonly type: number;
  readonly fd: number;
  /** As in SEC(), without a question mark; empty where it is not known. */
  readonly section: string;
  readonly expectedAttachType: number;
  readonly attachTo: string | undefined;
  /** Where it looks for the arguments of probes that programs carry themselves. */
  readonly usdt?: UsdtSpecs | undefined;
}

/** One attachment in the making. */
export interface Attaching {
  readonly system: System;
  readonly program: Attachable;
  readonly options: AttachOptions;
  /** BPF_*: what the options say, or what the program was loaded for. */
  readonly attachType: number;
}

/** An attachment that is no link of the kernel's, so that something has to be done to end it. */
export interface Legacy {
  /** 'netlink', for messages. */
  readonly how: string;
  /** Ends it. Errors that say that it has ended already are its own to swallow. */
  end(): void;
  /** Puts another program in the place of this one; undefined where that cannot be done without a gap. */
  readonly replace?: (programFd: number) => void;
}

export interface Attachment {
  /** The link; of what has none, an fd that is kept for as long. */
  readonly fd: number;
  /** More links of the same attachment: an event on every CPU has one for each. */
  readonly others?: readonly number[];
  readonly legacy?: Legacy;
  /** What is left to do once all fds are closed. */
  readonly after?: () => void;
}

/**
 * An option that cannot be done without.
 * @throws {SkepError} 'attach'
 */
export function wanted<T>(
  { program }: Attaching,
  value: T | undefined,
  { name, example }: { name: string; example: string },
): T {
  if (value !== undefined) return value;
  throw cannot(program, `its section does not say which ${name} to attach to`, `attach(${example})`);
}

export function cannot(program: { name: string }, message: string, hint?: string): SkepError {
  return new SkepError({ code: 'attach', where: `program '${program.name}'`, message, hint });
}

/** Runs what may fail halfway with fds that are then closed again. */
export function holding<T>(system: System, run: (hold: (fd: number) => number) => T): T {
  const held: number[] = [];
  try {
    return run((fd) => {
      held.push(fd);
      return fd;
    });
  } catch (error) {
    for (const fd of held.reverse()) system.close(fd);
    throw error;
  }
}

/** Uses an fd, and closes it. */
export function using<T>(system: System, fd: number, run: (fd: number) => T): T {
  try {
    return run(fd);
  } finally {
    system.close(fd);
  }
}
