/**
 * How maps lie in the kernel's memory: the one place that helper code, TypeScript or generated, takes
 * offsets from. A map object starts with a header; `address` points at it, and programs hold that as the
 * map pointer.
 *
 *      header  0 type │ 4 keySize │ 8 valueSize │ 12 maxEntries │ 16 flags │ 20 values │ 24 stride │ 28 cpuStride
 *      hash    32 count │ 36 buckets │ 40 bucketMask │ 44 freeHead │ 48 fresh │ 52 freshEnd │ 56 chunks │ 60 seed
 *              64 keySlot, where user space's key is put
 */

export const mapHeader = {
  type: 0,
  keySize: 4,
  valueSize: 8,
  maxEntries: 12,
  flags: 16,
  /** Array kinds: address of the first value (of CPU 0). */
  values: 20,
  /** Array kinds: bytes from one value to the next. Hash: bytes from one element to the next. */
  stride: 24,
  /** Per-CPU arrays: bytes from one CPU's values to the next CPU's. */
  cpuStride: 28,
} as const;

export const hashHeader = {
  /** Elements in the map. */
  count: 32,
  /** Address of the bucket table: one u32 each, the address of the first element or 0. */
  buckets: 36,
  bucketMask: 40,
  /** First of the elements that were freed, or 0; they are chained by `hashElem.next`. */
  freeHead: 44,
  /** Elements never used yet: [fresh, freshEnd). */
  fresh: 48,
  freshEnd: 52,
  /** The newest chunk of elements, or 0; each starts with the address of the one before. */
  chunks: 56,
  seed: 60,
  keySlot: 64,
} as const;

/** An element of a hash: `next │ hash │ key, padded to 8 │ value, padded to 8`. */
export const hashElem = { next: 0, hash: 4, key: 8 } as const;

/** Bytes before the first element of a chunk. */
export const CHUNK_HEADER = 8;

export const MAP_HEADER_BYTES = 32;
