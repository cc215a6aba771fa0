/**
 * The BPF file system: a tree of directories and pins, mounted at /sys/fs/bpf. A pin holds a reference to
 * its object. All processes of a kernel see the same tree.
 */
import { BpfError, type Errno } from '../uapi/errno.ts';
import type { Credentials } from './credentials.ts';
import type { LinkObject } from './objects/links.ts';
import type { MapObject } from './objects/map.ts';
import type { ProgObject } from './objects/program.ts';

export type Pinnable = MapObject | ProgObject | LinkObject;

interface Directory {
  readonly children: Map<string, Entry>;
}

/** mode 0600: its owner, and whoever overrides that. */
interface Pin {
  readonly object: Pinnable;
  readonly uid: number;
}

type Entry = Directory | Pin;

export const BPFFS_ROOT = '/sys/fs/bpf';
const NAME_MAX = 255;
const PATH_MAX = 4096;

const isDirectory = (entry: Entry): entry is Directory => 'children' in entry;

export class BpfFs {
  readonly #root: Directory = { children: new Map() };

  /** @throws {BpfError} as pin(2) of an object: EPERM outside /sys/fs/bpf, EEXIST, ENOENT, ENOTDIR */
  pin(path: string, object: Pinnable, owner: Credentials): void {
    const { parent, name } = this.#newName(path, 'BPF_OBJ_PIN', 'EPERM');
    parent.children.set(name, { object, uid: owner.uid });
    object.userGet();
  }

  /**
   * The object pinned at `path`; no reference is taken.
   * @throws {BpfError} ENOENT, ENOTDIR; EACCES for a directory or another user's pin
   */
  open(path: string, reader: Credentials): Pinnable {
    const entry = this.#find(path, 'BPF_OBJ_GET');
    if (isDirectory(entry)) throw new BpfError('EACCES', 'BPF_OBJ_GET', `${path} is a directory`);
    if (entry.uid !== reader.uid && !reader.capabilities.sysAdmin) {
      throw new BpfError('EACCES', 'BPF_OBJ_GET', `${path} belongs to user ${entry.uid}`);
    }
    return entry.object;
  }

  /** @throws {BpfError} EEXIST, ENOENT, ENOTDIR; EPERM outside /sys/fs/bpf or for a name with a dot */
  mkdir(path: string): void {
    const { parent, name } = this.#newName(path, 'mkdir', 'EPERM');
    parent.children.set(name, { children: new Map() });
  }

  /**
   * Makes a directory and those above it, unless they are there.
   * @throws {BpfError} as mkdir, but for EEXIST
   */
  makeFolder(path: string): void {
    for (let end = path.indexOf('/', BPFFS_ROOT.length + 1); ; end = path.indexOf('/', end + 1)) {
      const part = end < 0 ? path : path.slice(0, end);
      try {
        this.mkdir(part);
      } catch (error) {
        if (!(error instanceof BpfError) || error.errno !== 'EEXIST') throw error;
      }
      if (end < 0) return;
    }
  }

  /** @throws {BpfError} ENOENT, ENOTDIR, ENOTEMPTY; EBUSY for the root */
  rmdir(path: string): void {
    const entry = this.#find(path, 'rmdir');
    if (!isDirectory(entry)) throw new BpfError('ENOTDIR', 'rmdir', `${path} is a pin`);
    if (entry === this.#root)
      throw new BpfError('EBUSY', 'rmdir', `${path} is where the file system is mounted`);
    if (entry.children.size > 0) throw new BpfError('ENOTEMPTY', 'rmdir', `remove what is in ${path} first`);
    this.#remove(path, 'rmdir');
  }

  /**
   * Removes a pin; the object dies unless something else holds it.
   * @throws {BpfError} ENOENT, ENOTDIR, EISDIR
   */
  unlink(path: string): void {
    const entry = this.#find(path, 'unlink');
    if (isDirectory(entry))
      throw new BpfError('EISDIR', 'unlink', `${path} is a directory: rmdir removes it`);
    this.#remove(path, 'unlink');
    entry.object.userPut();
  }

  /** Names in a directory, sorted. @throws {BpfError} ENOENT, ENOTDIR */
  readdir(path: string = BPFFS_ROOT): string[] {
    const entry = this.#find(path, 'readdir');
    if (!isDirectory(entry)) throw new BpfError('ENOTDIR', 'readdir', `${path} is a pin`);
    return [...entry.children.keys()].sort();
  }

  #find(path: string, what: string): Entry {
    let entry: Entry = this.#root;
    for (const name of components(path, what, 'ENOENT')) {
      if (!isDirectory(entry)) throw new BpfError('ENOTDIR', what, path);
      const next: Entry | undefined = entry.children.get(name);
      if (next === undefined) throw new BpfError('ENOENT', what, `there is no ${path}`);
      entry = next;
    }
    return entry;
  }

  /** The directory that is to hold `path`, which must not be there yet, and the last name of it. */
  #newName(path: string, what: string, outside: Errno): { parent: Directory; name: string } {
    const names = components(path, what, outside);
    const name = names.pop();
    if (name === undefined) throw new BpfError('EEXIST', what, `${path} is the file system's root`);
    const parent = this.#find([BPFFS_ROOT, ...names].join('/'), what);
    if (!isDirectory(parent)) throw new BpfError('ENOTDIR', what, path);
    if (parent.children.has(name)) throw new BpfError('EEXIST', what, `${path} is there already`);
    // bpf_lookup: dots are reserved for future use.
    if (name.includes('.')) throw new BpfError('EPERM', what, 'names in the BPF file system have no dots');
    return { parent, name };
  }

  #remove(path: string, what: string): void {
    const names = components(path, what, 'ENOENT');
    const name = names.pop() as string;
    (this.#find([BPFFS_ROOT, ...names].join('/'), what) as Directory).children.delete(name);
  }
}

/** The names of a path below the root; `outside` is the errno of a path that is elsewhere. */
function components(path: string, what: string, outside: Errno): string[] {
  if (path === '') throw new BpfError('ENOENT', what, 'the path is empty');
  if (path.length >= PATH_MAX) throw new BpfError('ENAMETOOLONG', what, `a path has under ${PATH_MAX} bytes`);
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name.length > NAME_MAX)
      throw new BpfError('ENAMETOOLONG', what, `a name has at most ${NAME_MAX} bytes`);
    if (name === '' || name === '.') continue;
    if (name === '..') names.pop();
    else names.push(name);
  }
  const root = BPFFS_ROOT.slice(1).split('/');
  if (!path.startsWith('/') || root.some((name, i) => names[i] !== name)) {
    throw new BpfError(outside, what, `${path} is not in the BPF file system, which is at ${BPFFS_ROOT}`);
  }
  return names.slice(root.length);
}
