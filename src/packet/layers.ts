/** What a packet is made of, as `dissect` gives it. Addresses are text; numbers are in the host's order. */
import type { TcpFlag } from './protocols.ts';

export interface EthernetLayer {
  readonly src: string;
  readonly dst: string;
  readonly etherType: number;
}

export interface VlanTag {
  readonly id: number;
  readonly priority: number;
  /** 0x8100, or 0x88a8 for an outer tag (802.1ad). */
  readonly tagType: number;
}

export interface ArpLayer {
  /** 1 request, 2 reply. */
  readonly operation: number;
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetMac: string;
  readonly targetIp: string;
}

export interface Ipv4Layer {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly ttl: number;
  readonly id: number;
  readonly dontFragment: boolean;
  /** In bytes, options included. */
  readonly headerLength: number;
  readonly totalLength: number;
}

export interface Ipv6Layer {
  readonly src: string;
  readonly dst: string;
  readonly hopLimit: number;
  readonly payloadLength: number;
  /** Next-header numbers of the extension headers, in their order. */
  readonly extensions: readonly number[];
  /** What follows the last extension header. */
  readonly protocol: number;
}

export interface Fragment {
  readonly id: number;
  /** In bytes; 0 is the first fragment, which alone has the layers above. */
  readonly offset: number;
  /** Whether others follow. */
  readonly more: boolean;
  readonly length: number;
}

export interface TcpLayer {
  readonly srcPort: number;
  readonly dstPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: readonly TcpFlag[];
  readonly window: number;
}

export interface UdpLayer {
  readonly srcPort: number;
  readonly dstPort: number;
  /** Of header and payload. */
  readonly length: number;
}

export interface IcmpLayer {
  readonly version: 4 | 6;
  readonly type: number;
  readonly code: number;
  /** An echo's identifier and sequence number. */
  readonly echo: { readonly id: number; readonly seq: number } | undefined;
}

/** The layers of a packet; those that it does not have are undefined. */
export interface Layers {
  ethernet?: EthernetLayer;
  readonly vlans: VlanTag[];
  arp?: ArpLayer;
  ipv4?: Ipv4Layer;
  ipv6?: Ipv6Layer;
  fragment?: Fragment;
  tcp?: TcpLayer;
  udp?: UdpLayer;
  icmp?: IcmpLayer;
  /** What the innermost layer carries, without the link layer's padding; a view. */
  payload: Uint8Array;
  /** What was wrong, in a few words. */
  malformed?: string;
}

export interface Dissected extends Readonly<Layers> {
  /** One line, much as `tcpdump -n` prints it. */
  readonly summary: string;
}
