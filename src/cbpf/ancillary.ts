/**
 * Linux's ancillary values: loads from offsets at the top of the address range (SKF_AD_OFF in
 * linux/filter.h) that read facts about the packet instead of its bytes. Names are those that `tcpdump -d`
 * prints. `field` is the member of struct __sk_buff (linux/bpf.h) that holds the same for eBPF, with its
 * offset; a value without a way to get it in eBPF cannot be translated.
 */

import { skBuff } from '../uapi/contexts.ts';

/** SKF_AD_OFF, as the unsigned k of an instruction. */
export const ancillaryBase = 0xfffff000;

export type AncillarySource =
  | {
      readonly kind: 'field';
      readonly off: number;
      readonly bigEndian16?: boolean;
      readonly zeroEnds?: boolean;
    }
  | { readonly kind: 'helper'; readonly helper: 'get_smp_processor_id' | 'get_prandom_u32' }
  /** A ^= X. */
  | { readonly kind: 'xorX' }
  | { readonly kind: 'none' };

export interface Ancillary {
  readonly name: string;
  readonly source: AncillarySource;
}

const field = (off: number, extra: { bigEndian16?: boolean; zeroEnds?: boolean } = {}): AncillarySource => ({
  kind: 'field',
  off,
  ...extra,
});
const none: AncillarySource = { kind: 'none' };

/** By k - SKF_AD_OFF. */
export const ancillaries: ReadonlyMap<number, Ancillary> = new Map([
  [0, { name: 'proto', source: field(skBuff.protocol, { bigEndian16: true }) }],
  [4, { name: 'type', source: field(skBuff.pkt_type) }],
  // A packet without a device ends the filter with 0.
  [8, { name: 'ifidx', source: field(skBuff.ifindex, { zeroEnds: true }) }],
  [12, { name: 'nla', source: none }],
  [16, { name: 'nlan', source: none }],
  [20, { name: 'mark', source: field(skBuff.mark) }],
  [24, { name: 'queue', source: field(skBuff.queue_mapping) }],
  [28, { name: 'hatype', source: none }],
  [32, { name: 'rxhash', source: field(skBuff.hash) }],
  [36, { name: 'cpu', source: { kind: 'helper', helper: 'get_smp_processor_id' } }],
  [40, { name: 'xor_x', source: { kind: 'xorX' } }],
  [44, { name: 'vlan_tci', source: field(skBuff.vlan_tci) }],
  [48, { name: 'vlanp', source: field(skBuff.vlan_present) }],
  [52, { name: 'poff', source: none }],
  [56, { name: 'random', source: { kind: 'helper', helper: 'get_prandom_u32' } }],
  [60, { name: 'vlan_tpid', source: field(skBuff.vlan_proto, { bigEndian16: true }) }],
]);

/** The ancillary value that a load from k reads, or `undefined` where it reads the packet. */
export function ancillaryAt(k: number): Ancillary | undefined {
  return ancillaries.get(k - ancillaryBase);
}
