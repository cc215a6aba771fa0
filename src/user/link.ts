/**
 * A live link: the bond between a program and what it is attached to. Closing the last reference to it
 * detaches the program; pinning it keeps the program attached after its process has ended. Where a kernel has no
 * link for a kind of attachment, this ends it by the means by which it was made.
 */
import { SkepError } from '../base/errors.ts';
import { BpfError } from '../uapi/errno.ts';
import type { InfoOf } from '../uapi/info.ts';
import { linkTypeName } from '../uapi/link-types.ts';
import type { System } from '../uapi/seam.ts';
import type { Attachment, Legacy } from './attach/index.ts';
import { closeWhenForgotten, Handle } from './handle.ts';
import { iteratorChunks, linesOf } from './iterator.ts';

export interface LinkInfo {
  readonly id: number;
  /** BPF_LINK_TYPE_*, and the kernel's name of it in lower case. */
  readonly type: number;
  readonly typeName: string;
  readonly programId: number;
}

/** Errors of ending what has ended by itself: with its device, its cgroup, its socket. */
const alreadyGone: ReadonlySet<string> = new Set(['ENODEV', 'ENOENT', 'ESRCH', 'ENXIO']);

export class Link extends Handle {
  readonly #others: readonly number[];
  readonly #remember: (() => void) | undefined;
  #after: (() => void) | undefined;
  #legacy: Legacy | undefined;

  /** Made by `Program.attach` and `Kernel`: takes over the fds. */
  constructor(system: System, attachment: number | Attachment, what = 'link') {
    const {
      fd,
      others = [],
      legacy,
      after,
    } = typeof attachment === 'number' ? ({ fd: attachment } as Attachment) : attachment;
    super(system, fd, what);
    this.#others = others;
    if (others.length > 0) {
      const closeOthers = (): void => {
        for (const each of others) system.close(each);
      };
      this.#remember = closeWhenForgotten(this, what, closeOthers);
    }
    this.#legacy = legacy;
    this.#after = after;
  }

  /**
   * The link's id, that of its program, and its kind.
   * @throws {SkepError} 'no-link' for an attachment that is none
   */
  info(): LinkInfo {
    this.#mustBeLink('has no id');
    const info: InfoOf<'link'> = { kind: 'link' };
    this.system.bpf('objGetInfoByFd', { bpfFd: this.fd, info });
    const type = info.type ?? 0;
    const typeName = linkTypeName(type) ?? String(type);
    return { id: info.id ?? 0, type, typeName, programId: info.progId ?? 0 };
  }

  /**
   * Puts another program in the place of the attached one, without a gap.
   * @throws {BpfError} EINVAL where the program is of another type, or the kind of link cannot
   * @throws {SkepError} 'no-link' for an attachment that is none and cannot be changed
   */
  update(program: Handle): void {
    if (this.#legacy?.replace !== undefined) {
      this.#legacy.replace(program.fd);
      return;
    }
    this.#mustBeLink('cannot change its program');
    for (const linkFd of [this.fd, ...this.#others]) {
      this.system.bpf('linkUpdate', { linkFd, newProgFd: program.fd });
    }
  }

  /**
   * Detaches now, whoever else refers to the link.
   * @throws {BpfError} ENOTSUP for links of tracepoints: closing the last reference detaches those
   */
  detach(): void {
    if (this.#legacy !== undefined) {
      this.close();
      return;
    }
    for (const linkFd of [this.fd, ...this.#others]) this.system.bpf('linkDetach', { linkFd });
  }

  /**
   * Gives it a name in the BPF file system.
   * @throws {SkepError} 'no-link' for an attachment that is none, or that is several
   */
  override pin(path: string): void {
    this.#mustBeLink('cannot be pinned');
    if (this.#others.length > 0) {
      throw new SkepError({
        code: 'no-link',
        where: this.what,
        message: `it is ${this.#others.length + 1} links, one for each CPU or place, and a pin is one`,
        hint: 'attach to one at a time',
      });
    }
    super.pin(path);
    // What it is attached with is wanted for as long as the pin is there.
    this.#after = undefined;
  }

  /**
   * What an iterator writes, walked anew each time: bytes as the kernel hands them out.
   * @throws {BpfError} EINVAL for a link that is no iterator's
   */
  chunks(): Generator<Uint8Array, void> {
    return iteratorChunks(this.system, this.fd);
  }

  /** As `chunks`, in lines of text. */
  lines(): Generator<string, void> {
    return linesOf(this.chunks());
  }

  override close(): void {
    if (this.closed) return;
    const legacy = this.#legacy;
    this.#legacy = undefined;
    try {
      legacy?.end();
    } catch (error) {
      if (!(error instanceof BpfError) || !alreadyGone.has(error.errno)) throw error;
    } finally {
      super.close();
      this.#remember?.();
      for (const fd of this.#others) this.system.close(fd);
      this.#after?.();
    }
  }

  #mustBeLink(but: string): void {
    if (this.#legacy === undefined) return;
    throw new SkepError({
      code: 'no-link',
      where: this.what,
      message: `it is attached by ${this.#legacy.how}, not by a link, and ${but}`,
      hint: 'close() detaches it',
    });
  }
}
