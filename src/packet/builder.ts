/**
 * Builds packets layer by layer, outermost first; lengths, protocol numbers and checksums are filled in:
 *
 *   ethernet().vlan({ id: 42 }).ipv4({ src: '192.0.2.1', dst: '192.0.2.2' }).tcp({ dstPort: 80 }).build()
 *
 * Fields that a layer fills in by itself can be given too, so that a test can build a wrong packet.
 */
import { concatBytes } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import { parseIpv4, parseIpv6, parseMac } from './addresses.ts';
import { internetChecksum } from './checksum.ts';
import { networkOrder } from './pack.ts';
import { etherTypes, ipProtocols, type TcpFlag, tcpFlags } from './protocols.ts';

export interface EthernetFields {
  readonly src?: string;
  readonly dst?: string;
  /** The protocol inside; the next layer's where not said. */
  readonly etherType?: number;
}

export interface VlanFields {
  /** 0 to 4095. */
  readonly id: number;
  /** 0 to 7. */
  readonly priority?: number;
  /** The tag's own EtherType: 0x8100 where not said, 0x88a8 for an outer tag (802.1ad). */
  readonly tagType?: number;
  readonly etherType?: number;
}

export interface Ipv4Fields {
  readonly src?: string;
  readonly dst?: string;
  readonly ttl?: number;
  /** Differentiated services and congestion bits, 0 to 255. */
  readonly tos?: number;
  readonly id?: number;
  readonly dontFragment?: boolean;
  readonly moreFragments?: boolean;
  /** In bytes, a multiple of 8. */
  readonly fragmentOffset?: number;
  /** Raw options; padded to a multiple of 4, at most 40 bytes. */
  readonly options?: Uint8Array;
  readonly protocol?: number;
}

export interface Ipv6Fields {
  readonly src?: string;
  readonly dst?: string;
  readonly hopLimit?: number;
  readonly nextHeader?: number;
}

/** The fragment header of IPv6. */
export interface Ipv6FragmentFields {
  /** In bytes, a multiple of 8. */
  readonly offset?: number;
  readonly more?: boolean;
  readonly id?: number;
  readonly nextHeader?: number;
}

export interface TcpFields {
  readonly srcPort?: number;
  readonly dstPort?: number;
  readonly seq?: number;
  readonly ack?: number;
  readonly flags?: readonly TcpFlag[];
  readonly window?: number;
  /** Raw options; padded to a multiple of 4, at most 40 bytes. */
  readonly options?: Uint8Array;
}

export interface UdpFields {
  readonly srcPort?: number;
  readonly dstPort?: number;
}

/** An ICMP or ICMPv6 message; `id` and `seq` are an echo's. */
export interface IcmpFields {
  /** Echo request where not said. */
  readonly type?: number;
  readonly code?: number;
  readonly id?: number;
  readonly seq?: number;
}

/** What a layer is given when the packet is put together, from the inside out. */
interface Inside {
  /** What follows the layer's header. */
  readonly bytes: Uint8Array;
  /** The layer inside as the one outside names it; undefined for a payload. */
  readonly etherType: number | undefined;
  readonly protocol: number | undefined;
  /** Start of the checksum's pseudo header, without length and protocol: the addresses of the IP layer. */
  readonly addresses: Uint8Array;
}

interface Layer {
  readonly etherType?: number;
  readonly protocol?: number;
  /** The addresses that layers inside need for their checksum. */
  readonly addresses?: Uint8Array;
  /** Header and everything inside. */
  put(inside: Inside): Uint8Array;
}

/** Writes a checksum into two bytes of `into`. */
function putChecksum(into: Uint8Array, at: number, value: number): void {
  into[at] = value >> 8;
  into[at + 1] = value & 255;
}

function paddedOptions(options: Uint8Array | undefined, layer: string): Uint8Array {
  if (options === undefined) return new Uint8Array();
  if (options.length > 40) {
    throw new SkepError({
      code: 'packet',
      message: `${layer} options of ${options.length} bytes; at most 40`,
    });
  }
  return concatBytes([options, new Uint8Array(-options.length & 3)]);
}

/** The checksum of TCP, UDP and ICMPv6: with the addresses, length and protocol (RFC 9293 §3.1, 8200 §8.1). */
function transportChecksum(addresses: Uint8Array, protocol: number, segment: Uint8Array): number {
  return internetChecksum(addresses, networkOrder([4, segment.length], [4, protocol]), segment);
}

