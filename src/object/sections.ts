/**
 * What a program is, by the name of its section: the one table of libbpf's SEC() names (kernel doc:
 * bpf/libbpf/program_types; libbpf 1.6) with program type, attach type and flags, and the lookup in it.
 */
import { SkepError } from '../base/errors.ts';
import { type AttachTypeName, attachTypes } from '../uapi/attach-types.ts';
import { type ProgTypeName, progTypes } from '../uapi/prog-types.ts';

interface SectionRow {
  readonly type: ProgTypeName;
  readonly attach?: AttachTypeName;
  /** A target may follow after a slash: SEC("kprobe/do_exit"). */
  readonly target?: true;
  /** Loaded with BPF_F_SLEEPABLE. */
  readonly sleepable?: true;
  /** Loaded with BPF_F_XDP_HAS_FRAGS. */
  readonly frags?: true;
}

const kprobe = (attach?: AttachTypeName) =>
  ({ type: 'kprobe', target: true, ...(attach && { attach }) }) as const;
const sleepableKprobe = (attach?: AttachTypeName) => ({ ...kprobe(attach), sleepable: true }) as const;
const tracing = (attach: AttachTypeName) => ({ type: 'tracing', attach, target: true }) as const;
const sleepableTracing = (attach: AttachTypeName) => ({ ...tracing(attach), sleepable: true }) as const;
const cls = (attach?: AttachTypeName) => ({ type: 'sched_cls', ...(attach && { attach }) }) as const;
const sockAddr = (attach: AttachTypeName) => ({ type: 'cgroup_sock_addr', attach }) as const;
const cgroupSock = (attach: AttachTypeName) => ({ type: 'cgroup_sock', attach }) as const;

