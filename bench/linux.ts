/**
 * `npm run bench -- linux`: maps and ring buffers of the running kernel from Node, beside a C program over libbpf
 * (bench/c/reading.c, compiled here) that does the same in turns with it. Writes docs/performance-linux.md.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { LinuxKernel } from '../src/linux-kernel.ts';

const ENTRIES = 1000;
const SINGLES = 20_000;
const BATCHES = 50;
const DRAINS = 5;
const ROUNDS = 31;

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const object = here('c/reading.bpf.o');

interface Case {
  readonly name: string;
  /** The case of the C program that does the same. */
  readonly peer: string;
  /** What is asked for: at most so many times the time of C. */
  readonly limit?: number;
  /** Nanoseconds that one operation took. */
  run(): number | Promise<number>;
}

const now = (): number => Number(process.hrtime.bigint());
/** Keeps the work from being thrown away. */
const total = new Float64Array(1);
/** The same for a loop in which adding floating-point numbers would be what is measured. */
const sum = new Int32Array(1);

function cases(kernel: LinuxKernel): Case[] {
  const made = kernel.load(readFileSync(object));
  const hash = made.map<number, bigint>('hash');
  const array = kernel.createMap<number, number>({ type: 'array', maxEntries: ENTRIES, flags: 1 << 10 });
  const shared = new Uint32Array(array.mmap().bytes.buffer);
  const { sys } = kernel;
  hash.setAll(Array.from({ length: ENTRIES }, (_, key) => [key, BigInt(key * 3)]));
  const timed = (count: number, work: () => void): number => {
    const start = now();
    work();
    return (now() - start) / count;
  };
  const key = new Uint8Array(4);
  const value = new Uint8Array(8);
  const keyWord = new Uint32Array(key.buffer);
  const valueWords = new Uint32Array(value.buffer);
  const element = { mapFd: hash.fd, key, value };
  const keys = new Uint8Array(4 * ENTRIES);
  const values = new Uint8Array(8 * ENTRIES);
  const keyWords = new Uint32Array(keys.buffer);
  const wideValues = new Uint32Array(values.buffer);
  const entries = Array.from({ length: ENTRIES }, (_, i) => [i, BigInt(i * 3)] as const);
  const ring = made.map('ring').ringBuffer();
  const fill = made.program('fill');
  const drained = (drain: () => number | Promise<number>): (() => Promise<number>) => {
    return async () => {
      let [time, records] = [0, 0];
      for (let i = 0; i < DRAINS; i++) {
        const before = made.variable<bigint>('accepted').get();
        fill.testRun();
        const accepted = Number(made.variable<bigint>('accepted').get() - before);
        const start = now();
        const count = await drain();
        time += now() - start;
        records += count;
        if (count !== accepted || count < 14_000) throw new Error(`${count} of ${accepted} records came`);
      }
      return time / records;
    };
  };
  const addWord = (view: DataView, start: number): void => {
    sum[0] = (sum[0]! + view.getInt32(start, true)) | 0;
  };
  return [
    {
      ...{ name: 'lookup: map.get(key)', peer: 'lookup', limit: 4 },
      run: () =>
        timed(SINGLES, () => {
          for (let i = 0; i < SINGLES; i++) total[0]! += Number(hash.get(i % ENTRIES));
        }),
    },
    {
      ...{ name: 'lookup: bpf() with buffers of its own', peer: 'lookup', limit: 4 },
      run: () =>
        timed(SINGLES, () => {
          for (let i = 0; i < SINGLES; i++) {
            keyWord[0] = i % ENTRIES;
            sys.bpf('mapLookupElem', element);
            total[0]! += valueWords[0] as number;
          }
        }),
    },
    {
      ...{ name: 'lookup: an array in shared memory', peer: 'lookup' },
      run: () =>
        timed(SINGLES, () => {
          for (let i = 0; i < SINGLES; i++) total[0]! += shared[2 * (i % ENTRIES)] as number;
        }),
    },
    {
      ...{ name: 'update: map.set(key, value)', peer: 'update', limit: 4 },
      run: () =>
        timed(SINGLES, () => {
          for (let i = 0; i < SINGLES; i++) hash.set(i % ENTRIES, BigInt((i % ENTRIES) * 3));
        }),
    },
    {
      ...{ name: `batch of ${ENTRIES} lookups: map.getAll()`, peer: 'lookup batch' },
      run: () =>
        timed(BATCHES * ENTRIES, () => {
          for (let i = 0; i < BATCHES; i++) for (const [k, v] of hash.getAll()) total[0]! += k + Number(v);
        }),
    },
    {
      ...{ name: `batch of ${ENTRIES} lookups: map.batches()`, peer: 'lookup batch', limit: 1.5 },
      run: () =>
        timed(BATCHES * ENTRIES, () => {
          for (let round = 0; round < BATCHES; round++) {
            for (const batch of hash.batches()) {
              const found = new DataView(batch.keys.buffer);
              const numbers = new DataView(batch.values.buffer);
              for (let i = 0; i < batch.count; i++)
                total[0]! += found.getUint32(4 * i, true) + numbers.getUint32(8 * i, true);
            }
          }
        }),
    },
    {
      ...{ name: `batch of ${ENTRIES} updates: map.setAll(entries)`, peer: 'update batch' },
      run: () =>
        timed(BATCHES * ENTRIES, () => {
          for (let round = 0; round < BATCHES; round++) hash.setAll(entries);
        }),
    },
    {
      ...{ name: `batch of ${ENTRIES} updates: map.setBytes()`, peer: 'update batch', limit: 1.5 },
      run: () =>
        timed(BATCHES * ENTRIES, () => {
          for (let round = 0; round < BATCHES; round++) {
            for (let i = 0; i < ENTRIES; i++) {
              keyWords[i] = i;
              wideValues[2 * i] = i * 3;
            }
            hash.setBytes({ keys, values });
          }
        }),
    },
    {
      ...{ name: 'ring buffer, 64-byte records: drainBytes(visit)', peer: 'drain', limit: 2 },
      run: drained(() => ring.drainBytes(addWord)),
    },
    {
      ...{ name: 'ring buffer, 64-byte records: drain(visit), a copy each', peer: 'drain' },
      run: drained(() =>
        ring.drain((record) => {
          total[0]! += record[0] as number;
        }),
      ),
    },
    {
      ...{ name: 'ring buffer, 64-byte records: for await', peer: 'drain' },
      run: drained(async () => {
        let count = 0;
        for await (const record of ring) {
          total[0]! += record[0] as number;
          count++;
          if (ring.unread === 0) break;
        }
        return count;
      }),
    },
  ];
}

