/**
 * Kernel functions that programs may call (kfuncs): what the kernel's BTF does not say of them. Their prototypes
 * are in that BTF; which programs may call them, and what a call does to references, locks and iterators, is in
 * tables of the kernel alone. What is here is documented in kernel doc bpf/kfuncs, or was seen when Linux 6.18
 * verified calls of them. A function of another name is refused, as a function without the tag `bpf_kfunc` is.
 */
import type { Labelled } from './label.ts';
import type { ProgTypeName } from './prog-types.ts';

/** KF_*: what a call asks for, and what it does. */
export type KfuncFlag =
  /** It returns a reference, that has to be given back; or takes one back. */
  | 'acquire'
  | 'release'
  | 'retNull'
  /** Pointers must be referenced or trusted; or, with 'rcu', at least protected by RCU. */
  | 'trustedArgs'
  | 'rcu'
  /** Only within an RCU read-side critical section. */
  | 'rcuProtected'
  | 'sleepable'
  | 'iterNew'
  | 'iterNext'
  | 'iterDestroy'
  /** It returns a pointer into an arena; takes one as its second argument. */
  | 'arenaReturn'
  | 'arenaArg2';

/** Programs by the list of functions that they are looked up in (enum btf_kfunc_hook). */
type Hook =
  | 'xdp'
  | 'tc'
  | 'structOps'
  | 'tracing'
  | 'syscall'
  | 'cgroup'
  | 'schedAct'
  | 'skSkb'
  | 'socketFilter'
  | 'lwt'
  | 'netfilter'
  | 'kprobe';

const hooks: Readonly<Partial<Record<ProgTypeName, Hook>>> = {
  xdp: 'xdp',
  sched_cls: 'tc',
  struct_ops: 'structOps',
  tracing: 'tracing',
  tracepoint: 'tracing',
  perf_event: 'tracing',
  lsm: 'tracing',
  syscall: 'syscall',
  cgroup_skb: 'cgroup',
  cgroup_sock: 'cgroup',
  cgroup_device: 'cgroup',
  cgroup_sock_addr: 'cgroup',
  cgroup_sockopt: 'cgroup',
  cgroup_sysctl: 'cgroup',
  sock_ops: 'cgroup',
  sched_act: 'schedAct',
  sk_skb: 'skSkb',
  socket_filter: 'socketFilter',
  lwt_in: 'lwt',
  lwt_out: 'lwt',
  lwt_xmit: 'lwt',
  lwt_seg6local: 'lwt',
  netfilter: 'netfilter',
  kprobe: 'kprobe',
};

interface Allowed {
  /** Absent: programs of every type. */
  readonly hooks?: readonly Hook[];
  readonly types?: readonly ProgTypeName[];
  readonly attachTypes?: readonly number[];
}

const TRACE_ITER = 28;
const SESSIONS = [56, 57];

const sets = {
  any: {},
  generic: { hooks: ['tc', 'tracing', 'xdp', 'cgroup', 'structOps', 'syscall'] },
  cpumask: { hooks: ['tracing', 'structOps', 'syscall'] },
  tracing: { hooks: ['tracing'] },
  sockIter: { hooks: ['tracing'], types: ['tracing'], attachTypes: [TRACE_ITER] },
  session: { hooks: ['kprobe'], attachTypes: SESSIONS },
  lsm: { hooks: ['tracing'], types: ['lsm'] },
  tcpCa: { hooks: ['structOps'] },
  skb: {
    hooks: ['socketFilter', 'tc', 'schedAct', 'tracing', 'cgroup', 'lwt', 'skSkb', 'netfilter'],
  },
  skbMeta: { hooks: ['tc', 'schedAct'] },
  xdp: { hooks: ['xdp'] },
  conntrack: { hooks: ['tc', 'xdp'] },
  tc: { hooks: ['tc'] },
  crypto: { hooks: ['tc', 'schedAct', 'xdp'] },
  cryptoInit: { hooks: ['syscall'] },
  sockAddr: { hooks: ['cgroup'] },
  sockOps: { hooks: ['cgroup'] },
  test: { hooks: ['tc', 'tracing', 'syscall'] },
} as const satisfies Record<string, Allowed>;

