/**
 * Attach types (enum bpf_attach_type). The key is the kernel's name in lower case, without BPF_.
 */
import type { Labelled } from './label.ts';
import { namesById } from './table.ts';

export interface AttachTypeFacts extends Labelled {
  readonly id: number;
}

/** What there is of a network around the chains of a device. */
const tcx =
  'chains are as on Linux; packets come from who calls the device, and no network stack is behind it';

export const attachTypes = {
  cgroup_inet_ingress: { id: 0, label: 'absent' },
  cgroup_inet_egress: { id: 1, label: 'absent' },
  cgroup_inet_sock_create: { id: 2, label: 'absent' },
  cgroup_sock_ops: { id: 3, label: 'absent' },
  sk_skb_stream_parser: { id: 4, label: 'absent' },
  sk_skb_stream_verdict: { id: 5, label: 'absent' },
  cgroup_device: { id: 6, label: 'absent' },
  sk_msg_verdict: { id: 7, label: 'absent' },
  cgroup_inet4_bind: { id: 8, label: 'absent' },
  cgroup_inet6_bind: { id: 9, label: 'absent' },
  cgroup_inet4_connect: { id: 10, label: 'absent' },
  cgroup_inet6_connect: { id: 11, label: 'absent' },
  cgroup_inet4_post_bind: { id: 12, label: 'absent' },
  cgroup_inet6_post_bind: { id: 13, label: 'absent' },
  cgroup_udp4_sendmsg: { id: 14, label: 'absent' },
  cgroup_udp6_sendmsg: { id: 15, label: 'absent' },
  lirc_mode2: { id: 16, label: 'absent' },
  flow_dissector: { id: 17, label: 'absent' },
  cgroup_sysctl: { id: 18, label: 'absent' },
  cgroup_udp4_recvmsg: { id: 19, label: 'absent' },
  cgroup_udp6_recvmsg: { id: 20, label: 'absent' },
  cgroup_getsockopt: { id: 21, label: 'absent' },
  cgroup_setsockopt: { id: 22, label: 'absent' },
  trace_raw_tp: { id: 23, label: 'real' },
  trace_fentry: { id: 24, label: 'absent' },
  trace_fexit: { id: 25, label: 'absent' },
  modify_return: { id: 26, label: 'absent' },
  lsm_mac: { id: 27, label: 'absent' },
  trace_iter: { id: 28, label: 'absent' },
  cgroup_inet4_getpeername: { id: 29, label: 'absent' },
  cgroup_inet6_getpeername: { id: 30, label: 'absent' },
  cgroup_inet4_getsockname: { id: 31, label: 'absent' },
  cgroup_inet6_getsockname: { id: 32, label: 'absent' },
  xdp_devmap: { id: 33, label: 'absent' },
  cgroup_inet_sock_release: { id: 34, label: 'absent' },
  xdp_cpumap: { id: 35, label: 'absent' },
  sk_lookup: { id: 36, label: 'absent' },
  xdp: { id: 37, label: 'real' },
  sk_skb_verdict: { id: 38, label: 'absent' },
  sk_reuseport_select: { id: 39, label: 'absent' },
  sk_reuseport_select_or_migrate: { id: 40, label: 'absent' },
  perf_event: { id: 41, label: 'real', note: 'tracepoints; other perf events are absent' },
  trace_kprobe_multi: { id: 42, label: 'absent' },
  lsm_cgroup: { id: 43, label: 'absent' },
  struct_ops: { id: 44, label: 'absent' },
  netfilter: { id: 45, label: 'absent' },
  tcx_ingress: { id: 46, label: 'modelled', note: tcx },
  tcx_egress: { id: 47, label: 'modelled', note: tcx },
  trace_uprobe_multi: { id: 48, label: 'absent' },
  cgroup_unix_connect: { id: 49, label: 'absent' },
  cgroup_unix_sendmsg: { id: 50, label: 'absent' },
  cgroup_unix_recvmsg: { id: 51, label: 'absent' },
  cgroup_unix_getpeername: { id: 52, label: 'absent' },
  cgroup_unix_getsockname: { id: 53, label: 'absent' },
  netkit_primary: { id: 54, label: 'absent' },
  netkit_peer: { id: 55, label: 'absent' },
  trace_kprobe_session: { id: 56, label: 'absent' },
  trace_uprobe_session: { id: 57, label: 'absent' },
} as const satisfies Record<string, AttachTypeFacts>;

export type AttachTypeName = keyof typeof attachTypes;

/** The name of a number; undefined for one that Linux 6.18 does not have. */
export const attachTypeName = namesById(attachTypes);
