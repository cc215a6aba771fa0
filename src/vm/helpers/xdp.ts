/** Helpers of XDP programs. */
import { xdpMd } from '../../uapi/contexts.ts';
import { errnos } from '../../uapi/errno.ts';
import { type Helper, type HelperCall, returnInt } from './types.ts';

/** sizeof(struct xdp_frame), which Linux keeps at the start of the headroom. */
const XDP_FRAME_BYTES = 40;
/** ETH_HLEN: what must remain of the packet. */
const LEAST_PACKET = 14;

/** (xdp_md, delta): moves the packet's start, and the metadata in front of it along. */
export const xdpAdjustHead: Helper = (call) => {
  const { packet } = call.context;
  if (packet === undefined) return call.fault('bpf_xdp_adjust_head() without a packet');
  const delta = call.i32[4]!;
  const { view, u8 } = call.runtime.memory;
  const data = view.getUint32(packet.ctx + xdpMd.data, true);
  const dataEnd = view.getUint32(packet.ctx + xdpMd.data_end, true);
  const dataMeta = view.getUint32(packet.ctx + xdpMd.data_meta, true);
  const metaBytes = dataMeta !== 0 && dataMeta < data ? data - dataMeta : 0;
  const moved = data + delta;
  if (moved < packet.buffer + XDP_FRAME_BYTES + metaBytes || moved > dataEnd - LEAST_PACKET) {
    return returnInt(call, -errnos.EINVAL);
  }
  u8.copyWithin(moved - metaBytes, data - metaBytes, data);
  view.setUint32(packet.ctx + xdpMd.data, moved, true);
  view.setUint32(packet.ctx + xdpMd.data_meta, moved - metaBytes, true);
  returnInt(call, 0);
};

/** struct skb_shared_info, aligned: the end of a frame that a packet may not reach. */
const FRAME_TAIL = 320;

/** (xdp_md, delta): moves the packet's end; what it gains is zero. */
export const xdpAdjustTail: Helper = (call) => {
  const { packet } = call.context;
  if (packet === undefined) return call.fault('bpf_xdp_adjust_tail() without a packet');
  const delta = call.i32[4]!;
  const { view, u8 } = call.runtime.memory;
  const data = view.getUint32(packet.ctx + xdpMd.data, true);
  const dataEnd = view.getUint32(packet.ctx + xdpMd.data_end, true);
  const moved = dataEnd + delta;
  if (moved > packet.buffer + packet.bufferSize - FRAME_TAIL || moved < data + LEAST_PACKET) {
    return returnInt(call, -errnos.EINVAL);
  }
  if (delta > 0) u8.fill(0, dataEnd, moved);
  view.setUint32(packet.ctx + xdpMd.data_end, moved, true);
  returnInt(call, 0);
};

const META_MAX = 252;

/** (xdp_md, delta): moves the start of the metadata in front of the packet. */
export const xdpAdjustMeta: Helper = (call) => {
  const { packet } = call.context;
  if (packet === undefined) return call.fault('bpf_xdp_adjust_meta() without a packet');
  const { view } = call.runtime.memory;
  const data = view.getUint32(packet.ctx + xdpMd.data, true);
  const moved = view.getUint32(packet.ctx + xdpMd.data_meta, true) + call.i32[4]!;
  if (moved < packet.buffer + XDP_FRAME_BYTES || moved > data) return returnInt(call, -errnos.EINVAL);
  const bytes = data - moved;
  if (bytes > META_MAX || bytes % 4 !== 0) return returnInt(call, -errnos.EACCES);
  view.setUint32(packet.ctx + xdpMd.data_meta, moved, true);
  returnInt(call, 0);
};

const OFFSET_MAX = 0xffff;

/** Where a buffer helper finds its bytes in the packet, or the error. */
function bytesAt(call: HelperCall): number {
  const { packet } = call.context;
  if (packet === undefined) return call.fault('a helper of packets without a packet');
  const offset = call.u32[4]!;
  const size = call.u32[8]!;
  if (offset > OFFSET_MAX || size > OFFSET_MAX) return -errnos.EFAULT;
  const { view } = call.runtime.memory;
  const data = view.getUint32(packet.ctx + xdpMd.data, true);
  const dataEnd = view.getUint32(packet.ctx + xdpMd.data_end, true);
  return data + offset + size > dataEnd ? -errnos.EINVAL : data + offset;
}

/** (xdp_md, offset, buf, len) */
export const xdpLoadBytes: Helper = (call) => {
  const from = bytesAt(call);
  if (from < 0) return returnInt(call, from);
  const size = call.u32[8]!;
  call.runtime.memory.u8.copyWithin(call.argument(3, size), from, from + size);
  returnInt(call, 0);
};

/** (xdp_md, offset, buf, len) */
export const xdpStoreBytes: Helper = (call) => {
  const to = bytesAt(call);
  if (to < 0) return returnInt(call, to);
  const size = call.u32[8]!;
  const from = call.argument(3, size);
  call.runtime.memory.u8.copyWithin(to, from, from + size);
  returnInt(call, 0);
};

/** (xdp_md): bytes of the packet. */
export const xdpGetBuffLen: Helper = (call) => {
  const { packet } = call.context;
  if (packet === undefined) return call.fault('a helper of packets without a packet');
  const { view } = call.runtime.memory;
  const bytes =
    view.getUint32(packet.ctx + xdpMd.data_end, true) - view.getUint32(packet.ctx + xdpMd.data, true);
  returnInt(call, bytes);
};
