/**
 * Bob Jenkins' lookup3 (public domain, 2006), the hash that Linux's hash maps use as jhash(): with
 * BPF_F_ZERO_SEED, elements come in the same order as there.
 */

const rot = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

/** The hash, as unsigned 32 bits, of the `length` bytes at `at`; `seed` is lookup3's initval. */
export function jhash(view: DataView, at: number, length: number, seed = 0): number {
  let a = (0xdeadbeef + length + seed) | 0;
  let b = a;
  let c = a;
  let key = at;
  let left = length;
  while (left > 12) {
    a = (a + view.getInt32(key, true)) | 0;
    b = (b + view.getInt32(key + 4, true)) | 0;
    c = (c + view.getInt32(key + 8, true)) | 0;
    a = (a - c) ^ rot(c, 4);
    c = (c + b) | 0;
    b = (b - a) ^ rot(a, 6);
    a = (a + c) | 0;
    c = (c - b) ^ rot(b, 8);
    b = (b + a) | 0;
    a = (a - c) ^ rot(c, 16);
    c = (c + b) | 0;
    b = (b - a) ^ rot(a, 19);
    a = (a + c) | 0;
    c = (c - b) ^ rot(b, 4);
    b = (b + a) | 0;
    key += 12;
    left -= 12;
  }
  if (left === 0) return c >>> 0;
  a = (a + word(view, key, left)) | 0;
  if (left > 4) b = (b + word(view, key + 4, left - 4)) | 0;
  if (left > 8) c = (c + word(view, key + 8, left - 8)) | 0;
  c = (c ^ b) - rot(b, 14);
  a = (a ^ c) - rot(c, 11);
  b = (b ^ a) - rot(a, 25);
  c = (c ^ b) - rot(b, 16);
  a = (a ^ c) - rot(c, 4);
  b = (b ^ a) - rot(a, 14);
  return ((c ^ b) - rot(b, 24)) >>> 0;
}

/** A little-endian word of which only the first `left` bytes (of four, or more) are there. */
function word(view: DataView, at: number, left: number): number {
  if (left >= 4) return view.getInt32(at, true);
  let value = 0;
  for (let i = 0; i < left; i++) value |= view.getUint8(at + i) << (8 * i);
  return value;
}
