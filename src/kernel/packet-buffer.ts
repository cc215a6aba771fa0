/**
 * A packet in kernel memory with its context struct: struct xdp_md or struct __sk_buff, laid out as programs
 * read them, with addresses in `data`, `data_meta` and `data_end`.
 *
 *      buffer │ headroom │ metadata │ packet │ tailroom │
 *                        ▲ data_meta ▲ data   ▲ data_end
 */
import type { KernelMemory } from '../memory/types.ts';
import type { PacketOffsets } from '../uapi/contexts.ts';
import type { PacketContext } from '../vm/types.ts';

/** XDP_PACKET_HEADROOM */
export const XDP_HEADROOM = 256;
/** Tail of a frame that Linux keeps for itself: struct skb_shared_info, aligned to the cache line. */
export const TAILROOM = 320;

/** As Linux's allocator aligns buffers of such sizes: programs see it in the low bits of addresses. */
export const BUFFER_ALIGN = 256;

export interface PacketInit {
  readonly memory: KernelMemory;
  readonly layout: PacketOffsets;
  /** Everything that goes behind the headroom. */
  readonly bytes: Uint8Array;
  /** Bytes at the start of `bytes` that lie before `data`: metadata, or a link-layer header. */
  readonly before: number;
  readonly headroom: number;
  readonly tailroom: number;
  /** Where the network header starts in `bytes`, behind a link header; undefined where nobody says. */
  readonly networkHeader?: number;
}

export class PacketBuffer implements PacketContext {
  readonly ctx: number;
  readonly buffer: number;
  readonly bufferSize: number;
  readonly linkHeader: number | undefined;
  readonly networkHeader: number | undefined;
  readonly #memory: KernelMemory;
  readonly #layout: PacketOffsets;

  /** @throws {BpfError} ENOMEM */
  constructor(init: PacketInit) {
    const { memory, layout, bytes, headroom } = init;
    this.#memory = memory;
    this.#layout = layout;
    this.bufferSize = headroom + bytes.length + init.tailroom;
    this.buffer = memory.alloc(this.bufferSize, BUFFER_ALIGN);
    try {
      this.ctx = memory.alloc(layout.size);
    } catch (error) {
      memory.free(this.buffer);
      throw error;
    }
    memory.u8.set(bytes, this.buffer + headroom);
    if (init.networkHeader !== undefined) {
      this.linkHeader = this.buffer + headroom;
      this.networkHeader = this.linkHeader + init.networkHeader;
    }
    this.setField(layout.data, this.buffer + headroom + init.before);
    this.setField(layout.data_meta, this.data);
    this.setField(layout.data_end, this.buffer + headroom + bytes.length);
  }

  free(): void {
    this.#memory.free(this.ctx);
    this.#memory.free(this.buffer);
  }

  /** A u32 of the context. */
  field(offset: number): number {
    return this.#memory.view.getUint32(this.ctx + offset, true);
  }

  setField(offset: number, value: number): void {
    this.#memory.view.setUint32(this.ctx + offset, value, true);
  }

  /** A copy of [from, to) of the kernel's memory, which the caller derived from fields of the context. */
  copy(from: number, to: number): Uint8Array<ArrayBuffer> {
    return this.#memory.u8.slice(from, to);
  }

  get data(): number {
    return this.field(this.#layout.data);
  }

  get dataEnd(): number {
    return this.field(this.#layout.data_end);
  }
}
