/**
 * The kernel's memory: one WebAssembly.Memory, an allocator over it and the record of what is allocated.
 * Contents live in the Memory; the allocator's own bookkeeping is in TypeScript, out of reach of programs.
 */
import { Bug, roundUp } from '../base/index.ts';
import { BpfError } from '../uapi/errno.ts';
import { FreeList } from './free-list.ts';
import { ARENA_END, ARENA_START, BLOCK_ALIGN, WASM_PAGE } from './layout.ts';
import { Shadow } from './shadow.ts';
import type { KernelMemory } from './types.ts';

export interface MemoryOptions {
  /** The most bytes of arena that this kernel may use; default 1 GiB. Beyond it, ENOMEM. */
  readonly limitBytes?: number | undefined;
}

/** Unallocated bytes before each payload. */
const REDZONE = BLOCK_ALIGN;
const DEFAULT_LIMIT = 2 ** 30;
const FIRST_ARENA = 1 << 20;

interface Block {
  readonly start: number;
  readonly size: number;
  /** As asked for. */
  readonly bytes: number;
}

class WasmKernelMemory implements KernelMemory {
  readonly wasm: WebAssembly.Memory;
  u8: Uint8Array;
  view: DataView;
  generation = 0;
  bytesInUse = 0;
  private readonly freeList = new FreeList();
  private readonly blocks = new Map<number, Block>();
  private readonly shadow: Shadow;
  private readonly limit: number;
  /** End of the arena so far: also the size of the Memory. */
  private end: number;
  /** From here on nothing was ever allocated, so the bytes are still zero. */
  private touched = ARENA_START;

  constructor(limitBytes: number) {
    this.limit = Math.min(ARENA_START + limitBytes, ARENA_END);
    this.end = ARENA_START + FIRST_ARENA;
    this.wasm = reserve(this.end / WASM_PAGE);
    this.u8 = new Uint8Array(this.wasm.buffer);
    this.view = new DataView(this.wasm.buffer);
    this.shadow = new Shadow(this.end);
    this.freeList.give(ARENA_START, this.end - ARENA_START);
  }

  alloc(size: number, align = BLOCK_ALIGN): number {
    if (!Number.isInteger(size) || size < 0) throw new Bug(`alloc of ${size} bytes`);
    if (align < 8 || (align & (align - 1)) !== 0) throw new Bug(`alignment ${align}`);
    const alignment = Math.max(align, BLOCK_ALIGN);
    const payload = roundUp(Math.max(size, 1), BLOCK_ALIGN);
    // A payload at any multiple of `alignment`: what is left over in front goes back to the list.
    const want = REDZONE + payload + (alignment - BLOCK_ALIGN);
    if (want > this.limit) throw outOfMemory(size);
    const found = this.freeList.take(want) ?? this.growFor(want, size);
    const address = roundUp(found.start + REDZONE, alignment);
    const start = address - REDZONE;
    const blockEnd = address + payload;
    if (start > found.start) this.freeList.give(found.start, start - found.start);
    const rest = found.start + found.size - blockEnd;
    if (rest > 0) this.freeList.give(blockEnd, rest);

    if (address < this.touched) this.u8.fill(0, address, Math.min(blockEnd, this.touched));
    this.touched = Math.max(this.touched, blockEnd);
    this.blocks.set(address, { start, size: blockEnd - start, bytes: size });
    this.shadow.mark(address, size);
    this.bytesInUse += blockEnd - start;
    return address;
  }

  free(address: number): void {
    const block = this.blocks.get(address);
    if (block === undefined) throw new Bug(`free of 0x${address.toString(16)}, which is no live allocation`);
    this.blocks.delete(address);
    this.shadow.clear(address, block.bytes);
    this.bytesInUse -= block.size;
    this.freeList.give(block.start, block.size);
  }

  isAllocated(address: number, size: number): boolean {
    return this.shadow.covers(address, size);
  }

  /** Makes room for `want` free bytes at the end of the arena and takes them. */
  private growFor(want: number, size: number): { start: number; size: number } {
    const least = this.end - this.freeList.freeBefore(this.end) + want;
    if (least > this.limit) throw outOfMemory(size);
    const ahead = Math.min(Math.max(least, this.end + this.end / 4), this.limit);
    // The limit need not be a whole page; the last page may then be used only in part.
    const pages = Math.ceil(ahead / WASM_PAGE) - this.wasm.buffer.byteLength / WASM_PAGE;
    try {
      this.wasm.grow(pages);
    } catch {
      throw outOfMemory(size);
    }
    this.u8 = new Uint8Array(this.wasm.buffer);
    this.view = new DataView(this.wasm.buffer);
    this.generation++;
    this.shadow.grow(this.wasm.buffer.byteLength);
    const end = Math.floor(ahead / BLOCK_ALIGN) * BLOCK_ALIGN;
    this.freeList.give(this.end, end - this.end);
    this.end = end;
    const found = this.freeList.take(want);
    if (found === undefined) throw outOfMemory(size);
    return found;
  }
}

function reserve(pages: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: 65536 });
  } catch {
    throw new BpfError(
      'ENOMEM',
      'reserving address space for a kernel',
      'close kernels that are no longer used',
    );
  }
}

function outOfMemory(size: number): BpfError {
  return new BpfError('ENOMEM', `allocating ${size} bytes`, 'raise the memory limit of the kernel');
}

/** A kernel's memory, empty. Reserves address space (about 10 GB in V8), so one for each kernel. */
export function createMemory(options: MemoryOptions = {}): KernelMemory {
  const limitBytes = options.limitBytes ?? DEFAULT_LIMIT;
  if (!Number.isSafeInteger(limitBytes) || limitBytes < 0) {
    throw new BpfError('EINVAL', `memory limit of ${limitBytes} bytes`);
  }
  return new WasmKernelMemory(limitBytes);
}
