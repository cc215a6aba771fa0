/**
 * Memory outside of the JavaScript heap for what the kernel reads and writes during one call: its address is
 * known and does not move. It ends at a page that cannot be touched, and outputs lie right before that page:
 * a kernel that writes more than a caller made room for fails with EFAULT and harms nothing.
 */
import { type Libc, lastError } from './libc.ts';

const PROT_NONE = 0;
const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MAP_FIXED = 0x10;

/** The largest page of both architectures (arm64 with 64 KiB pages), so that the guard is one everywhere. */
const GUARD = 1 << 16;

export class Arena {
  /** The address of byte 0. */
  readonly address: number;
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly longs: BigUint64Array;
  /** The address in halves, where no place in the arena has another upper one. */
  readonly base: { readonly low: number; readonly high: number } | undefined;
  readonly #libc: Libc;

  /** Maps `size` bytes (rounded up) and the guard behind them. */
  constructor(libc: Libc, size: number) {
    this.#libc = libc;
    this.size = Math.ceil(size / GUARD) * GUARD;
    const whole = this.size + GUARD;
    this.address = libc.mmap(0, whole, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
    if (this.address === -1) throw lastError(libc, `room for ${size} bytes of arguments`);
    const guard = this.address + this.size;
    if (libc.mmap(guard, GUARD, PROT_NONE, MAP_PRIVATE_ANONYMOUS | MAP_FIXED, -1, 0) === -1) {
      const error = lastError(libc, 'a guard behind arguments');
      libc.munmap(this.address, whole);
      throw error;
    }
    const buffer = libc.view(this.address, this.size);
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.longs = new BigUint64Array(buffer);
    const low = this.address % 2 ** 32;
    this.base = low + this.size < 2 ** 32 ? { low, high: Math.floor(this.address / 2 ** 32) } : undefined;
  }

  /** Gives the memory back. Nothing may look at `bytes` afterwards. */
  free(): void {
    this.#libc.munmap(this.address, this.size + GUARD);
  }
}

/** Below this, copying byte by byte beats making a view to copy from. */
const FEW = 24;

/** Copies all of `source` into `target` from `at` on. */
export function copyIn(target: Uint8Array, at: number, source: Uint8Array): void {
  const { length } = source;
  if (length > FEW) {
    target.set(source, at);
    return;
  }
  for (let i = 0; i < length; i++) target[at + i] = source[i] as number;
}

/** Fills all of `target` with what is in `source` from `at` on. */
export function copyOut(source: Uint8Array, at: number, target: Uint8Array): void {
  const { length } = target;
  if (length > FEW) {
    target.set(source.subarray(at, at + length));
    return;
  }
  for (let i = 0; i < length; i++) target[i] = source[at + i] as number;
}
