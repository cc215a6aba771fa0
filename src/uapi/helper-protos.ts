/**
 * What the verifier must know of each helper: its arguments, what it returns, and which programs may call
 * it. A helper without a row is refused. Argument kinds follow the kernel's (enum bpf_arg_type); which program
 * types may call a helper, and which need a GPL-compatible licence or CAP_PERFMON, is what Linux 6.18 was
 * seen to allow.
 */
import type { HelperName } from './helpers.ts';
import type { ProgTypeName } from './prog-types.ts';

export type ArgKind =
  /** Any initialised register. */
  | 'any'
  | 'ctx'
  | 'ctxOrNull'
  | 'mapPtr'
  /** Memory of the map's key size. */
  | 'mapKey'
  /** Memory of the map's value size, read; may be NULL; written. */
  | 'mapValue'
  | 'mapValueOrNullArg'
  | 'mapValueUninit'
  /** Memory whose size is the next argument: read, read or NULL, written, written or NULL, read and written. */
  | 'mem'
  | 'memOrNull'
  | 'memUninit'
  | 'memOrNullUninit'
  | 'memRw'
  /** Read memory of a fixed size: IPv4 and TCP headers, IPv6 headers. */
  | 'fixedMem:20'
  | 'fixedMem:40'
  /** Aligned integers: written, and both read and written. */
  | 'longOut'
  | 'intInOut'
  /** The size of the memory in the argument before; whether it may be zero. */
  | 'size'
  | 'sizeOrZero'
  /** A constant: how much memory is returned. */
  | 'allocSize'
  | 'sockCommon'
  /** References that the call gives back. */
  | 'releaseSockCommon'
  | 'releaseRingbufMem'
  | 'spinLock'
  /** A string in a read-only map. */
  | 'constStr'
  /** A static function that the helper calls. */
  | 'func'
  /** A pointer into the stack, passed on to such a function; may be NULL. */
  | 'stackOrNull';

export type ReturnKind =
  | 'int'
  | 'void'
  | 'mapValue'
  | 'mapValueOrNull'
  | 'socketOrNull'
  | 'tcpSockOrNull'
  | 'sockCommonOrNull'
  | 'ringbufMemOrNull';

export interface HelperProto {
  readonly ret: ReturnKind;
  readonly args: readonly ArgKind[];
  /** Only for programs under a GPL-compatible licence. */
  readonly gpl?: boolean;
  /** Outside tracing programs only with CAP_PERFMON. */
  readonly perfmon?: boolean;
  /** The program types that may call it; absent: all. */
  readonly on?: readonly ProgTypeName[];
}

const TRACING = ['kprobe', 'tracepoint', 'perf_event', 'raw_tracepoint', 'raw_tracepoint_writable'] as const;
const SKB_WRITE = ['sched_cls', 'sched_act', 'lwt_xmit', 'sk_skb'] as const;
const REDIRECT = ['sched_cls', 'sched_act', 'xdp', 'lwt_xmit'] as const;
const TC_AND_LWT = ['sched_cls', 'sched_act', 'lwt_in', 'lwt_out', 'lwt_xmit', 'lwt_seg6local'] as const;
const PERF_OUTPUT = [
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
] as const;
const SKB_READ = [
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
] as const;
const CSUM_DIFF = [
  'sched_cls',
  'sched_act',
  'xdp',
  'lwt_in',
  'lwt_out',
  'lwt_xmit',
  'lwt_seg6local',
] as const;
const SKB_PULL = [
  'sched_cls',
  'sched_act',
  'lwt_in',
  'lwt_out',
  'lwt_xmit',
  'sk_skb',
  'lwt_seg6local',
] as const;
const SOCKET_COOKIE = [
  'socket_filter',
  'sched_cls',
  'sched_act',
  'cgroup_skb',
  'cgroup_sock',
  'sock_ops',
  'sk_skb',
  'cgroup_sock_addr',
  'sk_reuseport',
] as const;
const SOCKET_UID = ['socket_filter', 'sched_cls', 'sched_act', 'cgroup_skb', 'sk_skb'] as const;
const SKB_RELATIVE = ['socket_filter', 'sched_cls', 'sched_act', 'cgroup_skb', 'sk_reuseport'] as const;
const CGROUP = [
  'cgroup_skb',
  'cgroup_sock',
  'sock_ops',
  'cgroup_device',
  'cgroup_sock_addr',
  'cgroup_sysctl',
  'cgroup_sockopt',
] as const;
const SK_LOOKUPS = ['sched_cls', 'sched_act', 'xdp', 'cgroup_skb', 'sk_skb', 'cgroup_sock_addr'] as const;
const SK_RELEASE = [
  'sched_cls',
  'sched_act',
  'xdp',
  'cgroup_skb',
  'sk_skb',
  'cgroup_sock_addr',
  'sk_lookup',
] as const;
const TCP_SOCK = ['sched_cls', 'sched_act', 'cgroup_skb', 'sock_ops', 'cgroup_sockopt'] as const;
const SK_STORAGE = [
  'sched_cls',
  'sched_act',
  'cgroup_skb',
  'cgroup_sock',
  'sock_ops',
  'sk_msg',
  'cgroup_sock_addr',
  'cgroup_sockopt',
] as const;
const SK_STORAGE_DELETE = [
  'sched_cls',
  'sched_act',
  'cgroup_skb',
  'sock_ops',
  'sk_msg',
  'cgroup_sock_addr',
  'cgroup_sockopt',
] as const;
const NETNS_COOKIE = [
  'socket_filter',
  'sched_cls',
  'sched_act',
  'cgroup_skb',
  'cgroup_sock',
  'sock_ops',
  'sk_msg',
  'cgroup_sock_addr',
  'cgroup_sockopt',
] as const;
const NETWORK = [
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
] as const;

