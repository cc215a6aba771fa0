/**
 * The embedded kernel with the library around it: what `new Kernel()` makes, with nothing to install and no
 * privileges needed, in Node.js and in a browser.
 */
import { EmbeddedKernel, type KernelOptions, type Process } from '../kernel/index.ts';
import { KernelHandle } from './kernel-handle.ts';

export class Kernel extends KernelHandle {
  /** The kernel itself: devices to send packets to, tracepoints to fire, its trace pipe. */
  readonly embedded: EmbeddedKernel;
  readonly #process: Process;

  /**
   * Starts a kernel and one process in it.
   * @param options clock, randomness, number of CPUs, limit of memory; with fixed ones a run repeats exactly
   */
  constructor(options: KernelOptions = {}) {
    const embedded = new EmbeddedKernel(options);
    const process = embedded.spawn();
    super(process);
    this.embedded = embedded;
    this.#process = process;
  }

  /** Ends the process: everything that only its fds kept alive is gone. */
  close(): void {
    this.#process.end();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