export interface KfuncFacts extends Labelled {
  readonly set: keyof typeof sets;
  readonly flags: readonly KfuncFlag[];
}

function row(set: keyof typeof sets, ...flags: KfuncFlag[]): KfuncFacts {
  return { set, flags, label: 'verified-only' };
}

export const kfuncs = {
  __bpf_trap: row('any'),
  bpf_arena_alloc_pages: row('any', 'trustedArgs', 'sleepable', 'arenaReturn', 'arenaArg2'),
  bpf_arena_free_pages: row('any', 'trustedArgs', 'sleepable', 'arenaArg2'),
  bpf_arena_reserve_pages: row('any', 'trustedArgs', 'sleepable', 'arenaArg2'),
  bpf_cast_to_kern_ctx: row('any'),
  bpf_cgroup_read_xattr: row('any', 'rcu'),
  bpf_copy_from_user_dynptr: row('any', 'sleepable'),
  bpf_copy_from_user_str: row('any', 'sleepable'),
  bpf_copy_from_user_str_dynptr: row('any', 'sleepable'),
  bpf_copy_from_user_task_dynptr: row('any', 'sleepable', 'trustedArgs'),
  bpf_copy_from_user_task_str: row('any', 'sleepable'),
  bpf_copy_from_user_task_str_dynptr: row('any', 'sleepable', 'trustedArgs'),
  bpf_dynptr_adjust: row('any'),
  bpf_dynptr_clone: row('any'),
  bpf_dynptr_copy: row('any'),
  bpf_dynptr_is_null: row('any'),
  bpf_dynptr_is_rdonly: row('any'),
  bpf_dynptr_memset: row('any'),
  bpf_dynptr_size: row('any'),
  bpf_dynptr_slice: row('any', 'retNull'),
  bpf_dynptr_slice_rdwr: row('any', 'retNull'),
  bpf_get_kmem_cache: row('any'),
  bpf_iter_bits_destroy: row('any', 'iterDestroy'),
  bpf_iter_bits_new: row('any', 'iterNew'),
  bpf_iter_bits_next: row('any', 'iterNext', 'retNull'),
  bpf_iter_css_destroy: row('any', 'iterDestroy'),
  bpf_iter_css_new: row('any', 'iterNew', 'trustedArgs', 'rcuProtected'),
  bpf_iter_css_next: row('any', 'iterNext', 'retNull'),
  bpf_iter_css_task_destroy: row('any', 'iterDestroy'),
  bpf_iter_css_task_new: row('any', 'iterNew', 'trustedArgs'),
  bpf_iter_css_task_next: row('any', 'iterNext', 'retNull'),
  bpf_iter_dmabuf_destroy: row('any', 'iterDestroy', 'sleepable'),
  bpf_iter_dmabuf_new: row('any', 'iterNew', 'sleepable'),
  bpf_iter_dmabuf_next: row('any', 'iterNext', 'retNull', 'sleepable'),
  bpf_iter_kmem_cache_destroy: row('any', 'iterDestroy', 'sleepable'),
  bpf_iter_kmem_cache_new: row('any', 'iterNew', 'sleepable'),
  bpf_iter_kmem_cache_next: row('any', 'iterNext', 'retNull', 'sleepable'),
  bpf_iter_num_destroy: row('any', 'iterDestroy'),
  bpf_iter_num_new: row('any', 'iterNew'),
  bpf_iter_num_next: row('any', 'iterNext', 'retNull'),
  bpf_iter_task_destroy: row('any', 'iterDestroy'),
  bpf_iter_task_new: row('any', 'iterNew', 'trustedArgs', 'rcuProtected'),
  bpf_iter_task_next: row('any', 'iterNext', 'retNull'),
  bpf_iter_task_vma_destroy: row('any', 'iterDestroy'),
  bpf_iter_task_vma_new: row('any', 'iterNew', 'rcu'),
  bpf_iter_task_vma_next: row('any', 'iterNext', 'retNull'),
  bpf_local_irq_restore: row('any'),
  bpf_local_irq_save: row('any'),
  bpf_map_sum_elem_count: row('any', 'trustedArgs'),
  bpf_modify_return_test_tp: row('any'),
  bpf_preempt_disable: row('any'),
  bpf_preempt_enable: row('any'),
  bpf_probe_read_kernel_dynptr: row('any'),
  bpf_probe_read_kernel_str_dynptr: row('any'),
  bpf_probe_read_user_dynptr: row('any'),
  bpf_probe_read_user_str_dynptr: row('any'),
  bpf_rcu_read_lock: row('any'),
  bpf_rcu_read_unlock: row('any'),
  bpf_rdonly_cast: row('any'),
  bpf_res_spin_lock: row('any', 'retNull'),
  bpf_res_spin_lock_irqsave: row('any', 'retNull'),
  bpf_res_spin_unlock: row('any'),
  bpf_res_spin_unlock_irqrestore: row('any'),
  bpf_strcasecmp: row('any'),
  bpf_strchr: row('any'),
  bpf_strchrnul: row('any'),
  bpf_strcmp: row('any'),
  bpf_strcspn: row('any'),
  bpf_stream_vprintk_impl: row('any'),
  bpf_strlen: row('any'),
  bpf_strnchr: row('any'),
  bpf_strnlen: row('any'),
  bpf_strnstr: row('any'),
  bpf_strrchr: row('any'),
  bpf_strspn: row('any'),
  bpf_strstr: row('any'),
  bpf_task_work_schedule_resume_impl: row('any', 'trustedArgs'),
  bpf_task_work_schedule_signal_impl: row('any', 'trustedArgs'),
  bpf_wq_init: row('any'),
  bpf_wq_set_callback_impl: row('any'),
  bpf_wq_start: row('any'),
  bpf_xdp_metadata_rx_hash: row('any', 'trustedArgs'),
  bpf_xdp_metadata_rx_timestamp: row('any', 'trustedArgs'),
  bpf_xdp_metadata_rx_vlan_tag: row('any', 'trustedArgs'),
  bpf_cgroup_acquire: row('generic', 'acquire', 'retNull', 'rcu'),
  bpf_cgroup_ancestor: row('generic', 'acquire', 'retNull', 'rcu'),
  bpf_cgroup_from_id: row('generic', 'acquire', 'retNull'),
  bpf_cgroup_release: row('generic', 'release'),
  bpf_key_put: row('generic', 'release'),
  bpf_list_back: row('generic', 'retNull'),
  bpf_list_front: row('generic', 'retNull'),
  bpf_list_pop_back: row('generic', 'acquire', 'retNull'),
  bpf_list_pop_front: row('generic', 'acquire', 'retNull'),
  bpf_list_push_back_impl: row('generic'),
  bpf_list_push_front_impl: row('generic'),
  bpf_lookup_system_key: row('generic', 'acquire', 'retNull'),
  bpf_lookup_user_key: row('generic', 'acquire', 'retNull', 'sleepable'),
  bpf_obj_drop_impl: row('generic', 'release'),
  bpf_obj_new_impl: row('generic', 'acquire', 'retNull'),
  bpf_percpu_obj_drop_impl: row('generic', 'release'),
  bpf_percpu_obj_new_impl: row('generic', 'acquire', 'retNull'),
  bpf_rbtree_add_impl: row('generic'),
  bpf_rbtree_first: row('generic', 'retNull'),
  bpf_rbtree_left: row('generic', 'retNull'),
  bpf_rbtree_remove: row('generic', 'acquire', 'retNull'),
  bpf_rbtree_right: row('generic', 'retNull'),
  bpf_rbtree_root: row('generic', 'retNull'),
  bpf_refcount_acquire_impl: row('generic', 'acquire', 'retNull', 'rcu'),
  bpf_send_signal_task: row('generic', 'trustedArgs'),
  bpf_task_acquire: row('generic', 'acquire', 'retNull', 'rcu'),
  bpf_task_from_pid: row('generic', 'acquire', 'retNull'),
  bpf_task_from_vpid: row('generic', 'acquire', 'retNull'),
  bpf_task_get_cgroup1: row('generic', 'acquire', 'retNull', 'rcu'),
  bpf_task_release: row('generic', 'release'),
  bpf_task_under_cgroup: row('generic', 'rcu'),
  bpf_throw: row('generic'),
  bpf_cpumask_acquire: row('cpumask', 'acquire', 'trustedArgs'),
  bpf_cpumask_and: row('cpumask', 'rcu'),
  bpf_cpumask_any_and_distribute: row('cpumask', 'rcu'),
  bpf_cpumask_any_distribute: row('cpumask', 'rcu'),
  bpf_cpumask_clear: row('cpumask', 'rcu'),
  bpf_cpumask_clear_cpu: row('cpumask', 'rcu'),
  bpf_cpumask_copy: row('cpumask', 'rcu'),
  bpf_cpumask_create: row('cpumask', 'acquire', 'retNull'),
  bpf_cpumask_empty: row('cpumask', 'rcu'),
  bpf_cpumask_equal: row('cpumask', 'rcu'),
  bpf_cpumask_first: row('cpumask', 'rcu'),
  bpf_cpumask_first_and: row('cpumask', 'rcu'),
  bpf_cpumask_first_zero: row('cpumask', 'rcu'),
  bpf_cpumask_full: row('cpumask', 'rcu'),
  bpf_cpumask_intersects: row('cpumask', 'rcu'),
  bpf_cpumask_or: row('cpumask', 'rcu'),
  bpf_cpumask_populate: row('cpumask', 'rcu'),
  bpf_cpumask_release: row('cpumask', 'release'),
  bpf_cpumask_set_cpu: row('cpumask', 'rcu'),
  bpf_cpumask_setall: row('cpumask', 'rcu'),
  bpf_cpumask_subset: row('cpumask', 'rcu'),
  bpf_cpumask_test_and_clear_cpu: row('cpumask', 'rcu'),
  bpf_cpumask_test_and_set_cpu: row('cpumask', 'rcu'),
  bpf_cpumask_test_cpu: row('cpumask', 'rcu'),
  bpf_cpumask_weight: row('cpumask', 'rcu'),
  bpf_cpumask_xor: row('cpumask', 'rcu'),
  css_rstat_flush: row('tracing', 'sleepable'),
  css_rstat_updated: row('tracing'),
  bpf_sock_destroy: row('sockIter', 'trustedArgs'),
  bpf_session_cookie: row('session'),
  bpf_session_is_return: row('session'),
  bpf_get_dentry_xattr: row('lsm', 'sleepable', 'trustedArgs'),
  bpf_get_file_xattr: row('lsm', 'sleepable', 'trustedArgs'),
  bpf_get_task_exe_file: row('lsm', 'acquire', 'trustedArgs', 'retNull'),
  bpf_path_d_path: row('lsm', 'trustedArgs'),
  bpf_put_file: row('lsm', 'release'),
  bpf_remove_dentry_xattr: row('lsm', 'sleepable', 'trustedArgs'),
  bpf_set_dentry_xattr: row('lsm', 'sleepable', 'trustedArgs'),
  bbr_cwnd_event: row('tcpCa'),
  bbr_init: row('tcpCa'),
  bbr_main: row('tcpCa'),
  bbr_min_tso_segs: row('tcpCa'),
  bbr_set_state: row('tcpCa'),
  bbr_sndbuf_expand: row('tcpCa'),
  bbr_ssthresh: row('tcpCa'),
  bbr_undo_cwnd: row('tcpCa'),
  cubictcp_acked: row('tcpCa'),
  cubictcp_cong_avoid: row('tcpCa'),
  cubictcp_cwnd_event: row('tcpCa'),
  cubictcp_init: row('tcpCa'),
  cubictcp_recalc_ssthresh: row('tcpCa'),
  cubictcp_state: row('tcpCa'),
  tcp_cong_avoid_ai: row('tcpCa'),
  tcp_reno_cong_avoid: row('tcpCa'),
  tcp_reno_ssthresh: row('tcpCa'),
  tcp_reno_undo_cwnd: row('tcpCa'),
  tcp_slow_start: row('tcpCa'),
  bpf_dynptr_from_skb: row('skb', 'trustedArgs'),
  bpf_dynptr_from_skb_meta: row('skbMeta', 'trustedArgs'),
  bpf_dynptr_from_xdp: row('xdp'),
  bpf_xdp_get_xfrm_state: row('xdp', 'acquire', 'retNull'),
  bpf_xdp_pull_data: row('xdp'),
  bpf_xdp_xfrm_state_release: row('xdp', 'release'),
  bpf_ct_change_status: row('conntrack', 'trustedArgs'),
  bpf_ct_change_timeout: row('conntrack', 'trustedArgs'),
  bpf_ct_insert_entry: row('conntrack', 'acquire', 'retNull', 'release'),
  bpf_ct_release: row('conntrack', 'release'),
  bpf_ct_set_nat_info: row('conntrack', 'trustedArgs'),
  bpf_ct_set_status: row('conntrack', 'trustedArgs'),
  bpf_ct_set_timeout: row('conntrack', 'trustedArgs'),
  bpf_skb_ct_alloc: row('conntrack', 'acquire', 'retNull'),
  bpf_skb_ct_lookup: row('conntrack', 'acquire', 'retNull'),
  bpf_xdp_ct_alloc: row('conntrack', 'acquire', 'retNull'),
  bpf_xdp_ct_lookup: row('conntrack', 'acquire', 'retNull'),
  bpf_sk_assign_tcp_reqsk: row('tc', 'trustedArgs'),
  bpf_crypto_decrypt: row('crypto', 'rcu'),
  bpf_crypto_encrypt: row('crypto', 'rcu'),
  bpf_crypto_ctx_acquire: row('cryptoInit', 'acquire', 'retNull', 'rcu'),
  bpf_crypto_ctx_create: row('cryptoInit', 'acquire', 'retNull', 'sleepable'),
  bpf_crypto_ctx_release: row('cryptoInit', 'release'),
  bpf_sock_addr_set_sun_path: row('sockAddr'),
  bpf_sock_ops_enable_tx_tstamp: row('sockOps', 'trustedArgs'),
  bpf_kfunc_call_memb_release: row('test', 'release'),
  bpf_kfunc_call_test_release: row('test', 'release'),
} as const satisfies Record<string, KfuncFacts>;

export type KfuncName = keyof typeof kfuncs;

const byName: ReadonlyMap<string, KfuncFacts> = new Map(Object.entries(kfuncs));

/** The facts of a kernel function; undefined for a name that is not in the table. */
export function kfuncFacts(name: string): KfuncFacts | undefined {
  return byName.get(name);
}

/** Whether a program may call it: its type, and for some functions its attach type. */
export function kfuncAllowed(
  facts: KfuncFacts,
  program: { readonly type: ProgTypeName | undefined; readonly attachType: number },
): boolean {
  const allowed: Allowed = sets[facts.set];
  if (allowed.hooks === undefined) return true;
  const hook = program.type === undefined ? undefined : hooks[program.type];
  if (hook === undefined || program.type === undefined || !allowed.hooks.includes(hook)) return false;
  if (allowed.types !== undefined && !allowed.types.includes(program.type)) return false;
  return allowed.attachTypes === undefined || allowed.attachTypes.includes(program.attachType);
}
