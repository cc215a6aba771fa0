/**
 * Helpers on a struct __sk_buff: reading and writing its packet, and the checksums in it. A packet here is in
 * one piece and nobody else holds it, so that all of it can be written.
 */
import { skBuff } from '../../uapi/contexts.ts';
import { type Errno, errnos } from '../../uapi/errno.ts';
import { checksumAdd, checksumOf, checksumReplace, checksumReplaceByDiff, checksumTo16 } from './checksum.ts';
import { type Helper, type HelperCall, returnInt } from './types.ts';

const OFFSET_MAX = 0xffff;
/** Flags of bpf_skb_store_bytes(): BPF_F_RECOMPUTE_CSUM and BPF_F_INVALIDATE_HASH, for what is not kept here. */
const STORE_FLAGS = 3;
const HDR_FIELD_MASK = 0xf;
const PSEUDO_HDR = 0x10;
const MARK_MANGLED_0 = 0x20;
const MARK_ENFORCE = 0x40;
const IPV6 = 0x80;
const CSUM_MANGLED_0 = 0xffff;

const fail = (call: HelperCall, errno: Errno): void => returnInt(call, -errnos[errno]);

/** Where `size` bytes of the packet are at `offset` of it; 0 where it does not have them. */
function packetAt(call: HelperCall, offset: number, size: number): number {
  const { packet } = call.context;
  if (packet === undefined) return call.fault('a helper of packets without a packet');
  const { view } = call.runtime.memory;
  const data = view.getUint32(packet.ctx + skBuff.data, true);
  const end = view.getUint32(packet.ctx + skBuff.data_end, true);
  return data + offset + size > end ? 0 : data + offset;
}

/** Copies into register `to`, or zeros where `from` is 0. */
function copyOut(call: HelperCall, from: number, { to, size }: { to: number; size: number }): void {
  const at = call.argument(to, size);
  const { u8 } = call.runtime.memory;
  if (from === 0) {
    u8.fill(0, at, at + size);
    fail(call, 'EFAULT');
    return;
  }
  u8.copyWithin(at, from, from + size);
  returnInt(call, 0);
}

/** (skb, offset, to, len) */
export const skbLoadBytes: Helper = (call) => {
  const size = call.u32[8]!;
  const offset = call.u32[4]!;
  copyOut(call, offset > 0x7fff_ffff ? 0 : packetAt(call, offset, size), { to: 3, size });
};

/** enum bpf_hdr_start_off */
const START_MAC = 0;
const START_NET = 1;

/** (skb, offset, to, len, start_header) */
export const skbLoadBytesRelative: Helper = (call) => {
  const size = call.u32[8]!;
  const offset = call.u32[4]!;
  const { packet } = call.context;
  const start =
    call.u32[10] === START_MAC
      ? packet?.linkHeader
      : call.u32[10] === START_NET
        ? packet?.networkHeader
        : undefined;
  const end =
    packet === undefined ? 0 : call.runtime.memory.view.getUint32(packet.ctx + skBuff.data_end, true);
  const there = start !== undefined && offset <= OFFSET_MAX && start + offset + size <= end;
  copyOut(call, there ? start + offset : 0, { to: 3, size });
};

/** (skb, offset, from, len, flags) */
export const skbStoreBytes: Helper = (call) => {
  const size = call.u32[8]!;
  const offset = call.u32[4]!;
  if ((call.u64[5]! & ~BigInt(STORE_FLAGS)) !== 0n) return fail(call, 'EINVAL');
  const to = offset > 0x7fff_ffff ? 0 : packetAt(call, offset, size);
  if (to === 0) return fail(call, 'EFAULT');
  const from = call.argument(3, size);
  call.runtime.memory.u8.copyWithin(to, from, from + size);
  returnInt(call, 0);
};

/** The checksum's address, or the error. */
function checksumAt(call: HelperCall): number | Errno {
  const offset = call.u32[4]!;
  if (offset > OFFSET_MAX || offset % 2 !== 0) return 'EFAULT';
  return packetAt(call, offset, 2) || 'EFAULT';
}

