/**
 * Captures, written: pcap with nanoseconds (man 5 pcap-savefile), or pcapng with one interface
 * (draft-ietf-opsawg-pcapng). Gives bytes; the caller puts them into a file or a pipe.
 */
import { concatBytes } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import { type CapturedPacket, maxPacketBytes } from './capture.ts';
import { type Field, littleEndian } from './pack.ts';
import { blockTypes, byteOrderMagic, interfaceOptions } from './pcapng.ts';
import { linkTypes } from './protocols.ts';

export interface CaptureWriterOptions {
  /** 'pcap' where not said. */
  readonly format?: 'pcap' | 'pcapng';
  /** LINKTYPE_*; Ethernet where not said. A capture has one. */
  readonly linkType?: number;
}

/** What the writer wants to know of a packet. */
export type WritablePacket = Pick<CapturedPacket, 'data'> &
  Partial<Pick<CapturedPacket, 'timestampNs' | 'length'>>;

function pcapngBlock(type: number, body: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = body.reduce((sum, part) => sum + part.length, 0);
  const padding = new Uint8Array(-size & 3);
  const length = 12 + size + padding.length;
  return concatBytes([littleEndian([4, type], [4, length]), ...body, padding, littleEndian([4, length])]);
}

/**
 * Writes a capture piece by piece: first `header()`, then `packet()` for each packet.
 */
export class CaptureWriter {
  private readonly format: 'pcap' | 'pcapng';
  private readonly linkType: number;

  constructor(options: CaptureWriterOptions = {}) {
    this.format = options.format ?? 'pcap';
    this.linkType = options.linkType ?? linkTypes.ethernet;
  }

  /** The bytes before the first packet. */
  header(): Uint8Array<ArrayBuffer> {
    if (this.format === 'pcap') {
      return littleEndian(
        [4, 0xa1b23c4d],
        [2, 2],
        [2, 4],
        [4, 0],
        [4, 0],
        [4, maxPacketBytes],
        [4, this.linkType],
      );
    }
    const unknownLength: readonly Field[] = [
      [4, 0xffffffff],
      [4, 0xffffffff],
    ];
    const section = littleEndian([4, byteOrderMagic], [2, 1], [2, 0], ...unknownLength);
    const nanoseconds = littleEndian([2, interfaceOptions.tsresol], [2, 1], [1, 9], [1, 0], [2, 0], [4, 0]);
    return concatBytes([
      pcapngBlock(blockTypes.section, [section]),
      pcapngBlock(blockTypes.interface, [
        littleEndian([2, this.linkType], [2, 0], [4, maxPacketBytes]),
        nanoseconds,
      ]),
    ]);
  }

  /**
   * The bytes of one packet.
   * @throws {SkepError} where it is longer than 256 KiB, or its time does not fit the format
   */
  packet(packet: WritablePacket): Uint8Array<ArrayBuffer> {
    const { data, timestampNs = 0n, length = data.length } = packet;
    if (data.length > maxPacketBytes) {
      throw new SkepError({
        code: 'capture-packet-length',
        message: `a packet of ${data.length} bytes; a capture holds at most ${maxPacketBytes}`,
      });
    }
    const limit = this.format === 'pcap' ? 1_000_000_000n << 32n : 1n << 64n;
    if (timestampNs < 0n || timestampNs >= limit) {
      throw new SkepError({
        code: 'capture-time',
        message: `a packet at ${timestampNs} ns, which ${this.format} cannot say`,
      });
    }
    if (this.format === 'pcap') {
      const seconds = Number(timestampNs / 1_000_000_000n);
      const fraction = Number(timestampNs % 1_000_000_000n);
      return concatBytes([littleEndian([4, seconds], [4, fraction], [4, data.length], [4, length]), data]);
    }
    const [high, low] = [Number(timestampNs >> 32n), Number(timestampNs & 0xffffffffn)];
    return pcapngBlock(blockTypes.enhancedPacket, [
      littleEndian([4, 0], [4, high], [4, low], [4, data.length], [4, length]),
      data,
    ]);
  }
}

/** A whole capture at once. */
export function writeCapture(
  packets: Iterable<WritablePacket>,
  options: CaptureWriterOptions = {},
): Uint8Array<ArrayBuffer> {
  const writer = new CaptureWriter(options);
  return concatBytes([writer.header(), ...Array.from(packets, (packet) => writer.packet(packet))]);
}
