/**
 * Packet captures: reads pcap and pcapng as tcpdump and Wireshark write them, from a stream of chunks and in
 * bounded memory. What the two formats share is here; each format has its own file.
 */
import { toHex } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import type { ByteQueue } from './byte-queue.ts';

/** A packet as captured. */
export interface CapturedPacket {
  /** The captured bytes, from the link layer on; the reader's own copy. */
  readonly data: Uint8Array;
  /** Nanoseconds since 1970; 0 where the file has no time for it (pcapng's simple packets). */
  readonly timestampNs: bigint;
  /** Bytes that the packet had on the wire; more than `data.length` where the capture cut it. */
  readonly length: number;
  /** LINKTYPE_* of tcpdump.org's registry: 1 is Ethernet. */
  readonly linkType: number;
}

/** The most bytes of one packet: libpcap's MAXIMUM_SNAPLEN. A longer one means that the file is damaged. */
export const maxPacketBytes = 256 * 1024;

/** `2 whole packets`, for messages. */
function packets(count: number): string {
  return count === 1 ? '1 whole packet' : `${count} whole packets`;
}

/** The stream ended inside of something. */
export function cutShort(what: string, input: ByteQueue, whole: number): SkepError {
  return new SkepError({
    code: 'capture-cut',
    message: `the capture ends in the middle of ${what} at offset ${input.offset}, after ${packets(whole)}`,
  });
}

/** A field that cannot be; `whole` packets came before it. */
export function damaged(message: string, input: ByteQueue, whole: number): SkepError {
  return new SkepError({
    code: 'capture-damaged',
    message: `${message} at offset ${input.offset}, after ${packets(whole)}`,
    hint: 'the capture is damaged from there on',
  });
}

const strangers: readonly { readonly magic: string; readonly hint: string }[] = [
  { magic: '1f8b', hint: 'it is compressed: gunzip it first' },
  { magic: '28b52ffd', hint: 'it is compressed: unzstd it first' },
  { magic: 'fd377a58', hint: 'it is compressed: unxz it first' },
  { magic: '7f454c46', hint: 'it is an ELF file: is it the BPF object?' },
  { magic: '34cdb2a1', hint: 'it is a modified pcap: convert it with `editcap -F pcap`' },
];

/** Neither of the two formats. */
export function notACapture(start: Uint8Array): SkepError {
  if (start.length === 0) {
    return new SkepError({ code: 'capture-empty', message: 'the capture is empty, without even a header' });
  }
  const hex = toHex(start);
  return new SkepError({
    code: 'capture-magic',
    message: `not a capture: it starts with ${toHex(start, ' ')}`,
    hint: strangers.find(({ magic }) => hex.startsWith(magic))?.hint ?? 'pcap and pcapng are read',
  });
}
