/** What a helper does besides its result: changing the packet's layout ends every pointer into it. */
import { helperProtos } from '../uapi/helper-protos.ts';
import { type HelperName, helperName } from '../uapi/helpers.ts';
import type { Env } from './env.ts';
import { findKfunc } from './kfuncs.ts';
import { invalidate } from './references.ts';
import { forEachReg, isPacketOrEnd, typeOf } from './regs.ts';
import { baseType, regTypes, typeFlags } from './state/reg-types.ts';

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

/** Kernel functions that call a function of the program while they run, and those that have it called later. */
const kfuncCallers: ReadonlySet<string> = new Set(['bpf_rbtree_add_impl']);
const kfuncLater: ReadonlySet<string> = new Set([
  'bpf_wq_set_callback_impl',
  'bpf_task_work_schedule_signal_impl',
  'bpf_task_work_schedule_resume_impl',
]);

interface CallInsn {
  readonly kind: 'helper' | 'kfunc' | 'subprog';
  readonly imm: number;
}

/** is_sync_callback_calling_insn */
export function insnCallsBack(env: Env, call: CallInsn): boolean {
  if (call.kind === 'helper') return callsBack(call.imm);
  return call.kind === 'kfunc' && kfuncCallers.has(findKfunc(env, call.imm)?.name ?? '');
}

/** is_async_callback_calling_insn */
export function insnCallsLater(env: Env, call: CallInsn): boolean {
  if (call.kind === 'helper') return helperName(call.imm) === 'timer_set_callback';
  return call.kind === 'kfunc' && kfuncLater.has(findKfunc(env, call.imm)?.name ?? '');
}

/** Whether what is called later may sleep: timers' functions may not. */
export function asyncSleeps(env: Env, slot: number): boolean {
  const insn = env.insns[slot];
  return insn?.op === 'call' && insn.kind === 'kfunc';
}

export function helperChangesPacket(id: number): boolean {
  const name = helperName(id);
  return name !== undefined && changers.has(name);
}

export function helperSleeps(id: number): boolean {
  const name = helperName(id);
  return name !== undefined && helperProtos[name]?.sleeps === true;
}

export function markSubprogSleeps(env: Env, slot: number): void {
  const subprog = env.subprogs[env.subprogAt(slot)];
  if (subprog !== undefined) subprog.mightSleep = true;
}

export function markSubprogChangesPacket(env: Env, slot: number): void {
  const subprog = env.subprogs[env.subprogAt(slot)];
  if (subprog !== undefined) subprog.changesPacket = true;
}

/** Memory that is part of a packet, by a dynptr over it. */
const packetSlices = typeFlags.dynptrSkb | typeFlags.dynptrXdp | typeFlags.dynptrSkbMeta;

/** clear_all_pkt_pointers */
export function forgetPackets(env: Env): void {
  forEachReg(env.state, (frame, r) => {
    const type = typeOf(frame, r);
    const isSlice = baseType(type) === regTypes.mem && (type & packetSlices) !== 0;
    if (isPacketOrEnd(type) || isSlice) invalidate(env, frame, r);
  });
}
