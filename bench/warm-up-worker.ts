/**
 * One measurement of bench/warm-up.ts, in a process of its own: `NAME on|off` loads a program of the suite and runs it
 * until it gets no faster. Prints as JSON when that was, in milliseconds after the load, and nanoseconds a run before
 * and after.
 */
import { setTimeout } from 'node:timers/promises';
import { Kernel } from '../src/index.ts';
import { EXAMPLE, exampleObject, suiteObject, suitePacket } from './suite.ts';

export interface Warming {
  /** Milliseconds from the load to the first run at a speed within a tenth of the last. */
  readonly ms: number;
  /** Runs until then. */
  readonly runs: number;
  /** Nanoseconds a run, at first and in the end. */
  readonly first: number;
  readonly last: number;
}

/** Runs in a sample, samples of which the median counts, and how long it is watched. */
const [RUNS, SAMPLES, WATCHED_MS] = [200, 5, 600];
const SETTLED_MS = 500;

const [name = '', mode = ''] = process.argv.slice(2);
const data = suitePacket();
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const kernel = new Kernel({ warmUp: mode === 'on' });
// What loads and runs programs is warm, and V8's compilers have done with it: the measure is of the program alone.
for (let i = 0; i < 20; i++) {
  const other = kernel.load(suiteObject('parse'));
  other.program('bench').testRun({ data, repeat: 2 });
  other.close();
}
// What else the machine does falls on this one as well.
const other = kernel.load(suiteObject('alu32'));
const reference = other.program('bench');
for (let i = 0; i < 5000; i++) reference.testRun({ data, repeat: 10 });
await setTimeout(SETTLED_MS);
const collection = kernel.load(name === EXAMPLE ? exampleObject() : suiteObject(name));
const program = Object.values(collection.programs)[0]!;
const loaded = performance.now();
const samples: { at: number; ns: number; share: number }[] = [];
for (let at = loaded; at < loaded + WATCHED_MS; ) {
  program.testRun({ data, repeat: RUNS });
  const end = performance.now();
  reference.testRun({ data, repeat: RUNS / 4 });
  const ns = ((end - at) * 1e6) / RUNS;
  const next = performance.now();
  samples.push({ at: at - loaded, ns, share: (end - at) / (next - end) });
  at = next;
}
type Field = 'ns' | 'share';
const medianFrom = (start: number, field: Field): number =>
  median(samples.slice(start, start + SAMPLES).map((sample) => sample[field]));
const atLast = (field: Field): number =>
  median(samples.slice(-samples.length / 4).map((sample) => sample[field]));
const last = atLast('share') * 1.1;
const start = samples.findIndex((_, i) => medianFrom(i, 'share') <= last);
const found: Warming = {
  ms: samples[start]!.at,
  runs: start * RUNS,
  first: medianFrom(1, 'ns'),
  last: atLast('ns'),
};
console.log(JSON.stringify(found));
collection.close();
other.close();
kernel.close();
