/**
 * How maps lie in the kernel's memory: the one place that helper code, TypeScript or generated, takes
 * offsets from. A map object starts with a header; `address` points at it, and programs hold that as the
 * map pointer.
 *
 *      header  0 type │ 4 keySize │ 8 valueSize │ 12 maxEntries │ 16 flags │ 20 values │ 24 stride │ 28 cpuStride
 *      hash    32 count │ 36 buckets │ 40 bucketMask │ 44 freeHead │ 48 fresh │ 52 freshEnd │ 56 chunks │ 60 seed
 *              64 hand │ 72 keySlot, where user space's key is put
 *      ring    32 mask │ 36 ring
 *      queue   32 head │ 36 tail
 */
import { roundUp } from '../base/bytes.ts';

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
  /** LRU: the element at which the search for one to forget goes on. */
  hand: 64,
  keySlot: 72,
} as const;

/**
 * An element of a hash: `next │ hash │ key, padded to 8 │ value, padded to 8, for each CPU │ of an LRU: used, 8`.
 */
export const hashElem = { next: 0, hash: 4, key: 8 } as const;

/** Bytes behind the values of an element of an LRU, the first of which says whether it was used. */
export const LRU_BYTES = 8;

/** Where the values of an element start, each `valueStride` bytes after the one of the CPU before. */
export const valuesAt = (def: { readonly keySize: number }): number => hashElem.key + roundUp(def.keySize, 8);
export const valueStride = (def: { readonly valueSize: number }): number => roundUp(def.valueSize, 8);

/** Bytes before the first element of a chunk. */
export const CHUNK_HEADER = 8;

export const MAP_HEADER_BYTES = 32;

export const ringHeader = {
  /** Bytes of the data, less one. */
  mask: 32,
  /** Address of the ring: pages for the kernel alone, the consumer's position, the producer's, and data. */
  ring: 36,
} as const;

/** A ring buffer as Linux maps it (kernel/bpf/ringbuf.c), behind one page that holds the map's address. */
export const ringLayout = {
  page: 4096,
  map: 0,
  consumer: 4096,
  producer: 8192,
  /** Behind the producer's position: how far records are finished. */
  pending: 8200,
  data: 12288,
  /** A record: its length with two flags, the pages from the ring's start to it, and its bytes. */
  record: { length: 0, page: 4, bytes: 8 },
  busy: 0x8000_0000,
  discarded: 0x4000_0000,
} as const;

export const queueHeader = {
  /** Where the next value goes and where the oldest is: indices of values. */
  head: 32,
  tail: 36,
} as const;
