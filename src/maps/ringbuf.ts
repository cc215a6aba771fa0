/**
 * BPF_MAP_TYPE_RINGBUF: records from programs to one reader in user space, who maps it. Laid out as Linux maps it
 * (layout.ts): the reader's position, the writer's, the data twice in a row, so that a record that runs over the end
 * is in one piece. Here the second time is memory of its own, and what a record has there is copied to the start
 * when it is finished.
 */
import { errnos } from '../uapi/errno.ts';
import { allocMap } from './array.ts';
import { definitionChecks } from './definitions.ts';
import { ringLayout as R, ringHeader } from './layout.ts';
import type { BpfMap, MapContext, MapDef, Ring } from './types.ts';

/** RINGBUF_MAX_RECORD_SZ */
const RECORD_MAX = 0x3fff_ffff;

/** Flags of submitting and discarding. */
export const ringFlags = { NO_WAKEUP: 1n, FORCE_WAKEUP: 2n } as const;

/** What bpf_ringbuf_query() can be asked. */
const queries = { availableData: 0n, ringSize: 1n, consumerPosition: 2n, producerPosition: 3n } as const;

export class RingBufMap implements BpfMap {
  readonly def: MapDef;
  readonly address: number;
  readonly userValueSize = 0;
  readonly valueAddress = undefined;
  readonly ring: Ring;
  private readonly context: MapContext;
  /** Address of the ring (layout.ts). */
  private readonly start: number;
  private readonly mask: number;
  private readonly listeners = new Set<() => void>();

  constructor(def: MapDef, context: MapContext) {
    definitionChecks.ringbuf(def);
    this.def = def;
    this.context = context;
    this.mask = def.maxEntries - 1;
    const made = allocMap(def, context, {
      bytes: ringHeader.ring + 4,
      storage: R.data + 2 * def.maxEntries,
      align: R.page,
    });
    this.address = made.address;
    this.start = made.storage;
    const { view } = context.memory;
    view.setUint32(this.address + ringHeader.mask, this.mask, true);
    view.setUint32(this.address + ringHeader.ring, this.start, true);
    view.setUint32(this.start + R.map, this.address, true);
    this.ring = {
      pages: this.start + R.consumer,
      capacity: def.maxEntries,
      producer: 'program',
      isReadable: () => this.available !== 0n,
      onWake: (wake) => {
        // Each call is a listener of its own, also with the same function.
        const listener = () => wake();
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
      },
    };
  }

  private position(offset: number): bigint {
    return this.context.memory.view.getBigUint64(this.start + offset, true);
  }

  /** Bytes from the reader to the writer (ringbuf_avail_data_sz). */
  get available(): bigint {
    return BigInt.asUintN(64, this.position(R.producer) - this.position(R.consumer));
  }

  /** bpf_ringbuf_reserve(): the address of the record's bytes, or 0 where there is no room. */
  reserve(size: bigint): number {
    if (size > RECORD_MAX) return 0;
    const length = (Number(size) + R.record.bytes + 7) & ~7;
    if (length > this.def.maxEntries) return 0;
    const { view } = this.context.memory;
    const producer = this.position(R.producer);
    const after = producer + BigInt(length);
    if (after - this.position(R.consumer) > BigInt(this.mask)) return 0;
    if (after - this.finished(producer) > BigInt(this.mask)) return 0;
    const at = this.start + R.data + (Number(producer & 0xffff_ffffn) & this.mask);
    view.setUint32(at + R.record.length, (Number(size) | R.busy) >>> 0, true);
    view.setUint32(at + R.record.page, (at - this.start) >>> 12, true);
    view.setBigUint64(this.start + R.producer, after, true);
    return at + R.record.bytes;
  }

  /** Moves the position behind the oldest record that is not finished, and tells it. */
  private finished(producer: bigint): bigint {
    const { view } = this.context.memory;
    let pending = this.position(R.pending);
    while (pending < producer) {
      const length = view.getUint32(this.start + R.data + (Number(pending & 0xffff_ffffn) & this.mask), true);
      if ((length & R.busy) !== 0) break;
      pending += BigInt(((length & ~R.discarded) + R.record.bytes + 7) & ~7);
    }
    view.setBigUint64(this.start + R.pending, pending, true);
    return pending;
  }

  /** bpf_ringbuf_submit() and bpf_ringbuf_discard() of the record whose bytes are at `sample`. */
  commit(sample: number, { discard, flags }: { readonly discard: boolean; readonly flags: bigint }): void {
    const { view, u8 } = this.context.memory;
    const at = sample - R.record.bytes;
    const length = view.getUint32(at + R.record.length, true) & ~R.busy;
    const start = this.start + R.data;
    const beyond = sample + length - (start + this.mask + 1);
    if (beyond > 0) u8.copyWithin(start, start + this.mask + 1, start + this.mask + 1 + beyond);
    view.setUint32(at + R.record.length, (discard ? length | R.discarded : length) >>> 0, true);
    const consumer = Number(this.position(R.consumer) & 0xffff_ffffn) & this.mask;
    const waits = consumer === at - start && (flags & ringFlags.NO_WAKEUP) === 0n;
    if (waits || (flags & ringFlags.FORCE_WAKEUP) !== 0n) this.wake();
  }

  /** Tells all who wait. */
  wake(): void {
    for (const listener of [...this.listeners]) listener();
  }

  /** bpf_ringbuf_output() */
  output(data: number, size: bigint, flags: bigint): number {
    if ((flags & ~(ringFlags.NO_WAKEUP | ringFlags.FORCE_WAKEUP)) !== 0n) return -errnos.EINVAL;
    const record = this.reserve(size);
    if (record === 0) return -errnos.EAGAIN;
    this.context.memory.u8.copyWithin(record, data, data + Number(size));
    this.commit(record, { discard: false, flags });
    return 0;
  }

  /** bpf_ringbuf_query() */
  query(what: bigint): bigint {
    switch (what) {
      case queries.availableData:
        return this.available;
      case queries.ringSize:
        return BigInt(this.def.maxEntries);
      case queries.consumerPosition:
        return this.position(R.consumer);
      case queries.producerPosition:
        return this.position(R.producer);
      default:
        return 0n;
    }
  }

  lookup(): number {
    return 0;
  }
  update(): number {
    return -errnos.ENOTSUPP;
  }
  delete(): number {
    return -errnos.ENOTSUPP;
  }
  userLookup(): number {
    return -errnos.ENOTSUPP;
  }
  userUpdate(): number {
    return -errnos.ENOTSUPP;
  }
  userDelete(): number {
    return -errnos.ENOTSUPP;
  }
  userNextKey(): number {
    return -errnos.ENOTSUPP;
  }

  destroy(): void {
    this.context.memory.free(this.start);
    this.context.memory.free(this.address);
  }
}

/** The map of the record whose bytes are at `sample`: its header tells where the ring starts. */
export function ringOf(view: DataView, sample: number): number {
  const at = sample - R.record.bytes;
  const ring = (at & ~(R.page - 1)) - view.getUint32(at + R.record.page, true) * R.page;
  return view.getUint32((ring >>> 0) + R.map, true);
}
