/**
 * Waiting for fds to become readable: an epoll instance of their own, which the event loop watches. Nothing
 * spins and no thread is held.
 */
import process from 'node:process';
import { checked, type Libc } from './libc.ts';

const EPOLL_CLOEXEC = 0x80000;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;
/** struct epoll_event is packed on x86-64 and aligned elsewhere. */
const eventLayout = process.arch === 'x64' ? { size: 12, dataAt: 4 } : { size: 16, dataAt: 8 };

/**
 * Resolves with the fds that are readable or in error, or with none at the timeout or abort.
 * @throws {BpfError} EBADF for an fd that is not open, EPERM for one that cannot be waited for
 */
export async function waitReadable(
  libc: Libc,
  fds: readonly number[],
  { timeoutMs, signal }: { timeoutMs?: number; signal?: AbortSignal },
): Promise<number[]> {
  const epfd = checked(libc, libc.epollCreate(EPOLL_CLOEXEC), 'epoll_create1');
  try {
    for (const fd of fds) checked(libc, libc.epollCtl(epfd, EPOLL_CTL_ADD, fd, interest(fd)), 'wait');
    await new Promise<void>((resolve) => {
      const poll = libc.poll(epfd, () => done());
      const timer = timeoutMs === undefined ? undefined : setTimeout(() => done(), timeoutMs);
      const done = (): void => {
        poll.stop();
        poll.close();
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      if (signal?.aborted) done();
      else signal?.addEventListener('abort', done);
    });
    return signal?.aborted ? [] : readyFds(libc, epfd, fds.length);
  } finally {
    libc.close(epfd);
  }
}

function interest(fd: number): Uint8Array {
  const event = new Uint8Array(eventLayout.size);
  const view = new DataView(event.buffer);
  view.setUint32(0, EPOLLIN, true);
  view.setInt32(eventLayout.dataAt, fd, true);
  return event;
}

function readyFds(libc: Libc, epfd: number, most: number): number[] {
  if (most === 0) return [];
  const events = new Uint8Array(most * eventLayout.size);
  const count = checked(libc, libc.epollWait(epfd, events, most, 0), 'epoll_wait');
  const view = new DataView(events.buffer);
  return Array.from({ length: count }, (_, i) =>
    view.getInt32(i * eventLayout.size + eventLayout.dataAt, true),
  );
}
