/**
 * What every live handle is: one fd of a process, closed once, that says clearly when it is used after
 * that. The kernel keeps the object for as long as something refers to it; a handle is one such reference.
 */
import { SkepError } from '../base/errors.ts';
import { BpfError } from '../uapi/errno.ts';
import type { System } from '../uapi/seam.ts';

export abstract class Handle {
  /** What it is, for messages: `map 'blocked'`. */
  readonly what: string;
  protected readonly system: System;
  #fd: number | undefined;

  constructor(system: System, fd: number, what: string) {
    this.system = system;
    this.#fd = fd;
    this.what = what;
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

/** Closes `handles` in reverse order of making. */
export function closeAll(handles: readonly { close(): void }[]): void {
  for (let i = handles.length - 1; i >= 0; i--) handles[i]?.close();
}
