/**
 * Bytes that arrive in chunks of any size (a file, a pipe, a fetch), taken in pieces of the sizes that a
 * format wants. Holds one chunk and an unfinished piece, never the whole stream.
 */
import { concatBytes } from '../base/bytes.ts';

export type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

export class ByteQueue {
  /** Bytes taken so far: the offset in the stream of the next one. */
  offset = 0;
  private readonly source: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  private bytes: Uint8Array = new Uint8Array();
  private at = 0;

  constructor(chunks: Chunks) {
    this.source = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  }

  get available(): number {
    return this.bytes.length - this.at;
  }

  /** Waits until `size` bytes are available; false where the stream ends before. */
  async fill(size: number): Promise<boolean> {
    if (this.available >= size) return true;
    // One concatenation for all chunks: a stream of single bytes must not cost the square of their number.
    const parts = [this.bytes.subarray(this.at)];
    let available = this.available;
    while (available < size) {
      const next = await this.source.next();
      if (next.done === true) break;
      parts.push(next.value);
      available += next.value.length;
    }
    this.bytes = parts.length === 2 && parts[0]?.length === 0 ? (parts[1] as Uint8Array) : concatBytes(parts);
    this.at = 0;
    return available >= size;
  }

  /** The next `size` bytes, which must be available, without taking them; a view until the next `fill`. */
  peek(size: number): Uint8Array {
    return this.bytes.subarray(this.at, this.at + size);
  }

  /** As `peek`, and takes them. */
  take(size: number): Uint8Array {
    const view = this.peek(size);
    this.at += size;
    this.offset += size;
    return view;
  }

  /** Takes `size` bytes unseen, however many; false where the stream ends before. */
  async skip(size: number): Promise<boolean> {
    let left = size;
    while (left > 0) {
      if (this.available === 0 && !(await this.fill(1))) return false;
      left -= this.take(Math.min(left, this.available)).length;
    }
    return true;
  }

  /** Tells the source that no more is wanted. */
  async close(): Promise<void> {
    await this.source.return?.();
  }
}
