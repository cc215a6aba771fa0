/** Helpers of XDP programs. */
import { xdpMd } from '../../uapi/contexts.ts';
import { errnos } from '../../uapi/errno.ts';
import { type Helper, returnInt } from './types.ts';

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
