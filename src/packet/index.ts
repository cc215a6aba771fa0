/** Packets: build them, take them apart, read and write captures. */
export * from './addresses.ts';
export * from './builder.ts';
export type { Chunks } from './byte-queue.ts';
export { type CapturedPacket, maxPacketBytes } from './capture.ts';
export { internetChecksum } from './checksum.ts';
export { dissect } from './dissect.ts';
export type {
  ArpLayer,
  Dissected,
  EthernetLayer,
  Fragment,
  IcmpLayer,
  Ipv4Layer,
  Ipv6Layer,
  Layers,
  TcpLayer,
  UdpLayer,
  VlanTag,
} from './layers.ts';
export { etherTypes, ipProtocols, linkTypes, type TcpFlag, tcpFlags } from './protocols.ts';
export { readCapture } from './read-capture.ts';
export { CaptureWriter, type CaptureWriterOptions, type WritablePacket, writeCapture } from './writer.ts';
