/**
 * Test runs of programs that see a packet as a struct __sk_buff (bpf_prog_test_run_skb). Classifiers see all of
 * it; the others see it from behind its Ethernet header, and the header comes back as zeros, as on Linux.
 */
import { skBuff } from '../../uapi/contexts.ts';
import { progTypes } from '../../uapi/prog-types.ts';
import { PacketBuffer, TAILROOM } from '../packet-buffer.ts';
import type { Call } from './call.ts';
import { ETH_HLEN, finish, PAGE, type Run, readContext, repeatRun } from './test-run-parts.ts';

/** NET_SKB_PAD, and NET_IP_ALIGN of 0. */
const SKB_HEADROOM = 64;
const SKB_MAX = PAGE - SKB_HEADROOM - TAILROOM;
const F_TEST_SKB_CHECKSUM_COMPLETE = 4;

/** GSO_LEGACY_MAX_SIZE and GSO_MAX_SEGS */
const WIRE_LEN_MAX = 65536;
const GSO_SEGS_MAX = 65535;

/** Fields that a caller may set, as [start, end); all else must be zero (convert___skb_to_skb). */
const settable: readonly (readonly [number, number])[] = [
  [skBuff.mark, skBuff.mark + 4],
  [skBuff.priority, skBuff.tc_index],
  [skBuff.cb, skBuff.hash],
  [skBuff.tstamp, skBuff.sk],
  [skBuff.gso_size, skBuff.gso_size + 4],
  [skBuff.hwtstamp, skBuff.size],
];

const LOOPBACK = 1;

/** Types that see the Ethernet header. */
const linkLayer: readonly number[] = [progTypes.sched_cls.id, progTypes.sched_act.id];

export function testRunSkb(run: Run): void {
  const { call, attr } = run;
  if (((attr.flags ?? 0) & ~F_TEST_SKB_CHECKSUM_COMPLETE) !== 0) throw call.fail('EINVAL', 'unknown flags');
  if ((attr.cpu ?? 0) !== 0 || (attr.batchSize ?? 0) !== 0)
    throw call.fail('EINVAL', 'cpu and batch_size must be 0');
  const size = attr.dataSizeIn ?? 0;
  if (size < ETH_HLEN || size > SKB_MAX)
    throw call.fail('EINVAL', `a packet has ${ETH_HLEN} to ${SKB_MAX} bytes`);
  const packet = call.buffer(attr.dataIn, size, 'data_in').slice();
  const ctx = readContext(call, attr, skBuff.size);
  const isL2 = linkLayer.includes(run.program.facts.type);
  const before = isL2 ? 0 : ETH_HLEN;
  const length = size - before;
  if (ctx !== undefined) checkSkbContext(call, ctx, length);

  const buffer = new PacketBuffer({
    memory: call.kernel.memory,
    layout: skBuff,
    bytes: packet,
    before,
    networkHeader: ETH_HLEN,
    headroom: SKB_HEADROOM,
    tailroom: TAILROOM,
  });
  try {
    const wireLen = ctx?.getUint32(skBuff.wire_len, true) || length;
    if (ctx !== undefined) copySettable(ctx, buffer);
    buffer.setField(skBuff.len, length);
    buffer.setField(skBuff.pkt_type, packetType(packet));
    buffer.setField(skBuff.protocol, etherType(packet));
    buffer.setField(skBuff.ifindex, LOOPBACK);
    buffer.setField(skBuff.wire_len, wireLen);
    const result = repeatRun(run, buffer);
    if (ctx !== undefined) {
      for (const [start, end] of settable) {
        for (let at = start; at < end; at += 4) ctx.setUint32(at, buffer.field(at), true);
      }
    }
    finish(run, {
      ...result,
      data: [new Uint8Array(before), buffer.copy(buffer.data, buffer.dataEnd)],
      ctx,
    });
  } finally {
    buffer.free();
  }
}

function checkSkbContext(call: Call, ctx: DataView, length: number): void {
  const ifindex = ctx.getUint32(skBuff.ifindex, true);
  if (ifindex > LOOPBACK && call.kernel.devices.byIndex(ifindex) === undefined) {
    throw call.fail('ENODEV', `there is no device ${ifindex}`);
  }
  for (let at = 0; at < skBuff.size; at++) {
    if (settable.some(([start, end]) => at >= start && at < end) || ctx.getUint8(at) === 0) continue;
    throw call.fail('EINVAL', `byte ${at} of struct __sk_buff cannot be set`);
  }
  const wireLen = ctx.getUint32(skBuff.wire_len, true);
  if (wireLen !== 0 && (wireLen < length || wireLen > WIRE_LEN_MAX)) {
    throw call.fail('EINVAL', `wire_len is ${length} to ${WIRE_LEN_MAX}`);
  }
  if (ctx.getUint32(skBuff.gso_segs, true) > GSO_SEGS_MAX)
    throw call.fail('EINVAL', `gso_segs is at most ${GSO_SEGS_MAX}`);
}

function copySettable(ctx: DataView, buffer: PacketBuffer): void {
  for (const [start, end] of settable) {
    for (let at = start; at < end; at += 4) buffer.setField(at, ctx.getUint32(at, true));
  }
}

const PACKET_HOST = 0;
const PACKET_MULTICAST = 2;
const PACKET_OTHERHOST = 3;

/** eth_type_trans() on the loopback device, whose own and broadcast addresses are zeros. */
function packetType(packet: Uint8Array): number {
  if (((packet[0] as number) & 1) !== 0) return PACKET_MULTICAST;
  return packet.subarray(0, 6).every((byte) => byte === 0) ? PACKET_HOST : PACKET_OTHERHOST;
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
