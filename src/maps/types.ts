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

  /** The address of the first value where programs may hold direct pointers to it (array kinds). */
  readonly valueAddress: number | undefined;
  /** Returns the memory. Called once, by the last reference. */
  destroy(): void;
}
