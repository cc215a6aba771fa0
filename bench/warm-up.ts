/**
 * `npm run bench -- warm-up`: how long after its load a program runs at full speed, with and without warming up
 * (src/vm/jit/warm-up.ts). Fresh processes take turns. Writes its part of docs/performance.md.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorker, nodes } from './nodes.ts';
import { markdown, writeSection } from './section.ts';
import { EXAMPLE } from './suite.ts';
import type { Warming } from './warm-up-worker.ts';

/** Some 200 instructions each. */
const programs = [EXAMPLE, 'balancer', 'calls'];
const ROUNDS = 7;

/** Measures, prints the table and puts it into the report. */
export async function warmUp(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'skep-bench-'));
  try {
    const worker = await bundleWorker('warm-up-worker', folder);
    const cells = nodes().flatMap(({ path, version }) =>
      programs.map((program) => ({ path, version, program, on: [] as Warming[], off: [] as Warming[] })),
    );
    for (let round = 0; round < ROUNDS; round++) {
      for (const cell of cells) {
        for (const mode of ['on', 'off'] as const) {
          const { stdout } = spawnSync(cell.path, [worker, cell.program, mode], { encoding: 'utf8' });
          cell[mode].push(JSON.parse(stdout) as Warming);
        }
      }
    }
    const rows = cells.map(({ version, program, on, off }) => [
      program,
      version,
      ...[off, on].flatMap((all) => [spread(all, 'ms', 1), spread(all, 'runs', 0)]),
      ...[off, on].map((all) => spread(all, 'last', 0)),
    ]);
    const head = ['program', 'Node', 'ms without', 'runs', 'ms with', 'runs', 'ns without', 'ns with'];
    const table = markdown([head, ...rows]);
    console.log(table);
    writeSection('From load to full speed', `${introduction}\n\n${table}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const introduction = `Made by \`npm run bench -- warm-up\`: milliseconds and runs from the load of a program to speed within a tenth of
what it gets to, run without a pause, and nanoseconds a run in the end; without and with warming up
(\`new Kernel({ warmUp: false })\` and by default). Each time in a fresh process, ${ROUNDS} of each in turns: the minimum, and
the median in brackets. V8 optimises a function in the background once so many bytes of its code have run. Warming up,
after the first thousand runs, uses up the rest: the program's function and those of its hashes are called for nothing
and leave by their end, in some tenths of a millisecond. Nothing is run on scratch memory at load: that would take as
long as V8's own way, since it is the same count, and would make some programs slower for good. What V8 inlines, it
chooses by the calls that it has seen, and \`calls\`, optimised before any, takes 1.7 times as long.`;

function spread(all: readonly Warming[], field: keyof Warming, digits: number): string {
  const values = all.map((one) => one[field]).sort((a, b) => a - b);
  const [best, middle] = [values[0]!, values[values.length >> 1]!].map((value) => value.toFixed(digits));
  return `${best} (${middle})`;
}
