/**
 * A line of progress for what takes long, on a terminal only, rewritten a few times a second.
 */
const everyMs = 250;

export class Progress {
  readonly #stream: NodeJS.WriteStream;
  #bytes = 0;
  #shownAt = performance.now();
  #shown = false;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#stream.isTTY !== true) return;
    const now = performance.now();
    if (now - this.#shownAt < everyMs) return;
    this.#shownAt = now;
    this.#shown = true;
    this.#stream.write(`\r${(this.#bytes / 1e6).toFixed(1)} MB `);
  }

  /** Clears the line. */
  end(): void {
    if (this.#shown) this.#stream.write('\r\x1b[K');
  }
}
