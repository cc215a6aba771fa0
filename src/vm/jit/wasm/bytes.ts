/**
 * A growing buffer of bytes with the encodings of the binary format: LEB128 numbers, vectors, names
 * (WebAssembly core specification, §5.2).
 */
const encoder = new TextEncoder();

export class ByteWriter {
  private buffer = new Uint8Array(256);
  length = 0;

  private reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const larger = new Uint8Array(Math.max(2 * this.buffer.length, this.length + bytes));
    larger.set(this.buffer.subarray(0, this.length));
    this.buffer = larger;
  }

  byte(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }

  bytes(values: Uint8Array): void {
    this.reserve(values.length);
    this.buffer.set(values, this.length);
    this.length += values.length;
  }

  /** An unsigned number below 2^32. */
  u32(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  /** A signed 32-bit number. */
  i32(value: number): void {
    let rest = value | 0;
    while (rest < -64 || rest > 63) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>= 7;
    }
    this.byte(rest & 0x7f);
  }

  /** A signed 64-bit number. */
  i64(value: bigint): void {
    if (value === BigInt.asIntN(32, value)) {
      this.i32(Number(value));
      return;
    }
    let rest = BigInt.asIntN(64, value);
    while (rest < -64n || rest > 63n) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest & 0x7fn));
  }

  name(text: string): void {
    const utf8 = encoder.encode(text);
    this.u32(utf8.length);
    this.bytes(utf8);
  }

  /** What was written; a copy. */
  take(): Uint8Array<ArrayBuffer> {
    return this.buffer.slice(0, this.length);
  }

  /** What was written, without a copy: good until the next write. */
  peek(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }
}

/** Reads what `ByteWriter` wrote; only ever given our own bytes. */
export class ByteCursor {
  private readonly data: Uint8Array;
  at = 0;

  constructor(data: Uint8Array) {
    this.data = data;
  }

  get done(): boolean {
    return this.at >= this.data.length;
  }

  byte(): number {
    return this.data[this.at++]!;
  }

  u32(): number {
    return Number(BigInt.asUintN(32, this.i64(false)));
  }

  i64(signed = true): bigint {
    let value = 0n;
    let shift = 0n;
    for (;;) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte < 0x80) return signed && byte >= 0x40 ? value - (1n << shift) : value;
    }
  }
}
