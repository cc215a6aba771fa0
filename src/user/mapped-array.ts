/**
 * An array map in memory that user space and programs share (BPF_F_MMAPABLE): reading and writing without a system
 * call. Leaves out atomic access to 64-bit values: take `Atomics` over `bytes.buffer` where programs write the
 * same ones.
 */
import { roundUp } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import type { Value } from '../btf/index.ts';
import type { Mapping } from '../uapi/seam.ts';

/** One element as a value and as bytes. */
interface ElementCodec {
  readonly size: number;
  decode(bytes: Uint8Array): Value;
  encode(value: Value): Uint8Array;
}

export class MappedArray<V> {
  readonly length: number;
  /** Bytes from one value to the next. */
  readonly stride: number;
  readonly #mapping: Mapping;
  readonly #codec: ElementCodec;
  readonly #what: string;

  /** Made by `map.mmap()`. */
  constructor({
    mapping,
    codec,
    length,
    what,
  }: { mapping: Mapping; codec: ElementCodec; length: number; what: string }) {
    this.#mapping = mapping;
    this.#codec = codec;
    this.#what = what;
    this.length = length;
    this.stride = roundUp(codec.size, 8);
  }

  /**
   * The memory itself. On the embedded kernel take it anew after programs or other calls have run; it is empty
   * when it is unmapped.
   */
  get bytes(): Uint8Array {
    return this.#mapping.bytes;
  }

  get(index: number): V {
    return this.#codec.decode(this.#slot(index)) as V;
  }

  set(index: number, value: V): void {
    this.#slot(index).set(this.#codec.encode(value as Value));
  }

  *[Symbol.iterator](): Generator<V> {
    for (let index = 0; index < this.length; index++) yield this.get(index);
  }

  /** Gives the mapping back: the map can be frozen again. */
  close(): void {
    this.#mapping.unmap();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #slot(index: number): Uint8Array {
    const { bytes } = this.#mapping;
    const at = index * this.stride;
    if (Number.isInteger(index) && index >= 0 && index < this.length && bytes.length >= at + this.#codec.size)
      return bytes.subarray(at, at + this.#codec.size);
    const message = bytes.length === 0 ? 'it is unmapped' : `index ${index} of ${this.length}`;
    throw new SkepError({ code: 'value', where: this.#what, message });
  }
}
