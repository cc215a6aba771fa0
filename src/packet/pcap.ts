/**
 * The pcap file format, read (draft-ietf-opsawg-pcap; man 5 pcap-savefile): a header of 24 bytes, then
 * packets, each behind a header of 16. Both byte orders, micro- and nanoseconds.
 *
 *   magic u32 │ major u16 │ minor u16 │ zone i32 │ accuracy u32 │ snapshot length u32 │ link type u32
 *   seconds u32 │ fraction u32 │ captured length u32 │ length u32 │ data
 */
import { Reader } from '../base/bytes.ts';
import type { ByteQueue } from './byte-queue.ts';
import { type CapturedPacket, cutShort, damaged, maxPacketBytes } from './capture.ts';

const fileHeaderBytes = 24;
const packetHeaderBytes = 16;

/** What the first four bytes, in little-endian order, say about the rest. */
const variants: ReadonlyMap<number, { readonly littleEndian: boolean; readonly nsPerFraction: bigint }> =
  new Map([
    [0xa1b2c3d4, { littleEndian: true, nsPerFraction: 1000n }],
    [0xd4c3b2a1, { littleEndian: false, nsPerFraction: 1000n }],
    [0xa1b23c4d, { littleEndian: true, nsPerFraction: 1n }],
    [0x4d3cb2a1, { littleEndian: false, nsPerFraction: 1n }],
  ]);

/** Whether a stream that starts with this number (u32, little-endian) is pcap. */
export function isPcap(magic: number): boolean {
  return variants.has(magic);
}

/**
 * The packets of a pcap stream, which `isPcap` has recognised.
 * @throws {SkepError} on a damaged or cut stream, after the packets that are whole
 */
export async function* readPcap(input: ByteQueue): AsyncGenerator<CapturedPacket, void, undefined> {
  if (!(await input.fill(fileHeaderBytes))) throw cutShort('the file header', input, 0);
  const magic = new Reader(input.peek(4), 'pcap magic').u32(0);
  const { littleEndian, nsPerFraction } = variants.get(magic) ?? { littleEndian: true, nsPerFraction: 1n };
  const file = new Reader(input.peek(fileHeaderBytes), 'pcap header', littleEndian);
  const [major, minor] = [file.u16(4), file.u16(6)];
  // Up to 2.2 the two lengths of a packet were the other way round.
  if (major !== 2 || minor < 3) throw damaged(`pcap version ${major}.${minor}, not 2.4,`, input, 0);
  const snapshot = file.u32(16);
  const limit = snapshot === 0 ? maxPacketBytes : Math.min(snapshot, maxPacketBytes);
  const linkType = file.u32(20) & 0xffff; // above are flags about the frame check sequence
  input.take(fileHeaderBytes);

  for (let count = 0; ; count++) {
    if (input.available < packetHeaderBytes && !(await input.fill(packetHeaderBytes))) {
      if (input.available === 0) return;
      throw cutShort(`the header of packet ${count + 1}`, input, count);
    }
    const header = new Reader(input.peek(packetHeaderBytes), 'pcap packet', littleEndian);
    const timestampNs = BigInt(header.u32(0)) * 1_000_000_000n + BigInt(header.u32(4)) * nsPerFraction;
    const captured = header.u32(8);
    const length = header.u32(12);
    if (captured > limit) {
      throw damaged(
        `packet ${count + 1} has ${captured} bytes, over the file's limit of ${limit},`,
        input,
        count,
      );
    }
    const record = packetHeaderBytes + captured;
    if (input.available < record && !(await input.fill(record))) {
      throw cutShort(`packet ${count + 1}`, input, count);
    }
    // Not slice(): that of Node's Buffer is a view.
    const data = new Uint8Array(input.take(record).subarray(packetHeaderBytes));
    yield { data, timestampNs, length, linkType };
  }
}
