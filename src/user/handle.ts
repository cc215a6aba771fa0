/**
 * What every live handle is: one fd of a process, closed once, that says clearly when it is used after
 * that. The kernel keeps the object for as long as something refers to it; a handle is one such reference.
 */
import { SkepError } from '../base/errors.ts';
import { BpfError } from '../uapi/errno.ts';
import type { System } from '../uapi/seam.ts';

/** What is left of a handle that nobody has any more. It must not keep a whole embedded kernel in memory. */
interface Forgotten {
  readonly system: WeakRef<System>;
  readonly fd: number;
  readonly what: string;
}

/**
 * A handle that is collected while it is open would hold its fd, and the object with it, until the process ends:
 * it is closed, and a warning says that somebody forgot to.
 */
const forgotten = new FinalizationRegistry<Forgotten>(({ system, fd, what }) => {
  try {
    // Without the system there is no fd: an embedded kernel went as a whole.
    const owner = system.deref();
    if (owner === undefined) return;
    owner.close(fd);
    warn(what);
  } catch (error) {
    // Its process has ended, and its fds with it.
    if (!(error instanceof BpfError)) throw error;
  }
});

/** The same for what holds fds of its own: `release` must not refer to `owner`. Call what is returned at its close. */
export function closeWhenForgotten(owner: object, what: string, release: () => void): () => void {
  const token = {};
  forgottenReaders.register(owner, { what, release }, token);
  return () => {
    forgottenReaders.unregister(token);
  };
}

const forgottenReaders = new FinalizationRegistry<{ what: string; release: () => void }>(
  ({ what, release }) => {
    release();
    warn(what);
  },
);

interface Host {
  readonly process?: { emitWarning?(text: string, type: string): void };
}

/** As the runtime has it: Node's warnings can be listened to and silenced. */
function warn(what: string): void {
  const text = `${what} was never closed; it is closed now that nothing refers to it`;
  const { process } = globalThis as Host;
  if (process?.emitWarning !== undefined) process.emitWarning(text, 'SkepWarning');
  else console.warn(`skep: ${text}`);
}

export abstract class Handle {
  /** What it is, for messages: `map 'blocked'`. */
  readonly what: string;
  protected readonly system: System;
  #fd: number | undefined;

  constructor(system: System, fd: number, what: string) {
    this.system = system;
    this.#fd = fd;
    this.what = what;
    forgotten.register(this, { system: new WeakRef(system), fd, what }, this);
  }

  /**
   * The file descriptor in its process.
   * @throws {SkepError} 'closed' after `close()`
   */
  get fd(): number {
    if (this.#fd !== undefined) return this.#fd;
    throw new SkepError({
      code: 'closed',
      message: `${this.what} is closed`,
      hint: 'use it before close(), or open it again by its id or pin',
    });
  }

  get closed(): boolean {
    return this.#fd === undefined;
  }

  /** Gives the reference back. Closing twice is harmless, and so is closing after the process has ended. */
  close(): void {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd === undefined) return;
    forgotten.unregister(this);
    try {
      this.system.close(fd);
    } catch (error) {
      if (!(error instanceof BpfError) || error.errno !== 'ESRCH') throw error;
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Makes a name for the object in the BPF file system, which keeps it alive (bpf(2), BPF_OBJ_PIN).
   * @throws {BpfError} EEXIST where the name is taken, ENOENT where its folder is missing
   */
  pin(path: string): void {
    this.system.bpf('objPin', { pathname: path, bpfFd: this.fd });
  }
}

/** Closes `handles` in reverse order of making: all of them, also where one of them throws. */
export function closeAll(handles: readonly { close(): void }[]): void {
  const errors: unknown[] = [];
  for (let i = handles.length - 1; i >= 0; i--) {
    try {
      handles[i]?.close();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
