/** docs/performance.md in parts: each command writes its own, and leaves the others as they are. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const report = fileURLToPath(new URL('../docs/performance.md', import.meta.url));

/** Columns aligned, as Markdown; the first to the left. */
export function markdown(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)].join('\n');
}

/** Sections by other commands, in the order in which they end the report. */
const others = ['From load to full speed', 'Packets'];

interface Parts {
  readonly suite: string;
  readonly sections: ReadonlyMap<string, string>;
}

function read(): Parts {
  const text = existsSync(report) ? readFileSync(report, 'utf8') : '';
  const sections = new Map<string, string>();
  let suite = text;
  for (const title of others.toReversed()) {
    const at = suite.indexOf(`\n## ${title}\n`);
    if (at < 0) continue;
    sections.set(title, suite.slice(at + 1).trimEnd());
    suite = suite.slice(0, at);
  }
  return { suite: suite.trimEnd(), sections };
}

function write({ suite, sections }: Parts): void {
  const ordered = others.flatMap((title) => sections.get(title) ?? []);
  writeFileSync(report, `${[suite, ...ordered].join('\n\n')}\n`);
}

/** The part that the suite makes. */
export function writeSuite(suite: string): void {
  write({ ...read(), suite: suite.trimEnd() });
}

export function writeSection(title: string, body: string): void {
  const { suite, sections } = read();
  write({ suite, sections: new Map([...sections, [title, `## ${title}\n\n${body}`]]) });
}
