/**
 * Who makes the system calls of a trace: strace names threads by number only; the rest follows from the
 * calls themselves. execve and prctl name a thread, clone and fork make one that has its parent's name.
 */
import type { Task } from '../vm/types.ts';

/** As much of a call as says something about tasks. */
export interface TaskCall {
  readonly pid: number;
  readonly name: string;
  readonly args: readonly string[];
  readonly ret: bigint | undefined;
}

/** TASK_COMM_LEN, less its NUL. */
const commLength = 15;
/** Threads to remember; a trace with more living ones forgets the oldest. */
const maxTasks = 65_536;
/** What strace's child is called until its first execve. */
const firstComm = 'strace';

const forks: readonly string[] = ['clone', 'clone3', 'fork', 'vfork'];

/** The string that an argument shows, up to its first escape; undefined where it shows none. */
function shownString(text: string | undefined): string | undefined {
  return /^"([^"\\]*)/.exec(text ?? '')?.[1];
}

export class StraceTasks {
  private readonly tasks = new Map<number, Task>();
  /** Threads whose clone has started but not returned, latest last, and the text of its arguments. */
  private readonly cloning = new Map<number, string>();

  /** The task of a thread; one not seen before is taken for the child of the latest unfinished clone. */
  task(pid: number): Task {
    const known = this.tasks.get(pid);
    if (known !== undefined) return known;
    const [parent, text] = [...this.cloning].at(-1) ?? [];
    const made = this.child(pid, parent === undefined ? undefined : this.tasks.get(parent), text ?? '');
    this.set(made);
    return made;
  }

  private child(pid: number, parent: Task | undefined, cloneText: string): Task {
    const tgid = parent !== undefined && cloneText.includes('CLONE_THREAD') ? parent.tgid : pid;
    return { pid, tgid, uid: 0, gid: 0, comm: parent?.comm ?? firstComm };
  }

  private set(task: Task): void {
    this.tasks.delete(task.pid);
    this.tasks.set(task.pid, task);
    if (this.tasks.size > maxTasks) this.tasks.delete(this.tasks.keys().next().value as number);
  }

  /** A call has begun. */
  begins(pid: number, name: string, text: string): void {
    if (forks.includes(name)) this.cloning.set(pid, text);
  }

  /** A call has returned; `task()` of its thread gave the task before. */
  returned({ pid, name, args, ret }: TaskCall): void {
    this.cloning.delete(pid);
    if (ret === undefined || ret < 0n) return;
    if (forks.includes(name)) {
      const child = Number(ret);
      const known = this.tasks.get(child);
      // Its own execve may have come first; then only its thread group is still to be learnt.
      if (known === undefined) this.set(this.child(child, this.tasks.get(pid), args.join()));
      return;
    }
    const isName = name === 'prctl' && args[0] === 'PR_SET_NAME';
    const path = name === 'execve' ? args[0] : name === 'execveat' || isName ? args[1] : undefined;
    const shown = shownString(path);
    if (shown === undefined) return;
    const comm = (isName ? shown : shown.slice(shown.lastIndexOf('/') + 1)).slice(0, commLength);
    this.set({ ...this.task(pid), comm });
  }

  ended(pid: number): void {
    this.tasks.delete(pid);
    this.cloning.delete(pid);
  }
}
