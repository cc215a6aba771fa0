/**
 * Where the edges of the packet stand in a program type's context: u32 fields that hold addresses. The
 * context in memory has the layout of the UAPI struct (xdp_md, __sk_buff).
 */
import { progTypes } from '../uapi/prog-types.ts';

export interface PacketFields {
  readonly data: number;
  readonly dataEnd: number;
  /** Start of the metadata in front of the packet; equal to data where there is none. */
  readonly dataMeta: number;
}

const xdpMd: PacketFields = { data: 0, dataEnd: 4, dataMeta: 8 };
const skBuff: PacketFields = { data: 76, dataEnd: 80, dataMeta: 140 };

const byProgType: ReadonlyMap<number, PacketFields> = new Map([
  [progTypes.xdp.id, xdpMd],
  [progTypes.socket_filter.id, skBuff],
  [progTypes.sched_cls.id, skBuff],
  [progTypes.sched_act.id, skBuff],
  [progTypes.cgroup_skb.id, skBuff],
]);

/** The fields of a program type's context; undefined where it has no packet. */
export function packetFields(progType: number): PacketFields | undefined {
  return byProgType.get(progType);
}
