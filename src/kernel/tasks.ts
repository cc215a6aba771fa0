/**
 * Tasks as programs see them when they follow pointers: `struct task_struct` in kernel memory, laid out as the kernel's
 * BTF says. One is made when a program first asks for its task; a task keeps its address.
 *
 * A task has what the kernel knows of it: ids, name, credentials, and a leader. Its parent is the idle task, the parent
 * of all here. Every other member is zero, and so is every other pointer.
 */
import { type Btf, findMember, sizeOf } from '../btf/index.ts';
import type { KernelMemory } from '../memory/types.ts';
import { BpfError } from '../uapi/errno.ts';
import type { Task } from '../vm/types.ts';

/** More threads than these are not remembered: the one that was longest not asked for goes. */
const maxTasks = 4096;
/** TASK_COMM_LEN less its NUL. */
const commMax = 15;

const encoder = new TextEncoder();

interface Place {
  readonly task: number;
  readonly cred: number;
}

/** Sizes and offsets in bytes; of members that the kernel's types do not have, undefined. */
interface Layout {
  readonly taskSize: number;
  readonly credSize: number;
  readonly task: ReadonlyMap<string, number>;
  readonly cred: ReadonlyMap<string, number>;
}

const taskMembers = [
  ...['pid', 'tgid', 'comm', 'real_parent', 'parent', 'group_leader', 'real_cred', 'cred'],
  ...['start_time', 'start_boottime'],
];
const uidMembers = ['uid', 'suid', 'euid', 'fsuid'];
const gidMembers = ['gid', 'sgid', 'egid', 'fsgid'];

/** The offsets of members of a struct, in bytes, where it has them. */
function offsetsOf(btf: Btf, id: number, names: readonly string[]): Map<string, number> {
  const offsets = new Map<string, number>();
  for (const name of names) {
    const member = findMember(btf, id, name);
    if (member !== undefined) offsets.set(name, member.bitOffset / 8);
  }
  return offsets;
}

export class Tasks {
  readonly #memory: KernelMemory;
  readonly #btf: () => Btf;
  readonly #now: () => bigint;
  readonly #idle: Task;
  readonly #places = new Map<number, Place>();
  #layout: Layout | undefined;

  /** @param parts.idle the parent of all */
  constructor(parts: { memory: KernelMemory; btf: () => Btf; now: () => bigint; idle: Task }) {
    this.#memory = parts.memory;
    this.#btf = parts.btf;
    this.#now = parts.now;
    this.#idle = parts.idle;
  }

  /** The address of a task's struct, which says what the task is now; 0 where there is no memory for it. */
  address(task: Task): number {
    try {
      const idle = this.#write(this.#idle, { leader: undefined, parent: undefined });
      if (task.pid === this.#idle.pid) return idle;
      return this.#write(task, { leader: this.#leader(task, idle), parent: idle });
    } catch (error) {
      if (error instanceof BpfError && error.errno === 'ENOMEM') return 0;
      throw error;
    }
  }

  /** The address of the leader's struct, where that is another task: the same in all but its id, as far as is known. */
  #leader(task: Task, idle: number): number | undefined {
    const { pid, tgid } = task;
    if (pid === tgid) return undefined;
    const known = this.#places.get(tgid);
    return known?.task ?? this.#write({ ...task, pid: tgid }, { leader: undefined, parent: idle });
  }

  #laidOut(): Layout {
    if (this.#layout === undefined) {
      const btf = this.#btf();
      const of = (name: string, members: readonly string[]) => {
        const id = btf.find(name, 'struct');
        if (id === undefined) return { size: 0, offsets: new Map<string, number>() };
        return { size: sizeOf(btf, id), offsets: offsetsOf(btf, id, members) };
      };
      const [task, cred] = [of('task_struct', taskMembers), of('cred', [...uidMembers, ...gidMembers])];
      this.#layout = { taskSize: task.size, credSize: cred.size, task: task.offsets, cred: cred.offsets };
    }
    return this.#layout;
  }

  /** Where a thread is, made where it is new, and from then on the one that was asked for last. */
  #place(pid: number): Place {
    const known = this.#places.get(pid);
    this.#places.delete(pid);
    const place = known ?? this.#make();
    this.#places.set(pid, place);
    if (this.#places.size > maxTasks) this.#forget();
    return place;
  }

  #make(): Place {
    const layout = this.#laidOut();
    const place = { task: this.#memory.alloc(layout.taskSize), cred: 0 };
    try {
      place.cred = this.#memory.alloc(layout.credSize);
    } catch (error) {
      this.#memory.free(place.task);
      throw error;
    }
    const started = this.#now();
    for (const name of ['start_time', 'start_boottime']) this.#setLong(place.task, name, started);
    return place;
  }

  #forget(): void {
    for (const [pid, place] of this.#places) {
      if (pid === this.#idle.pid) continue;
      this.#memory.free(place.task);
      this.#memory.free(place.cred);
      this.#places.delete(pid);
      return;
    }
  }

  #write(task: Task, about: { leader: number | undefined; parent: number | undefined }): number {
    const { task: at, cred } = this.#place(task.pid);
    const { view } = this.#memory;
    const { task: offsets, cred: credOffsets } = this.#laidOut();
    const set = (base: number, offset: number | undefined, value: number): void => {
      if (offset !== undefined) view.setUint32(base + offset, value, true);
    };
    set(at, offsets.get('pid'), task.pid);
    set(at, offsets.get('tgid'), task.tgid);
    for (const name of uidMembers) set(cred, credOffsets.get(name), task.uid);
    for (const name of gidMembers) set(cred, credOffsets.get(name), task.gid);
    this.#setText(at, 'comm', task.comm);
    for (const name of ['cred', 'real_cred']) this.#setLong(at, name, BigInt(cred));
    for (const name of ['parent', 'real_parent']) this.#setLong(at, name, BigInt(about.parent ?? at));
    this.#setLong(at, 'group_leader', BigInt(about.leader ?? at));
    return at;
  }

  #setLong(task: number, name: string, value: bigint): void {
    const offset = this.#laidOut().task.get(name);
    if (offset !== undefined) this.#memory.view.setBigUint64(task + offset, value, true);
  }

  #setText(task: number, name: string, text: string): void {
    const offset = this.#laidOut().task.get(name);
    if (offset === undefined) return;
    const bytes = encoder.encode(text).subarray(0, commMax);
    this.#memory.u8.fill(0, task + offset, task + offset + commMax + 1);
    this.#memory.u8.set(bytes, task + offset);
  }
}
