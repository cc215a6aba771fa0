/**
 * Waiting for what an fd names to become readable, in the embedded kernel: an object that can says when, by
 * calling those who wait. Leaves out which fds there are.
 */
import type { Readable } from '../maps/index.ts';
import type { Watch } from '../uapi/seam.ts';

/** Maps that have nothing to wait for are in error (bpf_map_poll()), which ends a wait at once. */
export const inError: Readable = { isReadable: () => true, onWake: () => () => {} };

type Ending = 'ready' | 'ended';

/** epoll(7), edge-triggered, over objects of this kernel. */
export class ObjectWatch implements Watch {
  readonly #stops: (() => void)[];
  /** Something happened that no wait has told yet. */
  #pending: boolean;
  #closed = false;
  readonly #sleepers = new Set<(ending: Ending) => void>();

  constructor(objects: readonly Readable[]) {
    this.#pending = objects.some((object) => object.isReadable());
    this.#stops = objects.map((object) => object.onWake(() => this.#event()));
  }

  async wait(options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<boolean> {
    const { timeoutMs, signal } = options;
    if (this.#closed || signal?.aborted) return false;
    if (!this.#pending && (await this.#sleep(timeoutMs, signal)) === 'ended') return false;
    this.#pending = false;
    return true;
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#stops.splice(0)) stop();
    this.#wakeAll('ended');
  }

  #event(): void {
    this.#pending = true;
    this.#wakeAll('ready');
  }

  #sleep(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<Ending> {
    return new Promise((resolve) => {
      const onAbort = (): void => wake('ended');
      const timer = timeoutMs === undefined ? undefined : setTimeout(onAbort, timeoutMs);
      const wake = (ending: Ending): void => {
        this.#sleepers.delete(wake);
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        resolve(ending);
      };
      this.#sleepers.add(wake);
      signal?.addEventListener('abort', onAbort);
    });
  }

  #wakeAll(ending: Ending): void {
    for (const wake of [...this.#sleepers]) wake(ending);
  }
}
