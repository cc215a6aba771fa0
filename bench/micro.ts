/**
 * `npm run bench -- micro`: engines and maps by themselves. Measures and prints a table, median and best of
 * each case. `--json` prints rows instead; other arguments choose cases whose names contain them.
 */
import { engineCases } from './engines.ts';
import { type Case, measureCase, type Row } from './harness.ts';
import { mapCases } from './maps.ts';

function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.name,
    row.medianNs.toFixed(2),
    row.bestNs.toFixed(2),
    `ns/${row.unit}`,
  ]);
  const lines = [['', 'median', 'best', ''], ...cells];
  const widths = [0, 1, 2].map((column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map(([name, median, best, unit]) =>
      `${name!.padEnd(widths[0]!)}  ${median!.padStart(widths[1]!)}  ${best!.padStart(widths[2]!)}  ${unit}`.trimEnd(),
    )
    .join('\n');
}

export async function micro(args: readonly string[]): Promise<void> {
  const wanted = args.filter((arg) => !arg.startsWith('-'));
  const cases: Case[] = [...engineCases(), ...mapCases()].filter(
    ({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part)),
  );
  const rows: Row[] = [];
  for (const one of cases) rows.push(await measureCase(one));
  console.log(
    args.includes('--json') ? JSON.stringify(rows, null, 2) : `Node ${process.version}\n${table(rows)}`,
  );
}