const layers = {
  ethernet: ({ src = '02:00:00:00:00:01', dst = '02:00:00:00:00:02', etherType }: EthernetFields): Layer => {
    const ends = concatBytes([parseMac(dst), parseMac(src)]);
    return {
      put: (inside) =>
        concatBytes([ends, networkOrder([2, etherType ?? inside.etherType ?? 0]), inside.bytes]),
    };
  },

  vlan: ({ id, priority = 0, tagType = etherTypes.vlan, etherType }: VlanFields): Layer => ({
    etherType: tagType,
    put: (inside) =>
      concatBytes([
        networkOrder([2, (priority << 13) | (id & 0xfff)], [2, etherType ?? inside.etherType ?? 0]),
        inside.bytes,
      ]),
  }),

  ipv4: (fields: Ipv4Fields): Layer => {
    const { src = '192.0.2.1', dst = '192.0.2.2', ttl = 64, tos = 0, id = 0 } = fields;
    const addresses = concatBytes([parseIpv4(src), parseIpv4(dst)]);
    const options = paddedOptions(fields.options, 'IPv4');
    const flags = (fields.dontFragment ? 0x4000 : 0) | (fields.moreFragments ? 0x2000 : 0);
    const fragment = flags | ((fields.fragmentOffset ?? 0) >> 3);
    return {
      etherType: etherTypes.ipv4,
      addresses,
      put: (inside) => {
        const length = 20 + options.length;
        const protocol = fields.protocol ?? inside.protocol ?? 255;
        const fixed = networkOrder(
          [1, 0x40 | (length / 4)],
          [1, tos],
          [2, length + inside.bytes.length],
          [2, id],
          [2, fragment],
          [1, ttl],
          [1, protocol],
          [2, 0],
        );
        const whole = concatBytes([fixed, addresses, options]);
        putChecksum(whole, 10, internetChecksum(whole));
        return concatBytes([whole, inside.bytes]);
      },
    };
  },

  ipv6: ({ src = '2001:db8::1', dst = '2001:db8::2', hopLimit = 64, nextHeader }: Ipv6Fields): Layer => {
    const addresses = concatBytes([parseIpv6(src), parseIpv6(dst)]);
    return {
      etherType: etherTypes.ipv6,
      addresses,
      put: (inside) => {
        const next = nextHeader ?? inside.protocol ?? ipProtocols.none;
        const fixed = networkOrder([4, 6 << 28], [2, inside.bytes.length], [1, next], [1, hopLimit]);
        return concatBytes([fixed, addresses, inside.bytes]);
      },
    };
  },

  ipv6Fragment: ({ offset = 0, more = false, id = 1, nextHeader }: Ipv6FragmentFields): Layer => ({
    protocol: ipProtocols.fragment,
    put: (inside) => {
      const next = nextHeader ?? inside.protocol ?? ipProtocols.none;
      return concatBytes([
        networkOrder([1, next], [1, 0], [2, (offset & 0xfff8) | (more ? 1 : 0)], [4, id]),
        inside.bytes,
      ]);
    },
  }),

  tcp: (fields: TcpFields): Layer => {
    const { srcPort = 49152, dstPort = 80, seq = 0, ack = 0, flags = ['syn'], window = 64240 } = fields;
    const options = paddedOptions(fields.options, 'TCP');
    const bits = flags.reduce((sum, flag) => sum | tcpFlags[flag].bit, 0);
    return {
      protocol: ipProtocols.tcp,
      put: (inside) => {
        const fixed = networkOrder(
          [2, srcPort],
          [2, dstPort],
          [4, seq],
          [4, ack],
          [1, ((20 + options.length) / 4) << 4],
          [1, bits],
          [2, window],
          [4, 0],
        );
        const segment = concatBytes([fixed, options, inside.bytes]);
        putChecksum(segment, 16, transportChecksum(inside.addresses, ipProtocols.tcp, segment));
        return segment;
      },
    };
  },

  udp: ({ srcPort = 49152, dstPort = 53 }: UdpFields): Layer => ({
    protocol: ipProtocols.udp,
    put: (inside) => {
      const fixed = networkOrder([2, srcPort], [2, dstPort], [2, 8 + inside.bytes.length], [2, 0]);
      const datagram = concatBytes([fixed, inside.bytes]);
      // RFC 768: 0 means "no checksum", so a checksum of 0 is sent as its other representation.
      putChecksum(datagram, 6, transportChecksum(inside.addresses, ipProtocols.udp, datagram) || 0xffff);
      return datagram;
    },
  }),

  icmp: ({ type = 8, code = 0, id = 1, seq = 1 }: IcmpFields): Layer => ({
    protocol: ipProtocols.icmp,
    put: (inside) => {
      const message = concatBytes([
        networkOrder([1, type], [1, code], [2, 0], [2, id], [2, seq]),
        inside.bytes,
      ]);
      putChecksum(message, 2, internetChecksum(message));
      return message;
    },
  }),

  icmpv6: ({ type = 128, code = 0, id = 1, seq = 1 }: IcmpFields): Layer => ({
    protocol: ipProtocols.icmpv6,
    put: (inside) => {
      const message = concatBytes([
        networkOrder([1, type], [1, code], [2, 0], [2, id], [2, seq]),
        inside.bytes,
      ]);
      putChecksum(message, 2, transportChecksum(inside.addresses, ipProtocols.icmpv6, message));
      return message;
    },
  }),
};