/** What becomes of a checksum, for `flags & HDR_FIELD_MASK`, from r3 to r4; undefined for what is no size. */
function replaced(call: HelperCall, check: number): number | undefined {
  const from = call.u64[3]!;
  const to = call.u32[8]!;
  switch (call.u32[10]! & HDR_FIELD_MASK) {
    case 0:
      return from === 0n ? checksumReplaceByDiff(check, to) : undefined;
    case 2:
      return checksumReplace(check, call.u32[6]! & 0xffff, to & 0xffff);
    case 4:
      return checksumReplace(check, call.u32[6]!, to);
    default:
      return undefined;
  }
}

/** (skb, offset, from, to, size) */
export const l3CsumReplace: Helper = (call) => {
  if ((call.u64[5]! & ~BigInt(HDR_FIELD_MASK)) !== 0n) return fail(call, 'EINVAL');
  const at = checksumAt(call);
  if (typeof at !== 'number') return fail(call, at);
  const { view } = call.runtime.memory;
  const check = replaced(call, view.getUint16(at, true));
  if (check === undefined) return fail(call, 'EINVAL');
  view.setUint16(at, check, true);
  returnInt(call, 0);
};

/** (skb, offset, from, to, flags) */
export const l4CsumReplace: Helper = (call) => {
  const known = HDR_FIELD_MASK | PSEUDO_HDR | MARK_MANGLED_0 | MARK_ENFORCE | IPV6;
  if ((call.u64[5]! & ~BigInt(known)) !== 0n) return fail(call, 'EINVAL');
  const at = checksumAt(call);
  if (typeof at !== 'number') return fail(call, at);
  const flags = call.u32[10]!;
  const { view } = call.runtime.memory;
  const before = view.getUint16(at, true);
  const marked = (flags & MARK_MANGLED_0) !== 0;
  // UDP without a checksum stays so.
  if (marked && (flags & MARK_ENFORCE) === 0 && before === 0) return returnInt(call, 0);
  const check = replaced(call, before);
  if (check === undefined) return fail(call, 'EINVAL');
  view.setUint16(at, marked && check === 0 ? CSUM_MANGLED_0 : check, true);
  returnInt(call, 0);
};

/** (from, from_size, to, to_size, seed): the sum that turns one checksum into another. */
export const csumDiff: Helper = (call) => {
  const fromSize = call.u32[4]!;
  const toSize = call.u32[8]!;
  if (((fromSize | toSize) & 3) !== 0) return fail(call, 'EINVAL');
  const bytes = (register: number, size: number): Uint8Array => {
    const at = size === 0 ? 0 : call.argument(register, size);
    return call.runtime.memory.u8.subarray(at, at + size);
  };
  const seed = call.u32[10]!;
  // Of the two zeros of this arithmetic, what Linux gives depends on the way in which it sums.
  let sum = seed;
  if (fromSize === 0) sum = checksumOf(bytes(3, toSize), seed);
  else if (toSize === 0) sum = ~checksumOf(bytes(1, fromSize), ~seed >>> 0);
  else sum = checksumAdd(checksumOf(bytes(3, toSize), seed), ~checksumOf(bytes(1, fromSize), 0));
  returnInt(call, checksumTo16(sum));
};

/** (skb, len): all of it is there already. */
export const skbPullData: Helper = (call) => {
  const size = call.u32[4]!;
  returnInt(call, packetAt(call, 0, size) === 0 ? -errnos.ENOMEM : 0);
};

/** (skb, csum): these packets have no sum of the whole. */
export const csumUpdate: Helper = (call) => returnInt(call, -errnos.ENOTSUPP);

export const setHashInvalid: Helper = (call) => returnInt(call, 0);

const F_INGRESS = 1n;
const TC_ACT_SHOT = 2;
const TC_ACT_REDIRECT = 7;
const XDP_ABORTED = 0;
const XDP_REDIRECT = 4;

/** (ifindex, flags): the verdict that redirects; who gave the packet finds no device to give it to. */
export const redirect: Helper = (call) => {
  const flags = call.u64[2]!;
  if (call.xdp) return returnInt(call, flags === 0n ? XDP_REDIRECT : XDP_ABORTED);
  returnInt(call, (flags & ~F_INGRESS) === 0n ? TC_ACT_REDIRECT : TC_ACT_SHOT);
};
