/**
 * One interface for all map kinds. All state that changes (counts, free lists, LRU order) lives in the
 * kernel's memory, behind `address`; the TypeScript object holds only constants of the map.
 *
 * Errors inside a kind are negative errnos (-ENOENT …), as programs see them; the bpf() command table turns
 * them into exceptions for user space.
 */
import type { KernelMemory } from '../memory/types.ts';

export interface MapDef {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly name: string;
  readonly mapExtra: bigint;
  /** Whether BTF types came with it: of its key, of its value, of its value in the BTF of the kernel. */
  readonly hasKeyType?: boolean;
  readonly hasValueType?: boolean;
  readonly hasKernelValueType?: boolean;
}

/** What a map kind may use of its kernel. */
export interface MapContext {
  readonly memory: KernelMemory;
  readonly cpus: number;
  /** 32 random bits, for hash seeds. */
  random(): number;
}

/** What can be waited for: poll(2) of an object. */
export interface Readable {
  /** Whether there is something to read. */
  isReadable(): boolean;
  /** Calls `wake` at each event from now on, until the function that is returned is called. */
  onWake(wake: () => void): () => void;
}

/**
 * A ring buffer as user space maps it (kernel/bpf/ringbuf.c): one page with the consumer's position, one with the
 * producer's, then the data, and behind it as many bytes again into which a record that crosses the end runs on.
 * Linux maps the data's pages twice for that; here a reader that masks only the start of a record sees the same.
 */
export interface Ring extends Readable {
  /** The address of the consumer's page. */
  readonly pages: number;
  /** Bytes of the data, once. */
  readonly capacity: number;
  /** Who writes records: programs (ringbuf) or user space (user_ringbuf). */
  readonly producer: 'program' | 'user';
}

export interface BpfMap {
  readonly def: MapDef;
  /** The map object's own address: what a program holds as a map pointer. Never 0. */
  readonly address: number;
  /** Bytes of one value as user space reads and writes it: per-CPU kinds, round_up(valueSize, 8) × CPUs. */
  readonly userValueSize: number;

  /** Program side: the address of the value for the key at `key`, on `cpu`, or 0. */
  lookup(key: number, cpu: number): number;
  /** Program side. `flags` as BPF_ANY 0, NOEXIST 1, EXIST 2. 0 or a negative errno. */
  update(key: number, value: number, flags: bigint, cpu: number): number;
  delete(key: number): number;

  /** User side: copies out of or into the map. Keys and values are exactly keySize and userValueSize long. */
  userLookup(key: Uint8Array, value: Uint8Array): number;
  userUpdate(key: Uint8Array, value: Uint8Array, flags: bigint): number;
  userDelete(key: Uint8Array): number;
  /** Writes the key after `key` (the first where it is undefined or not there) into `next`; -ENOENT at the end. */
  userNextKey(key: Uint8Array | undefined, next: Uint8Array): number;

  /** Kinds without keys: takes the next value out (BPF_MAP_LOOKUP_AND_DELETE_ELEM). */
  userPop?(value: Uint8Array): number;
  /** Hash kinds: the keys of a bucket, below `bucketCount`. */
  readonly bucketCount?: number;
  bucketKeys?(bucket: number): Uint8Array[];

  /** The address of the first value where programs may hold direct pointers to it (array kinds). */
  readonly valueAddress: number | undefined;
  /** Of ring buffers. */
  readonly ring?: Ring;
  /** Returns the memory. Called once, by the last reference. */
  destroy(): void;
}
