/**
 * Test runs of programs that see a packet as a struct __sk_buff (bpf_prog_test_run_skb). Classifiers see all of
 * it; the others see it from behind its Ethernet header, and the header comes back as zeros, as on Linux.
 */
import { skBuff } from '../../uapi/contexts.ts';
import { progTypes } from '../../uapi/prog-types.ts';
import { type PacketBuffer, TAILROOM } from '../packet-buffer.ts';
import { ETH_HLEN, packetType, packetTypes, SKB_HEADROOM, skbOf } from '../sk-buff.ts';
import type { Call } from './call.ts';
import { finish, PAGE, type Run, readContext, repeatRun } from './test-run-parts.ts';

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

  const buffer = skbOf({
    memory: call.kernel.memory,
    packet,
    before,
    ifindex: LOOPBACK,
    // The loopback device's own address is zeros.
    packetType: packetType(packet, packetTypes.otherHost),
    prepare: (made) => ctx !== undefined && copySettable(ctx, made),
  });
  try {
    // Without a context nobody says how long it was (convert___skb_to_skb).
    const wireLen = ctx === undefined ? 0 : ctx.getUint32(skBuff.wire_len, true) || length;
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
