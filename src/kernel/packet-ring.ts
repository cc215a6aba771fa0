/**
 * Packets in kernel memory, many at a time, as programs of XDP get them: what `PacketBuffer` is for one. Each has a
 * slot of its own with the same headroom, tailroom and alignment, and a struct xdp_md; slots are used again.
 *
 *      control   runs done, 4 bytes │ results, 4 bytes each │ contexts, 24 bytes each
 *      slots     headroom │ packet │ tailroom │ up to the next multiple of 256 │ headroom │ …
 */
import { roundUp } from '../base/bytes.ts';
import type { KernelMemory } from '../memory/types.ts';
import { xdpMd } from '../uapi/contexts.ts';
import type { Batch, PacketContext } from '../vm/types.ts';
import { BUFFER_ALIGN, TAILROOM, XDP_HEADROOM } from './packet-buffer.ts';

/** Packets at a time, and bytes of their slots where no single packet takes more: these stay in the cache. */
const MOST = 128;
const SLOT_BYTES = 128 << 10;

const CONTEXTS = roundUp(4 + 4 * MOST, 8);

const slotBytes = (length: number): number => roundUp(XDP_HEADROOM + length + TAILROOM, BUFFER_ALIGN);

export class PacketRing implements PacketContext {
  readonly #memory: KernelMemory;
  readonly #control: number;
  readonly #slots: number;
  readonly #room: number;
  /** Of the packets that are in: where their slots start, and their bytes. */
  readonly #starts = new Uint32Array(MOST);
  readonly #lengths = new Uint32Array(MOST);

  /**
   * Room for some of the packets, at least for the longest.
   * @throws {BpfError} ENOMEM
   */
  constructor(memory: KernelMemory, packets: readonly Uint8Array[]) {
    this.#memory = memory;
    let longest = 0;
    let all = 0;
    for (const { length } of packets) {
      longest = Math.max(longest, length);
      all += slotBytes(length);
    }
    this.#room = Math.max(slotBytes(longest), Math.min(all, SLOT_BYTES));
    this.#control = memory.alloc(CONTEXTS + MOST * xdpMd.size);
    try {
      this.#slots = memory.alloc(this.#room, BUFFER_ALIGN);
    } catch (error) {
      memory.free(this.#control);
      throw error;
    }
  }

  free(): void {
    this.#memory.free(this.#slots);
    this.#memory.free(this.#control);
  }

  /** Puts in as many packets as there is room for; how many. */
  fill(packets: readonly Uint8Array[], { from, ifindex }: { from: number; ifindex: number }): number {
    const { u8, view } = this.#memory;
    const starts = this.#starts;
    const lengths = this.#lengths;
    const end = this.#slots + this.#room;
    let at = this.#slots;
    let count = 0;
    for (; count < MOST && from + count < packets.length; count++) {
      const { length } = packets[from + count]!;
      const bytes = slotBytes(length);
      if (at + bytes > end) break;
      starts[count] = at;
      lengths[count] = length;
      at += bytes;
    }
    // What was there before is not for the next program to see.
    u8.fill(0, this.#slots, at);
    u8.fill(0, this.#control, this.#context(count));
    let ctx = this.#context(0);
    for (let i = 0; i < count; i++, ctx += xdpMd.size) {
      const packet = packets[from + i]!;
      const start = starts[i]! + XDP_HEADROOM;
      u8.set(packet, start);
      view.setUint32(ctx + xdpMd.data, start, true);
      view.setUint32(ctx + xdpMd.data_meta, start, true);
      view.setUint32(ctx + xdpMd.data_end, start + packet.length, true);
      view.setUint32(ctx + xdpMd.ingress_ifindex, ifindex, true);
    }
    return count;
  }

  batch(count: number): Batch {
    return { ctx: this.#context(0), stride: xdpMd.size, count, results: this.#control, packet: this };
  }

  #context(i: number): number {
    return this.#control + CONTEXTS + i * xdpMd.size;
  }

  /** Runs that are done, of the batch. */
  get done(): number {
    return this.#memory.view.getUint32(this.#control, true);
  }

  /** The lower halves of r0, unsigned, of the runs that are done. */
  results(): Uint32Array {
    return new Uint32Array(this.#memory.u8.buffer, this.#control + 4, this.done);
  }

  /** The packets as their runs left them; all in one copy, since to make many small ones takes longer than the runs. */
  copies(): Uint8Array[] {
    const { u8, view } = this.#memory;
    const ends: number[] = [];
    // They are put together at the start of the slots first: none begins before the place that it goes to.
    let to = this.#slots;
    for (let i = 0; i < this.done; i++) {
      const ctx = this.#context(i);
      const data = view.getUint32(ctx + xdpMd.data, true);
      const end = view.getUint32(ctx + xdpMd.data_end, true);
      u8.copyWithin(to, data, end);
      to += end - data;
      ends.push(to - this.#slots);
    }
    const all = u8.slice(this.#slots, to);
    return ends.map((end, i) => all.subarray(ends[i - 1] ?? 0, end));
  }

  get ctx(): number {
    return this.#context(this.done);
  }

  get buffer(): number {
    return this.#starts[this.done]!;
  }

  get bufferSize(): number {
    return XDP_HEADROOM + this.#lengths[this.done]! + TAILROOM;
  }
}
