/**
 * An initial RAM file system: files in, a cpio archive out, in the "new ASCII" format that the kernel unpacks
 * (Documentation/driver-api/early-userspace/buffer-format.rst). Uncompressed, since unpacking is slow where
 * the processor is emulated.
 */
import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join, posix } from 'node:path';

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

/** Writes an archive piece by piece: the files are larger than what one wants in memory. */
export class Archive {
  readonly #fd: number;
  readonly #folders = new Set<string>(['.', '/', '']);
  #inode = 1;

  constructor(path: string) {
    this.#fd = openSync(path, 'w');
  }

  /** A file at an absolute path, with the folders above it. */
  file(path: string, content: Uint8Array | string, mode = 0o644): void {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    this.folder(posix.dirname(path));
    this.#entry(path, S_IFREG | mode, bytes);
  }

  folder(path: string): void {
    if (this.#folders.has(path)) return;
    this.folder(posix.dirname(path));
    this.#folders.add(path);
    this.#entry(path, S_IFDIR | 0o755, new Uint8Array());
  }

  link(path: string, target: string): void {
    this.folder(posix.dirname(path));
    this.#entry(path, S_IFLNK | 0o777, new TextEncoder().encode(target));
  }

  /** A file or a folder with all that it holds, from this machine; symbolic links are followed. */
  copy(from: string, to: string, wanted: (path: string) => boolean = () => true): void {
    const { mode } = statSync(from);
    if ((mode & S_IFREG) === S_IFREG) {
      this.file(to, readFileSync(from), mode & 0o777);
      return;
    }
    this.folder(to);
    for (const name of readdirSync(from)) {
      const path = join(from, name);
      if (wanted(path)) this.copy(path, posix.join(to, name), wanted);
    }
  }

  /** Ends the archive. */
  close(): void {
    this.#entry('/TRAILER!!!', 0, new Uint8Array());
    closeSync(this.#fd);
  }

  #entry(path: string, mode: number, bytes: Uint8Array): void {
    const name = `${path.slice(1)}\0`;
    // Inode, mode, uid, gid, links, mtime, size, device and its own device, length of the name, checksum.
    const fields = [this.#inode++, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}`;
    this.#write(new TextEncoder().encode(header));
    this.#write(bytes);
  }

  /** Each part begins at a multiple of four. */
  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at);
    const rest = (4 - (bytes.length % 4)) % 4;
    if (rest > 0) writeSync(this.#fd, new Uint8Array(rest));
  }
}
