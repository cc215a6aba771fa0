/**
 * Kinds of BPF link (enum bpf_link_type). The key is the kernel's name in lower case, without BPF_LINK_TYPE_.
 */
import { namesById } from './table.ts';

export const linkTypes = {
  raw_tracepoint: { id: 1 },
  tracing: { id: 2 },
  cgroup: { id: 3 },
  iter: { id: 4 },
  netns: { id: 5 },
  xdp: { id: 6 },
  perf_event: { id: 7 },
  kprobe_multi: { id: 8 },
  struct_ops: { id: 9 },
  netfilter: { id: 10 },
  tcx: { id: 11 },
  uprobe_multi: { id: 12 },
  netkit: { id: 13 },
  sockmap: { id: 14 },
} as const satisfies Record<string, { readonly id: number }>;

export type LinkTypeName = keyof typeof linkTypes;

/** The name of a number; undefined for one that Linux 6.18 does not have. */
export const linkTypeName = namesById(linkTypes);