const encoder = new TextEncoder();

/** A packet under construction; every method gives a new one, so that a common start can be shared. */
export class PacketBuilder {
  private readonly layers: readonly Layer[];

  constructor(layers: readonly Layer[] = []) {
    this.layers = layers;
  }

  private with(layer: Layer): PacketBuilder {
    return new PacketBuilder([...this.layers, layer]);
  }

  ethernet(fields: EthernetFields = {}): PacketBuilder {
    return this.with(layers.ethernet(fields));
  }

  /** One VLAN tag; twice for two. */
  vlan(fields: VlanFields): PacketBuilder {
    return this.with(layers.vlan(fields));
  }

  ipv4(fields: Ipv4Fields = {}): PacketBuilder {
    return this.with(layers.ipv4(fields));
  }

  ipv6(fields: Ipv6Fields = {}): PacketBuilder {
    return this.with(layers.ipv6(fields));
  }

  ipv6Fragment(fields: Ipv6FragmentFields = {}): PacketBuilder {
    return this.with(layers.ipv6Fragment(fields));
  }

  tcp(fields: TcpFields = {}): PacketBuilder {
    return this.with(layers.tcp(fields));
  }

  udp(fields: UdpFields = {}): PacketBuilder {
    return this.with(layers.udp(fields));
  }

  icmp(fields: IcmpFields = {}): PacketBuilder {
    return this.with(layers.icmp(fields));
  }

  icmpv6(fields: IcmpFields = {}): PacketBuilder {
    return this.with(layers.icmpv6(fields));
  }

  /** Bytes, text as UTF-8, or a number of zero bytes. */
  payload(content: Uint8Array | string | number): PacketBuilder {
    const bytes =
      typeof content === 'string'
        ? encoder.encode(content)
        : typeof content === 'number'
          ? new Uint8Array(content)
          : Uint8Array.from(content);
    return this.with({ put: (inside) => concatBytes([bytes, inside.bytes]) });
  }

  /**
   * The packet's bytes.
   * @throws {SkepError} where a port, a length or another field does not fit its header
   */
  build(): Uint8Array<ArrayBuffer> {
    let bytes: Uint8Array = new Uint8Array();
    for (let i = this.layers.length - 1; i >= 0; i--) {
      const layer = this.layers[i] as Layer;
      const inner = this.layers[i + 1];
      const addresses = this.layers.slice(0, i).findLast((outer) => outer.addresses !== undefined)?.addresses;
      bytes = layer.put({
        bytes,
        etherType: inner?.etherType,
        protocol: inner?.protocol,
        addresses: addresses ?? new Uint8Array(),
      });
    }
    return Uint8Array.from(bytes);
  }
}

/** Starts a packet with an Ethernet header. */
export function ethernet(fields: EthernetFields = {}): PacketBuilder {
  return new PacketBuilder().ethernet(fields);
}

/** Starts a packet without a link layer. */
export function ipv4(fields: Ipv4Fields = {}): PacketBuilder {
  return new PacketBuilder().ipv4(fields);
}

/** Starts a packet without a link layer. */
export function ipv6(fields: Ipv6Fields = {}): PacketBuilder {
  return new PacketBuilder().ipv6(fields);
}
