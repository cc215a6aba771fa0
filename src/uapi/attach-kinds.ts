/**
 * The ways in which programs are attached: what the section is called, what `attach()` wants to be told, since
 * when Linux has it and with which of its options, and what the embedded kernel makes of it. docs/attaching.md
 * is generated from this table; errors about what a kernel lacks read it, too.
 */
import type { Labelled } from './label.ts';
import type { LinkTypeName } from './link-types.ts';

type Version = readonly [major: number, minor: number];

export interface AttachKind extends Labelled {
  /** As in SEC(); in capitals what stands for a name. */
  readonly sections: readonly string[];
  /** Options of `attach()` that name the target. */
  readonly options: string;
  /** The kind of link; undefined where Linux has none for it. */
  readonly link: LinkTypeName | undefined;
  /** Since when programs of the kind attach, and since when they do by a link. */
  readonly since: Version;
  readonly linkSince?: Version;
  /** What is done where there are no links. */
  readonly without?: string;
  /** What the kernel must be built with. */
  readonly config: string;
}

export const attachKinds = {
  tracepoint: {
    sections: ['tracepoint/GROUP/NAME', 'tp/GROUP/NAME'],
    options: 'tracepoint',
    link: 'perf_event',
    since: [4, 7],
    linkSince: [5, 15],
    without: 'PERF_EVENT_IOC_SET_BPF',
    config: 'CONFIG_BPF_EVENTS',
    label: 'real',
  },
  raw_tracepoint: {
    sections: ['raw_tracepoint/NAME', 'raw_tp/NAME', 'raw_tp.w/NAME'],
    options: 'tracepoint',
    link: 'raw_tracepoint',
    since: [4, 17],
    config: 'CONFIG_BPF_EVENTS',
    label: 'real',
    note: 'writable ones are absent',
  },
  kprobe: {
    sections: ['kprobe/FUNCTION+OFFSET', 'kretprobe/FUNCTION', 'ksyscall/NAME', 'kretsyscall/NAME'],
    options: 'function, retprobe',
    link: 'perf_event',
    since: [4, 1],
    linkSince: [5, 15],
    without: 'PERF_EVENT_IOC_SET_BPF; before 4.17 with an event of tracefs',
    config: 'CONFIG_KPROBE_EVENTS',
    label: 'absent',
  },
  kprobe_multi: {
    sections: ['kprobe.multi/PATTERN', 'kretprobe.multi/PATTERN'],
    options: 'function (a pattern) or functions',
    link: 'kprobe_multi',
    since: [5, 18],
    config: 'CONFIG_FPROBE',
    label: 'absent',
  },
  kprobe_session: {
    sections: ['kprobe.session/PATTERN'],
    options: 'function (a pattern) or functions',
    link: 'kprobe_multi',
    since: [6, 10],
    config: 'CONFIG_FPROBE',
    label: 'absent',
  },
  uprobe: {
    sections: ['uprobe/BINARY:FUNCTION+OFFSET', 'uretprobe/BINARY:FUNCTION', 'uprobe.s/…'],
    options: 'binary, function or offset, pid, retprobe',
    link: 'perf_event',
    since: [4, 3],
    linkSince: [5, 15],
    without: 'PERF_EVENT_IOC_SET_BPF; before 4.17 with an event of tracefs',
    config: 'CONFIG_UPROBE_EVENTS',
    label: 'absent',
  },
  uprobe_multi: {
    sections: ['uprobe.multi/BINARY:PATTERN', 'uretprobe.multi/BINARY:PATTERN'],
    options: 'binary, function (a pattern) or functions, pid',
    link: 'uprobe_multi',
    since: [6, 6],
    config: 'CONFIG_UPROBES',
    label: 'absent',
  },
  uprobe_session: {
    sections: ['uprobe.session/BINARY:PATTERN'],
    options: 'binary, function (a pattern) or functions, pid',
    link: 'uprobe_multi',
    since: [6, 13],
    config: 'CONFIG_UPROBES',
    label: 'absent',
  },
  usdt: {
    sections: ['usdt/BINARY:PROVIDER:NAME', 'usdt.s/…'],
    options: 'binary, usdt (PROVIDER:NAME), pid',
    link: 'perf_event',
    since: [4, 17],
    linkSince: [5, 15],
    without: 'PERF_EVENT_IOC_SET_BPF; arguments only of executables that are not moved',
    config: 'CONFIG_UPROBE_EVENTS',
    label: 'absent',
  },
  tracing: {
    sections: ['fentry/FUNCTION', 'fexit/FUNCTION', 'fmod_ret/FUNCTION', 'tp_btf/NAME'],
    options: 'none: the function (of a module, MODULE:FUNCTION) is chosen when the program is loaded',
    link: 'tracing',
    since: [5, 5],
    config: 'CONFIG_DEBUG_INFO_BTF and CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS',
    label: 'modelled',
    note: 'tp_btf; there are no functions to trace',
  },
  lsm: {
    sections: ['lsm/HOOK', 'lsm.s/HOOK'],
    options: 'none: the hook is chosen when the program is loaded',
    link: 'tracing',
    since: [5, 7],
    config: 'CONFIG_BPF_LSM',
    label: 'absent',
  },
  ext: {
    sections: ['freplace/FUNCTION'],
    options: 'none: the program that has the function is named at load (`targets`)',
    link: 'tracing',
    since: [5, 6],
    config: 'CONFIG_BPF_JIT',
    label: 'absent',
  },
  iter: {
    sections: ['iter/KIND', 'iter.s/KIND'],
    options: 'map, cgroup or pid, where the kind wants one',
    link: 'iter',
    since: [5, 8],
    config: 'CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF',
    label: 'absent',
  },
  perf_event: {
    sections: ['perf_event'],
    options: 'event, pid, cpu',
    link: 'perf_event',
    since: [4, 9],
    linkSince: [5, 15],
    without: 'PERF_EVENT_IOC_SET_BPF',
    config: 'CONFIG_PERF_EVENTS',
    label: 'absent',
  },
  xdp: {
    sections: ['xdp', 'xdp.frags'],
    options: 'device, mode',
    link: 'xdp',
    since: [4, 8],
    linkSince: [5, 9],
    without: 'netlink',
    config: 'CONFIG_NET and CONFIG_BPF_SYSCALL',
    label: 'real',
    note: 'one mode, the generic one',
  },
  tcx: {
    sections: ['tcx/ingress', 'tcx/egress', 'tc/ingress', 'tc/egress'],
    options: 'device, before or after, expectedRevision',
    link: 'tcx',
    since: [6, 6],
    config: 'CONFIG_NET_XGRESS',
    label: 'modelled',
    note: 'no network stack is behind the device',
  },
  tc: {
    sections: ['tc', 'classifier'],
    options: "device, attachType ('tcx_ingress' or 'tcx_egress')",
    link: 'tcx',
    since: [4, 5],
    linkSince: [6, 6],
    without: 'a filter on the clsact qdisc, by netlink',
    config: 'CONFIG_NET_CLS_BPF and CONFIG_NET_SCH_INGRESS',
    label: 'modelled',
    note: 'as tcx; classic filters are absent',
  },
  netkit: {
    sections: ['netkit/primary', 'netkit/peer'],
    options: 'device, before or after, expectedRevision',
    link: 'netkit',
    since: [6, 7],
    config: 'CONFIG_NETKIT',
    label: 'absent',
  },
  netfilter: {
    sections: ['netfilter'],
    options: 'netfilter (family, hook, priority)',
    link: 'netfilter',
    since: [6, 4],
    config: 'CONFIG_NETFILTER_BPF_LINK',
    label: 'absent',
  },
  cgroup: {
    sections: ['cgroup_skb/ingress', 'cgroup/connect4', 'cgroup/dev', 'sockops', 'lsm_cgroup/HOOK', '…'],
    options: 'cgroup (the path)',
    link: 'cgroup',
    since: [4, 10],
    linkSince: [5, 7],
    without: 'BPF_PROG_ATTACH',
    config: 'CONFIG_CGROUP_BPF',
    label: 'absent',
  },
  netns: {
    sections: ['sk_lookup', 'flow_dissector'],
    options: 'netns (the path; by default the own one)',
    link: 'netns',
    since: [4, 20],
    linkSince: [5, 7],
    without: 'BPF_PROG_ATTACH, for flow dissectors only',
    config: 'CONFIG_NET and CONFIG_BPF_SYSCALL',
    label: 'absent',
  },
  sockmap: {
    sections: ['sk_skb/stream_parser', 'sk_skb/stream_verdict', 'sk_skb/verdict', 'sk_msg'],
    options: 'map',
    link: 'sockmap',
    since: [4, 14],
    linkSince: [6, 10],
    without: 'BPF_PROG_ATTACH',
    config: 'CONFIG_BPF_STREAM_PARSER',
    label: 'absent',
  },
  socket: {
    sections: ['socket', 'sk_reuseport'],
    options: 'socket (the fd)',
    link: undefined,
    since: [3, 19],
    without: 'setsockopt(2)',
    config: 'CONFIG_NET and CONFIG_BPF_SYSCALL',
    label: 'absent',
  },
} as const satisfies Record<string, AttachKind>;

export type AttachKindName = keyof typeof attachKinds;
