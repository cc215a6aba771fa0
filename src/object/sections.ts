/**
 * What a program is, by the name of its section: the one table of libbpf's SEC() names (kernel doc:
 * bpf/libbpf/program_types; libbpf 1.6) with program type, attach type and flags, and the lookup in it.
 */
import { SkepError } from '../base/errors.ts';
import { type AttachTypeName, attachTypes } from '../uapi/attach-types.ts';
import { type ProgTypeName, progTypes } from '../uapi/prog-types.ts';

/** How what follows the slash of a section's name is to be understood. */
export type SectionTarget =
  /** A function of the kernel, 'do_exit' or 'do_exit+0x10'; a pattern of functions, 'tcp_*'. */
  | 'function'
  | 'functions'
  /** The name of a system call, without the prefix that its function has: 'read'. */
  | 'syscall'
  /** PATH:FUNCTION+OFFSET in an executable or library; PATH:PATTERN; PATH:PROVIDER:NAME. */
  | 'userFunction'
  | 'userFunctions'
  | 'usdt'
  /** 'GROUP/NAME'; 'NAME'. */
  | 'tracepoint'
  | 'rawTracepoint'
  /** What `btf` of the row finds in the kernel's types, or in those of another program. */
  | 'btf'
  /** The member of a struct of functions, for the reader only: the initializer says which it is. */
  | 'member';

/** How a target becomes the id of a type: by its name behind a prefix (libbpf: find_kernel_btf_id). */
export interface BtfTarget {
  readonly prefix: string;
  readonly kind: 'func' | 'typedef';
}

export interface SectionRow {
  readonly type: ProgTypeName;
  readonly attach?: AttachTypeName;
  /** Whether the attach type may be left out for a kernel that has no such field yet. */
  readonly optional?: true;
  /** What may follow after a slash: SEC("kprobe/do_exit"). */
  readonly target?: SectionTarget;
  /** For targets that the verifier knows: how they are found in BTF. */
  readonly btf?: BtfTarget;
  /** Loaded with BPF_F_SLEEPABLE. */
  readonly sleepable?: true;
  /** Loaded with BPF_F_XDP_HAS_FRAGS. */
  readonly frags?: true;
}

const sleepable = <R extends SectionRow>(row: R) => ({ ...row, sleepable: true }) as const;
const frags = <R extends SectionRow>(row: R) => ({ ...row, frags: true }) as const;

const probe = (target: SectionTarget, attach?: AttachTypeName) =>
  ({ type: 'kprobe', target, ...(attach && { attach }) }) as const;
const byBtf = (type: ProgTypeName, attach: AttachTypeName, btf: BtfTarget) =>
  ({ type, attach, target: 'btf', btf }) as const;
/** What the kernel's build names after what programs may attach to. */
const found = {
  function: { prefix: '', kind: 'func' },
  tracepoint: { prefix: 'btf_trace_', kind: 'typedef' },
  lsm: { prefix: 'bpf_lsm_', kind: 'func' },
  iterator: { prefix: 'bpf_iter_', kind: 'func' },
} as const satisfies Record<string, BtfTarget>;
const traced = (attach: AttachTypeName, btf: BtfTarget = found.function) => byBtf('tracing', attach, btf);
const plain = (type: ProgTypeName, attach?: AttachTypeName) => ({ type, ...(attach && { attach }) }) as const;
/** Types that were there before their attach types were asked for. */
const older = (type: ProgTypeName, attach: AttachTypeName) => ({ type, attach, optional: true }) as const;
const cls = (attach?: AttachTypeName) => plain('sched_cls', attach);
const sockAddr = (attach: AttachTypeName) => plain('cgroup_sock_addr', attach);
const cgroupSock = (attach: AttachTypeName) => plain('cgroup_sock', attach);

