/** Numbers of protocols, as IANA, the IEEE and tcpdump.org assign them. */

/** LINKTYPE_*: what the first bytes of a captured packet are. */
export const linkTypes = {
  /** BSD loopback: an address family in the capturing host's byte order. */
  null: 0,
  ethernet: 1,
  raw: 101,
  /** BSD loopback: an address family in network byte order. */
  loop: 108,
  /** Linux "cooked" captures, of `tcpdump -i any`. */
  linuxSll: 113,
  ipv4: 228,
  ipv6: 229,
  linuxSll2: 276,
} as const;

export const etherTypes = {
  ipv4: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  ipv6: 0x86dd,
  /** 802.1ad, the outer tag of two. */
  serviceVlan: 0x88a8,
} as const;

/** The protocol field of IPv4, the next header of IPv6. */
export const ipProtocols = {
  hopByHop: 0,
  icmp: 1,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  icmpv6: 58,
  none: 59,
  destinationOptions: 60,
} as const;

/** Flags of TCP (RFC 9293 §3.1), and the letters that tcpdump prints in this order. */
export const tcpFlags = {
  fin: { bit: 0x01, letter: 'F' },
  syn: { bit: 0x02, letter: 'S' },
  rst: { bit: 0x04, letter: 'R' },
  psh: { bit: 0x08, letter: 'P' },
  ack: { bit: 0x10, letter: '.' },
  urg: { bit: 0x20, letter: 'U' },
  ece: { bit: 0x40, letter: 'E' },
  cwr: { bit: 0x80, letter: 'W' },
} as const;

export type TcpFlag = keyof typeof tcpFlags;
