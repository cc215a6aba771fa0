/** The one entry to captures: finds out which format a stream is in, and reads it. */
import { Reader } from '../base/bytes.ts';
import { ByteQueue, type Chunks } from './byte-queue.ts';
import { type CapturedPacket, notACapture } from './capture.ts';
import { isPcap, readPcap } from './pcap.ts';
import { isPcapng, readPcapng } from './pcapng.ts';

/**
 * The packets of a pcap or pcapng stream, one at a time and in the order of the file. Memory stays bounded
 * by the size of a chunk and of a packet (at most 256 KiB), whatever the stream says.
 *
 * @param chunks the stream: a `ReadableStream`, a Node stream, or an array of byte arrays
 * @throws {SkepError} where the stream is no capture, is damaged or is cut in the middle of a packet; the
 * packets before that have been yielded, and the message has their number
 */
export async function* readCapture(chunks: Chunks): AsyncGenerator<CapturedPacket, void, undefined> {
  const input = new ByteQueue(chunks);
  try {
    if (!(await input.fill(4))) throw notACapture(input.peek(4));
    const magic = new Reader(input.peek(4), 'capture').u32(0);
    if (isPcap(magic)) yield* readPcap(input);
    else if (isPcapng(magic)) yield* readPcapng(input);
    else throw notACapture(input.peek(4));
  } finally {
    await input.close();
  }
}
