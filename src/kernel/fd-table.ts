/**
 * A process's file descriptors. An fd names an open file, which holds one reference to an object and the
 * rights it was opened with; `dup` makes a second fd for the same file.
 */
import { BpfError, type Errno } from '../uapi/errno.ts';
import type { BtfObject } from './objects/btf.ts';
import type { LinkObject } from './objects/links.ts';
import type { MapObject } from './objects/map.ts';
import type { PerfEvent } from './objects/perf-event.ts';
import type { ProgObject } from './objects/program.ts';

/** Whatever an fd can name. */
export interface ObjectOfKind {
  map: MapObject;
  prog: ProgObject;
  btf: BtfObject;
  link: LinkObject;
  perf_event: PerfEvent;
}
export type AnyObject = ObjectOfKind[keyof ObjectOfKind];

export interface OpenMode {
  readonly read: boolean;
  readonly write: boolean;
}

export const readWrite: OpenMode = { read: true, write: true };

export interface OpenFile extends OpenMode {
  readonly object: AnyObject;
}

interface File extends OpenFile {
  fds: number;
}

/** 0, 1 and 2 are the standard streams, which are no business of this kernel. */
const FIRST_FD = 3;
/** RLIMIT_NOFILE, Linux's default soft limit. */
export const FD_LIMIT = 1024;

const notOpen = (fd: number): string => `${fd} is not an open file descriptor of this process`;

export class FdTable {
  readonly #files: (File | undefined)[] = [];

  /** Takes over the caller's user reference on `object`; where there is no fd left, gives it back and throws. */
  install(object: AnyObject, mode: OpenMode = readWrite): number {
    return this.#place({ object, read: mode.read, write: mode.write, fds: 0 });
  }

  #place(file: File): number {
    let index = this.#files.indexOf(undefined);
    if (index < 0) index = this.#files.length;
    if (index + FIRST_FD >= FD_LIMIT) {
      if (file.fds === 0) file.object.userPut();
      throw new BpfError('EMFILE', 'new file descriptor', `a process has ${FD_LIMIT}: close some`);
    }
    file.fds++;
    this.#files[index] = file;
    return index + FIRST_FD;
  }

  find(fd: number): OpenFile | undefined {
    return this.#files[fd - FIRST_FD];
  }

  /** The object of an fd, or the errno of bpf_map_get and its kin: EBADF, or EINVAL for another kind. */
  lookup<K extends keyof ObjectOfKind>(fd: number, kind: K): ObjectOfKind[K] | Errno {
    const file = this.find(fd);
    if (file === undefined) return 'EBADF';
    return file.object.kind === kind ? (file.object as ObjectOfKind[K]) : 'EINVAL';
  }

  dup(fd: number): number {
    const file = this.#files[fd - FIRST_FD];
    if (file === undefined) throw new BpfError('EBADF', 'dup', notOpen(fd));
    return this.#place(file);
  }

  close(fd: number): void {
    const file = this.#files[fd - FIRST_FD];
    if (file === undefined) throw new BpfError('EBADF', 'close', notOpen(fd));
    this.#files[fd - FIRST_FD] = undefined;
    if (--file.fds === 0) file.object.userPut();
  }

  closeAll(): void {
    for (let i = 0; i < this.#files.length; i++) if (this.#files[i]) this.close(i + FIRST_FD);
    this.#files.length = 0;
  }
}
