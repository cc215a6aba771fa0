/**
 * The pcapng file format, read (draft-ietf-opsawg-pcapng): blocks, each between two copies of its length.
 * A section header says the byte order of its section; interface descriptions say link type and clock;
 * packets are in enhanced, simple or (obsolete) packet blocks. Everything else is skipped.
 *
 *   type u32 │ length u32 │ body │ length u32
 */
import { Reader } from '../base/bytes.ts';
import type { ByteQueue } from './byte-queue.ts';
import { type CapturedPacket, cutShort, damaged, maxPacketBytes } from './capture.ts';

export const blockTypes = {
  section: 0x0a0d0d0a,
  interface: 1,
  packet: 2,
  simplePacket: 3,
  enhancedPacket: 6,
} as const;

export const byteOrderMagic = 0x1a2b3c4d;

/** Options of an interface description. */
export const interfaceOptions = { end: 0, tsresol: 9, tsoffset: 14 } as const;

/** Bytes around a block's body. */
const frameBytes = 12;
/** The most of a block that is read at once: a packet and its options. */
const maxBlockBytes = maxPacketBytes + 1024 * 1024;
const maxInterfaces = 65_536;
/** Where fields start in a block, its type and length counted. */
const bodyAt = 8;

interface Interface {
  readonly linkType: number;
  /** The most bytes of its packets; 0 for no limit. */
  readonly snapshot: number;
  /** A timestamp is `ticks × 10^9 ÷ ticksPerSecond + offsetNs` nanoseconds. */
  readonly ticksPerSecond: bigint;
  readonly offsetNs: bigint;
}

interface Section {
  littleEndian: boolean;
  interfaces: Interface[];
}

/** Whether a stream that starts with this number (u32) is pcapng; it reads the same in both byte orders. */
export function isPcapng(magic: number): boolean {
  return magic === blockTypes.section;
}

/** if_tsresol: a power of ten, or of two where the top bit is set. */
function ticksPerSecond(resolution: number): bigint {
  const exponent = BigInt(resolution & 0x7f);
  return resolution & 0x80 ? 2n ** exponent : 10n ** exponent;
}

/** Reads an interface description of `body` bytes. Options that run over its end are as if not there. */
function readInterface(block: Reader, bodyEnd: number): Interface {
  let ticks = 1_000_000n;
  let offsetNs = 0n;
  for (let at = bodyAt + 8; at + 4 <= bodyEnd; ) {
    const [code, length] = [block.u16(at), block.u16(at + 2)];
    if (code === interfaceOptions.end || at + 4 + length > bodyEnd) break;
    if (code === interfaceOptions.tsresol && length === 1) ticks = ticksPerSecond(block.u8(at + 4));
    if (code === interfaceOptions.tsoffset && length === 8) {
      offsetNs = BigInt.asIntN(64, block.u64(at + 4)) * 1_000_000_000n;
    }
    at += 4 + length + (-length & 3);
  }
  return { linkType: block.u16(bodyAt), snapshot: block.u32(bodyAt + 4), ticksPerSecond: ticks, offsetNs };
}

/** Where the fields of a packet block are; the three kinds differ in little else. */
interface PacketFields {
  readonly interfaceId: number;
  readonly ticks: bigint | undefined;
  readonly captured: number;
  readonly length: number;
  readonly dataAt: number;
}

const leastBody = {
  [blockTypes.section]: 16,
  [blockTypes.interface]: 8,
  [blockTypes.packet]: 20,
  [blockTypes.simplePacket]: 4,
  [blockTypes.enhancedPacket]: 20,
} as const satisfies Record<number, number>;

type KnownBlock = keyof typeof leastBody;

function packetFields(type: KnownBlock, block: Reader, section: Section): PacketFields {
  if (type === blockTypes.simplePacket) {
    const length = block.u32(bodyAt);
    const snapshot = section.interfaces[0]?.snapshot ?? 0;
    const captured = snapshot === 0 ? length : Math.min(length, snapshot);
    return { interfaceId: 0, ticks: undefined, captured, length, dataAt: bodyAt + 4 };
  }
  return {
    interfaceId: type === blockTypes.packet ? block.u16(bodyAt) : block.u32(bodyAt),
    ticks: (BigInt(block.u32(bodyAt + 4)) << 32n) | BigInt(block.u32(bodyAt + 8)),
    captured: block.u32(bodyAt + 12),
    length: block.u32(bodyAt + 16),
    dataAt: bodyAt + 20,
  };
}

class PcapngReader {
  private readonly input: ByteQueue;
  private readonly section: Section = { littleEndian: true, interfaces: [] };
  private count = 0;

