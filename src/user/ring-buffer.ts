/**
 * Reading a ring buffer (BPF_MAP_TYPE_RINGBUF) through its mapped pages: record by record as they were committed,
 * without a system call for each. In: the map. Out: copies, decoded values, or windows that are valid during a
 * callback. Leaves out who was too late: a program that finds the buffer full is told so by its own call
 * (bpf_ringbuf_reserve() returns NULL), and nobody else counts it.
 *
 *      offset 0          page          2 pages                     2 pages + capacity
 *      ┌────────────────┬─────────────┬──────────────────────────┬──────────────────────────┐
 *      │ consumer's     │ producer's  │ data                     │ the same data again,     │
 *      │ position, ours │ position    │                          │ for what crosses the end │
 *      └────────────────┴─────────────┴──────────────────────────┴──────────────────────────┘
 *      record: u32 length, bit 31 busy, bit 30 discarded │ u32 page │ bytes, padded to 8
 *
 * Ordering. The kernel finishes a record by an exchange of its header, then reads our position to see whether we
 * may be asleep; we write our position, then look at the next header before we sleep. Both need sequential
 * consistency, which `Atomics` has on any typed array: on x86-64 a load is a plain one and a store an XCHG, on
 * arm64 they are LDAR and STLR. While records are read an atomic access for each would double the time. A header is
 * loaded plainly there, and its record's address is made of it, `start | header >> 31`, which adds nothing to a
 * record that is not busy: no processor loads from an address before it has it, and x86-64 keeps loads in order.
 */
import { Bug, SkepError } from '../base/errors.ts';
import type { Mapping, System, Watch } from '../uapi/seam.ts';
import type { Handle } from './handle.ts';
import { breathe, closedError, type DecodeRecord, type WaitOptions, waitUntil } from './reading.ts';

/** The sign of a header says that it is busy. */
const BUSY = 0x80000000 | 0;
const DISCARD = 0x40000000;
const LENGTH = 0x3fffffff;
/** Bytes of a record's header (BPF_RINGBUF_HDR_SZ). */
const HEADER = 8;

/**
 * Sees one record: `length` bytes of the buffer's data from `start` on, which are the kernel's again when it returns:
 * `(view, start) => view.getUint32(start, true)`.
 */
export type RecordVisitor = (view: DataView, start: number, length: number) => void;

/** The pages of a ring buffer as typed arrays: made anew where the memory behind them has moved. */
interface Pages {
  readonly buffer: ArrayBufferLike;
  /** Positions in their low halves: no buffer has 4 GiB, so differences of those are exact. */
  readonly consumer: Int32Array;
  readonly wholeConsumer: BigInt64Array;
  readonly producer: Int32Array;
  readonly headers: Int32Array;
  readonly data: Uint8Array;
  readonly view: DataView;
}

export interface RingSource<T> {
  readonly system: System;
  readonly map: Handle;
  /** Bytes of its data. */
  readonly capacity: number;
  readonly decode: DecodeRecord<T>;
}

/**
 * A reader of a ring buffer; one at a time may read. Made by `map.ringBuffer()`. It keeps the buffer open, also
 * when the map's handle is closed.
 */
export class RingBuffer<T = Uint8Array> implements AsyncIterable<T> {
  /** Bytes that records and their headers of 8 bytes share. */
  readonly capacity: number;
  readonly #source: RingSource<T>;
  readonly #consumerPage: Mapping;
  readonly #rest: Mapping;
  readonly #watch: Watch;
  readonly #pageSize: number;
  #pages: Pages;
  /** Where a drain under way is, and where the record that it found last ends. */
  #position = 0;
  #end = 0;
  #isDraining = false;
  #closed = false;

