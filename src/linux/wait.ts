/**
 * Waiting for fds to become readable: an epoll instance of their own (epoll(7)), which the event loop watches.
 * Nothing spins and no thread is held.
 */
import process from 'node:process';
import type { Watch } from '../uapi/seam.ts';
import { checked, type Libc, type PollHandle } from './libc.ts';

const EPOLL_CLOEXEC = 0x80000;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;
/** Edge-triggered: an event is told once, not for as long as there is something to read. */
const EPOLLET = 0x80000000;
/** struct epoll_event is packed on x86-64 and aligned elsewhere. */
const eventLayout = process.arch === 'x64' ? { size: 12, dataAt: 4 } : { size: 16, dataAt: 8 };

type Ending = 'ready' | 'timeout' | 'aborted' | 'closed';

/** Some fds in an epoll instance, and sleeping until it has events. */
class Epoll {
  readonly #libc: Libc;
  readonly #epfd: number;
  readonly #most: number;
  #poll: PollHandle | undefined;
  readonly #sleepers = new Set<(ending: Ending) => void>();
  #closed = false;

  constructor(libc: Libc, fds: readonly number[], flags: number) {
    this.#libc = libc;
    this.#most = fds.length;
    this.#epfd = checked(libc, libc.epollCreate(EPOLL_CLOEXEC), 'epoll_create1');
    try {
      for (const fd of fds)
        checked(libc, libc.epollCtl(this.#epfd, EPOLL_CTL_ADD, fd, interest(fd, flags)), 'wait');
    } catch (error) {
      libc.close(this.#epfd);
      throw error;
    }
  }

  sleep(timeoutMs: number | undefined, signal: AbortSignal | undefined): Promise<Ending> {
    if (this.#closed) return Promise.resolve('closed');
    if (signal?.aborted) return Promise.resolve('aborted');
    return new Promise((resolve) => {
      const onAbort = (): void => wake('aborted');
      const timer = timeoutMs === undefined ? undefined : setTimeout(() => wake('timeout'), timeoutMs);
      const wake = (ending: Ending): void => {
        this.#sleepers.delete(wake);
        if (this.#sleepers.size === 0) this.#poll?.stop();
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        resolve(ending);
      };
      this.#sleepers.add(wake);
      signal?.addEventListener('abort', onAbort);
      if (this.#sleepers.size > 1) return;
      const onReady = (): void => this.#wakeAll('ready');
      if (this.#poll === undefined) this.#poll = this.#libc.poll(this.#epfd, onReady);
      else this.#poll.start({ readable: true }, onReady);
    });
  }

  #wakeAll(ending: Ending): void {
    for (const wake of [...this.#sleepers]) wake(ending);
  }

  /** Takes the events that there are: the fds they are of. */
  take(): number[] {
    if (this.#most === 0 || this.#closed) return [];
    const events = new Uint8Array(this.#most * eventLayout.size);
    const count = checked(this.#libc, this.#libc.epollWait(this.#epfd, events, this.#most, 0), 'epoll_wait');
    const view = new DataView(events.buffer);
    return Array.from({ length: count }, (_, i) =>
      view.getInt32(i * eventLayout.size + eventLayout.dataAt, true),
    );
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wakeAll('closed');
    this.#poll?.close();
    this.#libc.close(this.#epfd);
  }
}

function interest(fd: number, flags: number): Uint8Array {
  const event = new Uint8Array(eventLayout.size);
  const view = new DataView(event.buffer);
  view.setUint32(0, EPOLLIN | flags, true);
  view.setInt32(eventLayout.dataAt, fd, true);
  return event;
}

/**
 * Resolves with the fds that are readable or in error, or with none at the timeout or abort.
 * @throws {BpfError} EBADF for an fd that is not open, EPERM for one that cannot be waited for
 */
export async function waitReadable(
  libc: Libc,
  fds: readonly number[],
  { timeoutMs, signal }: { timeoutMs?: number; signal?: AbortSignal },
): Promise<number[]> {
  const epoll = new Epoll(libc, fds, 0);
  try {
    const ending = await epoll.sleep(timeoutMs, signal);
    return ending === 'aborted' ? [] : epoll.take();
  } finally {
    epoll.close();
  }
}

/**
 * What is never closed is closed when it is collected. Its epoll instance keeps no fd open, so nothing else
 * hangs on it.
 */
const forgotten = new FinalizationRegistry<Epoll>((epoll) => epoll.close());

export class EpollWatch implements Watch {
  readonly #epoll: Epoll;

  /** @throws {BpfError} EBADF, EPERM or EMFILE */
  constructor(libc: Libc, fds: readonly number[]) {
    this.#epoll = new Epoll(libc, fds, EPOLLET);
    forgotten.register(this, this.#epoll, this);
  }

  async wait(options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<boolean> {
    const ending = await this.#epoll.sleep(options.timeoutMs, options.signal);
    // A perf event forgets that it woke when the event loop asks, so there may be no fd left to name here.
    if (ending === 'ready') this.#epoll.take();
    return ending === 'ready';
  }

  close(): void {
    forgotten.unregister(this);
    this.#epoll.close();
  }
}
