/**
 * Map types (enum bpf_map_type). The key is the name that bpftool prints.
 */
import type { Labelled } from './label.ts';
import { namesById } from './table.ts';

export interface MapTypeFacts extends Labelled {
  readonly id: number;
}

export const mapTypes = {
  hash: { id: 1, label: 'real' },
  array: { id: 2, label: 'real' },
  prog_array: { id: 3, label: 'real' },
  perf_event_array: { id: 4, label: 'absent' },
  percpu_hash: { id: 5, label: 'absent' },
  percpu_array: { id: 6, label: 'real' },
  stack_trace: { id: 7, label: 'absent' },
  cgroup_array: { id: 8, label: 'absent' },
  lru_hash: { id: 9, label: 'absent' },
  lru_percpu_hash: { id: 10, label: 'absent' },
  lpm_trie: { id: 11, label: 'absent' },
  array_of_maps: { id: 12, label: 'absent' },
  hash_of_maps: { id: 13, label: 'absent' },
  devmap: { id: 14, label: 'absent' },
  sockmap: { id: 15, label: 'absent' },
  cpumap: { id: 16, label: 'absent' },
  xskmap: { id: 17, label: 'absent' },
  sockhash: { id: 18, label: 'absent' },
  cgroup_storage: { id: 19, label: 'absent' },
  reuseport_sockarray: { id: 20, label: 'absent' },
  percpu_cgroup_storage: { id: 21, label: 'absent' },
  queue: { id: 22, label: 'absent' },
  stack: { id: 23, label: 'absent' },
  sk_storage: { id: 24, label: 'absent' },
  devmap_hash: { id: 25, label: 'absent' },
  struct_ops: { id: 26, label: 'absent' },
  ringbuf: { id: 27, label: 'absent' },
  inode_storage: { id: 28, label: 'absent' },
  task_storage: { id: 29, label: 'absent' },
  bloom_filter: { id: 30, label: 'absent' },
  user_ringbuf: { id: 31, label: 'absent' },
  cgrp_storage: { id: 32, label: 'absent' },
  arena: { id: 33, label: 'absent' },
} as const satisfies Record<string, MapTypeFacts>;

export type MapTypeName = keyof typeof mapTypes;

/** The name of a number; undefined for one that Linux 6.18 does not have. */
export const mapTypeName = namesById(mapTypes);
