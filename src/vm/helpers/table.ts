/**
 * All helpers that run: the compiler sees to it that there is one implementation for each row of
 * uapi/helpers.ts whose label says so, and none for others. bpf_tail_call() is not here: it changes the flow
 * of control, so engines do it themselves.
 */
import { helpers } from '../../uapi/helpers.ts';
import type { Running } from '../../uapi/label.ts';
import { mapDeleteElem, mapLookupElem, mapUpdateElem } from './map.ts';
import {
  getCurrentComm,
  getCurrentPidTgid,
  getCurrentUidGid,
  getPrandomU32,
  getSmpProcessorId,
  ktimeGetNs,
} from './task.ts';
import { tracePrintk } from './trace-printk.ts';
import type { Helper } from './types.ts';
import { xdpAdjustHead } from './xdp.ts';

export const helperImplementations = {
  map_lookup_elem: mapLookupElem,
  map_update_elem: mapUpdateElem,
  map_delete_elem: mapDeleteElem,
  ktime_get_ns: ktimeGetNs,
  trace_printk: tracePrintk,
  get_prandom_u32: getPrandomU32,
  get_smp_processor_id: getSmpProcessorId,
  get_current_pid_tgid: getCurrentPidTgid,
  get_current_uid_gid: getCurrentUidGid,
  get_current_comm: getCurrentComm,
  xdp_adjust_head: xdpAdjustHead,
} as const satisfies Record<Exclude<Running<typeof helpers>, 'tail_call'>, Helper>;

const names = Object.keys(helperImplementations) as (keyof typeof helperImplementations)[];

/** Implementations by a small number, for code that calls one by index. */
export const helperByCode: readonly Helper[] = names.map((name) => helperImplementations[name]);

const codes = new Map<number, number>(names.map((name, code) => [helpers[name].id, code]));

/** The index in `helperByCode` of the helper with an id; undefined where it does not run. */
export function helperCode(id: number): number | undefined {
  return codes.get(id);
}
