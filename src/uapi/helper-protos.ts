/**
 * What the verifier must know of each helper: its arguments and what it returns. A helper without a row is refused.
 * Argument kinds follow the kernel's (enum bpf_arg_type); which need a GPL-compatible licence or CAP_PERFMON is
 * what Linux 6.18 was seen to allow. Which programs may call a helper is in helper-access.ts.
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
  /** A socket, or a kernel pointer to one; may be NULL. */
  | 'sockBtf'
  | 'sockBtfOrNull'
  /** A full socket; may be NULL. */
  | 'socketArgOrNull'
  /** References that the call gives back. */
  | 'releaseSockCommon'
  | 'releaseRingbufMem'
  | 'spinLock'
  | 'timer'
  /** A place for a kernel pointer, and what goes into it. */
  | 'kptr'
  | 'kptrNew'
  /** A pointer to a struct of the kernel; one that may be NULL. */
  | `btf:${string}`
  | `btfOrNull:${string}`
  /** A variable that every CPU has. */
  | 'percpuBtf'
  /** Dynptrs: read, changed, begun over own memory or a ring buffer's, given back. */
  | 'dynptrRead'
  | 'dynptrWrite'
  | 'dynptrUninit:local'
  | 'dynptrUninit:ringbuf'
  | 'dynptrRelease:ringbuf'
  | 'allocSizeOrZero'
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
  | 'ringbufMemOrNull'
  /** Pointers to structs of the kernel: of the named type, trusted, or NULL. */
  | `btf:${string}`
  | `btfTrusted:${string}`
  | `btfOrNull:${string}`
  /** A CPU's own copy of a variable. */
  | 'percpu'
  | 'percpuOrNull'
  | 'kptrOrNull'
  | 'dynptrMemOrNull';

export interface HelperProto {
  readonly ret: ReturnKind;
  readonly args: readonly ArgKind[];
  /** Only for programs under a GPL-compatible licence. */
  readonly gpl?: boolean;
  /** Outside tracing programs only with CAP_PERFMON. */
  readonly perfmon?: boolean;
  /** May sleep, so only programs that may call it. */
  readonly sleeps?: boolean;
  /** What differs in programs of some types. */
  readonly inType?: Readonly<Partial<Record<ProgTypeName, Partial<HelperProto>>>>;
}

