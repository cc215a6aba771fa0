/**
 * Messages of route netlink (rtnetlink(7), linux/rtnetlink.h), written and read: a header, a record of the kind of
 * object, and attributes, which may be nested. What is said with them is in xdp and tc.
 */
import { concatBytes } from '../../base/bytes.ts';

export const flags = {
  request: 1,
  ack: 4,
  echo: 8,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
} as const;

const headerSize = 16;
const attributeHeader = 4;

const aligned = (length: number): number => (length + 3) & ~3;

/** An attribute; `value` is a number of 32 bits, a text, bytes, or attributes. */
export function attribute(
  type: number,
  value: number | string | Uint8Array | readonly Uint8Array[],
): Uint8Array {
  const payload =
    typeof value === 'number'
      ? u32s(value)
      : typeof value === 'string'
        ? new TextEncoder().encode(`${value}\0`)
        : value instanceof Uint8Array
          ? value
          : concatBytes(value);
  const bytes = new Uint8Array(aligned(attributeHeader + payload.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, attributeHeader + payload.length, true);
  view.setUint16(2, type, true);
  bytes.set(payload, attributeHeader);
  return bytes;
}

/** Numbers of 32 bits, of either sign. */
export function u32s(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint32(4 * i, value >>> 0, true);
  return bytes;
}

/** A request that asks for an acknowledgement. */
export function message(
  type: number,
  { record, attributes, more = 0 }: { record: Uint8Array; attributes: readonly Uint8Array[]; more?: number },
): Uint8Array {
  const body = concatBytes([record, ...attributes]);
  const header = new Uint8Array(headerSize);
  const view = new DataView(header.buffer);
  view.setUint32(0, headerSize + body.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags.request | flags.ack | more, true);
  return concatBytes([header, body]);
}

/** The record of a message: what is between its header and its attributes. */
export function recordOf(answer: Uint8Array | undefined, size: number): DataView | undefined {
  if (answer === undefined || answer.length < headerSize + size) return undefined;
  return new DataView(answer.buffer, answer.byteOffset + headerSize, size);
}
