/**
 * Program types (enum bpf_prog_type). The key is the name that bpftool prints.
 */
import type { Labelled } from './label.ts';
import { namesById } from './table.ts';

export interface ProgTypeFacts extends Labelled {
  readonly id: number;
}

export const progTypes = {
  socket_filter: { id: 1, label: 'real' },
  kprobe: { id: 2, label: 'verified-only' },
  sched_cls: { id: 3, label: 'modelled', note: 'runs over packets that a test run gives it' },
  sched_act: { id: 4, label: 'modelled', note: 'runs over packets that a test run gives it' },
  tracepoint: { id: 5, label: 'real' },
  xdp: { id: 6, label: 'real' },
  perf_event: { id: 7, label: 'verified-only' },
  cgroup_skb: { id: 8, label: 'modelled', note: 'runs over packets that a test run gives it' },
  cgroup_sock: { id: 9, label: 'verified-only' },
  lwt_in: { id: 10, label: 'verified-only' },
  lwt_out: { id: 11, label: 'verified-only' },
  lwt_xmit: { id: 12, label: 'verified-only' },
  sock_ops: { id: 13, label: 'verified-only' },
  sk_skb: { id: 14, label: 'verified-only' },
  cgroup_device: { id: 15, label: 'verified-only' },
  sk_msg: { id: 16, label: 'verified-only' },
  raw_tracepoint: { id: 17, label: 'real' },
  cgroup_sock_addr: { id: 18, label: 'verified-only' },
  lwt_seg6local: { id: 19, label: 'verified-only' },
  lirc_mode2: { id: 20, label: 'verified-only' },
  sk_reuseport: { id: 21, label: 'verified-only' },
  flow_dissector: { id: 22, label: 'verified-only' },
  cgroup_sysctl: { id: 23, label: 'verified-only' },
  raw_tracepoint_writable: { id: 24, label: 'verified-only' },
  cgroup_sockopt: { id: 25, label: 'verified-only' },
  tracing: {
    id: 26,
    label: 'modelled',
    note: 'tp_btf on the tracepoints that there are; functions are not traced',
  },
  struct_ops: { id: 27, label: 'verified-only' },
  ext: { id: 28, label: 'absent' },
  lsm: { id: 29, label: 'verified-only' },
  sk_lookup: { id: 30, label: 'verified-only' },
  syscall: { id: 31, label: 'verified-only' },
  netfilter: { id: 32, label: 'verified-only' },
} as const satisfies Record<string, ProgTypeFacts>;

export type ProgTypeName = keyof typeof progTypes;

/** The name of a number; undefined for one that Linux 6.18 does not have. */
export const progTypeName = namesById(progTypes);

/** Types that need CAP_NET_ADMIN beyond CAP_BPF (is_net_admin_prog_type), and CAP_PERFMON (is_perfmon_prog_type). */
export const networkTypes: readonly (ProgTypeName | undefined)[] = [
  'sched_cls',
  'sched_act',
  'xdp',
  'lwt_in',
  'lwt_out',
  'lwt_xmit',
  'lwt_seg6local',
  'sk_skb',
  'sk_msg',
  'flow_dissector',
  'cgroup_device',
  'cgroup_sock',
  'cgroup_sock_addr',
  'cgroup_sockopt',
  'cgroup_sysctl',
  'sock_ops',
  'netfilter',
  'ext',
];
export const tracingTypes: readonly (ProgTypeName | undefined)[] = [
  'kprobe',
  'tracepoint',
  'perf_event',
  'raw_tracepoint',
  'raw_tracepoint_writable',
  'tracing',
  'lsm',
  'struct_ops',
  'ext',
];
