/**
 * `skep verify --baseline`: what became of each program since a run that was saved (`--json`), or between two objects.
 * The exit code is for CI: 1 where a program is rejected that was accepted, is rejected and new, or takes more
 * instructions to verify than `--growth` allows.
 */
import { basename } from 'node:path';
import { SkepError } from '../base/errors.ts';
import { usageError } from './args.ts';
import { readInput } from './files.ts';
import type { Invocation } from './invocation.ts';
import { type Cell, type Column, formatTable } from './table.ts';
import type { Verdict } from './verify-verdict.ts';

/** What a comparison needs of a verdict. */
type Known = Pick<Verdict, 'file' | 'name' | 'accepted' | 'processed' | 'totalStates'>;

const ELF_MAGIC = '\x7fELF';

/** The verdicts that were saved, or those of an object. */
export function readBaseline(path: string, verifyFile: (file: string) => Verdict[]): Known[] {
  const bytes = readInput(path);
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, ELF_MAGIC.length));
  return text === ELF_MAGIC ? verifyFile(path) : savedVerdicts(path, bytes);
}

function savedVerdicts(path: string, bytes: Uint8Array): Known[] {
  const bad = (message: string): SkepError =>
    new SkepError({
      code: 'baseline',
      where: path,
      message,
      hint: 'save one with: skep verify FILE --json > baseline.json',
    });
  let data: unknown;
  try {
    data = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw bad('it is neither an object nor JSON');
  }
  if (!Array.isArray(data)) throw bad('it is no list of verdicts');
  return data.map((entry: unknown, i) => {
    if (isKnown(entry)) return entry;
    throw bad(`entry ${i} is no verdict`);
  });
}

function isKnown(entry: unknown): entry is Known {
  if (typeof entry !== 'object' || entry === null) return false;
  const { file, name, accepted, processed, totalStates } = entry as Record<string, unknown>;
  const isCount = (value: unknown): boolean => value === undefined || typeof value === 'number';
  return (
    typeof file === 'string' &&
    typeof name === 'string' &&
    typeof accepted === 'boolean' &&
    isCount(processed) &&
    isCount(totalStates)
  );
}

interface Compared {
  readonly name: string;
  readonly before: Known | undefined;
  readonly after: Known | undefined;
  /** Why it fails the comparison. */
  readonly worse: string | undefined;
}

/** Prints the comparison; whether nothing got worse. */
export function compareVerdicts(
  invocation: Invocation,
  runs: { before: readonly Known[]; after: readonly Known[] },
): boolean {
  const growth = growthLimit(invocation);
  const nameOf = namesIn(runs.before, runs.after);
  const names = [...new Set([...runs.before, ...runs.after].map(nameOf))];
  const compared = names.map((name): Compared => {
    const before = runs.before.find((known) => nameOf(known) === name);
    const after = runs.after.find((known) => nameOf(known) === name);
    return { name, before, after, worse: whyWorse(before, after, growth) };
  });
  if (invocation.json) {
    invocation.printJson(
      compared.map(({ name, before, after, worse }) => ({
        name,
        before: brief(before),
        after: brief(after),
        worse,
      })),
    );
  } else {
    const { style } = invocation;
    for (const line of formatTable(columns, compared.map(row), style)) invocation.print(line);
    for (const { name, worse } of compared) {
      if (worse !== undefined) invocation.note(`program '${name}' ${worse}`);
    }
  }
  return compared.every(({ worse }) => worse === undefined);
}

/**
 * What programs are compared by: their names, which two versions of an object share whatever the files are called;
 * where there are several objects, the names of their files too.
 */
function namesIn(...runs: (readonly Known[])[]): (known: Known) => string {
  const several = runs.some((run) => new Set(run.map(({ file }) => file)).size > 1);
  return ({ file, name }) => (several ? `${basename(file)}: ${name}` : name);
}

const brief = (known: Known | undefined): Omit<Known, 'file' | 'name'> | undefined =>
  known && { accepted: known.accepted, processed: known.processed, totalStates: known.totalStates };

function growthLimit(invocation: Invocation): number | undefined {
  const text = invocation.value('growth');
  if (text === undefined) return undefined;
  const percent = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(percent))
    throw usageError(`option '--growth' wants a percentage such as 10, not '${text}'`);
  return percent;
}

function whyWorse(
  before: Known | undefined,
  after: Known | undefined,
  growth: number | undefined,
): string | undefined {
  if (after === undefined) return undefined;
  if (!after.accepted && before?.accepted !== false) {
    return before === undefined ? 'is new, and rejected' : 'was accepted, and is rejected now';
  }
  const percent = change(before?.processed, after.processed);
  if (growth === undefined || percent === undefined || percent <= growth) return undefined;
  return `takes ${percent.toFixed(1)} % more instructions to verify; ${growth} % are allowed`;
}

/** In percent. */
function change(before: number | undefined, after: number | undefined): number | undefined {
  if (before === undefined || after === undefined || before === 0) return undefined;
  return (100 * (after - before)) / before;
}

const columns: readonly Column[] = [
  { title: 'PROGRAM' },
  { title: 'BEFORE' },
  { title: 'NOW' },
  { title: 'PROCESSED', align: 'right' },
  { title: 'NOW', align: 'right' },
  { title: 'CHANGE', align: 'right' },
  { title: 'STATES', align: 'right' },
  { title: 'NOW', align: 'right' },
];

function row({ name, before, after }: Compared): Cell[] {
  const percent = change(before?.processed, after?.processed);
  const count = (value: number | undefined): string => String(value ?? '-');
  return [
    name,
    verdictCell(before),
    verdictCell(after),
    count(before?.processed),
    count(after?.processed),
    percent === undefined ? '-' : `${percent > 0 ? '+' : ''}${percent.toFixed(1)} %`,
    count(before?.totalStates),
    count(after?.totalStates),
  ];
}

function verdictCell(known: Known | undefined): Cell {
  if (known === undefined) return 'absent';
  return known.accepted ? { text: 'accepted', style: 'good' } : { text: 'rejected', style: 'bad' };
}
