/**
 * Which helpers work on maps of which kinds (check_map_func_compatibility): some kinds have only helpers of
 * their own, and some helpers only kinds of their own.
 */
import type { HelperName } from '../uapi/helpers.ts';
import type { MapTypeName } from '../uapi/map-types.ts';

const lookups: readonly HelperName[] = ['map_lookup_elem'];
const ringbuf: readonly HelperName[] = [
  'ringbuf_output',
  'ringbuf_reserve',
  'ringbuf_query',
  'ringbuf_reserve_dynptr',
  'ringbuf_submit_dynptr',
  'ringbuf_discard_dynptr',
];
const perfEvents: readonly HelperName[] = [
  'perf_event_read',
  'perf_event_output',
  'skb_output',
  'perf_event_read_value',
  'xdp_output',
];
const queues: readonly HelperName[] = ['map_peek_elem', 'map_pop_elem', 'map_push_elem'];
const cgroups: readonly HelperName[] = ['skb_under_cgroup', 'current_task_under_cgroup'];

/** Kinds that only these helpers may use. */
const byMap: Readonly<Partial<Record<MapTypeName, readonly HelperName[]>>> = {
  prog_array: ['tail_call'],
  perf_event_array: perfEvents,
  ringbuf,
  user_ringbuf: ['user_ringbuf_drain'],
  stack_trace: ['get_stackid'],
  cgroup_array: cgroups,
  cgroup_storage: ['get_local_storage'],
  percpu_cgroup_storage: ['get_local_storage'],
  devmap: ['redirect_map', 'map_lookup_elem'],
  devmap_hash: ['redirect_map', 'map_lookup_elem'],
  cpumap: ['redirect_map'],
  xskmap: ['redirect_map', 'map_lookup_elem'],
  array_of_maps: lookups,
  hash_of_maps: lookups,
  sockmap: [
    'sk_redirect_map',
    'sock_map_update',
    'map_delete_elem',
    'msg_redirect_map',
    'sk_select_reuseport',
    'map_lookup_elem',
  ],
  sockhash: [
    'sk_redirect_hash',
    'sock_hash_update',
    'map_delete_elem',
    'msg_redirect_hash',
    'sk_select_reuseport',
    'map_lookup_elem',
  ],
  reuseport_sockarray: ['sk_select_reuseport'],
  queue: queues,
  stack: queues,
  sk_storage: ['sk_storage_get', 'sk_storage_delete', 'kptr_xchg'],
  inode_storage: ['inode_storage_get', 'inode_storage_delete', 'kptr_xchg'],
  task_storage: ['task_storage_get', 'task_storage_delete', 'kptr_xchg'],
  cgrp_storage: ['cgrp_storage_get', 'cgrp_storage_delete', 'kptr_xchg'],
  bloom_filter: ['map_peek_elem', 'map_push_elem'],
  struct_ops: [],
  arena: [],
};

/** Helpers that only work on these kinds. */
const byHelper: Readonly<Partial<Record<HelperName, readonly MapTypeName[]>>> = {
  tail_call: ['prog_array'],
  perf_event_read: ['perf_event_array'],
  perf_event_output: ['perf_event_array'],
  perf_event_read_value: ['perf_event_array'],
  ringbuf_output: ['ringbuf'],
  ringbuf_reserve: ['ringbuf'],
  ringbuf_query: ['ringbuf'],
  get_stackid: ['stack_trace'],
  current_task_under_cgroup: ['cgroup_array'],
  skb_under_cgroup: ['cgroup_array'],
  redirect_map: ['devmap', 'devmap_hash', 'cpumap', 'xskmap'],
  sk_redirect_map: ['sockmap'],
  msg_redirect_map: ['sockmap'],
  sock_map_update: ['sockmap'],
  sk_redirect_hash: ['sockhash'],
  msg_redirect_hash: ['sockhash'],
  sock_hash_update: ['sockhash'],
  get_local_storage: ['cgroup_storage', 'percpu_cgroup_storage'],
  sk_select_reuseport: ['reuseport_sockarray', 'sockmap', 'sockhash'],
  map_pop_elem: ['queue', 'stack'],
  map_peek_elem: ['queue', 'stack', 'bloom_filter'],
  map_push_elem: ['queue', 'stack', 'bloom_filter'],
  map_lookup_percpu_elem: ['percpu_array', 'percpu_hash', 'lru_percpu_hash'],
  sk_storage_get: ['sk_storage'],
  sk_storage_delete: ['sk_storage'],
};

export function helperTakesMap(helper: HelperName, map: MapTypeName): boolean {
  const helpers = byMap[map];
  if (helpers !== undefined && !helpers.includes(helper)) return false;
  const maps = byHelper[helper];
  return maps === undefined || maps.includes(map);
}
