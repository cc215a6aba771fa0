/** Where classic packet loads (LD_ABS, LD_IND) read: the same for every engine. */
import type { KernelMemory } from '../memory/types.ts';
import type { PacketOffsets } from '../uapi/contexts.ts';
import type { PacketContext } from './types.ts';

/** linux/filter.h: negative offsets of classic loads count from the network and from the link header. */
const SKF_NET_OFF = -0x100000;
const SKF_LL_OFF = -0x200000;

/** A run's packet, and where its context struct has the edges; undefined where there is none. */
export interface PacketView {
  readonly memory: KernelMemory;
  readonly fields: PacketOffsets | undefined;
  readonly packet: PacketContext | undefined;
}

/** Address of `size` bytes of the packet at `offset`, as classic loads count; 0 where it has none there. */
export function packetBytes({ memory, fields, packet }: PacketView, offset: number, size: number): number {
  if (fields === undefined || packet === undefined) return 0;
  const { view } = memory;
  const data = view.getUint32(packet.ctx + fields.data, true);
  const end = view.getUint32(packet.ctx + fields.data_end, true);
  const address = classicAddress(packet, data, offset);
  return address === 0 || address + size > end ? 0 : address;
}

function classicAddress(packet: PacketContext, data: number, offset: number): number {
  if (offset >= 0) return data + offset;
  const [base, from] =
    offset >= SKF_NET_OFF ? [packet.networkHeader, SKF_NET_OFF] : [packet.linkHeader, SKF_LL_OFF];
  if (base === undefined || offset < SKF_LL_OFF) return 0;
  return base + (offset - from);
}
