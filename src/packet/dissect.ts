/**
 * Takes packets apart: Ethernet and other link layers, VLAN tags, ARP, IPv4, IPv6 with its extension headers,
 * fragments, TCP, UDP and ICMP. Never throws, whatever the bytes: a packet that ends inside a header, or
 * whose header contradicts itself, has the layers before it and says so in `malformed`.
 */
import { Reader } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import { formatIpv4, formatIpv6, formatMac } from './addresses.ts';
import type { Dissected, Layers } from './layers.ts';
import { etherTypes, ipProtocols, linkTypes, type TcpFlag, tcpFlags } from './protocols.ts';
import { summarize } from './summary.ts';

/** The rest of the packet and where in it the next layer starts; `end` leaves out padding. */
class Cursor {
  readonly reader: Reader;
  at = 0;
  end: number;

  constructor(data: Uint8Array) {
    this.reader = new Reader(data, 'packet', false);
    this.end = data.length;
  }

  /** The offset of the next `size` bytes, which it moves past; throws where they are not there. */
  take(size: number, what: string): number {
    const from = this.at;
    if (from + size > this.end) throw malformed(`${what} cut short`);
    this.at += size;
    return from;
  }

  /** Ends the packet `length` bytes after `from`, where that is earlier. */
  limit(from: number, length: number): void {
    this.end = Math.min(this.end, from + length);
  }
}

function malformed(message: string): SkepError {
  return new SkepError({ code: 'packet-malformed', message });
}

function arp(layers: Layers, cursor: Cursor): void {
  const { reader } = cursor;
  const at = cursor.take(8, 'ARP');
  if (reader.u16(at) !== 1 || reader.u16(at + 2) !== etherTypes.ipv4 || reader.u16(at + 4) !== 0x0604) return;
  const body = cursor.take(20, 'ARP');
  layers.arp = {
    operation: reader.u16(at + 6),
    senderMac: formatMac(reader.slice(body, 6)),
    senderIp: formatIpv4(reader.slice(body + 6, 4)),
    targetMac: formatMac(reader.slice(body + 10, 6)),
    targetIp: formatIpv4(reader.slice(body + 16, 4)),
  };
}

function tcp(layers: Layers, cursor: Cursor): void {
  const { reader } = cursor;
  const at = cursor.take(20, 'TCP header');
  const bits = reader.u8(at + 13);
  layers.tcp = {
    srcPort: reader.u16(at),
    dstPort: reader.u16(at + 2),
    seq: reader.u32(at + 4),
    ack: reader.u32(at + 8),
    flags: (Object.keys(tcpFlags) as TcpFlag[]).filter((flag) => bits & tcpFlags[flag].bit),
    window: reader.u16(at + 14),
  };
  const headerLength = (reader.u8(at + 12) >> 4) * 4;
  if (headerLength < 20) throw malformed(`TCP header of ${headerLength} bytes`);
  cursor.take(headerLength - 20, 'TCP options');
}

function udp(layers: Layers, cursor: Cursor): void {
  const { reader } = cursor;
  const at = cursor.take(8, 'UDP header');
  const length = reader.u16(at + 4);
  layers.udp = { srcPort: reader.u16(at), dstPort: reader.u16(at + 2), length };
  if (length < 8) throw malformed(`UDP length of ${length}`);
  cursor.limit(at, length);
}

function icmp(layers: Layers, cursor: Cursor, version: 4 | 6): void {
  const { reader } = cursor;
  const at = cursor.take(8, 'ICMP header');
  const type = reader.u8(at);
  const isEcho = version === 4 ? type === 8 || type === 0 : type === 128 || type === 129;
  const echo = isEcho ? { id: reader.u16(at + 4), seq: reader.u16(at + 6) } : undefined;
  layers.icmp = { version, type, code: reader.u8(at + 1), echo };
}

function transport(layers: Layers, cursor: Cursor, protocol: number): void {
  // Later fragments start in the middle of what the first one's header belongs to.
  if (layers.fragment !== undefined && layers.fragment.offset > 0) return;
  if (protocol === ipProtocols.tcp) tcp(layers, cursor);
  else if (protocol === ipProtocols.udp) udp(layers, cursor);
  else if (protocol === ipProtocols.icmp && layers.ipv4 !== undefined) icmp(layers, cursor, 4);
  else if (protocol === ipProtocols.icmpv6 && layers.ipv6 !== undefined) icmp(layers, cursor, 6);
}

function ipv4(layers: Layers, cursor: Cursor): void {
  const { reader } = cursor;
  const at = cursor.take(20, 'IPv4 header');
  const version = reader.u8(at) >> 4;
  const headerLength = (reader.u8(at) & 15) * 4;
  const totalLength = reader.u16(at + 2);
  if (version !== 4) throw malformed(`IPv4 header of version ${version}`);
  const fragment = reader.u16(at + 6);
  const protocol = reader.u8(at + 9);
  layers.ipv4 = {
    src: formatIpv4(reader.slice(at + 12, 4)),
    dst: formatIpv4(reader.slice(at + 16, 4)),
    protocol,
    ttl: reader.u8(at + 8),
    id: reader.u16(at + 4),
    dontFragment: (fragment & 0x4000) !== 0,
    headerLength,
    totalLength,
  };
  if (headerLength < 20) throw malformed(`IPv4 header of ${headerLength} bytes`);
  // 0 is what segmentation offload leaves in captures of the sending host.
  if (totalLength !== 0) {
    if (totalLength < headerLength) throw malformed(`IPv4 total length of ${totalLength}`);
    cursor.limit(at, totalLength);
  }
  cursor.take(headerLength - 20, 'IPv4 options');
  const more = (fragment & 0x2000) !== 0;
  const offset = (fragment & 0x1fff) * 8;
  if (more || offset > 0) {
    layers.fragment = { id: layers.ipv4.id, offset, more, length: totalLength - headerLength };
  }
  transport(layers, cursor, protocol);
}

