/**
 * All helpers that run: the compiler sees to it that there is one implementation for each row of
 * uapi/helpers.ts whose label says so, and none for others. bpf_tail_call() is not here: it changes the flow
 * of control, so engines do it themselves.
 */
import { helpers } from '../../uapi/helpers.ts';
import type { Running } from '../../uapi/label.ts';
import { forEachMapElem, loop } from './callback.ts';
import { mapDeleteElem, mapLookupElem, mapLookupPercpuElem, mapUpdateElem } from './map.ts';
import { probeRead, probeReadKernel, probeReadKernelStr, probeReadStr } from './probe.ts';
import {
  mapPeekElem,
  mapPopElem,
  mapPushElem,
  ringbufDiscard,
  ringbufOutput,
  ringbufQuery,
  ringbufReserve,
  ringbufSubmit,
} from './ring.ts';
import {
  csumDiff,
  csumUpdate,
  l3CsumReplace,
  l4CsumReplace,
  redirect,
  setHashInvalid,
  skbLoadBytes,
  skbLoadBytesRelative,
  skbPullData,
  skbStoreBytes,
} from './skb.ts';
import {
  getCurrentComm,
  getCurrentPidTgid,
  getCurrentTask,
  getCurrentUidGid,
  getNumaNodeId,
  getPrandomU32,
  getSmpProcessorId,
  ktimeGetNs,
} from './task.ts';
import { snprintf, strncmp, traceVprintk } from './text.ts';
import { tracePrintk } from './trace-printk.ts';
import type { Helper } from './types.ts';
import {
  xdpAdjustHead,
  xdpAdjustMeta,
  xdpAdjustTail,
  xdpGetBuffLen,
  xdpLoadBytes,
  xdpStoreBytes,
} from './xdp.ts';

export const helperImplementations = {
  map_lookup_elem: mapLookupElem,
  map_update_elem: mapUpdateElem,
  map_delete_elem: mapDeleteElem,
  ktime_get_ns: ktimeGetNs,
  trace_printk: tracePrintk,
  get_prandom_u32: getPrandomU32,
  get_smp_processor_id: getSmpProcessorId,
  get_current_pid_tgid: getCurrentPidTgid,
  get_current_task: getCurrentTask,
  get_current_uid_gid: getCurrentUidGid,
  get_current_comm: getCurrentComm,
  xdp_adjust_head: xdpAdjustHead,
  xdp_adjust_tail: xdpAdjustTail,
  xdp_adjust_meta: xdpAdjustMeta,
  xdp_load_bytes: xdpLoadBytes,
  xdp_store_bytes: xdpStoreBytes,
  xdp_get_buff_len: xdpGetBuffLen,
  get_numa_node_id: getNumaNodeId,
  ktime_get_boot_ns: ktimeGetNs,
  map_push_elem: mapPushElem,
  map_pop_elem: mapPopElem,
  map_peek_elem: mapPeekElem,
  map_lookup_percpu_elem: mapLookupPercpuElem,
  ringbuf_output: ringbufOutput,
  ringbuf_reserve: ringbufReserve,
  ringbuf_submit: ringbufSubmit,
  ringbuf_discard: ringbufDiscard,
  ringbuf_query: ringbufQuery,
  skb_load_bytes: skbLoadBytes,
  skb_load_bytes_relative: skbLoadBytesRelative,
  skb_store_bytes: skbStoreBytes,
  skb_pull_data: skbPullData,
  l3_csum_replace: l3CsumReplace,
  l4_csum_replace: l4CsumReplace,
  csum_diff: csumDiff,
  csum_update: csumUpdate,
  set_hash_invalid: setHashInvalid,
  redirect,
  probe_read: probeRead,
  probe_read_user: probeRead,
  probe_read_kernel: probeReadKernel,
  probe_read_str: probeReadStr,
  probe_read_user_str: probeReadStr,
  probe_read_kernel_str: probeReadKernelStr,
  snprintf,
  trace_vprintk: traceVprintk,
  strncmp,
  loop,
  for_each_map_elem: forEachMapElem,
} as const satisfies Record<Exclude<Running<typeof helpers>, 'tail_call'>, Helper>;

const names = Object.keys(helperImplementations) as (keyof typeof helperImplementations)[];

/** Implementations by a small number, for code that calls one by index. */
export const helperByCode: readonly Helper[] = names.map((name) => helperImplementations[name]);

const codes = new Map<number, number>(names.map((name, code) => [helpers[name].id, code]));

/** The index in `helperByCode` of the helper with an id; undefined where it does not run. */
export function helperCode(id: number): number | undefined {
  return codes.get(id);
}
