/**
 * Which programs may call which helper, by program type: what Linux 6.18 was seen to allow, licence and capabilities
 * aside. A helper that no row names is for programs of every type. Where a helper takes other arguments in programs
 * of some type, its prototype says so (helper-protos.ts).
 */
import { attachTypes } from './attach-types.ts';
import type { HelperName } from './helpers.ts';
import type { ProgTypeName } from './prog-types.ts';

interface Row {
  readonly on: readonly ProgTypeName[];
  readonly helpers: readonly HelperName[];
}

const rows: readonly Row[] = [
  {
    on: ['sched_cls', 'sched_act'],
    helpers: [
      'skb_vlan_push',
      'skb_vlan_pop',
      'skb_change_proto',
      'skb_change_type',
      'set_hash',
      'skb_get_xfrm_state',
      'skb_cgroup_classid',
      'redirect_neigh',
      'redirect_peer',
      'skb_set_tstamp',
    ],
  },
  {
    on: ['sched_cls', 'sched_act', 'lwt_xmit'],
    helpers: [
      'l3_csum_replace',
      'l4_csum_replace',
      'clone_redirect',
      'skb_get_tunnel_key',
      'skb_set_tunnel_key',
      'skb_get_tunnel_opt',
      'skb_set_tunnel_opt',
      'csum_update',
      'set_hash_invalid',
      'csum_level',
    ],
  },
  {
    on: ['sched_cls', 'sched_act', 'xdp'],
    helpers: [
      'fib_lookup',
      'tcp_check_syncookie',
      'tcp_gen_syncookie',
      'check_mtu',
      'tcp_raw_gen_syncookie_ipv4',
      'tcp_raw_gen_syncookie_ipv6',
      'tcp_raw_check_syncookie_ipv4',
      'tcp_raw_check_syncookie_ipv6',
    ],
  },
  {
    on: ['sk_msg'],
    helpers: [
      'msg_redirect_map',
      'msg_apply_bytes',
      'msg_cork_bytes',
      'msg_pull_data',
      'msg_redirect_hash',
      'msg_push_data',
      'msg_pop_data',
    ],
  },
  {
    on: [
      'socket_filter',
      'sched_cls',
      'sched_act',
      'xdp',
      'cgroup_skb',
      'lwt_in',
      'lwt_out',
      'lwt_xmit',
      'sock_ops',
      'sk_skb',
      'sk_msg',
      'cgroup_sock_addr',
      'lwt_seg6local',
      'flow_dissector',
      'sk_lookup',
      'syscall',
      'tracing',
      'lsm',
    ],
    helpers: [
      'skc_to_tcp6_sock',
      'skc_to_tcp_sock',
      'skc_to_tcp_timewait_sock',
      'skc_to_tcp_request_sock',
      'skc_to_udp6_sock',
      'skc_to_unix_sock',
      'skc_to_mptcp_sock',
    ],
  },
  {
    on: [
      'kprobe',
      'tracepoint',
      'perf_event',
      'raw_tracepoint',
      'raw_tracepoint_writable',
      'syscall',
      'tracing',
      'lsm',
    ],
    helpers: ['probe_read', 'get_stackid', 'probe_read_str', 'get_stack', 'get_func_ip', 'probe_write_user'],
  },
  {
    on: ['sock_ops'],
    helpers: [
      'sock_map_update',
      'sock_ops_cb_flags_set',
      'sock_hash_update',
      'load_hdr_opt',
      'store_hdr_opt',
      'reserve_hdr_opt',
    ],
  },
  {
    on: ['tracing'],
    helpers: [
      'seq_printf',
      'seq_write',
      'seq_printf_btf',
      'get_func_arg',
      'get_func_ret',
      'get_func_arg_cnt',
    ],
  },
  {
    on: ['xdp'],
    helpers: [
      'xdp_adjust_head',
      'redirect_map',
      'xdp_adjust_meta',
      'xdp_adjust_tail',
      'xdp_load_bytes',
      'xdp_store_bytes',
    ],
  },
  {
    on: ['lsm'],
    helpers: [
      'inode_storage_get',
      'inode_storage_delete',
      'bprm_opts_set',
      'ima_inode_hash',
      'ima_file_hash',
    ],
  },
  {
    on: ['sched_cls', 'sched_act', 'cgroup_skb'],
    helpers: [
      'skb_cgroup_id',
      'skb_ancestor_cgroup_id',
      'sk_fullsock',
      'skb_ecn_set_ce',
      'get_listener_sock',
    ],
  },
  {
    on: ['cgroup_sysctl'],
    helpers: ['sysctl_get_name', 'sysctl_get_current_value', 'sysctl_get_new_value', 'sysctl_set_new_value'],
  },
  {
    on: ['syscall'],
    helpers: ['sys_bpf', 'btf_find_by_name_kind', 'sys_close', 'kallsyms_lookup_name'],
  },
  {
    on: ['syscall', 'tracing', 'lsm'],
    helpers: ['skb_output', 'xdp_output', 'd_path', 'sock_from_file'],
  },
  {
    on: ['lirc_mode2'],
    helpers: ['rc_repeat', 'rc_keydown', 'rc_pointer_rel'],
  },
  {
    on: ['lwt_seg6local'],
    helpers: ['lwt_seg6_store_bytes', 'lwt_seg6_adjust_srh', 'lwt_seg6_action'],
  },
  {
    on: ['sched_cls', 'sched_act', 'lwt_in', 'lwt_out', 'lwt_xmit', 'lwt_seg6local'],
    helpers: ['get_route_realm', 'skb_under_cgroup', 'get_hash_recalc'],
  },
  {
    on: ['sched_cls', 'sched_act', 'lwt_xmit', 'sk_skb'],
    helpers: ['skb_store_bytes', 'skb_change_tail', 'skb_change_head'],
  },
  {
    on: ['sched_cls', 'sched_act', 'xdp', 'cgroup_skb', 'sk_skb', 'cgroup_sock_addr'],
    helpers: ['sk_lookup_tcp', 'sk_lookup_udp', 'skc_lookup_tcp'],
  },
  {
    on: ['cgroup_skb'],
    helpers: ['sk_cgroup_id', 'sk_ancestor_cgroup_id'],
  },
  {
    on: ['cgroup_sock', 'cgroup_sock_addr', 'cgroup_sockopt'],
    helpers: ['get_retval', 'set_retval'],
  },
  {
    on: ['perf_event'],
    helpers: ['perf_prog_read_value', 'read_branch_records'],
  },
  {
    on: ['sk_skb'],
    helpers: ['sk_redirect_map', 'sk_redirect_hash'],
  },
  {
    on: ['sock_ops', 'cgroup_sock_addr', 'cgroup_sockopt', 'lsm', 'struct_ops'],
    helpers: ['setsockopt', 'getsockopt'],
  },
  {
    on: [
      'cgroup_skb',
      'cgroup_sock',
      'sock_ops',
      'cgroup_device',
      'cgroup_sock_addr',
      'cgroup_sysctl',
      'cgroup_sockopt',
    ],
    helpers: ['get_local_storage'],
  },
  {
    on: ['cgroup_sock_addr'],
    helpers: ['bind'],
  },
  {
    on: ['kprobe'],
    helpers: ['override_return'],
  },
  {
    on: ['kprobe', 'tracepoint', 'perf_event', 'raw_tracepoint', 'raw_tracepoint_writable', 'tracing', 'lsm'],
    helpers: ['get_attach_cookie'],
  },
  {
    on: ['lwt_in', 'lwt_xmit'],
    helpers: ['lwt_push_encap'],
  },
  {
    on: [
      'sched_cls',
      'sched_act',
      'cgroup_skb',
      'cgroup_sock',
      'sock_ops',
      'sk_msg',
      'cgroup_sock_addr',
      'cgroup_sockopt',
      'syscall',
      'tracing',
      'lsm',
      'struct_ops',
    ],
    helpers: ['sk_storage_get'],
  },
  {
    on: ['sched_cls', 'sched_act', 'cgroup_skb', 'sock_ops', 'cgroup_sockopt'],
    helpers: ['tcp_sock'],
  },
  {
    on: [
      'sched_cls',
      'sched_act',
      'cgroup_skb',
      'sock_ops',
      'sk_msg',
      'cgroup_sock_addr',
      'cgroup_sockopt',
      'syscall',
      'tracing',
      'lsm',
      'struct_ops',
    ],
    helpers: ['sk_storage_delete'],
  },
  {
    on: ['sched_cls', 'sched_act', 'lwt_in', 'lwt_out', 'lwt_xmit', 'sk_skb', 'lwt_seg6local'],
    helpers: ['skb_pull_data'],
  },
  {
    on: ['sched_cls', 'sched_act', 'sk_lookup'],
    helpers: ['sk_assign'],
  },
  {
    on: ['sched_cls', 'sched_act', 'sk_skb'],
    helpers: ['skb_adjust_room'],
  },
  {
    on: ['sched_cls', 'sched_act', 'xdp', 'cgroup_skb', 'sk_skb', 'cgroup_sock_addr', 'sk_lookup'],
    helpers: ['sk_release'],
  },
  {
    on: ['sched_cls', 'sched_act', 'xdp', 'lwt_in', 'lwt_out', 'lwt_xmit', 'lwt_seg6local'],
    helpers: ['csum_diff'],
  },
  {
    on: ['sched_cls', 'sched_act', 'xdp', 'lwt_xmit'],
    helpers: ['redirect'],
  },
  {
    on: ['sk_reuseport'],
    helpers: ['sk_select_reuseport'],
  },
  {
    on: [
      'socket_filter',
      'kprobe',
      'sched_cls',
      'sched_act',
      'tracepoint',
      'xdp',
      'perf_event',
      'cgroup_skb',
      'cgroup_sock',
      'lwt_in',
      'lwt_out',
      'lwt_xmit',
      'sock_ops',
      'sk_skb',
      'cgroup_device',
      'sk_msg',
      'raw_tracepoint',
      'cgroup_sock_addr',
      'lwt_seg6local',
      'cgroup_sysctl',
      'raw_tracepoint_writable',
      'cgroup_sockopt',
      'sk_lookup',
      'syscall',
      'tracing',
      'lsm',
    ],
    helpers: ['perf_event_output'],
  },
  {
    on: [
      'socket_filter',
      'sched_cls',
      'sched_act',
      'cgroup_skb',
      'cgroup_sock',
      'sock_ops',
      'sk_msg',
      'cgroup_sock_addr',
      'cgroup_sockopt',
    ],
    helpers: ['get_netns_cookie'],
  },
  {
    on: [
      'socket_filter',
      'sched_cls',
      'sched_act',
      'cgroup_skb',
      'cgroup_sock',
      'sock_ops',
      'sk_skb',
      'cgroup_sock_addr',
      'sk_reuseport',
      'syscall',
      'tracing',
      'lsm',
    ],
    helpers: ['get_socket_cookie'],
  },
  {
    on: [
      'socket_filter',
      'sched_cls',
      'sched_act',
      'cgroup_skb',
      'lwt_in',
      'lwt_out',
      'lwt_xmit',
      'sk_skb',
      'lwt_seg6local',
      'sk_reuseport',
      'flow_dissector',
    ],
    helpers: ['skb_load_bytes'],
  },
  {
    on: ['socket_filter', 'sched_cls', 'sched_act', 'cgroup_skb', 'sk_reuseport'],
    helpers: ['skb_load_bytes_relative'],
  },
  {
    on: ['socket_filter', 'sched_cls', 'sched_act', 'cgroup_skb', 'sk_skb'],
    helpers: ['get_socket_uid'],
  },
  {
    on: [
      'socket_filter',
      'sched_cls',
      'sched_act',
      'xdp',
      'cgroup_skb',
      'cgroup_sock',
      'lwt_in',
      'lwt_out',
      'lwt_xmit',
      'sock_ops',
      'sk_skb',
      'sk_msg',
      'cgroup_sock_addr',
      'lwt_seg6local',
      'sk_reuseport',
      'flow_dissector',
      'cgroup_sysctl',
      'sk_lookup',
      'struct_ops',
    ],
    helpers: ['ktime_get_coarse_ns'],
  },
  {
    on: ['struct_ops'],
    helpers: ['tcp_send_ack'],
  },
  {
    on: ['xdp', 'syscall', 'tracing', 'lsm'],
    helpers: ['xdp_get_buff_len'],
  },
];

