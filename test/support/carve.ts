/** BPF objects inside other files: tools built with libbpf's skeletons carry theirs whole. */

/** ELF64, little-endian; relocatable, for BPF. */
const magic = [0x7f, 0x45, 0x4c, 0x46, 2, 1] as const;
const kind = [1, 0, 0xf7, 0] as const;

/** Every object in `bytes`, as far as its section headers, which stand at its end. */
export function carveObjects(bytes: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = Buffer.from(magic);
  for (let at = file.indexOf(start); at >= 0; at = file.indexOf(start, at + 1)) {
    if (at + 64 > file.length || kind.some((byte, i) => file[at + 16 + i] !== byte)) continue;
    const end = Number(file.readBigUInt64LE(at + 40)) + 64 * file.readUInt16LE(at + 60);
    if (at + end <= file.length) found.push(bytes.subarray(at, at + end));
  }
  return found;
}