export const helperProtos: Readonly<Partial<Record<HelperName, HelperProto>>> = {
  map_lookup_elem: { ret: 'mapValueOrNull', args: ['mapPtr', 'mapKey'] },
  map_update_elem: { ret: 'int', args: ['mapPtr', 'mapKey', 'mapValue', 'any'] },
  map_delete_elem: { ret: 'int', args: ['mapPtr', 'mapKey'] },
  probe_read: { ret: 'int', args: ['memUninit', 'sizeOrZero', 'any'], gpl: true, on: TRACING },
  ktime_get_ns: { ret: 'int', args: [] },
  trace_printk: { ret: 'int', args: ['mem', 'size'], gpl: true, perfmon: true },
  get_prandom_u32: { ret: 'int', args: [] },
  get_smp_processor_id: { ret: 'int', args: [] },
  skb_store_bytes: { ret: 'int', args: ['ctx', 'any', 'mem', 'size', 'any'], on: SKB_WRITE },
  l3_csum_replace: {
    ret: 'int',
    args: ['ctx', 'any', 'any', 'any', 'any'],
    on: ['sched_cls', 'sched_act', 'lwt_xmit'],
  },
  l4_csum_replace: {
    ret: 'int',
    args: ['ctx', 'any', 'any', 'any', 'any'],
    on: ['sched_cls', 'sched_act', 'lwt_xmit'],
  },
  tail_call: { ret: 'void', args: ['ctx', 'mapPtr', 'any'] },
  clone_redirect: { ret: 'int', args: ['ctx', 'any', 'any'], on: ['sched_cls', 'sched_act', 'lwt_xmit'] },
  get_current_pid_tgid: { ret: 'int', args: [] },
  get_current_uid_gid: { ret: 'int', args: [] },
  get_current_comm: { ret: 'int', args: ['memUninit', 'size'], perfmon: true },
  get_cgroup_classid: { ret: 'int', args: ['ctx'] },
  skb_vlan_push: { ret: 'int', args: ['ctx', 'any', 'any'], on: ['sched_cls', 'sched_act'] },
  skb_vlan_pop: { ret: 'int', args: ['ctx'], on: ['sched_cls', 'sched_act'] },
  skb_get_tunnel_key: {
    ret: 'int',
    args: ['ctx', 'memUninit', 'size', 'any'],
    on: ['sched_cls', 'sched_act', 'lwt_xmit'],
  },
  skb_set_tunnel_key: {
    ret: 'int',
    args: ['ctx', 'mem', 'size', 'any'],
    on: ['sched_cls', 'sched_act', 'lwt_xmit'],
  },
  perf_event_read: { ret: 'int', args: ['mapPtr', 'any'], gpl: true, perfmon: true },
  redirect: { ret: 'int', args: ['any', 'any'], on: REDIRECT },
  get_route_realm: { ret: 'int', args: ['ctx'], on: TC_AND_LWT },
  perf_event_output: {
    ret: 'int',
    args: ['ctx', 'mapPtr', 'any', 'mem', 'sizeOrZero'],
    gpl: true,
    on: PERF_OUTPUT,
  },
  skb_load_bytes: { ret: 'int', args: ['ctx', 'any', 'memUninit', 'size'], on: SKB_READ },
  get_stackid: { ret: 'int', args: ['ctx', 'mapPtr', 'any'], gpl: true, on: TRACING },
  csum_diff: {
    ret: 'int',
    args: ['memOrNull', 'sizeOrZero', 'memOrNull', 'sizeOrZero', 'any'],
    on: CSUM_DIFF,
  },
  skb_get_tunnel_opt: {
    ret: 'int',
    args: ['ctx', 'memUninit', 'size'],
    on: ['sched_cls', 'sched_act', 'lwt_xmit'],
  },
  skb_set_tunnel_opt: {
    ret: 'int',
    args: ['ctx', 'mem', 'size'],
    on: ['sched_cls', 'sched_act', 'lwt_xmit'],
  },
  skb_change_proto: { ret: 'int', args: ['ctx', 'any', 'any'], on: ['sched_cls', 'sched_act'] },
  skb_change_type: { ret: 'int', args: ['ctx', 'any'], on: ['sched_cls', 'sched_act'] },
  skb_under_cgroup: { ret: 'int', args: ['ctx', 'mapPtr', 'any'], on: TC_AND_LWT },
  get_hash_recalc: { ret: 'int', args: ['ctx'], on: TC_AND_LWT },
  get_current_task: { ret: 'int', args: [], gpl: true, perfmon: true },
  current_task_under_cgroup: { ret: 'int', args: ['mapPtr', 'any'] },
  skb_change_tail: { ret: 'int', args: ['ctx', 'any', 'any'], on: SKB_WRITE },
  skb_pull_data: { ret: 'int', args: ['ctx', 'any'], on: SKB_PULL },
  csum_update: { ret: 'int', args: ['ctx', 'any'], on: ['sched_cls', 'sched_act', 'lwt_xmit'] },
  set_hash_invalid: { ret: 'int', args: ['ctx'], on: ['sched_cls', 'sched_act', 'lwt_xmit'] },
  get_numa_node_id: { ret: 'int', args: [] },
  skb_change_head: { ret: 'int', args: ['ctx', 'any', 'any'], on: SKB_WRITE },
  xdp_adjust_head: { ret: 'int', args: ['ctx', 'any'], on: ['xdp'] },
  probe_read_str: { ret: 'int', args: ['memUninit', 'sizeOrZero', 'any'], gpl: true, on: TRACING },
  get_socket_cookie: { ret: 'int', args: ['ctx'], on: SOCKET_COOKIE },
  get_socket_uid: { ret: 'int', args: ['ctx'], on: SOCKET_UID },
  set_hash: { ret: 'int', args: ['ctx', 'any'], on: ['sched_cls', 'sched_act'] },
  setsockopt: {
    ret: 'int',
    args: ['ctx', 'any', 'any', 'mem', 'size'],
    on: ['sock_ops', 'cgroup_sock_addr'],
  },
  skb_adjust_room: {
    ret: 'int',
    args: ['ctx', 'any', 'any', 'any'],
    on: ['sched_cls', 'sched_act', 'sk_skb'],
  },
  redirect_map: { ret: 'int', args: ['mapPtr', 'any', 'any'], on: ['xdp'] },
  sk_redirect_map: { ret: 'int', args: ['ctx', 'mapPtr', 'any', 'any'], on: ['sk_skb'] },
  sock_map_update: { ret: 'int', args: ['ctx', 'mapPtr', 'mapKey', 'any'], on: ['sock_ops'] },
  xdp_adjust_meta: { ret: 'int', args: ['ctx', 'any'], on: ['xdp'] },
  perf_event_read_value: {
    ret: 'int',
    args: ['mapPtr', 'any', 'memUninit', 'size'],
    gpl: true,
    perfmon: true,
  },
  perf_prog_read_value: { ret: 'int', args: ['ctx', 'memUninit', 'size'], gpl: true, on: ['perf_event'] },
  getsockopt: {
    ret: 'int',
    args: ['ctx', 'any', 'any', 'memUninit', 'size'],
    on: ['sock_ops', 'cgroup_sock_addr'],
  },
  sock_ops_cb_flags_set: { ret: 'int', args: ['ctx', 'any'], on: ['sock_ops'] },
  msg_redirect_map: { ret: 'int', args: ['ctx', 'mapPtr', 'any', 'any'], on: ['sk_msg'] },
  msg_apply_bytes: { ret: 'int', args: ['ctx', 'any'], on: ['sk_msg'] },
  msg_cork_bytes: { ret: 'int', args: ['ctx', 'any'], on: ['sk_msg'] },
  msg_pull_data: { ret: 'int', args: ['ctx', 'any', 'any', 'any'], on: ['sk_msg'] },
  xdp_adjust_tail: { ret: 'int', args: ['ctx', 'any'], on: ['xdp'] },
  skb_get_xfrm_state: {
    ret: 'int',
    args: ['ctx', 'any', 'memUninit', 'size', 'any'],
    on: ['sched_cls', 'sched_act'],
  },
  get_stack: { ret: 'int', args: ['ctx', 'memUninit', 'sizeOrZero', 'any'], gpl: true, on: TRACING },
  skb_load_bytes_relative: { ret: 'int', args: ['ctx', 'any', 'memUninit', 'size', 'any'], on: SKB_RELATIVE },
  fib_lookup: {
    ret: 'int',
    args: ['ctx', 'mem', 'size', 'any'],
    gpl: true,
    on: ['sched_cls', 'sched_act', 'xdp'],
  },
  sock_hash_update: { ret: 'int', args: ['ctx', 'mapPtr', 'mapKey', 'any'], on: ['sock_ops'] },
  msg_redirect_hash: { ret: 'int', args: ['ctx', 'mapPtr', 'mapKey', 'any'], on: ['sk_msg'] },
  sk_redirect_hash: { ret: 'int', args: ['ctx', 'mapPtr', 'mapKey', 'any'], on: ['sk_skb'] },
  lwt_push_encap: { ret: 'int', args: ['ctx', 'any', 'mem', 'size'], on: ['lwt_in', 'lwt_xmit'] },
  lwt_seg6_store_bytes: { ret: 'int', args: ['ctx', 'any', 'mem', 'size'], on: ['lwt_seg6local'] },
  lwt_seg6_adjust_srh: { ret: 'int', args: ['ctx', 'any', 'any'], on: ['lwt_seg6local'] },
  lwt_seg6_action: { ret: 'int', args: ['ctx', 'any', 'mem', 'size'], on: ['lwt_seg6local'] },
  skb_cgroup_id: { ret: 'int', args: ['ctx'], on: ['sched_cls', 'sched_act', 'cgroup_skb'] },
  get_current_cgroup_id: { ret: 'int', args: [] },
  get_local_storage: { ret: 'mapValue', args: ['mapPtr', 'any'], on: CGROUP },
  sk_select_reuseport: { ret: 'int', args: ['ctx', 'mapPtr', 'mapKey', 'any'], on: ['sk_reuseport'] },
  skb_ancestor_cgroup_id: { ret: 'int', args: ['ctx', 'any'], on: ['sched_cls', 'sched_act', 'cgroup_skb'] },
  sk_lookup_tcp: { ret: 'socketOrNull', args: ['ctx', 'mem', 'size', 'any', 'any'], on: SK_LOOKUPS },
  sk_lookup_udp: { ret: 'socketOrNull', args: ['ctx', 'mem', 'size', 'any', 'any'], on: SK_LOOKUPS },
  sk_release: { ret: 'int', args: ['releaseSockCommon'], on: SK_RELEASE },
  map_push_elem: { ret: 'int', args: ['mapPtr', 'mapValue', 'any'] },
  map_pop_elem: { ret: 'int', args: ['mapPtr', 'mapValueUninit'] },
  map_peek_elem: { ret: 'int', args: ['mapPtr', 'mapValueUninit'] },
  msg_push_data: { ret: 'int', args: ['ctx', 'any', 'any', 'any'], on: ['sk_msg'] },
  msg_pop_data: { ret: 'int', args: ['ctx', 'any', 'any', 'any'], on: ['sk_msg'] },
  spin_lock: { ret: 'void', args: ['spinLock'] },
  spin_unlock: { ret: 'void', args: ['spinLock'] },
  sk_fullsock: { ret: 'socketOrNull', args: ['sockCommon'], on: ['sched_cls', 'sched_act', 'cgroup_skb'] },
  tcp_sock: { ret: 'tcpSockOrNull', args: ['sockCommon'], on: TCP_SOCK },
  skb_ecn_set_ce: { ret: 'int', args: ['ctx'], on: ['sched_cls', 'sched_act', 'cgroup_skb'] },
  get_listener_sock: {
    ret: 'socketOrNull',
    args: ['sockCommon'],
    on: ['sched_cls', 'sched_act', 'cgroup_skb'],
  },
  skc_lookup_tcp: { ret: 'sockCommonOrNull', args: ['ctx', 'mem', 'size', 'any', 'any'], on: SK_LOOKUPS },
  tcp_check_syncookie: {
    ret: 'int',
    args: ['sockCommon', 'mem', 'size', 'mem', 'size'],
    gpl: true,
    on: ['sched_cls', 'sched_act', 'xdp'],
  },
  sysctl_get_name: { ret: 'int', args: ['ctx', 'memUninit', 'size', 'any'], on: ['cgroup_sysctl'] },
  sysctl_get_current_value: { ret: 'int', args: ['ctx', 'memUninit', 'size'], on: ['cgroup_sysctl'] },
  sysctl_get_new_value: { ret: 'int', args: ['ctx', 'memUninit', 'size'], on: ['cgroup_sysctl'] },
  sysctl_set_new_value: { ret: 'int', args: ['ctx', 'mem', 'size'], on: ['cgroup_sysctl'] },
  strtol: { ret: 'int', args: ['mem', 'size', 'any', 'longOut'] },
  strtoul: { ret: 'int', args: ['mem', 'size', 'any', 'longOut'] },
  sk_storage_get: {
    ret: 'mapValueOrNull',
    args: ['mapPtr', 'sockCommon', 'mapValueOrNullArg', 'any'],
    on: SK_STORAGE,
  },
  sk_storage_delete: { ret: 'int', args: ['mapPtr', 'sockCommon'], on: SK_STORAGE_DELETE },
  send_signal: { ret: 'int', args: ['any'], perfmon: true },
  tcp_gen_syncookie: {
    ret: 'int',
    args: ['sockCommon', 'mem', 'size', 'mem', 'size'],
    gpl: true,
    on: ['sched_cls', 'sched_act', 'xdp'],
  },
  probe_read_user: { ret: 'int', args: ['memUninit', 'sizeOrZero', 'any'], gpl: true, perfmon: true },
  probe_read_kernel: { ret: 'int', args: ['memUninit', 'sizeOrZero', 'any'], gpl: true, perfmon: true },
  probe_read_user_str: { ret: 'int', args: ['memUninit', 'sizeOrZero', 'any'], gpl: true, perfmon: true },
  probe_read_kernel_str: { ret: 'int', args: ['memUninit', 'sizeOrZero', 'any'], gpl: true, perfmon: true },
  send_signal_thread: { ret: 'int', args: ['any'], perfmon: true },
  jiffies64: { ret: 'int', args: [] },
  read_branch_records: {
    ret: 'int',
    args: ['ctx', 'memOrNullUninit', 'sizeOrZero', 'any'],
    gpl: true,
    on: ['perf_event'],
  },
  get_ns_current_pid_tgid: { ret: 'int', args: ['any', 'any', 'memUninit', 'size'] },
  get_netns_cookie: { ret: 'int', args: ['ctxOrNull'], on: NETNS_COOKIE },
  get_current_ancestor_cgroup_id: { ret: 'int', args: ['any'] },
  sk_assign: { ret: 'int', args: ['ctx', 'sockCommon', 'any'], on: ['sched_cls', 'sched_act', 'sk_lookup'] },
  ktime_get_boot_ns: { ret: 'int', args: [] },
  sk_cgroup_id: { ret: 'int', args: ['sockCommon'], on: ['cgroup_skb'] },
  sk_ancestor_cgroup_id: { ret: 'int', args: ['sockCommon', 'any'], on: ['cgroup_skb'] },
  ringbuf_output: { ret: 'int', args: ['mapPtr', 'mem', 'sizeOrZero', 'any'] },
  ringbuf_reserve: { ret: 'ringbufMemOrNull', args: ['mapPtr', 'allocSize', 'any'] },
  ringbuf_submit: { ret: 'void', args: ['releaseRingbufMem', 'any'] },
  ringbuf_discard: { ret: 'void', args: ['releaseRingbufMem', 'any'] },
  ringbuf_query: { ret: 'int', args: ['mapPtr', 'any'] },
  csum_level: { ret: 'int', args: ['ctx', 'any'], on: ['sched_cls', 'sched_act', 'lwt_xmit'] },
  load_hdr_opt: { ret: 'int', args: ['ctx', 'memRw', 'size', 'any'], on: ['sock_ops'] },
  store_hdr_opt: { ret: 'int', args: ['ctx', 'mem', 'size', 'any'], on: ['sock_ops'] },
  reserve_hdr_opt: { ret: 'int', args: ['ctx', 'any', 'any'], on: ['sock_ops'] },
  redirect_neigh: {
    ret: 'int',
    args: ['any', 'memOrNull', 'sizeOrZero', 'any'],
    on: ['sched_cls', 'sched_act'],
  },
  redirect_peer: { ret: 'int', args: ['any', 'any'], on: ['sched_cls', 'sched_act'] },
  ktime_get_coarse_ns: { ret: 'int', args: [], on: NETWORK },
  check_mtu: {
    ret: 'int',
    args: ['ctx', 'any', 'intInOut', 'any', 'any'],
    gpl: true,
    on: ['sched_cls', 'sched_act', 'xdp'],
  },
  snprintf: {
    ret: 'int',
    args: ['memOrNullUninit', 'sizeOrZero', 'constStr', 'memOrNull', 'sizeOrZero'],
    gpl: true,
    perfmon: true,
  },
  get_func_ip: { ret: 'int', args: ['ctx'], gpl: true, on: TRACING },
  get_attach_cookie: { ret: 'int', args: ['ctx'], on: TRACING },
  get_branch_snapshot: { ret: 'int', args: ['memUninit', 'sizeOrZero', 'any'], gpl: true, perfmon: true },
  trace_vprintk: { ret: 'int', args: ['mem', 'size', 'memOrNull', 'sizeOrZero'], gpl: true, perfmon: true },
  strncmp: { ret: 'int', args: ['mem', 'size', 'constStr'] },
  get_retval: { ret: 'int', args: [], on: ['cgroup_sock', 'cgroup_sock_addr', 'cgroup_sockopt'] },
  set_retval: { ret: 'int', args: ['any'], on: ['cgroup_sock', 'cgroup_sock_addr', 'cgroup_sockopt'] },
  xdp_get_buff_len: { ret: 'int', args: ['ctx'], on: ['xdp'] },
  xdp_load_bytes: { ret: 'int', args: ['ctx', 'any', 'memUninit', 'size'], on: ['xdp'] },
  xdp_store_bytes: { ret: 'int', args: ['ctx', 'any', 'mem', 'size'], on: ['xdp'] },
  skb_set_tstamp: { ret: 'int', args: ['ctx', 'any', 'any'], on: ['sched_cls', 'sched_act'] },
  map_lookup_percpu_elem: { ret: 'mapValueOrNull', args: ['mapPtr', 'mapKey', 'any'] },
  tcp_raw_gen_syncookie_ipv4: {
    ret: 'int',
    args: ['fixedMem:20', 'mem', 'size'],
    gpl: true,
    on: ['sched_cls', 'sched_act', 'xdp'],
  },
  tcp_raw_gen_syncookie_ipv6: {
    ret: 'int',
    args: ['fixedMem:40', 'mem', 'size'],
    gpl: true,
    on: ['sched_cls', 'sched_act', 'xdp'],
  },
  tcp_raw_check_syncookie_ipv4: {
    ret: 'int',
    args: ['fixedMem:20', 'fixedMem:20'],
    gpl: true,
    on: ['sched_cls', 'sched_act', 'xdp'],
  },
  tcp_raw_check_syncookie_ipv6: {
    ret: 'int',
    args: ['fixedMem:40', 'fixedMem:20'],
    gpl: true,
    on: ['sched_cls', 'sched_act', 'xdp'],
  },
  ktime_get_tai_ns: { ret: 'int', args: [] },
  for_each_map_elem: { ret: 'int', args: ['mapPtr', 'func', 'stackOrNull', 'any'] },
  loop: { ret: 'int', args: ['any', 'func', 'stackOrNull', 'any'] },
};

/** Whether a program of this type may call the helper, licence and capabilities aside. */
export function helperAllowed(proto: HelperProto, type: ProgTypeName | undefined): boolean {
  return type !== undefined && (proto.on === undefined || proto.on.includes(type));
}
