/**
 * Where things are in the kernel's 32-bit address space.
 *
 *      0 ─────────── ARENA_START ──────────────── ARENA_END ────────────── 4 GiB
 *      │ zero, never │ allocations                │ never used: `data + off` │
 *      │ allocated   │                            │ cannot wrap around        │
 */

/**
 * The first pages stay zero and unallocated: NULL plus any field offset is not an object, and what Linux
 * loads through a faulting BTF pointer (zero) can be loaded here without a check.
 */
export const ARENA_START = 1 << 20;

/** The top megabyte is never handed out: an address plus a packet offset stays below 2^32. */
export const ARENA_END = 2 ** 32 - (1 << 20);

/** Blocks start at multiples of this, and every payload has one unallocated granule pair before it. */
export const BLOCK_ALIGN = 16;

export const WASM_PAGE = 65536;
