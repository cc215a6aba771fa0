/**
 * A packet as programs of struct __sk_buff see it: what the network stack finds in its Ethernet header, and the
 * buffer that it lies in.
 */
import type { KernelMemory } from '../memory/types.ts';
import { skBuff } from '../uapi/contexts.ts';
import { PacketBuffer, TAILROOM } from './packet-buffer.ts';

/** NET_SKB_PAD, and NET_IP_ALIGN of 0. */
export const SKB_HEADROOM = 64;
export const ETH_HLEN = 14;

export interface SkbInit {
  readonly memory: KernelMemory;
  /** With its Ethernet header. */
  readonly packet: Uint8Array;
  /** Bytes of the packet that lie before `data`: its link-layer header, or none. */
  readonly before: number;
  readonly ifindex: number;
  readonly packetType: number;
  /** Sets other fields, before those that the packet and its device say. */
  readonly prepare?: (buffer: PacketBuffer) => void;
}

/**
 * The packet in the kernel's memory with its context.
 * @throws {BpfError} ENOMEM
 */
export function skbOf({ memory, packet, before, ifindex, packetType, prepare }: SkbInit): PacketBuffer {
  const buffer = new PacketBuffer({
    memory,
    layout: skBuff,
    bytes: packet,
    before,
    networkHeader: ETH_HLEN,
    headroom: SKB_HEADROOM,
    tailroom: TAILROOM,
  });
  prepare?.(buffer);
  const length = packet.length - before;
  buffer.setField(skBuff.len, length);
  buffer.setField(skBuff.wire_len, length);
  buffer.setField(skBuff.pkt_type, packetType);
  buffer.setField(skBuff.protocol, etherType(packet));
  buffer.setField(skBuff.ifindex, ifindex);
  return buffer;
}

export const packetTypes = { host: 0, broadcast: 1, multicast: 2, otherHost: 3, outgoing: 4 } as const;

/** eth_type_trans() on a device whose own address is zeros; `unicast` is what it makes of other addresses. */
export function packetType(packet: Uint8Array, unicast: number): number {
  if (((packet[0] as number) & 1) !== 0) return packetTypes.multicast;
  return packet.subarray(0, 6).every((byte) => byte === 0) ? packetTypes.host : unicast;
}

const ETH_P_802_3_MIN = 0x0600;
const ETH_P_802_3 = 0x0001;
const ETH_P_802_2 = 0x0004;

/** The protocol in network order, as a little-endian machine reads it. */
function etherType(packet: Uint8Array): number {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const swapped = (value: number): number => ((value & 0xff) << 8) | (value >> 8);
  const type = view.getUint16(12);
  if (type >= ETH_P_802_3_MIN) return swapped(type);
  const rawIpx = packet.length >= ETH_HLEN + 2 && view.getUint16(14) === 0xffff;
  return swapped(rawIpx ? ETH_P_802_3 : ETH_P_802_2);
}
