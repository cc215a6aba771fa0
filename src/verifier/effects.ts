/** What a helper does besides its result: changing the packet's layout ends every pointer into it. */
import { type HelperName, helperName } from '../uapi/helpers.ts';
import type { Env } from './env.ts';
import { forEachReg, isPacketOrEnd, setNotInit, setScalar, typeOf } from './regs.ts';

/** bpf_helper_changes_pkt_data */
const changers: ReadonlySet<HelperName> = new Set([
  'clone_redirect',
  'l3_csum_replace',
  'l4_csum_replace',
  'lwt_push_encap',
  'lwt_seg6_action',
  'lwt_seg6_adjust_srh',
  'lwt_seg6_store_bytes',
  'msg_pop_data',
  'msg_pull_data',
  'msg_push_data',
  'skb_adjust_room',
  'skb_change_head',
  'skb_change_proto',
  'skb_change_tail',
  'skb_pull_data',
  'skb_store_bytes',
  'skb_vlan_pop',
  'skb_vlan_push',
  'store_hdr_opt',
  'xdp_adjust_head',
  'xdp_adjust_meta',
  'xdp_adjust_tail',
  'tail_call',
]);

/** Helpers that call a function of the program while they run (is_sync_callback_calling_function). */
const callers: ReadonlySet<HelperName> = new Set([
  'for_each_map_elem',
  'find_vma',
  'loop',
  'user_ringbuf_drain',
]);

export function callsBack(id: number): boolean {
  const name = helperName(id);
  return name !== undefined && callers.has(name);
}

export function helperChangesPacket(id: number): boolean {
  const name = helperName(id);
  return name !== undefined && changers.has(name);
}

export function markSubprogChangesPacket(env: Env, slot: number): void {
  const subprog = env.subprogs[env.subprogAt(slot)];
  if (subprog !== undefined) subprog.changesPacket = true;
}

/** clear_all_pkt_pointers */
export function forgetPackets(env: Env): void {
  forEachReg(env.state, (frame, r) => {
    if (!isPacketOrEnd(typeOf(frame, r))) return;
    if (env.allowLeaks) setScalar(frame, r);
    else setNotInit(frame, r);
  });
}
