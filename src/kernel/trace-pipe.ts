/**
 * The trace pipe: what bpf_trace_printk writes, as /sys/kernel/tracing/trace_pipe shows it. A ring: with
 * nobody reading, old lines make room for new ones.
 */
import type { Task } from '../vm/types.ts';

/** Lines kept for a reader that comes later. */
const CAPACITY = 4096;

/** Latency flags as 6.18 shows them: interrupts, need-resched, context, preemption depth, migration depth. */
const latencyFlags = { tracing: '...2.', network: 'b..11' } as const;
export type TraceContext = keyof typeof latencyFlags;

export interface TraceMoment {
  readonly task: Task;
  readonly cpu: number;
  readonly timeNs: bigint;
  readonly flags: TraceContext;
}

/** `            comm-pid     [000] ...2.  1234.567890: bpf_trace_printk: message` */
export function formatTraceLine({ task, cpu, timeNs, flags }: TraceMoment, message: string): string {
  const micros = timeNs / 1000n;
  const seconds = String(micros / 1_000_000n).padStart(5);
  const fraction = String(micros % 1_000_000n).padStart(6, '0');
  // trace_print_context(): comm right in 16, pid left in 7.
  const who = `${task.comm.padStart(16)}-${String(task.pid).padEnd(7)}`;
  return `${who} [${String(cpu).padStart(3, '0')}] ${latencyFlags[flags]} ${seconds}.${fraction}: bpf_trace_printk: ${message}`;
}

export class TracePipe {
  readonly #lines: string[] = [];
  readonly #wake = new Set<() => void>();
  /** Lines overwritten before anybody read them. */
  lost = 0;

  write(moment: TraceMoment, message: string): void {
    if (this.#lines.length === CAPACITY) {
      this.#lines.shift();
      this.lost++;
    }
    this.#lines.push(formatTraceLine(moment, message));
    for (const wake of this.#wake) wake();
    this.#wake.clear();
  }

  /** Takes the lines written so far; as in Linux, a line is read once. */
  take(): string[] {
    return this.#lines.splice(0);
  }

  /** Lines as they are written, those already there first, until aborted. */
  async *lines(options: { signal?: AbortSignal } = {}): AsyncGenerator<string> {
    const { signal } = options;
    while (!signal?.aborted) {
      const line = this.#lines.shift();
      if (line === undefined) await this.#written(signal);
      else yield line;
    }
  }

  #written(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal?.removeEventListener('abort', done);
        this.#wake.delete(done);
        resolve();
      };
      signal?.addEventListener('abort', done);
      this.#wake.add(done);
    });
  }
}
