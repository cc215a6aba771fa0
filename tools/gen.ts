/**
 * `npm run gen`: writes what is derived from the tables of `src/uapi`: docs/support.md and
 * docs/attaching.md. CI fails where a committed file differs.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { commands as cliCommands } from '../src/cli/commands.ts';
import { attachTypes } from '../src/uapi/attach-types.ts';
import { commands } from '../src/uapi/commands.ts';
import { helpers } from '../src/uapi/helpers.ts';
import { kfuncs } from '../src/uapi/kfuncs.ts';
import type { Label, Labelled } from '../src/uapi/label.ts';
import { labels } from '../src/uapi/label.ts';
import { mapTypes } from '../src/uapi/map-types.ts';
import { progTypes } from '../src/uapi/prog-types.ts';
import { attachingPage } from './attaching.ts';

interface Section {
  readonly title: string;
  /** How a row's name is written. */
  readonly spell: (key: string) => string;
  readonly rows: Record<string, Labelled>;
}

const sections: readonly Section[] = [
  { title: 'Commands of bpf(2)', spell: (key) => `BPF_${rowName(commands, key)}`, rows: commands },
  { title: 'Map types', spell: (key) => key, rows: mapTypes },
  { title: 'Program types', spell: (key) => key, rows: progTypes },
  { title: 'Attach types', spell: (key) => key, rows: attachTypes },
  { title: 'Helper functions', spell: (key) => `bpf_${key}`, rows: helpers },
  { title: 'Kernel functions', spell: (key) => key, rows: kfuncs },
];

function rowName(table: Record<string, { readonly name: string }>, key: string): string {
  return table[key]?.name ?? key;
}

function rowsWith(section: Section, label: Label): string[] {
  return Object.entries(section.rows)
    .filter(([, row]) => row.label === label)
    .map(([key, row]) => `\`${section.spell(key)}\`${row.note === undefined ? '' : ` (${row.note})`}`);
}

function summary(): string[] {
  const names = Object.keys(labels) as Label[];
  return [
    `| of Linux 6.18 | ${names.join(' | ')} | in all |`,
    `| --- | ${names.map(() => '---:').join(' | ')} | ---: |`,
    ...sections.map((section) => {
      const counts = names.map((label) => rowsWith(section, label).length);
      return `| ${section.title} | ${counts.join(' | ')} | ${Object.keys(section.rows).length} |`;
    }),
  ];
}

function details(section: Section): string[] {
  const lines = [`## ${section.title}`, ''];
  for (const label of Object.keys(labels) as Label[]) {
    const rows = rowsWith(section, label);
    if (rows.length > 0) lines.push(`**${label}** (${rows.length}): ${rows.join(', ')}`, '');
  }
  return lines;
}

const page = [
  '# What skep supports',
  '',
  '<!-- Generated from the tables of src/uapi by `npm run gen`; do not edit. -->',
  '',
  'What the embedded kernel makes of everything that Linux 6.18 knows. The verifier, the runtime and this page',
  'read the same labels.',
  '',
  '| label | means |',
  '| --- | --- |',
  ...Object.entries(labels).map(([label, meaning]) => `| ${label} | ${meaning} |`),
  '',
  ...summary(),
  '',
  ...sections.flatMap(details),
  '## The command',
  '',
  '| | |',
  '| --- | --- |',
  ...cliCommands.map(({ name, summary: does }) => `| \`skep ${name}\` | ${does} |`),
  '',
];

const docs = (name: string): string => fileURLToPath(new URL(`../docs/${name}`, import.meta.url));
writeFileSync(docs('support.md'), page.join('\n'));
writeFileSync(docs('attaching.md'), attachingPage());
