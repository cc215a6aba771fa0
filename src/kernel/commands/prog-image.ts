/**
 * A loaded program as bytes: its tag, and the instructions that the info command shows. Instructions that
 * Linux would rewrite or remove (dead code, inlined helpers) are shown as they were loaded.
 */
import { pseudoLoads } from '../../isa/insn.ts';
import { sha256 } from '../sha256.ts';

const LDIMM64 = 0x18;
const TAG_BYTES = 8;

interface MapLoad {
  /** Byte offset of the first slot. */
  readonly at: number;
  readonly pseudo: (typeof pseudoLoads)[number] | undefined;
}

/** Two-slot loads, in order. */
function* wideLoads(insns: Uint8Array): Generator<MapLoad> {
  for (let at = 0; at + 16 <= insns.length; at += 8) {
    if (insns[at] !== LDIMM64) continue;
    yield { at, pseudo: pseudoLoads[(insns[at + 1] as number) >> 4] };
    at += 8;
  }
}

/**
 * The first eight bytes of the SHA-256 of the instructions; fds and offsets of map loads count as zero, so
 * that the tag of a program does not depend on the process that loads it (bpf_prog_calc_tag).
 */
export function programTag(insns: Uint8Array): Uint8Array {
  const image = insns.slice();
  for (const { at, pseudo } of wideLoads(image)) {
    if (pseudo !== 'mapFd' && pseudo !== 'mapValue') continue;
    image.fill(0, at + 4, at + 8);
    image.fill(0, at + 12, at + 16);
  }
  return sha256(image).slice(0, TAG_BYTES);
}

/** The instructions with map ids for fds; `mapId` gives the id for an fd, or for an index into fd_array. */
export function xlatedInsns(insns: Uint8Array, mapId: (fd: number, byIndex: boolean) => number): Uint8Array {
  const image = insns.slice();
  const view = new DataView(image.buffer);
  const setSource = (at: number, source: number): void => {
    image[at + 1] = ((image[at + 1] as number) & 0x0f) | (source << 4);
  };
  for (const { at, pseudo } of wideLoads(image)) {
    const byIndex = pseudo === 'mapIdx' || pseudo === 'mapIdxValue';
    if (!byIndex && pseudo !== 'mapFd' && pseudo !== 'mapValue') continue;
    view.setUint32(at + 4, mapId(view.getInt32(at + 4, true), byIndex), true);
    if (pseudo === 'mapIdx') setSource(at, pseudoLoads.indexOf('mapFd'));
    if (pseudo === 'mapIdxValue') setSource(at, pseudoLoads.indexOf('mapValue'));
  }
  return image;
}
