/**
 * BPF objects inside other files: programs that carry their objects, as bpftool's skeletons do, hold the bytes of
 * an ELF file. Finds them by their header, and how long they are by their sections.
 */

const HEADER_SIZE = 64;
const EM_BPF = 247;
/** e_ident: ELF, 64 bits, little-endian, version 1. */
const ident = Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1);
const SHT_NOBITS = 8;

/** Every BPF object in `bytes`, each once. */
export function carve(bytes: Uint8Array): Uint8Array[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = new Map<string, Uint8Array>();
  for (let at = buffer.indexOf(ident); at >= 0; at = buffer.indexOf(ident, at + 1)) {
    const size = objectSize(bytes, at);
    if (size === undefined) continue;
    const object = Uint8Array.from(buffer.subarray(at, at + size));
    found.set(Buffer.from(object).toString('latin1'), object);
  }
  return [...found.values()];
}

/** Bytes of the BPF object at `at`; undefined where that is none, or not all of it is there. */
function objectSize(bytes: Uint8Array, at: number): number | undefined {
  if (at + HEADER_SIZE > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
  if (view.getUint16(18, true) !== EM_BPF) return undefined;
  const table = Number(view.getBigUint64(40, true));
  const entrySize = view.getUint16(58, true);
  const count = view.getUint16(60, true);
  let end = table + entrySize * count;
  if (entrySize !== HEADER_SIZE || end > view.byteLength) return undefined;
  for (let section = table; section < table + entrySize * count; section += entrySize) {
    if (view.getUint32(section + 4, true) === SHT_NOBITS) continue;
    end = Math.max(
      end,
      Number(view.getBigUint64(section + 24, true)) + Number(view.getBigUint64(section + 32, true)),
    );
  }
  return end <= view.byteLength ? end : undefined;
}
