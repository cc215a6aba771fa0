/**
 * The kernel's address space, as the rest sees it: addresses are plain numbers below 2^32 in one
 * WebAssembly.Memory; a BPF pointer is such an address.
 */

export interface KernelMemory {
  readonly wasm: WebAssembly.Memory;
  /**
   * Views over the whole memory. Growing detaches them, so take them anew (`memory.u8`) after anything that
   * may allocate; never keep one across a call.
   */
  readonly u8: Uint8Array;
  readonly view: DataView;
  /** Counts how often the views were replaced; a cache of views compares it. */
  readonly generation: number;
  /**
   * Zeroed bytes, at an address that is a multiple of `align` (a power of two, at least 8).
   * @throws {BpfError} ENOMEM beyond the kernel's limit
   */
  alloc(size: number, align?: number): number;
  free(address: number): void;
  /** Whether [address, address + size) lies within one live allocation (the interpreter's check). */
  isAllocated(address: number, size: number): boolean;
  readonly bytesInUse: number;
}
