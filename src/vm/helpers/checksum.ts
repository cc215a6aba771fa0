/** The Internet checksum (RFC 1071, RFC 1624): sums of 16 bits with end-around carry, kept in 32. */

/** csum_add() */
export function checksumAdd(a: number, b: number): number {
  const sum = (a >>> 0) + (b >>> 0);
  return sum > 0xffff_ffff ? sum - 0xffff_ffff : sum;
}

/** csum_partial(): the sum of bytes, as words of 16 bits in the order of the machine, and `seed`. */
export function checksumOf(bytes: Uint8Array, seed: number): number {
  let sum = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += bytes[i]! | (bytes[i + 1]! << 8);
  if (bytes.length % 2 !== 0) sum += bytes[bytes.length - 1]!;
  return checksumAdd(seed, sum % 0xffff_ffff);
}

/** csum_from32to16() */
export function checksumTo16(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return ((once & 0xffff) + (once >>> 16)) & 0xffff;
}

/** csum_fold() */
export const checksumFold = (sum: number): number => ~checksumTo16(sum) & 0xffff;

/** A checksum as it stands in a header, after `diff` was added to what it covers. */
export function checksumReplaceByDiff(check: number, diff: number): number {
  return checksumFold(checksumAdd(diff, ~check));
}

/** The same after `from` became `to` (csum_replace4). */
export function checksumReplace(check: number, from: number, to: number): number {
  return checksumFold(checksumAdd(checksumAdd(~check, ~from), to));
}