const table = {
  socket: plain('socket_filter'),
  'sk_reuseport/migrate': plain('sk_reuseport', 'sk_reuseport_select_or_migrate'),
  sk_reuseport: plain('sk_reuseport', 'sk_reuseport_select'),

  kprobe: probe('function'),
  kretprobe: probe('function'),
  uprobe: probe('userFunction'),
  uretprobe: probe('userFunction'),
  'uprobe.s': sleepable(probe('userFunction')),
  'uretprobe.s': sleepable(probe('userFunction')),
  'kprobe.multi': probe('functions', 'trace_kprobe_multi'),
  'kretprobe.multi': probe('functions', 'trace_kprobe_multi'),
  'kprobe.session': probe('functions', 'trace_kprobe_session'),
  'uprobe.multi': probe('userFunctions', 'trace_uprobe_multi'),
  'uretprobe.multi': probe('userFunctions', 'trace_uprobe_multi'),
  'uprobe.session': probe('userFunctions', 'trace_uprobe_session'),
  'uprobe.multi.s': sleepable(probe('userFunctions', 'trace_uprobe_multi')),
  'uretprobe.multi.s': sleepable(probe('userFunctions', 'trace_uprobe_multi')),
  'uprobe.session.s': sleepable(probe('userFunctions', 'trace_uprobe_session')),
  ksyscall: probe('syscall'),
  kretsyscall: probe('syscall'),
  usdt: probe('usdt'),
  'usdt.s': sleepable(probe('usdt')),

  'tc/ingress': cls('tcx_ingress'),
  'tc/egress': cls('tcx_egress'),
  'tcx/ingress': cls('tcx_ingress'),
  'tcx/egress': cls('tcx_egress'),
  tc: cls(),
  classifier: cls(),
  action: plain('sched_act'),
  'netkit/primary': cls('netkit_primary'),
  'netkit/peer': cls('netkit_peer'),

  tracepoint: { type: 'tracepoint', target: 'tracepoint' },
  tp: { type: 'tracepoint', target: 'tracepoint' },
  raw_tracepoint: { type: 'raw_tracepoint', target: 'rawTracepoint' },
  raw_tp: { type: 'raw_tracepoint', target: 'rawTracepoint' },
  'raw_tracepoint.w': { type: 'raw_tracepoint_writable', target: 'rawTracepoint' },
  'raw_tp.w': { type: 'raw_tracepoint_writable', target: 'rawTracepoint' },
  tp_btf: traced('trace_raw_tp', found.tracepoint),
  fentry: traced('trace_fentry'),
  fexit: traced('trace_fexit'),
  fmod_ret: traced('modify_return'),
  'fentry.s': sleepable(traced('trace_fentry')),
  'fexit.s': sleepable(traced('trace_fexit')),
  'fmod_ret.s': sleepable(traced('modify_return')),
  freplace: { type: 'ext', target: 'btf', btf: found.function },
  lsm: byBtf('lsm', 'lsm_mac', found.lsm),
  'lsm.s': sleepable(byBtf('lsm', 'lsm_mac', found.lsm)),
  lsm_cgroup: byBtf('lsm', 'lsm_cgroup', found.lsm),
  iter: traced('trace_iter', found.iterator),
  'iter.s': sleepable(traced('trace_iter', found.iterator)),
  syscall: sleepable(plain('syscall')),

  'xdp.frags/devmap': frags(plain('xdp', 'xdp_devmap')),
  'xdp/devmap': plain('xdp', 'xdp_devmap'),
  'xdp.frags/cpumap': frags(plain('xdp', 'xdp_cpumap')),
  'xdp/cpumap': plain('xdp', 'xdp_cpumap'),
  'xdp.frags': frags(plain('xdp', 'xdp')),
  xdp: older('xdp', 'xdp'),
  perf_event: plain('perf_event'),
  lwt_in: plain('lwt_in'),
  lwt_out: plain('lwt_out'),
  lwt_xmit: plain('lwt_xmit'),
  lwt_seg6local: plain('lwt_seg6local'),
  sockops: older('sock_ops', 'cgroup_sock_ops'),
  'sk_skb/stream_parser': older('sk_skb', 'sk_skb_stream_parser'),
  'sk_skb/stream_verdict': older('sk_skb', 'sk_skb_stream_verdict'),
  'sk_skb/verdict': older('sk_skb', 'sk_skb_verdict'),
  sk_skb: plain('sk_skb'),
  sk_msg: older('sk_msg', 'sk_msg_verdict'),
  lirc_mode2: older('lirc_mode2', 'lirc_mode2'),
  flow_dissector: older('flow_dissector', 'flow_dissector'),

  'cgroup_skb/ingress': older('cgroup_skb', 'cgroup_inet_ingress'),
  'cgroup_skb/egress': older('cgroup_skb', 'cgroup_inet_egress'),
  'cgroup/skb': plain('cgroup_skb'),
  'cgroup/sock_create': cgroupSock('cgroup_inet_sock_create'),
  'cgroup/sock_release': cgroupSock('cgroup_inet_sock_release'),
  'cgroup/sock': older('cgroup_sock', 'cgroup_inet_sock_create'),
  'cgroup/post_bind4': cgroupSock('cgroup_inet4_post_bind'),
  'cgroup/post_bind6': cgroupSock('cgroup_inet6_post_bind'),
  'cgroup/bind4': sockAddr('cgroup_inet4_bind'),
  'cgroup/bind6': sockAddr('cgroup_inet6_bind'),
  'cgroup/connect4': sockAddr('cgroup_inet4_connect'),
  'cgroup/connect6': sockAddr('cgroup_inet6_connect'),
  'cgroup/connect_unix': sockAddr('cgroup_unix_connect'),
  'cgroup/sendmsg4': sockAddr('cgroup_udp4_sendmsg'),
  'cgroup/sendmsg6': sockAddr('cgroup_udp6_sendmsg'),
  'cgroup/sendmsg_unix': sockAddr('cgroup_unix_sendmsg'),
  'cgroup/recvmsg4': sockAddr('cgroup_udp4_recvmsg'),
  'cgroup/recvmsg6': sockAddr('cgroup_udp6_recvmsg'),
  'cgroup/recvmsg_unix': sockAddr('cgroup_unix_recvmsg'),
  'cgroup/getpeername4': sockAddr('cgroup_inet4_getpeername'),
  'cgroup/getpeername6': sockAddr('cgroup_inet6_getpeername'),
  'cgroup/getpeername_unix': sockAddr('cgroup_unix_getpeername'),
  'cgroup/getsockname4': sockAddr('cgroup_inet4_getsockname'),
  'cgroup/getsockname6': sockAddr('cgroup_inet6_getsockname'),
  'cgroup/getsockname_unix': sockAddr('cgroup_unix_getsockname'),
  'cgroup/sysctl': plain('cgroup_sysctl', 'cgroup_sysctl'),
  'cgroup/getsockopt': plain('cgroup_sockopt', 'cgroup_getsockopt'),
  'cgroup/setsockopt': plain('cgroup_sockopt', 'cgroup_setsockopt'),
  'cgroup/dev': older('cgroup_device', 'cgroup_device'),

  struct_ops: { type: 'struct_ops', target: 'member' },
  'struct_ops.s': { type: 'struct_ops', target: 'member', sleepable: true },
  sk_lookup: plain('sk_lookup', 'sk_lookup'),
  netfilter: plain('netfilter', 'netfilter'),
} as const satisfies Record<string, SectionRow>;