const byHelper: ReadonlyMap<HelperName, readonly ProgTypeName[]> = new Map(
  rows.flatMap(({ on, helpers }) => helpers.map((helper) => [helper, on] as const)),
);

/** Of tracing programs, those with these expected attach types (enum bpf_attach_type). */
const attached: Readonly<Partial<Record<HelperName, readonly number[]>>> = {
  seq_printf: [attachTypes.trace_iter.id],
  seq_write: [attachTypes.trace_iter.id],
  seq_printf_btf: [attachTypes.trace_iter.id],
  get_func_arg: [attachTypes.trace_fentry.id, attachTypes.trace_fexit.id, attachTypes.modify_return.id],
  get_func_arg_cnt: [attachTypes.trace_fentry.id, attachTypes.trace_fexit.id, attachTypes.modify_return.id],
  get_func_ret: [attachTypes.trace_fexit.id, attachTypes.modify_return.id],
};

/**
 * Whether a program may call a helper, by its type and, if it is a tracing one, its attach type. An `ext` program may
 * call what its target may, which is not asked here.
 */
export function helperAllowed(
  helper: HelperName,
  program: { readonly type: ProgTypeName | undefined; readonly attachType: number },
): boolean {
  const { type, attachType } = program;
  if (type === undefined) return false;
  const on = byHelper.get(helper);
  if (on !== undefined && !on.includes(type)) return false;
  const at = type === 'tracing' ? attached[helper] : undefined;
  return at === undefined || at.includes(attachType);
}
