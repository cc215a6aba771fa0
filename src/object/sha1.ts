/**
 * SHA-1 (FIPS 180-4): iproute2's tc names the folder of maps that only one object shares by the hash of its file.
 * It keeps nothing secret.
 */
import { toHex } from '../base/bytes.ts';

const start = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0] as const;
const rotl = (x: number, n: number): number => (x << n) | (x >>> (32 - n));

/** The mix of three words, and the constant, of each quarter of the 80 rounds. */
const quarters: readonly { readonly k: number; readonly mix: (b: number, c: number, d: number) => number }[] =
  [
    { k: 0x5a827999, mix: (b, c, d) => (b & c) | (~b & d) },
    { k: 0x6ed9eba1, mix: (b, c, d) => b ^ c ^ d },
    { k: 0x8f1bbcdc, mix: (b, c, d) => (b & c) | (b & d) | (c & d) },
    { k: 0xca62c1d6, mix: (b, c, d) => b ^ c ^ d },
  ];

function addBlock(hash: Uint32Array, words: Uint32Array): void {
  for (let i = 16; i < 80; i++) {
    words[i] = rotl(words[i - 3]! ^ words[i - 8]! ^ words[i - 14]! ^ words[i - 16]!, 1);
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0] = hash;
  for (let i = 0; i < 80; i++) {
    const { k, mix } = quarters[Math.floor(i / 20)]!;
    const next = (rotl(a, 5) + mix(b, c, d) + e + k + words[i]!) | 0;
    [a, b, c, d, e] = [next, a, rotl(b, 30), c, d];
  }
  for (const [i, word] of [a, b, c, d, e].entries()) hash[i] = hash[i]! + word;
}

/** The hash in 40 hex digits. */
export function sha1Hex(message: Uint8Array): string {
  const padded = new Uint8Array(Math.ceil((message.length + 9) / 64) * 64);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(message.length) * 8n);
  const hash = Uint32Array.from(start);
  const words = new Uint32Array(80);
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 16; i++) words[i] = view.getUint32(at + i * 4);
    addBlock(hash, words);
  }
  const out = new DataView(new ArrayBuffer(20));
  for (const [i, word] of hash.entries()) out.setUint32(i * 4, word);
  return toHex(new Uint8Array(out.buffer));
}
