/**
 * Writing into a ring buffer from user space (BPF_MAP_TYPE_USER_RINGBUF): room for a record is reserved, filled in
 * place and submitted; a program takes what was submitted with bpf_user_ringbuf_drain(). Pages and record headers
 * are those of ring-buffer.ts, with the positions' owners swapped. Leaves out waiting for room, which is the
 * program's to make.
 */
import { SkepError } from '../base/errors.ts';
import type { Mapping, System } from '../uapi/seam.ts';
import type { Handle } from './handle.ts';
import { closedError } from './reading.ts';

const BUSY = 0x80000000 | 0;
const DISCARD = 0x40000000;
const HEADER = 8;

/** Room for one record, until it is submitted or discarded. */
export interface Reservation {
  /** The record itself, in the buffer: write here. On the embedded kernel, before anything else is called. */
  readonly bytes: Uint8Array;
  /** Hands it to programs. Records come to them in the order in which they were reserved. */
  submit(): void;
  /** Programs pass over it. */
  discard(): void;
}

export class UserRingBuffer {
  /** Bytes that records and their headers of 8 bytes share. */
  readonly capacity: number;
  readonly #what: string;
  readonly #pageSize: number;
  readonly #consumerPage: Mapping;
  readonly #rest: Mapping;
  #closed = false;

  /** @throws {BpfError} where it cannot be mapped */
  constructor({ system, map, capacity }: { system: System; map: Handle; capacity: number }) {
    const { fd, what } = map;
    this.capacity = capacity;
    this.#what = what;
    this.#pageSize = system.pageSize();
    const page = this.#pageSize;
    this.#consumerPage = system.mmap(fd, { length: page, offset: 0, writable: false });
    try {
      this.#rest = system.mmap(fd, { length: page + 2 * capacity, offset: page, writable: true });
    } catch (error) {
      this.#consumerPage.unmap();
      throw error;
    }
  }

  /**
   * Room for a record of `size` bytes; undefined where the buffer is too full now.
   * @throws {SkepError} 'record' for one that can never fit
   */
  reserve(size: number): Reservation | undefined {
    if (this.#closed) throw closedError(this.#what);
    const room = (size + HEADER + 7) & ~7;
    if (!Number.isInteger(size) || size < 0 || size >= DISCARD || room > this.capacity) {
      throw new SkepError({
        code: 'record',
        where: this.#what,
        message: `a record of ${size} bytes does not fit into ${this.capacity}`,
      });
    }
    const { bytes } = this.#rest;
    const producer = new BigInt64Array(bytes.buffer, bytes.byteOffset, 1);
    const first = this.#consumerPage.bytes;
    const consumer = new BigInt64Array(first.buffer, first.byteOffset, 1);
    const position = Atomics.load(producer, 0);
    if (this.capacity - Number(position - Atomics.load(consumer, 0)) < room) return undefined;
    const start = Number(BigInt.asUintN(32, position)) & (this.capacity - 1);
    // The header is busy before programs can see that there is one.
    const header = this.#header(start);
    header[1] = 0;
    Atomics.store(header, 0, size | BUSY);
    Atomics.store(producer, 0, position + BigInt(room));
    const at = this.#pageSize + start + HEADER;
    const finish = (header: number): void => {
      if (!this.#closed) Atomics.exchange(this.#header(start), 0, header);
    };
    return {
      bytes: bytes.subarray(at, at + size),
      submit: () => finish(size),
      discard: () => finish(size | DISCARD),
    };
  }

  /** Submits a record with these bytes; false where the buffer is too full now. */
  write(record: Uint8Array): boolean {
    const reserved = this.reserve(record.length);
    reserved?.bytes.set(record);
    reserved?.submit();
    return reserved !== undefined;
  }

  /** Unmaps it. What was submitted stays for programs; what was only reserved blocks them for ever. */
  close(): void {
    this.#closed = true;
    this.#rest.unmap();
    this.#consumerPage.unmap();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #header(start: number): Int32Array {
    const { buffer, byteOffset } = this.#rest.bytes;
    return new Int32Array(buffer, byteOffset + this.#pageSize + start, 2);
  }
}