  constructor(input: ByteQueue) {
    this.input = input;
  }

  private async want(size: number, what: string): Promise<void> {
    if (this.input.available >= size || (await this.input.fill(size))) return;
    throw cutShort(what, this.input, this.count);
  }

  private damaged(message: string): Error {
    return damaged(message, this.input, this.count);
  }

  /** The type and length of the next block; undefined at the end. A section header sets the byte order. */
  private async nextBlock(): Promise<{ type: number; length: number } | undefined> {
    if (!(await this.input.fill(1))) return undefined;
    await this.want(bodyAt, "a block's header");
    if (isPcapng(new Reader(this.input.peek(4), 'pcapng block').u32(0))) {
      await this.want(bodyAt + 4, 'a section header');
      const magic = new Reader(this.input.peek(bodyAt + 4), 'pcapng section').u32(bodyAt);
      if (magic !== byteOrderMagic && magic !== 0x4d3c2b1a) {
        throw this.damaged('a section header without the byte order magic');
      }
      this.section.littleEndian = magic === byteOrderMagic;
    }
    const header = this.reader(bodyAt);
    const [type, length] = [header.u32(0), header.u32(4)];
    if (length < frameBytes || length % 4 !== 0) throw this.damaged(`a block of ${length} bytes`);
    return { type, length };
  }

  private reader(size: number): Reader {
    return new Reader(this.input.peek(size), 'pcapng block', this.section.littleEndian);
  }

  /** The packet of the block at the front of the input. */
  private packet(type: KnownBlock, block: Reader): CapturedPacket {
    const { interfaceId, ticks, captured, length, dataAt } = packetFields(type, block, this.section);
    const from = this.section.interfaces[interfaceId];
    if (from === undefined)
      throw this.damaged(`a packet of interface ${interfaceId}, which is not described,`);
    if (captured > maxPacketBytes || dataAt + captured > block.length - 4) {
      throw this.damaged(`packet ${this.count + 1} of ${captured} bytes in a block of ${block.length}`);
    }
    if (from.snapshot !== 0 && captured > from.snapshot) {
      throw this.damaged(
        `packet ${this.count + 1} has ${captured} bytes, over its interface's limit of ${from.snapshot},`,
      );
    }
    const timestampNs =
      ticks === undefined ? 0n : (ticks * 1_000_000_000n) / from.ticksPerSecond + from.offsetNs;
    return {
      // Not slice(): that of Node's Buffer is a view.
      data: new Uint8Array(block.slice(dataAt, captured)),
      timestampNs,
      length,
      linkType: from.linkType,
    };
  }

  /** Takes in a block at the front of the input; returns its packet, where it is one. */
  private block(type: KnownBlock, length: number): CapturedPacket | undefined {
    const block = this.reader(length);
    if (block.u32(length - 4) !== length) throw this.damaged("a block's two lengths differ");
    if (length < frameBytes + leastBody[type]) throw this.damaged(`a block of ${length} bytes`);
    switch (type) {
      case blockTypes.section: {
        const major = block.u16(bodyAt + 4);
        if (major !== 1) throw this.damaged(`pcapng version ${major}, not 1,`);
        this.section.interfaces = [];
        return undefined;
      }
      case blockTypes.interface:
        if (this.section.interfaces.length >= maxInterfaces) {
          throw this.damaged(`more than ${maxInterfaces} interfaces`);
        }
        this.section.interfaces.push(readInterface(block, length - 4));
        return undefined;
      default:
        return this.packet(type, block);
    }
  }

  async *packets(): AsyncGenerator<CapturedPacket, void, undefined> {
    for (;;) {
      const next = await this.nextBlock();
      if (next === undefined) return;
      const { type, length } = next;
      if (!(type in leastBody)) {
        if (!(await this.input.skip(length))) throw cutShort('a block', this.input, this.count);
        continue;
      }
      if (length > maxBlockBytes) throw this.damaged(`a block of ${length} bytes`);
      await this.want(length, type < blockTypes.packet ? 'a block' : `packet ${this.count + 1}`);
      const packet = this.block(type as KnownBlock, length);
      this.input.take(length);
      if (packet === undefined) continue;
      this.count++;
      yield packet;
    }
  }
}

/**
 * The packets of a pcapng stream, which `isPcapng` has recognised.
 * @throws {SkepError} on a damaged or cut stream, after the packets that are whole
 */
export function readPcapng(input: ByteQueue): AsyncGenerator<CapturedPacket, void, undefined> {
  return new PcapngReader(input).packets();
}