export const helperProtos: Readonly<Partial<Record<HelperName, HelperProto>>> = {
  map_lookup_elem: { ret: 'mapValueOrNull', args: ['mapPtr', 'mapKey'] },
  map_update_elem: { ret: 'int', args: ['mapPtr', 'mapKey', 'mapValue', 'any'] },
  map_delete_elem: { ret: 'int', args: ['mapPtr', 'mapKey'] },
  probe_read: { ret: 'int', args: ['memUninit', 'sizeOrZero', 'any'], gpl: true },
  ktime_get_ns: { ret: 'int', args: [] },
  trace_printk: { ret: 'int', args: ['mem', 'size'], gpl: true, perfmon: true },
  get_prandom_u32: { ret: 'int', args: [] },
  get_smp_processor_id: { ret: 'int', args: [] },
  skb_store_bytes: { ret: 'int', args: ['ctx', 'any', 'mem', 'size', 'any'] },
  l3_csum_replace: {
    ret: 'int',
    args: ['ctx', 'any', 'any', 'any', 'any'],
  },
  l4_csum_replace: {
    ret: 'int',
    args: ['ctx', 'any', 'any', 'any', 'any'],
  },
  tail_call: { ret: 'void', args: ['ctx', 'mapPtr', 'any'] },
  clone_redirect: { ret: 'int', args: ['ctx', 'any', 'any'] },
  get_current_pid_tgid: { ret: 'int', args: [] },
  get_current_uid_gid: { ret: 'int', args: [] },
  get_current_comm: { ret: 'int', args: ['memUninit', 'size'], perfmon: true },
  get_cgroup_classid: {
    ret: 'int',
    args: [],
    inType: {
      sched_cls: { args: ['ctx'] },
      sched_act: { args: ['ctx'] },
      lwt_in: { args: ['ctx'] },
      lwt_out: { args: ['ctx'] },
      lwt_xmit: { args: ['ctx'] },
      lwt_seg6local: { args: ['ctx'] },
    },
  },
  skb_vlan_push: { ret: 'int', args: ['ctx', 'any', 'any'] },
  skb_vlan_pop: { ret: 'int', args: ['ctx'] },
  skb_get_tunnel_key: {
    ret: 'int',
    args: ['ctx', 'memUninit', 'size', 'any'],
  },
  skb_set_tunnel_key: {
    ret: 'int',
    args: ['ctx', 'mem', 'size', 'any'],
  },
  perf_event_read: { ret: 'int', args: ['mapPtr', 'any'], gpl: true, perfmon: true },
  redirect: { ret: 'int', args: ['any', 'any'] },
  get_route_realm: { ret: 'int', args: ['ctx'] },
  perf_event_output: {
    ret: 'int',
    args: ['ctx', 'mapPtr', 'any', 'mem', 'sizeOrZero'],
    gpl: true,
  },
  skb_load_bytes: { ret: 'int', args: ['ctx', 'any', 'memUninit', 'size'] },
  get_stackid: {
    ret: 'int',
    args: ['ctx', 'mapPtr', 'any'],
    gpl: true,
    inType: { perf_event: { gpl: false } },
  },
  csum_diff: {
    ret: 'int',
    args: ['memOrNull', 'sizeOrZero', 'memOrNull', 'sizeOrZero', 'any'],
  },
  skb_get_tunnel_opt: {
    ret: 'int',
    args: ['ctx', 'memUninit', 'size'],
  },
  skb_set_tunnel_opt: {
    ret: 'int',
    args: ['ctx', 'mem', 'size'],
  },
  skb_change_proto: { ret: 'int', args: ['ctx', 'any', 'any'] },
  skb_change_type: { ret: 'int', args: ['ctx', 'any'] },
  skb_under_cgroup: { ret: 'int', args: ['ctx', 'mapPtr', 'any'] },
  get_hash_recalc: { ret: 'int', args: ['ctx'] },
  get_current_task: { ret: 'int', args: [], gpl: true, perfmon: true },
  current_task_under_cgroup: { ret: 'int', args: ['mapPtr', 'any'] },
  skb_change_tail: { ret: 'int', args: ['ctx', 'any', 'any'] },
  skb_pull_data: { ret: 'int', args: ['ctx', 'any'] },
  csum_update: { ret: 'int', args: ['ctx', 'any'] },
  set_hash_invalid: { ret: 'int', args: ['ctx'] },
  get_numa_node_id: { ret: 'int', args: [] },
  skb_change_head: { ret: 'int', args: ['ctx', 'any', 'any'] },
  xdp_adjust_head: { ret: 'int', args: ['ctx', 'any'] },
  probe_read_str: { ret: 'int', args: ['memUninit', 'sizeOrZero', 'any'], gpl: true },
  get_socket_cookie: {
    ret: 'int',
    args: ['ctx'],
    inType: {
      sk_reuseport: { args: ['sockBtfOrNull'] },
      syscall: { args: ['sockBtfOrNull'] },
      tracing: { args: ['sockBtfOrNull'] },
      lsm: { args: ['sockBtfOrNull'] },
    },
  },
  get_socket_uid: { ret: 'int', args: ['ctx'] },
  set_hash: { ret: 'int', args: ['ctx', 'any'] },
  setsockopt: {
    ret: 'int',
    args: ['ctx', 'any', 'any', 'mem', 'size'],
    inType: {
      cgroup_sockopt: { args: ['sockBtf', 'any', 'any', 'mem', 'size'] },
      struct_ops: { args: ['sockBtf', 'any', 'any', 'mem', 'size'] },
    },
  },
  skb_adjust_room: {
    ret: 'int',
    args: ['ctx', 'any', 'any', 'any'],
  },
  redirect_map: { ret: 'int', args: ['mapPtr', 'any', 'any'] },
  sk_redirect_map: { ret: 'int', args: ['ctx', 'mapPtr', 'any', 'any'] },
  sock_map_update: { ret: 'int', args: ['ctx', 'mapPtr', 'mapKey', 'any'] },
  xdp_adjust_meta: { ret: 'int', args: ['ctx', 'any'] },
  perf_event_read_value: {
    ret: 'int',
    args: ['mapPtr', 'any', 'memUninit', 'size'],
    gpl: true,
    perfmon: true,
  },
  perf_prog_read_value: { ret: 'int', args: ['ctx', 'memUninit', 'size'], gpl: true },
  getsockopt: {
    ret: 'int',
    args: ['ctx', 'any', 'any', 'memUninit', 'size'],
    inType: {
      cgroup_sockopt: { args: ['sockBtf', 'any', 'any', 'memUninit', 'size'] },
      struct_ops: { args: ['sockBtf', 'any', 'any', 'memUninit', 'size'] },
    },
  },
  sock_ops_cb_flags_set: { ret: 'int', args: ['ctx', 'any'] },
  msg_redirect_map: { ret: 'int', args: ['ctx', 'mapPtr', 'any', 'any'] },
  msg_apply_bytes: { ret: 'int', args: ['ctx', 'any'] },
  msg_cork_bytes: { ret: 'int', args: ['ctx', 'any'] },
  msg_pull_data: { ret: 'int', args: ['ctx', 'any', 'any', 'any'] },
  bind: { ret: 'int', args: ['ctx', 'mem', 'size'] },
  xdp_adjust_tail: { ret: 'int', args: ['ctx', 'any'] },
  skb_get_xfrm_state: {
    ret: 'int',
    args: ['ctx', 'any', 'memUninit', 'size', 'any'],
  },
  get_stack: { ret: 'int', args: ['ctx', 'memUninit', 'sizeOrZero', 'any'], gpl: true },
  skb_load_bytes_relative: { ret: 'int', args: ['ctx', 'any', 'memUninit', 'size', 'any'] },
  fib_lookup: {
    ret: 'int',
    args: ['ctx', 'memRw', 'size', 'any'],
    gpl: true,
  },
  sock_hash_update: { ret: 'int', args: ['ctx', 'mapPtr', 'mapKey', 'any'] },
  msg_redirect_hash: { ret: 'int', args: ['ctx', 'mapPtr', 'mapKey', 'any'] },
  sk_redirect_hash: { ret: 'int', args: ['ctx', 'mapPtr', 'mapKey', 'any'] },
  lwt_push_encap: { ret: 'int', args: ['ctx', 'any', 'mem', 'size'] },
  lwt_seg6_store_bytes: { ret: 'int', args: ['ctx', 'any', 'mem', 'size'] },
  lwt_seg6_adjust_srh: { ret: 'int', args: ['ctx', 'any', 'any'] },
  lwt_seg6_action: { ret: 'int', args: ['ctx', 'any', 'mem', 'size'] },
  skb_cgroup_id: { ret: 'int', args: ['ctx'] },
  get_current_cgroup_id: { ret: 'int', args: [] },
  get_local_storage: { ret: 'mapValue', args: ['mapPtr', 'any'] },
  sk_select_reuseport: { ret: 'int', args: ['ctx', 'mapPtr', 'mapKey', 'any'] },
  skb_ancestor_cgroup_id: { ret: 'int', args: ['ctx', 'any'] },
  sk_lookup_tcp: { ret: 'socketOrNull', args: ['ctx', 'mem', 'sizeOrZero', 'any', 'any'] },
  sk_lookup_udp: { ret: 'socketOrNull', args: ['ctx', 'mem', 'sizeOrZero', 'any', 'any'] },
  sk_release: { ret: 'int', args: ['releaseSockCommon'] },
  map_push_elem: { ret: 'int', args: ['mapPtr', 'mapValue', 'any'] },
  map_pop_elem: { ret: 'int', args: ['mapPtr', 'mapValueUninit'] },
  map_peek_elem: { ret: 'int', args: ['mapPtr', 'mapValueUninit'] },
  msg_push_data: { ret: 'int', args: ['ctx', 'any', 'any', 'any'] },
  msg_pop_data: { ret: 'int', args: ['ctx', 'any', 'any', 'any'] },
  spin_lock: { ret: 'void', args: ['spinLock'] },
  spin_unlock: { ret: 'void', args: ['spinLock'] },
  sk_fullsock: { ret: 'socketOrNull', args: ['sockCommon'] },
  tcp_sock: { ret: 'tcpSockOrNull', args: ['sockCommon'] },
  skb_ecn_set_ce: { ret: 'int', args: ['ctx'] },
  get_listener_sock: {
    ret: 'socketOrNull',
    args: ['sockCommon'],
  },
  skc_lookup_tcp: { ret: 'sockCommonOrNull', args: ['ctx', 'mem', 'sizeOrZero', 'any', 'any'] },
  tcp_check_syncookie: {
    ret: 'int',
    args: ['sockBtf', 'mem', 'size', 'mem', 'size'],
    gpl: true,
  },
  sysctl_get_name: { ret: 'int', args: ['ctx', 'memUninit', 'size', 'any'] },
  sysctl_get_current_value: { ret: 'int', args: ['ctx', 'memUninit', 'size'] },
  sysctl_get_new_value: { ret: 'int', args: ['ctx', 'memUninit', 'size'] },
  sysctl_set_new_value: { ret: 'int', args: ['ctx', 'mem', 'size'] },
  strtol: { ret: 'int', args: ['mem', 'size', 'any', 'longOut'] },
  strtoul: { ret: 'int', args: ['mem', 'size', 'any', 'longOut'] },
  sk_storage_get: {
    ret: 'mapValueOrNull',
    args: ['mapPtr', 'sockBtf', 'mapValueOrNullArg', 'any'],
    inType: {
      cgroup_sock: { args: ['mapPtr', 'ctx', 'mapValueOrNullArg', 'any'] },
      tracing: { args: ['mapPtr', 'btfOrNull:sock_common', 'mapValueOrNullArg', 'any'] },
      lsm: { args: ['mapPtr', 'btfOrNull:sock_common', 'mapValueOrNullArg', 'any'] },
      syscall: { args: ['mapPtr', 'btfOrNull:sock_common', 'mapValueOrNullArg', 'any'] },
    },
  },
  sk_storage_delete: {
    ret: 'int',
    args: ['mapPtr', 'sockBtf'],
    inType: {
      tracing: { args: ['mapPtr', 'btfOrNull:sock_common'] },
      lsm: { args: ['mapPtr', 'btfOrNull:sock_common'] },
      syscall: { args: ['mapPtr', 'btfOrNull:sock_common'] },
    },
  },
  send_signal: { ret: 'int', args: ['any'], perfmon: true },
  tcp_gen_syncookie: {
    ret: 'int',
    args: ['sockBtf', 'mem', 'size', 'mem', 'size'],
    gpl: true,
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
  },
  get_ns_current_pid_tgid: { ret: 'int', args: ['any', 'any', 'memUninit', 'size'] },
  get_netns_cookie: { ret: 'int', args: ['ctxOrNull'] },
  get_current_ancestor_cgroup_id: { ret: 'int', args: ['any'] },
  sk_assign: {
    ret: 'int',
    args: ['ctx', 'sockBtf', 'any'],
    inType: { sk_lookup: { args: ['ctx', 'socketArgOrNull', 'any'] } },
  },
  ktime_get_boot_ns: { ret: 'int', args: [] },
  sk_cgroup_id: { ret: 'int', args: ['sockBtf'] },
  sk_ancestor_cgroup_id: { ret: 'int', args: ['sockBtf', 'any'] },
  ringbuf_output: { ret: 'int', args: ['mapPtr', 'mem', 'sizeOrZero', 'any'] },
  ringbuf_reserve: { ret: 'ringbufMemOrNull', args: ['mapPtr', 'allocSize', 'any'] },
  ringbuf_submit: { ret: 'void', args: ['releaseRingbufMem', 'any'] },
  ringbuf_discard: { ret: 'void', args: ['releaseRingbufMem', 'any'] },
  ringbuf_query: { ret: 'int', args: ['mapPtr', 'any'] },
  csum_level: { ret: 'int', args: ['ctx', 'any'] },
  load_hdr_opt: { ret: 'int', args: ['ctx', 'memRw', 'size', 'any'] },
  store_hdr_opt: { ret: 'int', args: ['ctx', 'mem', 'size', 'any'] },
  reserve_hdr_opt: { ret: 'int', args: ['ctx', 'any', 'any'] },
  skb_cgroup_classid: { ret: 'int', args: ['ctx'] },
  redirect_neigh: {
    ret: 'int',
    args: ['any', 'memOrNull', 'sizeOrZero', 'any'],
  },
  redirect_peer: { ret: 'int', args: ['any', 'any'] },
  ktime_get_coarse_ns: { ret: 'int', args: [] },
  check_mtu: {
    ret: 'int',
    args: ['ctx', 'any', 'intInOut', 'any', 'any'],
    gpl: true,
  },
  snprintf: {
    ret: 'int',
    args: ['memOrNullUninit', 'sizeOrZero', 'constStr', 'memOrNull', 'sizeOrZero'],
    gpl: true,
    perfmon: true,
  },
  get_func_ip: { ret: 'int', args: ['ctx'], gpl: true },
  get_attach_cookie: { ret: 'int', args: ['ctx'] },
  get_branch_snapshot: { ret: 'int', args: ['memUninit', 'sizeOrZero'], gpl: true, perfmon: true },
  trace_vprintk: { ret: 'int', args: ['mem', 'size', 'memOrNull', 'sizeOrZero'], gpl: true, perfmon: true },
  strncmp: { ret: 'int', args: ['mem', 'size', 'constStr'] },
  get_retval: { ret: 'int', args: [] },
  set_retval: { ret: 'int', args: ['any'] },
  xdp_get_buff_len: {
    ret: 'int',
    args: ['ctx'],
    inType: {
      tracing: { args: ['btf:xdp_buff'] },
      lsm: { args: ['btf:xdp_buff'] },
      syscall: { args: ['btf:xdp_buff'] },
    },
  },
  xdp_load_bytes: { ret: 'int', args: ['ctx', 'any', 'memUninit', 'size'] },
  xdp_store_bytes: { ret: 'int', args: ['ctx', 'any', 'mem', 'size'] },
  skb_set_tstamp: { ret: 'int', args: ['ctx', 'any', 'any'] },
  map_lookup_percpu_elem: { ret: 'mapValueOrNull', args: ['mapPtr', 'mapKey', 'any'] },
  tcp_raw_gen_syncookie_ipv4: {
    ret: 'int',
    args: ['fixedMem:20', 'mem', 'sizeOrZero'],
    gpl: true,
  },
  tcp_raw_gen_syncookie_ipv6: {
    ret: 'int',
    args: ['fixedMem:40', 'mem', 'sizeOrZero'],
    gpl: true,
  },
  tcp_raw_check_syncookie_ipv4: {
    ret: 'int',
    args: ['fixedMem:20', 'fixedMem:20'],
    gpl: true,
  },
  tcp_raw_check_syncookie_ipv6: {
    ret: 'int',
    args: ['fixedMem:40', 'fixedMem:20'],
    gpl: true,
  },
  ktime_get_tai_ns: { ret: 'int', args: [] },
  copy_from_user: { ret: 'int', args: ['memUninit', 'sizeOrZero', 'any'], sleeps: true, perfmon: true },
  sys_bpf: { ret: 'int', args: ['any', 'mem', 'size'] },
  sys_close: { ret: 'int', args: ['any'] },
  btf_find_by_name_kind: { ret: 'int', args: ['mem', 'size', 'any', 'any'] },
  kallsyms_lookup_name: { ret: 'int', args: ['mem', 'sizeOrZero', 'any', 'longOut'] },
  for_each_map_elem: { ret: 'int', args: ['mapPtr', 'func', 'stackOrNull', 'any'] },
  loop: { ret: 'int', args: ['any', 'func', 'stackOrNull', 'any'] },
  skb_output: {
    ret: 'int',
    args: ['btf:sk_buff', 'mapPtr', 'any', 'mem', 'sizeOrZero'],
    gpl: true,
  },
  xdp_output: {
    ret: 'int',
    args: ['btf:xdp_buff', 'mapPtr', 'any', 'mem', 'sizeOrZero'],
    gpl: true,
  },
  tcp_send_ack: { ret: 'int', args: ['btf:tcp_sock', 'any'] },
  seq_printf: {
    ret: 'int',
    args: ['btf:seq_file', 'mem', 'size', 'memOrNull', 'sizeOrZero'],
    gpl: true,
  },
  seq_write: { ret: 'int', args: ['btf:seq_file', 'mem', 'sizeOrZero'], gpl: true },
  seq_printf_btf: { ret: 'int', args: ['btf:seq_file', 'mem', 'sizeOrZero', 'any'], gpl: true },
  skc_to_tcp6_sock: { ret: 'btfOrNull:tcp6_sock', args: ['sockBtf'], perfmon: true },
  skc_to_tcp_sock: { ret: 'btfOrNull:tcp_sock', args: ['sockBtf'], perfmon: true },
  skc_to_tcp_timewait_sock: { ret: 'btfOrNull:tcp_timewait_sock', args: ['sockBtf'], perfmon: true },
  skc_to_tcp_request_sock: { ret: 'btfOrNull:tcp_request_sock', args: ['sockBtf'], perfmon: true },
  skc_to_udp6_sock: { ret: 'btfOrNull:udp6_sock', args: ['sockBtf'], perfmon: true },
  skc_to_unix_sock: { ret: 'btfOrNull:unix_sock', args: ['sockBtf'], perfmon: true },
  skc_to_mptcp_sock: { ret: 'btfOrNull:mptcp_sock', args: ['sockCommon'], perfmon: true },
  get_task_stack: {
    ret: 'int',
    args: ['btf:task_struct', 'memUninit', 'sizeOrZero', 'any'],
    perfmon: true,
  },
  inode_storage_get: {
    ret: 'mapValueOrNull',
    args: ['mapPtr', 'btfOrNull:inode', 'mapValueOrNullArg', 'any'],
  },
  inode_storage_delete: { ret: 'int', args: ['mapPtr', 'btfOrNull:inode'] },
  d_path: { ret: 'int', args: ['btf:path', 'memRw', 'sizeOrZero'] },
  snprintf_btf: { ret: 'int', args: ['memRw', 'size', 'mem', 'size', 'any'], perfmon: true },
  per_cpu_ptr: { ret: 'percpuOrNull', args: ['percpuBtf', 'any'] },
  this_cpu_ptr: { ret: 'percpu', args: ['percpuBtf'] },
  task_storage_get: {
    ret: 'mapValueOrNull',
    args: ['mapPtr', 'btfOrNull:task_struct', 'mapValueOrNullArg', 'any'],
  },
  task_storage_delete: { ret: 'int', args: ['mapPtr', 'btfOrNull:task_struct'] },
  get_current_task_btf: { ret: 'btfTrusted:task_struct', args: [], gpl: true, perfmon: true },
  bprm_opts_set: { ret: 'int', args: ['btf:linux_binprm', 'any'] },
  ima_inode_hash: { ret: 'int', args: ['btf:inode', 'memUninit', 'size'], sleeps: true },
  ima_file_hash: { ret: 'int', args: ['btf:file', 'memUninit', 'size'], sleeps: true },
  sock_from_file: { ret: 'btfOrNull:socket', args: ['btf:file'] },
  timer_init: { ret: 'int', args: ['timer', 'mapPtr', 'any'], gpl: true },
  timer_set_callback: { ret: 'int', args: ['timer', 'func'], gpl: true },
  timer_start: { ret: 'int', args: ['timer', 'any', 'any'], gpl: true },
  timer_cancel: { ret: 'int', args: ['timer'], gpl: true },
  task_pt_regs: { ret: 'btf:pt_regs', args: ['btf:task_struct'], gpl: true, perfmon: true },
  find_vma: { ret: 'int', args: ['btf:task_struct', 'any', 'func', 'stackOrNull', 'any'], perfmon: true },
  get_func_arg: { ret: 'int', args: ['ctx', 'any', 'longOut'] },
  get_func_ret: { ret: 'int', args: ['ctx', 'longOut'] },
  get_func_arg_cnt: { ret: 'int', args: ['ctx'] },
  copy_from_user_task: {
    ret: 'int',
    args: ['memUninit', 'sizeOrZero', 'any', 'btf:task_struct', 'any'],
    gpl: true,
    sleeps: true,
    perfmon: true,
  },
  kptr_xchg: { ret: 'kptrOrNull', args: ['kptr', 'kptrNew'] },
  dynptr_from_mem: { ret: 'int', args: ['memRw', 'sizeOrZero', 'any', 'dynptrUninit:local'] },
  ringbuf_reserve_dynptr: { ret: 'int', args: ['mapPtr', 'any', 'any', 'dynptrUninit:ringbuf'] },
  ringbuf_submit_dynptr: { ret: 'void', args: ['dynptrRelease:ringbuf', 'any'] },
  ringbuf_discard_dynptr: { ret: 'void', args: ['dynptrRelease:ringbuf', 'any'] },
  dynptr_read: { ret: 'int', args: ['memUninit', 'sizeOrZero', 'dynptrRead', 'any', 'any'] },
  dynptr_write: { ret: 'int', args: ['dynptrRead', 'any', 'mem', 'sizeOrZero', 'any'] },
  dynptr_data: { ret: 'dynptrMemOrNull', args: ['dynptrRead', 'any', 'allocSizeOrZero'] },
  user_ringbuf_drain: { ret: 'int', args: ['mapPtr', 'func', 'stackOrNull', 'any'] },
  cgrp_storage_get: {
    ret: 'mapValueOrNull',
    args: ['mapPtr', 'btfOrNull:cgroup', 'mapValueOrNullArg', 'any'],
  },
  cgrp_storage_delete: { ret: 'int', args: ['mapPtr', 'btfOrNull:cgroup'] },
};

/** The prototype of a helper as programs of a type see it. */
export function helperProto(helper: HelperName, type: ProgTypeName | undefined): HelperProto | undefined {
  const proto = helperProtos[helper];
  const own = type === undefined ? undefined : proto?.inType?.[type];
  return proto === undefined || own === undefined ? proto : { ...proto, ...own };
}
