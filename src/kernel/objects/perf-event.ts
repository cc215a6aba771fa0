/** A perf event, as far as BPF needs it: an open tracepoint that a program can be attached to. */
import type { Tracepoint } from '../tracepoint-table.ts';
import { KernelObject } from './object.ts';

export class PerfEvent extends KernelObject {
  readonly kind = 'perf_event';
  readonly tracepoint: Tracepoint;
  /** Whether a link has put a program on this event; one event has one. */
  attached = false;

  constructor(tracepoint: Tracepoint) {
    super();
    this.tracepoint = tracepoint;
  }

  protected release(): void {}
}