export const sectionTable: Readonly<Record<string, SectionRow>> = {
  socket: { type: 'socket_filter' },
  'sk_reuseport/migrate': { type: 'sk_reuseport', attach: 'sk_reuseport_select_or_migrate' },
  sk_reuseport: { type: 'sk_reuseport', attach: 'sk_reuseport_select' },

  kprobe: kprobe(),
  kretprobe: kprobe(),
  uprobe: kprobe(),
  uretprobe: kprobe(),
  'uprobe.s': sleepableKprobe(),
  'uretprobe.s': sleepableKprobe(),
  'kprobe.multi': kprobe('trace_kprobe_multi'),
  'kretprobe.multi': kprobe('trace_kprobe_multi'),
  'kprobe.session': kprobe('trace_kprobe_session'),
  'uprobe.multi': kprobe('trace_uprobe_multi'),
  'uretprobe.multi': kprobe('trace_uprobe_multi'),
  'uprobe.session': kprobe('trace_uprobe_session'),
  'uprobe.multi.s': sleepableKprobe('trace_uprobe_multi'),
  'uretprobe.multi.s': sleepableKprobe('trace_uprobe_multi'),
  'uprobe.session.s': sleepableKprobe('trace_uprobe_session'),
  ksyscall: kprobe(),
  kretsyscall: kprobe(),
  usdt: kprobe(),
  'usdt.s': sleepableKprobe(),

  'tc/ingress': cls('tcx_ingress'),
  'tc/egress': cls('tcx_egress'),
  'tcx/ingress': cls('tcx_ingress'),
  'tcx/egress': cls('tcx_egress'),
  tc: cls(),
  classifier: cls(),
  action: { type: 'sched_act' },
  'netkit/primary': cls('netkit_primary'),
  'netkit/peer': cls('netkit_peer'),

  tracepoint: { type: 'tracepoint', target: true },
  tp: { type: 'tracepoint', target: true },
  raw_tracepoint: { type: 'raw_tracepoint', target: true },
  raw_tp: { type: 'raw_tracepoint', target: true },
  'raw_tracepoint.w': { type: 'raw_tracepoint_writable', target: true },
  'raw_tp.w': { type: 'raw_tracepoint_writable', target: true },
  tp_btf: tracing('trace_raw_tp'),
  fentry: tracing('trace_fentry'),
  fexit: tracing('trace_fexit'),
  fmod_ret: tracing('modify_return'),
  'fentry.s': sleepableTracing('trace_fentry'),
  'fexit.s': sleepableTracing('trace_fexit'),
  'fmod_ret.s': sleepableTracing('modify_return'),
  freplace: { type: 'ext', target: true },
  lsm: { type: 'lsm', attach: 'lsm_mac', target: true },
  'lsm.s': { type: 'lsm', attach: 'lsm_mac', target: true, sleepable: true },
  lsm_cgroup: { type: 'lsm', attach: 'lsm_cgroup', target: true },
  iter: tracing('trace_iter'),
  'iter.s': sleepableTracing('trace_iter'),
  syscall: { type: 'syscall', sleepable: true },

  'xdp.frags/devmap': { type: 'xdp', attach: 'xdp_devmap', frags: true },
  'xdp/devmap': { type: 'xdp', attach: 'xdp_devmap' },
  'xdp.frags/cpumap': { type: 'xdp', attach: 'xdp_cpumap', frags: true },
  'xdp/cpumap': { type: 'xdp', attach: 'xdp_cpumap' },
  'xdp.frags': { type: 'xdp', attach: 'xdp', frags: true },
  xdp: { type: 'xdp', attach: 'xdp' },
  perf_event: { type: 'perf_event' },
  lwt_in: { type: 'lwt_in' },
  lwt_out: { type: 'lwt_out' },
  lwt_xmit: { type: 'lwt_xmit' },
  lwt_seg6local: { type: 'lwt_seg6local' },
  sockops: { type: 'sock_ops', attach: 'cgroup_sock_ops' },
  'sk_skb/stream_parser': { type: 'sk_skb', attach: 'sk_skb_stream_parser' },
  'sk_skb/stream_verdict': { type: 'sk_skb', attach: 'sk_skb_stream_verdict' },
  'sk_skb/verdict': { type: 'sk_skb', attach: 'sk_skb_verdict' },
  sk_skb: { type: 'sk_skb' },
  sk_msg: { type: 'sk_msg', attach: 'sk_msg_verdict' },
  lirc_mode2: { type: 'lirc_mode2', attach: 'lirc_mode2' },
  flow_dissector: { type: 'flow_dissector', attach: 'flow_dissector' },

  'cgroup_skb/ingress': { type: 'cgroup_skb', attach: 'cgroup_inet_ingress' },
  'cgroup_skb/egress': { type: 'cgroup_skb', attach: 'cgroup_inet_egress' },
  'cgroup/skb': { type: 'cgroup_skb' },
  'cgroup/sock_create': cgroupSock('cgroup_inet_sock_create'),
  'cgroup/sock_release': cgroupSock('cgroup_inet_sock_release'),
  'cgroup/sock': cgroupSock('cgroup_inet_sock_create'),
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
  'cgroup/sysctl': { type: 'cgroup_sysctl', attach: 'cgroup_sysctl' },
  'cgroup/getsockopt': { type: 'cgroup_sockopt', attach: 'cgroup_getsockopt' },
  'cgroup/setsockopt': { type: 'cgroup_sockopt', attach: 'cgroup_setsockopt' },
  'cgroup/dev': { type: 'cgroup_device', attach: 'cgroup_device' },

  struct_ops: { type: 'struct_ops', target: true },
  'struct_ops.s': { type: 'struct_ops', target: true, sleepable: true },
  sk_lookup: { type: 'sk_lookup', attach: 'sk_lookup' },
  netfilter: { type: 'netfilter', attach: 'netfilter' },
};

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
 * Looks a section's name up, as libbpf 1.x does: the whole name, or a name with a target and what is after
 * its slash.
 * @throws {SkepError} code 'section' for a name that libbpf does not have
 */
export function sectionMeaning(section: string): SectionMeaning {
  const autoload = !section.startsWith('?');
  const name = autoload ? section : section.slice(1);
  const slash = name.indexOf('/');
  const head = slash < 0 ? name : name.slice(0, slash);
  const exact = Object.hasOwn(sectionTable, name) ? sectionTable[name] : undefined;
  const withTarget = Object.hasOwn(sectionTable, head) && sectionTable[head]?.target;
  const row = exact ?? (withTarget ? sectionTable[head] : undefined);
  if (row === undefined) {
    const meant = nearest(name);
    throw new SkepError({
      code: 'section',
      message: `SEC("${section}") is no section name of libbpf: it gives no program type`,
      hint: meant === undefined ? 'for example SEC("xdp")' : `did you mean SEC("${meant}")?`,
    });
  }
  return {
    progType: progTypes[row.type].id,
    expectedAttachType: row.attach === undefined ? 0 : attachTypes[row.attach].id,
    progFlags: (row.sleepable ? progFlags.sleepable : 0) | (row.frags ? progFlags.xdpHasFrags : 0),
    attachTo: exact === undefined ? name.slice(slash + 1) : undefined,
    autoload,
  };
}
