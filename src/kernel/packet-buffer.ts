/**
 * A packet in kernel memory with its context struct: struct xdp_md or struct __sk_buff, laid out as programs
 * read them, with addresses in `data`, `data_meta` and `data_end`.
 *
 *      buffer │ headroom │ metadata │ packet │ tailroom │
 *                        ▲ data_meta ▲ data   ▲ data_end
 */
import type { KernelMemory } from '../memory/types.ts';
import type { PacketContext } from '../vm/types.ts';

/** XDP_PACKET_HEADROOM */
export const XDP_HEADROOM = 256;
/** Tail of a frame that Linux keeps for itself: struct skb_shared_info, aligned to the cache line. */
export const TAILROOM = 320;

/** Offsets in struct xdp_md. */
export const xdpMd = {
  size: 24,
  data: 0,
  dataEnd: 4,
  dataMeta: 8,
  ingressIfindex: 12,
  rxQueueIndex: 16,
  egressIfindex: 20,
} as const;

/** Offsets in struct __sk_buff. */
export const skBuff = {
  size: 192,
  len: 0,
  pktType: 4,
  mark: 8,
  protocol: 16,
  priority: 32,
  ingressIfindex: 36,
  ifindex: 40,
  tcIndex: 44,
  cb: 48,
  hash: 68,
  data: 76,
  dataEnd: 80,
  dataMeta: 140,
  tstamp: 152,
  wireLen: 160,
  gsoSegs: 164,
  sk: 168,
  gsoSize: 176,
  hwtstamp: 184,
} as const;

interface ContextLayout {
  readonly size: number;
  readonly data: number;
  readonly dataEnd: number;
  readonly dataMeta: number;
}

export interface PacketInit {
  readonly memory: KernelMemory;
  readonly layout: ContextLayout;
  /** Everything that goes behind the headroom. */
  readonly bytes: Uint8Array;
  /** Bytes at the start of `bytes` that lie before `data`: metadata, or a link-layer header. */
  readonly before: number;
  readonly headroom: number;
  readonly tailroom: number;
}

export class PacketBuffer implements PacketContext {
  readonly ctx: number;
  readonly buffer: number;
  readonly bufferSize: number;
  readonly #memory: KernelMemory;
  readonly #layout: ContextLayout;

  /** @throws {BpfError} ENOMEM */
  constructor(init: PacketInit) {
    const { memory, layout, bytes, headroom } = init;
    this.#memory = memory;
    this.#layout = layout;
    this.bufferSize = headroom + bytes.length + init.tailroom;
    this.buffer = memory.alloc(this.bufferSize);
    try {
      this.ctx = memory.alloc(layout.size);
    } catch (error) {
      memory.free(this.buffer);
      throw error;
    }
    memory.u8.set(bytes, this.buffer + headroom);
    this.setField(layout.data, this.buffer + headroom + init.before);
    this.setField(layout.dataMeta, this.data);
    this.setField(layout.dataEnd, this.buffer + headroom + bytes.length);
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
    return this.field(this.#layout.dataEnd);
  }
}
