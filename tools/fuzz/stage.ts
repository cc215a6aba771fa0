/** What a program runs on: its context and its packet in the world's memory, as test runs make them or random. */
import { PacketBuffer, TAILROOM, XDP_HEADROOM } from '../../src/kernel/packet-buffer.ts';
import { skBuff, xdpMd } from '../../src/uapi/contexts.ts';
import type { RunContext } from '../../src/vm/types.ts';
import type { Candidate } from './candidate.ts';
import type { Random } from './random.ts';
import { contextBytes, fillRandom, packetBytes, type World } from './world.ts';

const SKB_HEADROOM = 64;
const ETH_HLEN = 14;
const MULTICAST = 2;
const OTHERHOST = 3;

/** Lengths of packets around those that programs ask for. */
const lengths = [14, 15, 16, 18, 22, 30, 31, 33, 40, 41, 50, 54, 64, 100, 270, 300, 1000];
/** Members of the contexts that are numbers: any will do. */
const xdpNumbers = [xdpMd.ingress_ifindex, xdpMd.rx_queue_index];
const skbNumbers = [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68, 72, 160, 164, 176];

export interface Stage {
  readonly context: RunContext;
  readonly bytes: number;
  readonly data: number;
  readonly dataEnd: number;
  /** The packet as it is now, as Linux gives it back. */
  packet(): string;
  free(): void;
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Context and packet in the world's memory, as the embedded kernel's test runs make them. */
export function setStage(candidate: Candidate, world: World, random?: Random): Stage {
  const { memory } = world;
  if (candidate.type === 'tracepoint' || candidate.type === 'raw_tracepoint') {
    const words = random === undefined ? candidate.words : candidate.words.map(() => random.word());
    const bytes = contextBytes(words);
    const ctx = memory.alloc(bytes.length);
    memory.u8.set(bytes, ctx);
    const free = (): void => memory.free(ctx);
    return { context: { ctx }, bytes: bytes.length, data: 0, dataEnd: 0, packet: () => '', free };
  }
  const isXdp = candidate.type === 'xdp';
  const layout = isXdp ? xdpMd : skBuff;
  const length = random === undefined ? candidate.packetLength : random.pick(lengths);
  const packet = packetBytes(length);
  if (random !== undefined) fillRandom(packet, random);
  const headroom = isXdp ? XDP_HEADROOM : SKB_HEADROOM;
  const before = isXdp ? 0 : ETH_HLEN;
  const buffer = new PacketBuffer({ memory, layout, bytes: packet, before, headroom, tailroom: TAILROOM });
  if (random !== undefined)
    for (const at of isXdp ? xdpNumbers : skbNumbers) buffer.setField(at, random.bits());
  else if (isXdp) buffer.setField(xdpMd.ingress_ifindex, 1);
  else setSkb(buffer, packet);
  return {
    context: { ctx: buffer.ctx, packet: buffer },
    bytes: layout.size,
    data: buffer.data,
    dataEnd: buffer.dataEnd,
    packet: () => (isXdp ? '' : '00'.repeat(ETH_HLEN)) + hex(buffer.copy(buffer.data, buffer.dataEnd)),
    free: () => buffer.free(),
  };
}

/** What Linux puts into a test run's socket buffer. */
function setSkb(buffer: PacketBuffer, packet: Uint8Array): void {
  const length = packet.length - ETH_HLEN;
  buffer.setField(skBuff.len, length);
  buffer.setField(skBuff.protocol, packet[12]! | (packet[13]! << 8));
  buffer.setField(skBuff.ifindex, 1);
  buffer.setField(skBuff.wire_len, length);
  // The first bit of an address says that it is a group's.
  buffer.setField(skBuff.pkt_type, (packet[0]! & 1) === 0 ? OTHERHOST : MULTICAST);
}
