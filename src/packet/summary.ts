/** One line about a packet, much as `tcpdump -n` prints it. */
import type { Layers, TcpLayer } from './layers.ts';
import { type TcpFlag, tcpFlags } from './protocols.ts';

const icmpTypes: Readonly<Record<4 | 6, Readonly<Record<number, string>>>> = {
  4: {
    0: 'echo reply',
    3: 'destination unreachable',
    5: 'redirect',
    8: 'echo request',
    11: 'time exceeded',
    12: 'parameter problem',
  },
  6: {
    1: 'destination unreachable',
    2: 'packet too big',
    3: 'time exceeded',
    4: 'parameter problem',
    128: 'echo request',
    129: 'echo reply',
    133: 'router solicitation',
    134: 'router advertisement',
    135: 'neighbor solicitation',
    136: 'neighbor advertisement',
    143: 'multicast listener report',
  },
};

/** 'S.' for SYN and ACK; 'none' as tcpdump has it for no flag at all. */
function flagLetters(flags: readonly TcpFlag[]): string {
  return flags.map((flag) => tcpFlags[flag].letter).join('') || 'none';
}

function tcp(layer: TcpLayer, length: number): string {
  const carries =
    length > 0 || layer.flags.some((flag) => flag === 'syn' || flag === 'fin' || flag === 'rst');
  const seq = !carries ? '' : length > 0 ? `seq ${layer.seq}:${layer.seq + length}, ` : `seq ${layer.seq}, `;
  const ack = layer.flags.includes('ack') ? `ack ${layer.ack}, ` : '';
  return `Flags [${flagLetters(layer.flags)}], ${seq}${ack}win ${layer.window}, length ${length}`;
}

function transport(layers: Layers): string {
  const { icmp, payload, fragment } = layers;
  if (layers.tcp !== undefined) return tcp(layers.tcp, payload.length);
  if (layers.udp !== undefined) return `UDP, length ${layers.udp.length - 8}`;
  if (icmp !== undefined) {
    const name = icmpTypes[icmp.version][icmp.type] ?? `type ${icmp.type} code ${icmp.code}`;
    const echo = icmp.echo === undefined ? '' : `, id ${icmp.echo.id}, seq ${icmp.echo.seq}`;
    return `${icmp.version === 4 ? 'ICMP' : 'ICMP6,'} ${name}${echo}, length ${payload.length + 8}`;
  }
  const protocol = layers.ipv4?.protocol ?? layers.ipv6?.protocol ?? 0;
  return fragment !== undefined && fragment.offset > 0
    ? ''
    : `protocol ${protocol}, length ${payload.length}`;
}

function ip(
  layers: Layers,
  name: 'IP' | 'IP6',
  ends: { readonly src: string; readonly dst: string },
): string {
  const ports = layers.tcp ?? layers.udp;
  const src = ports === undefined ? ends.src : `${ends.src}.${ports.srcPort}`;
  const dst = ports === undefined ? ends.dst : `${ends.dst}.${ports.dstPort}`;
  const { fragment } = layers;
  const part = fragment === undefined ? '' : `frag (${fragment.offset}|${fragment.length}) `;
  return `${name} ${src} > ${dst}: ${part}${transport(layers)}`.trimEnd();
}

function network(layers: Layers): string {
  const { arp, ethernet } = layers;
  if (layers.ipv4 !== undefined) return ip(layers, 'IP', layers.ipv4);
  if (layers.ipv6 !== undefined) return ip(layers, 'IP6', layers.ipv6);
  if (arp?.operation === 1) return `ARP, Request who-has ${arp.targetIp} tell ${arp.senderIp}`;
  if (arp?.operation === 2) return `ARP, Reply ${arp.senderIp} is-at ${arp.senderMac}`;
  if (ethernet === undefined) return 'unknown packet';
  const type = ethernet.etherType.toString(16).padStart(4, '0');
  return `${ethernet.src} > ${ethernet.dst}, ethertype 0x${type}, length ${layers.payload.length}`;
}

export function summarize(layers: Layers): string {
  const vlans = layers.vlans.map((tag) => `vlan ${tag.id}, p ${tag.priority}, `).join('');
  const problem = layers.malformed === undefined ? '' : ` [${layers.malformed}]`;
  return `${vlans}${network(layers)}${problem}`;
}
