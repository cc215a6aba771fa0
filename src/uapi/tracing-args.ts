/**
 * What tracing programs are given beyond what BTF says of it: tracepoints whose arguments may be NULL, and the
 * arguments of iterators (kernel doc bpf/bpf_iterators). Both as Linux 6.18 was seen to type them.
 */

/** By tracepoint: which arguments may be NULL, from 0, not counting the hidden first one. */
const nullableArguments: Readonly<Record<string, readonly number[]>> = {
  break_lease_block: [1],
  break_lease_noblock: [1],
  break_lease_unblock: [1],
  ext4_mballoc_discard: [1],
  ext4_mballoc_free: [1],
  fcntl_setlk: [1],
  fib_table_lookup: [2],
  flock_lock_inode: [1],
  folio_wait_writeback: [1],
  generic_delete_lease: [1],
  hugetlbfs_alloc_inode: [1],
  kfree_skb: [3],
  locks_remove_posix: [1],
  mm_collapse_huge_page_isolate: [0],
  mm_khugepaged_collapse_file: [1],
  mm_khugepaged_scan_file: [1],
  mm_khugepaged_scan_pmd: [1],
  mm_page_alloc: [0],
  mm_page_alloc_zone_locked: [0],
  mm_page_pcpu_drain: [0],
  posix_lock_inode: [1],
  qdisc_dequeue: [3],
  sched_pi_setprio: [1],
  sched_stick_numa: [2],
  sched_swap_numa: [2],
  tcp_send_reset: [0, 1],
  tcp_sendmsg_locked: [2],
  time_out_leases: [1],
  tmigr_update_events: [0],
  writeback_dirty_folio: [1],
  xfs_blockgc_flush_all: [0],
  xfs_blockgc_free_space: [1],
  xfs_blockgc_start: [0],
  xfs_blockgc_stop: [0],
  xfs_blockgc_worker: [0],
  xfs_btree_overlapped_query_range: [2],
  xfs_btree_updkeys: [2],
  xfs_defer_add_item: [0],
  xfs_defer_cancel_item: [0],
  xfs_defer_cancel_list: [0],
  xfs_defer_create_intent: [0],
  xfs_defer_finish_item: [0],
  xfs_defer_isolate_paused: [0],
  xfs_defer_item_pause: [0],
  xfs_defer_item_unpause: [0],
  xfs_defer_pending_abort: [0],
  xfs_defer_pending_finish: [0],
  xfs_defer_relog_intent: [0],
  xfs_fs_sync_fs: [0],
  xfs_inodegc_flush: [0],
  xfs_inodegc_push: [0],
  xfs_inodegc_queue: [0],
  xfs_inodegc_start: [0],
  xfs_inodegc_stop: [0],
  xfs_inodegc_throttle: [0],
  xfs_ioc_free_eofblocks: [1],
  xfs_map_blocks_alloc: [4],
  xfs_map_blocks_found: [4],
};

/** Whether argument `index` of a tracepoint may be NULL. */
export function tracepointArgMayBeNull(name: string, index: number): boolean {
  return Object.hasOwn(nullableArguments, name) && (nullableArguments[name]?.includes(index) ?? false);
}

/** What an argument of an iterator is: a pointer by BTF, which may be NULL or trusted, or a buffer. */
export type IteratorArg =
  | { readonly kind: 'btf'; readonly mayBeNull: boolean; readonly trusted: boolean }
  | { readonly kind: 'buffer'; readonly readOnly: boolean };

const some: IteratorArg = { kind: 'btf', mayBeNull: true, trusted: false };
const trusted: IteratorArg = { kind: 'btf', mayBeNull: true, trusted: true };
const map: IteratorArg = { kind: 'btf', mayBeNull: false, trusted: true };
const readOnly: IteratorArg = { kind: 'buffer', readOnly: true };
const writable: IteratorArg = { kind: 'buffer', readOnly: false };

/** By iterator, without `bpf_iter_`: its arguments by index; 0 is the same in all, and numbers are left out. */
const iterators: Readonly<Record<string, Readonly<Record<number, IteratorArg>>>> = {
  bpf_link: { 1: some },
  bpf_map: { 1: trusted },
  bpf_map_elem: { 1: map, 2: readOnly, 3: writable },
  bpf_prog: { 1: some },
  bpf_sk_storage_map: { 1: map, 2: some, 3: writable },
  cgroup: { 1: trusted },
  dmabuf: { 1: some },
  ipv6_route: { 1: some },
  kmem_cache: { 1: trusted },
  ksym: { 1: some },
  netlink: { 1: some },
  sockmap: { 1: map, 2: readOnly, 3: some },
  task: { 1: trusted },
  task_file: { 1: some, 3: some },
  task_vma: { 1: some, 2: some },
  tcp: { 1: trusted },
  udp: { 1: trusted },
  unix: { 1: trusted },
};

const PREFIX = 'bpf_iter_';

/** Whether a function of the kernel stands for an iterator that programs may be attached to. */
export function isIteratorTarget(name: string): boolean {
  return name.startsWith(PREFIX) && Object.hasOwn(iterators, name.slice(PREFIX.length));
}

/** An argument of the iterator of that function; undefined where BTF alone says what it is. */
export function iteratorArg(name: string, index: number): IteratorArg | undefined {
  return isIteratorTarget(name) ? iterators[name.slice(PREFIX.length)]?.[index] : undefined;
}