const extensionHeaders: readonly number[] = [
  ipProtocols.hopByHop,
  ipProtocols.routing,
  ipProtocols.fragment,
  ipProtocols.destinationOptions,
];

/** Walks the extension headers; each is at least 8 bytes, so the packet's end bounds their number. */
function ipv6Extensions(layers: Layers, cursor: Cursor, first: number): { seen: number[]; protocol: number } {
  const { reader } = cursor;
  const seen: number[] = [];
  let protocol = first;
  while (extensionHeaders.includes(protocol) && (layers.fragment?.offset ?? 0) === 0) {
    const at = cursor.take(8, 'IPv6 extension header');
    seen.push(protocol);
    if (protocol === ipProtocols.fragment) {
      const field = reader.u16(at + 2);
      const length = cursor.end - cursor.at;
      layers.fragment = { id: reader.u32(at + 4), offset: field & 0xfff8, more: (field & 1) !== 0, length };
    } else {
      cursor.take(reader.u8(at + 1) * 8, 'IPv6 extension header');
    }
    protocol = reader.u8(at);
  }
  return { seen, protocol };
}

function ipv6(layers: Layers, cursor: Cursor): void {
  const { reader } = cursor;
  const at = cursor.take(40, 'IPv6 header');
  const version = reader.u8(at) >> 4;
  if (version !== 6) throw malformed(`IPv6 header of version ${version}`);
  const payloadLength = reader.u16(at + 4);
  const base = {
    src: formatIpv6(reader.slice(at + 8, 16)),
    dst: formatIpv6(reader.slice(at + 24, 16)),
    hopLimit: reader.u8(at + 7),
    payloadLength,
  };
  const next = reader.u8(at + 6);
  layers.ipv6 = { ...base, extensions: [], protocol: next };
  if (payloadLength !== 0) cursor.limit(at, 40 + payloadLength);
  const { seen, protocol } = ipv6Extensions(layers, cursor, next);
  layers.ipv6 = { ...base, extensions: seen, protocol };
  transport(layers, cursor, protocol);
}

function network(layers: Layers, cursor: Cursor, etherType: number): void {
  const { reader } = cursor;
  let type = etherType;
  while (type === etherTypes.vlan || type === etherTypes.serviceVlan) {
    const at = cursor.take(4, 'VLAN tag');
    const tag = reader.u16(at);
    layers.vlans.push({ id: tag & 0xfff, priority: tag >> 13, tagType: type });
    type = reader.u16(at + 2);
  }
  if (type === etherTypes.ipv4) ipv4(layers, cursor);
  else if (type === etherTypes.ipv6) ipv6(layers, cursor);
  else if (type === etherTypes.arp) arp(layers, cursor);
}

/** IP without a link layer: the version is in the first bits. */
function rawIp(layers: Layers, cursor: Cursor): void {
  if (cursor.at === cursor.end) throw malformed('empty packet');
  if (cursor.reader.u8(cursor.at) >> 4 === 6) ipv6(layers, cursor);
  else ipv4(layers, cursor);
}

/** Where the EtherType is in link layers that end with or contain one. */
const cookedHeaders: ReadonlyMap<number, { readonly size: number; readonly etherTypeAt: number }> = new Map([
  [linkTypes.linuxSll, { size: 16, etherTypeAt: 14 }],
  [linkTypes.linuxSll2, { size: 20, etherTypeAt: 0 }],
]);

function link(layers: Layers, cursor: Cursor, linkType: number): void {
  const { reader } = cursor;
  const cooked = cookedHeaders.get(linkType);
  if (cooked !== undefined) {
    const at = cursor.take(cooked.size, 'cooked header');
    network(layers, cursor, reader.u16(at + cooked.etherTypeAt));
    return;
  }
  switch (linkType) {
    case linkTypes.ethernet: {
      const at = cursor.take(14, 'Ethernet header');
      const etherType = reader.u16(at + 12);
      layers.ethernet = {
        dst: formatMac(reader.slice(at, 6)),
        src: formatMac(reader.slice(at + 6, 6)),
        etherType,
      };
      network(layers, cursor, etherType);
      return;
    }
    case linkTypes.null:
    case linkTypes.loop:
      cursor.take(4, 'loopback header');
      rawIp(layers, cursor);
      return;
    case linkTypes.raw:
    case linkTypes.ipv4:
    case linkTypes.ipv6:
      rawIp(layers, cursor);
      return;
    default:
      throw malformed(`link type ${linkType} is not taken apart`);
  }
}

/**
 * Takes a packet apart.
 * @param linkType LINKTYPE_* of the first layer; Ethernet where not said
 */
export function dissect(data: Uint8Array, linkType: number = linkTypes.ethernet): Dissected {
  const layers: Layers = { vlans: [], payload: new Uint8Array() };
  const cursor = new Cursor(data);
  try {
    link(layers, cursor, linkType);
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    layers.malformed = error.message;
  }
  layers.payload = data.subarray(Math.min(cursor.at, cursor.end), cursor.end);
  return { ...layers, summary: summarize(layers) };
}
