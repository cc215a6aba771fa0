/**
 * A live link: the bond between a program and what it is attached to. Closing the last reference to it
 * detaches the program; pinning it keeps the program attached after its process has ended.
 */
import type { System } from '../uapi/seam.ts';
import { Handle } from './handle.ts';

export class Link extends Handle {
  /** Made by `Program.attach` and `Kernel`: takes over `fd`. */
  constructor(system: System, fd: number, what = 'link') {
    super(system, fd, what);
  }

  /** The link's id, that of its program, and its kind (BPF_LINK_TYPE_*). */
  info(): { id: number; type: number; programId: number } {
    const info = { kind: 'link' as const, id: 0, type: 0, progId: 0 };
    this.system.bpf('objGetInfoByFd', { bpfFd: this.fd, info });
    return { id: info.id, type: info.type, programId: info.progId };
  }

  /**
   * Puts another program in the place of the attached one, without a gap.
   * @throws {BpfError} EINVAL where the program is of another type
   */
  update(program: Handle): void {
    this.system.bpf('linkUpdate', { linkFd: this.fd, newProgFd: program.fd });
  }

  /**
   * Detaches now, whoever else refers to the link.
   * @throws {BpfError} ENOTSUP for links of tracepoints: closing the last reference detaches those
   */
  detach(): void {
    this.system.bpf('linkDetach', { linkFd: this.fd });
  }
}
