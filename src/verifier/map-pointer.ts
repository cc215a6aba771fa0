/** Reads of what the kernel keeps of a map, through a pointer to the map (check_ptr_to_map_access). */
import { mapTypeName } from '../uapi/map-types.ts';
import type { Access } from './access.ts';
import { setBtfPointer } from './btf-access.ts';
import { KERNEL } from './btf-objects.ts';
import { structAccess } from './btf-walk.ts';
import type { Env } from './env.ts';
import { setPointer, setScalar, word } from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, OFF } from './state/layout.ts';
import { regTypes, typeFlags } from './state/reg-types.ts';

/** The kernel's struct of a map, through a pointer to the map (check_ptr_to_map_access). */
export function accessMapPointer(env: Env, access: Access): void {
  const { reg, size, write } = access;
  const { kernel } = env.types;
  const file = env.frame;
  const r = regAt(reg);
  const map = env.map(word(file, r, AUX0));
  const name = mapStruct(mapTypeName(map.type));
  const id = kernel?.find(name, 'struct');
  if (kernel === undefined || id === undefined) {
    env.reject('ENOTSUPP', `map_ptr access not supported for map type ${map.type}`);
  }
  if (!env.allowLeaks) {
    env.reject('EPERM', `'struct ${name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN`);
  }
  const off = access.off + word(file, r, OFF);
  if (off < 0) env.reject('EACCES', `R${reg} is ${name} invalid negative access: off=${off}`);
  if (write) env.reject('EACCES', `only read from ${name} is supported`);
  const found = structAccess(kernel, { id, off, size, untrusted: false });
  if (found.kind === 'error') env.reject(found.errno, found.message);
  if (access.value < 0) return;
  if (found.kind === 'memory') {
    setPointer(file, regAt(access.value), regTypes.mem | typeFlags.rdonly | typeFlags.untrusted);
    return;
  }
  if (found.kind !== 'pointer') {
    setScalar(file, regAt(access.value));
    return;
  }
  setBtfPointer(env, regAt(access.value), {
    object: KERNEL,
    id: found.id,
    flags: found.flags & ~typeFlags.rcu,
  });
}

/** What the kernel keeps of a map of each kind (map_btf_id). */
function mapStruct(kind: string | undefined): string {
  switch (kind) {
    case 'hash':
    case 'percpu_hash':
    case 'lru_hash':
    case 'lru_percpu_hash':
    case 'hash_of_maps':
      return 'bpf_htab';
    case 'array':
    case 'percpu_array':
    case 'prog_array':
    case 'perf_event_array':
    case 'cgroup_array':
    case 'array_of_maps':
      return 'bpf_array';
    case 'lpm_trie':
      return 'lpm_trie';
    case 'stack_trace':
      return 'bpf_stack_map';
    case 'devmap':
    case 'devmap_hash':
      return 'bpf_dtab';
    case 'sockmap':
      return 'bpf_stab';
    case 'sockhash':
      return 'bpf_shtab';
    case 'cpumap':
      return 'bpf_cpu_map';
    case 'xskmap':
      return 'xsk_map';
    case 'cgroup_storage':
    case 'percpu_cgroup_storage':
      return 'bpf_cgroup_storage_map';
    case 'reuseport_sockarray':
      return 'reuseport_array';
    case 'queue':
    case 'stack':
      return 'bpf_queue_stack';
    case 'sk_storage':
    case 'inode_storage':
    case 'task_storage':
    case 'cgrp_storage':
      return 'bpf_local_storage_map';
    case 'ringbuf':
    case 'user_ringbuf':
      return 'bpf_ringbuf_map';
    case 'bloom_filter':
      return 'bpf_bloom_filter';
    case 'arena':
      return 'bpf_arena';
    default:
      return '';
  }
}
