/**
 * Finding types by name: a hash table of type ids over the bytes of the names. The kernel has about 100 thousand
 * named types; as strings in a JavaScript map they took 30 MB and most of the time of a first search.
 */

/** How many bytes of a name are hashed; the rest only tells names apart. Bounds what a hostile file costs. */
const hashedBytes = 64;
const underscore = 0x5f;

/** FNV-1a. */
function hashName(bytes: Uint8Array, start: number): number {
  let hash = 0x811c9dc5;
  for (let at = start, end = start + hashedBytes; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === 0) break;
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}

export class NameIndex {
  /** By a name's hash, the first entry of a chain, plus 1; 0 for none. */
  readonly #heads: Int32Array;
  /** By entry, the next of its chain, plus 1. */
  readonly #next: Int32Array;
  readonly #offsets: Uint32Array;
  readonly #strings: Uint8Array;

  /**
   * @param offsets of each entry's name in `strings`, 0 for an entry that is not found
   * @param strings NUL-terminated, the last one too
   */
  constructor(offsets: Uint32Array, strings: Uint8Array) {
    this.#offsets = offsets;
    this.#strings = strings;
    const size = 1 << Math.max(4, Math.ceil(Math.log2(offsets.length + 1)) + 1);
    this.#heads = new Int32Array(size);
    this.#next = new Int32Array(offsets.length);
    // From the last, so that chains come in the order of entries.
    for (let entry = offsets.length - 1; entry >= 0; entry--) {
      const offset = offsets[entry]!;
      if (offset === 0) continue;
      const bucket = hashName(strings, offset) & (size - 1);
      this.#next[entry] = this.#heads[bucket]!;
      this.#heads[bucket] = entry + 1;
    }
  }

  /** The entries of that name, in order. `name` is UTF-8 and ends with a NUL. */
  find(name: Uint8Array): number[] {
    const found: number[] = [];
    let known = 0;
    for (let entry = this.#heads[hashName(name, 0) & (this.#heads.length - 1)]!; entry !== 0; ) {
      const offset = this.#offsets[entry - 1]!;
      if (offset === known || this.#isAt(name, offset)) {
        known = offset;
        found.push(entry - 1);
      }
      entry = this.#next[entry - 1]!;
    }
    return found;
  }

  /** The entries in whose names there are three underscores in a row, as before a flavour (`___v1`). */
  flavoured(): number[] {
    const [strings, offsets] = [this.#strings, this.#offsets];
    // For each byte, whether there are three before its string ends: found from the end, in one pass.
    const marked = new Uint8Array(strings.length);
    let [run, isMarked] = [0, 0];
    for (let at = strings.length - 1; at >= 0; at--) {
      if (strings[at] === 0) isMarked = 0;
      run = strings[at] === underscore ? run + 1 : 0;
      if (run >= 3) isMarked = 1;
      marked[at] = isMarked;
    }
    const found: number[] = [];
    for (let entry = 0; entry < offsets.length; entry++) if (marked[offsets[entry]!] === 1) found.push(entry);
    return found;
  }

  #isAt(name: Uint8Array, offset: number): boolean {
    for (let i = 0; i < name.length; i++) if (this.#strings[offset + i] !== name[i]) return false;
    return true;
  }
}