/** The C program, asked for one round at a time. */
class Peer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(path: string) {
    this.#child = spawn(path, [object], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream })[
      Symbol.asyncIterator
    ]();
  }

  async run(name: string): Promise<number> {
    this.#child.stdin?.write(`${name}\n`);
    const { value } = await this.#lines.next();
    return Number(value);
  }

  end(): void {
    this.#child.stdin?.end();
  }
}

interface Row extends Case {
  readonly ours: number[];
  readonly theirs: number[];
}

const least = (numbers: readonly number[]): number => Math.min(...numbers);
const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] as number;
const figure = (ns: number): string => ns.toFixed(ns < 10 ? 2 : 0);
const rate = (ns: number): string => Math.round(1e9 / ns).toLocaleString('en-US');

function table(rows: readonly Row[]): string {
  const cells = rows.map(({ name, limit, ours, theirs }) => {
    const ratios = [least, median].map((of) => of(ours) / of(theirs));
    const times = [least(ours), median(ours), least(theirs), median(theirs)].map(figure);
    const asked = limit === undefined ? '–' : `≤ ${limit}`;
    return [name, ...times, ...ratios.map((ratio) => ratio.toFixed(2)), asked, rate(least(ours))];
  });
  const titles = ['', 'Node', 'median', 'C', 'median', 'Node/C', 'of medians', 'asked', 'a second'];
  const lines = [titles, titles.map((_, i) => (i === 0 ? '---' : '---:')), ...cells];
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}

function report(rows: readonly Row[]): string {
  const missed = rows.filter(
    ({ limit, ours, theirs }) => limit !== undefined && least(ours) / least(theirs) > limit,
  );
  const lookup = least((rows[1] as Row).ours);
  const bound = least((rows[1] as Row).theirs);
  return `# Performance on Linux

Made by \`npm run bench -- linux\` on ${new Date().toISOString().slice(0, 10)}; do not edit. ${cpus()[0]?.model},
${cpus().length} CPUs, Linux ${release()}, Node ${process.version}; load average ${loadavg()[0]?.toFixed(1)}, because others use
the machine too.

What Node does through skep, beside a C program over libbpf that does the same (\`bench/c/reading.c\`), in turns:
${ROUNDS} rounds of every case. Nanoseconds an operation, the least and the median. The hash map has ${ENTRIES} entries of
4-byte keys and 8-byte values; the ring buffer has 1 MiB and is full at the start of each round, of ${'14,563'} records.
In every round each record that the program was given room for came out: the bench fails where one does not.

${table(rows)}

${missed.length === 0 ? 'Every ratio that was asked for is met.' : `Not met: ${missed.map(({ name }) => name).join('; ')}.`}

## What is lost where

- A million single lookups a second were asked for. Here one system call of that kind costs C ${figure(bound)} ns
  (${rate(bound)} a second), and Node ${figure(lookup)} ns (${rate(lookup)}): the difference is the call through koffi and the
  copies of key and value. The processor's mitigations make system calls dear; what counts is the ratio. Where
  an array is shared by \`map.mmap()\`, or many elements are read in a batch, there is no call for each.
- \`getAll\` and \`setAll\` make a JavaScript value of each key and value, \`drain\` makes an object for each record,
  and \`for await\` a promise: that is what they cost beyond the rows above them.
`;
}

export async function linux(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'skep-bench-'));
  try {
    const path = join(directory, 'reading');
    execFileSync('cc', ['-O2', '-Wall', here('c/reading.c'), '-o', path, '-lbpf']);
    const peer = new Peer(path);
    const rows = cases(new LinuxKernel()).map((each): Row => ({ ...each, ours: [], theirs: [] }));
    for (let round = 0; round < ROUNDS; round++) {
      for (const row of rows) {
        row.ours.push(await row.run());
        row.theirs.push(await peer.run(row.peer));
      }
    }
    peer.end();
    console.log(table(rows));
    writeFileSync(here('../docs/performance-linux.md'), report(rows));
  } finally {
    rmSync(directory, { recursive: true });
  }
}