/** A name of libbpf's, without a target: 'kretprobe', 'xdp.frags', 'cgroup/connect4'. */
export type SectionName = keyof typeof table;

export const sectionTable: Readonly<Record<SectionName, SectionRow>> = table;

/** Program load flags that a section's name asks for. */
const progFlags = { sleepable: 1 << 4, xdpHasFrags: 1 << 5 } as const;

/** What a section's name says about the programs in it. */
export interface SectionMeaning {
  /** BPF_PROG_TYPE_* */
  readonly progType: number;
  /** BPF_*; 0 where the name gives none. */
  readonly expectedAttachType: number;
  readonly progFlags: number;
  readonly attachTo: string | undefined;
  /** False for SEC("?…"). */
  readonly autoload: boolean;
}

/** The longest of libbpf's names that `name` starts with, or that starts with it: what may have been meant. */
function nearest(name: string): string | undefined {
  return Object.keys(sectionTable)
    .filter((known) => name.startsWith(known) || (name !== '' && known.startsWith(name)))
    .sort((a, b) => b.length - a.length)[0];
}

/**
 * The row of a section's name, as libbpf 1.x finds it: the whole name, or a name with a target behind its slash.
 * A leading question mark is part of no name.
 */
export function findSectionName(name: string): { name: SectionName; target: string | undefined } | undefined {
  if (isSectionName(name)) return { name, target: undefined };
  const slash = name.indexOf('/');
  const head = slash < 0 ? name : name.slice(0, slash);
  if (!isSectionName(head) || sectionTable[head].target === undefined) return undefined;
  return { name: head, target: name.slice(slash + 1) };
}

function isSectionName(name: string): name is SectionName {
  return Object.hasOwn(sectionTable, name);
}

/**
 * What a section's name says of the programs in it.
 * @throws {SkepError} code 'section' for a name that libbpf does not have
 */
export function sectionMeaning(section: string): SectionMeaning {
  const autoload = !section.startsWith('?');
  const name = autoload ? section : section.slice(1);
  const known = findSectionName(name);
  if (known === undefined) throw unknownSection(section);
  const row = sectionTable[known.name];
  return {
    progType: progTypes[row.type].id,
    expectedAttachType: row.attach === undefined ? 0 : attachTypes[row.attach].id,
    progFlags: (row.sleepable ? progFlags.sleepable : 0) | (row.frags ? progFlags.xdpHasFrags : 0),
    attachTo: known.target,
    autoload,
  };
}

/** What a section is whose name says nothing: libbpf opens it, and its user says what it is before the load. */
export function sectionOrUnknown(section: string): SectionMeaning {
  const autoload = !section.startsWith('?');
  const known = findSectionName(autoload ? section : section.slice(1));
  if (known !== undefined) return sectionMeaning(section);
  return { progType: 0, expectedAttachType: 0, progFlags: 0, attachTo: undefined, autoload };
}

function unknownSection(section: string): SkepError {
  const meant = nearest(section.startsWith('?') ? section.slice(1) : section);
  return new SkepError({
    code: 'section',
    message: `SEC("${section}") is no section name of libbpf: it gives no program type`,
    hint: meant === undefined ? 'for example SEC("xdp")' : `did you mean SEC("${meant}")?`,
  });
}
