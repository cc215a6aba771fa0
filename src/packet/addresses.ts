/** Hardware and IP addresses, as text and as bytes. IPv6 prints as RFC 5952 says. */
import { toHex } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';

function notAnAddress(kind: string, text: string): SkepError {
  return new SkepError({
    code: 'address',
    message: `not ${kind} address: ${JSON.stringify(text.slice(0, 64))}`,
  });
}

/** '02:00:00:00:00:01' */
export function formatMac(bytes: Uint8Array): string {
  return toHex(bytes, ':');
}

/** The 6 bytes of '02:00:00:00:00:01'. @throws {SkepError} */
export function parseMac(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw notAnAddress('a hardware', text);
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

/** '192.0.2.1' */
export function formatIpv4(bytes: Uint8Array): string {
  return bytes.join('.');
}

/** The 4 bytes of '192.0.2.1'. @throws {SkepError} */
export function parseIpv4(text: string): Uint8Array<ArrayBuffer> {
  const parts = text.split('.');
  if (parts.length !== 4 || parts.some((part) => !/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255)) {
    throw notAnAddress('an IPv4', text);
  }
  return Uint8Array.from(parts, Number);
}

/** '2001:db8::1': the longest run of two or more zero groups, the first of equals, becomes '::'. */
export function formatIpv6(bytes: Uint8Array): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  let best = { start: 0, length: 1 };
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (groups[i + length] === '0') length++;
    if (length > best.length) best = { start: i, length };
    i += length;
  }
  if (best.length < 2) return groups.join(':');
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`;
}

/** The 16 bytes of '2001:db8::1' or '::ffff:192.0.2.1'. @throws {SkepError} */
export function parseIpv6(text: string): Uint8Array<ArrayBuffer> {
  const halves = text.split('::');
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':')));
  if (head === undefined || halves.length > 2) throw notAnAddress('an IPv6', text);
  const last = (tail ?? head).at(-1);
  if (last?.includes('.')) {
    const v4 = parseIpv4(last);
    (tail ?? head).splice(-1, 1, toHex(v4.subarray(0, 2)), toHex(v4.subarray(2)));
  }
  const given = head.length + (tail?.length ?? 0);
  if (tail === undefined ? given !== 8 : given > 7) throw notAnAddress('an IPv6', text);
  const groups = [...head, ...Array<string>(8 - given).fill('0'), ...(tail ?? [])];
  if (groups.some((group) => !/^[0-9a-f]{1,4}$/i.test(group))) throw notAnAddress('an IPv6', text);
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]),
  );
}
