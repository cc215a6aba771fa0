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
  perf_event_array: { id: 4, label: 'verified-only' },
  percpu_hash: { id: 5, label: 'real' },
  percpu_array: { id: 6, label: 'real' },
  stack_trace: { id: 7, label: 'verified-only' },
  cgroup_array: { id: 8, label: 'verified-only' },
  lru_hash: {
    id: 9,
    label: 'modelled',
    note: 'which element goes when it is full may differ: one list for all CPUs, one at a time',
  },
  lru_percpu_hash: {
    id: 10,
    label: 'modelled',
    note: 'which element goes when it is full may differ: one list for all CPUs, one at a time',
  },
  lpm_trie: { id: 11, label: 'verified-only' },
  array_of_maps: { id: 12, label: 'verified-only' },
  hash_of_maps: { id: 13, label: 'verified-only' },
  devmap: { id: 14, label: 'verified-only' },
  sockmap: { id: 15, label: 'verified-only' },
  cpumap: { id: 16, label: 'verified-only' },
  xskmap: { id: 17, label: 'verified-only' },
  sockhash: { id: 18, label: 'verified-only' },
  cgroup_storage: { id: 19, label: 'verified-only' },
  reuseport_sockarray: { id: 20, label: 'verified-only' },
  percpu_cgroup_storage: { id: 21, label: 'verified-only' },
  queue: { id: 22, label: 'real' },
  stack: { id: 23, label: 'real' },
  sk_storage: { id: 24, label: 'verified-only' },
  devmap_hash: { id: 25, label: 'verified-only' },
  struct_ops: { id: 26, label: 'verified-only' },
  ringbuf: { id: 27, label: 'real' },
  inode_storage: { id: 28, label: 'verified-only' },
  task_storage: { id: 29, label: 'verified-only' },
  bloom_filter: { id: 30, label: 'verified-only' },
  user_ringbuf: { id: 31, label: 'verified-only' },
  cgrp_storage: { id: 32, label: 'verified-only' },
  arena: { id: 33, label: 'verified-only' },
} as const satisfies Record<string, MapTypeFacts>;

export type MapTypeName = keyof typeof mapTypes;

/** The name of a number; undefined for one that Linux 6.18 does not have. */
export const mapTypeName = namesById(mapTypes);