  /** @throws {BpfError} where it cannot be mapped or waited for: EMFILE, ENOMEM, EACCES, EPERM */
  constructor(source: RingSource<T>) {
    const { system, capacity } = source;
    const { fd } = source.map;
    this.#source = source;
    this.capacity = capacity;
    this.#pageSize = system.pageSize();
    const made: (() => void)[] = [];
    try {
      const page = this.#pageSize;
      this.#consumerPage = system.mmap(fd, { length: page, offset: 0, writable: true });
      made.push(() => this.#consumerPage.unmap());
      this.#rest = system.mmap(fd, { length: page + 2 * capacity, offset: page, writable: false });
      made.push(() => this.#rest.unmap());
      this.#watch = system.watch([fd]);
    } catch (error) {
      for (const undo of made) undo();
      throw error;
    }
    this.#pages = this.#viewPages();
  }

  /** Bytes that wait to be read, headers and what is not finished yet included. */
  get unread(): number {
    const { consumer, producer } = this.#current();
    return (Atomics.load(producer, 0) - Atomics.load(consumer, 0)) >>> 0;
  }

  /**
   * Calls `visit` with every record that is there, at most `limit`, and no more than the buffer holds at once; how
   * many there were. What `visit` throws comes through, and its record counts as read.
   */
  drain(visit: (record: T) => void, limit = Number.POSITIVE_INFINITY): number {
    const { decode } = this.#source;
    return this.#inChunks(limit, (last, most) => {
      let count = 0;
      while (count < most) {
        const start = this.#next(last);
        if (start < 0) break;
        count++;
        visit(decode(this.#pages.data, start, this.#end));
      }
      return count;
    });
  }

  /** As `drain`, without a copy or an object for each record: the fastest way. */
  drainBytes(visit: RecordVisitor, limit = Number.POSITIVE_INFINITY): number {
    const mask = this.capacity - 1;
    return this.#inChunks(limit, (last, most) => {
      let { headers, view } = this.#pages;
      let position = this.#position;
      let count = 0;
      try {
        while (position !== last && count < most) {
          const start = position & mask;
          const header = headers[start >>> 2] as number;
          if ((header & (BUSY | DISCARD)) !== 0) {
            if (header < 0) break;
            position = (position + (((header & LENGTH) + HEADER + 7) & ~7)) | 0;
            continue;
          }
          position = (position + ((header + HEADER + 7) & ~7)) | 0;
          count++;
          visit(view, (start + HEADER) | (header >> 31), header);
          // What was called may have made the embedded kernel's memory grow, or closed this reader.
          if (this.#closed) break;
          if (headers.length === 0) ({ headers, view } = this.#current());
        }
      } finally {
        this.#position = position;
      }
      return count;
    });
  }

  /**
   * Resolves with true as soon as a finished record is there, with false at the timeout, at the abort, or when
   * the reader is closed.
   */
  wait(options: WaitOptions = {}): Promise<boolean> {
    const isReady = (): boolean => !this.#closed && this.#hasRecord();
    return waitUntil(isReady, this.#watch, options);
  }

  /**
   * Every record as it comes, until aborted or closed. One is taken when it is asked for, so leaving the loop
   * loses nothing, and a slow loop makes the buffer fill up.
   */
  async *records({ signal }: { signal?: AbortSignal | undefined } = {}): AsyncGenerator<T> {
    const { decode } = this.#source;
    let taken: T | undefined;
    const take = (last: number): number => {
      const start = this.#next(last);
      if (start < 0) return 0;
      taken = decode(this.#pages.data, start, this.#end);
      return 1;
    };
    for (let turns = 1; !this.#closed && !signal?.aborted; turns++) {
      if (this.#inChunks(1, take) === 0) {
        await this.wait({ signal });
        continue;
      }
      yield taken as T;
      if (turns % TURNS === 0) await breathe();
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<T> {
    return this.records();
  }

  /** Unmaps it, and ends a wait or a loop under way. Records that were not read stay for the next reader. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    this.#rest.unmap();
    this.#consumerPage.unmap();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Reads chunk by chunk: `read` takes finished records up to the position `last`, at most `most`, moves the position
   * behind them, and returns how many there were. The room of each chunk is the programs' again after it, whatever
   * happened.
   */
  #inChunks(limit: number, read: (last: number, most: number) => number): number {
    let count = 0;
    let bytes = 0;
    if (this.#isDraining)
      throw new SkepError({ code: 'busy', message: `${this.#source.map.what} is being read already` });
    let pages = this.#current();
    this.#isDraining = true;
    try {
      while (count < limit && bytes < this.capacity && !this.#closed) {
        const first = Atomics.load(pages.consumer, 0);
        this.#position = first;
        try {
          count += read(Atomics.load(pages.producer, 0), Math.min(limit - count, CHUNK));
        } finally {
          if (!this.#closed) {
            pages = this.#current();
            this.#release(pages, this.#position - first);
          }
        }
        if (this.#position === first) break;
        bytes += (this.#position - first) >>> 0;
      }
    } finally {
      this.#isDraining = false;
    }
    return count;
  }

  /** Where the next finished record before `last` starts, and in `#end` where it ends; -1 where there is none. */
  #next(last: number): number {
    // Who looked at the record before may have closed this reader.
    if (this.#closed) return -1;
    const { headers } = this.#current();
    while (this.#position !== last) {
      const place = this.#position & (this.capacity - 1);
      const header = headers[place >>> 2] as number;
      if (header < 0) break;
      const length = header & LENGTH;
      this.#position = (this.#position + ((length + HEADER + 7) & ~7)) | 0;
      if (header >= DISCARD) continue;
      const start = (place + HEADER) | (header >> 31);
      this.#end = start + length;
      return start;
    }
    return -1;
  }

  #hasRecord(): boolean {
    const { consumer, producer, headers } = this.#current();
    const position = Atomics.load(consumer, 0);
    if (position === Atomics.load(producer, 0)) return false;
    return (Atomics.load(headers, (position & (this.capacity - 1)) >>> 2) & BUSY) === 0;
  }

  /** Moves the consumer's position: the room is the programs' again. */
  #release({ wholeConsumer }: Pages, bytes: number): void {
    if (bytes === 0) return;
    Atomics.store(wholeConsumer, 0, Atomics.load(wholeConsumer, 0) + BigInt(bytes >>> 0));
  }

  #current(): Pages {
    if (this.#closed) throw closedError(this.#source.map.what);
    const { buffer } = this.#pages;
    if (buffer.byteLength === 0 || buffer !== this.#rest.bytes.buffer) this.#pages = this.#viewPages();
    return this.#pages;
  }

  #viewPages(): Pages {
    const [first, rest] = [this.#consumerPage.bytes, this.#rest.bytes];
    if (first.length !== this.#pageSize || rest.length !== this.#pageSize + 2 * this.capacity)
      throw new Bug(`${this.#source.map.what} is mapped in part`);
    const { buffer, byteOffset } = rest;
    const data = byteOffset + this.#pageSize;
    return {
      buffer,
      consumer: new Int32Array(first.buffer, first.byteOffset, 2),
      wholeConsumer: new BigInt64Array(first.buffer, first.byteOffset, 1),
      producer: new Int32Array(buffer, byteOffset, 2),
      headers: new Int32Array(buffer, data, this.capacity >>> 2),
      data: new Uint8Array(buffer, data, 2 * this.capacity),
      view: new DataView(buffer, data, 2 * this.capacity),
    };
  }
}

/** After how many records a loop lets timers and other readers have their turn. */
const TURNS = 1024;
/** Records that are read before their room is given back: their headers stay in the processor's nearest cache. */
const CHUNK = 1024;
