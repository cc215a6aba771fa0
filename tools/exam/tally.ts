/** What came of the programs of an exam: counts, lists of ids, times; as a table, and as one object. */

/** Programs where the two kernels differ. */
const differences = [
  ...(['laxer', 'stricter', 'crashed', 'slow'] as const),
  ...(['errno', 'message', 'log', 'log2', 'processed', 'runs'] as const),
] as const;
export type List = (typeof differences)[number];

/** What can be listed; and the times, where the difference is largest first. */
export const lists = [...differences, 'time'] as const;

export interface Tally {
  programs: number;
  agreeAccept: number;
  agreeReject: number;
  log2: number;
  runs: number;
  runsEqual: number;
  /** Runs of what the embedded kernel only verifies: neither of `runs` nor equal. */
  notRun: number;
  /** A line for each program that differs. */
  readonly differing: Readonly<Record<List, string[]>>;
  /** Milliseconds. */
  readonly times: { readonly title: string; readonly ours: number; readonly linux: number }[];
  timed: boolean;
}

export const newTally = (timed: boolean): Tally => ({
  programs: 0,
  agreeAccept: 0,
  agreeReject: 0,
  log2: 0,
  runs: 0,
  runsEqual: 0,
  notRun: 0,
  differing: Object.fromEntries(differences.map((list) => [list, []])) as unknown as Record<List, string[]>,
  times: [],
  timed,
});

/** Programs that Linux verifies faster say more about the clock than about the verifier. */
const TIMED_MIN_MS = 0.2;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/** The geometric mean of our time by Linux's; null where no program took long enough. */
function ratio(times: Tally['times']): number | null {
  const logs = times
    .filter(({ ours, linux }) => linux >= TIMED_MIN_MS && ours > 0)
    .map(({ ours, linux }) => Math.log(ours / linux));
  return logs.length === 0 ? null : rounded(Math.exp(sum(logs) / logs.length), 3);
}

/** The program that we take longest with, by Linux's time, of those that take long enough. */
function slowest(times: Tally['times']): string {
  const long = times.filter(({ linux }) => linux >= TIMED_MIN_MS);
  const [first] = long.sort((a, b) => b.ours / b.linux - a.ours / a.linux);
  return first === undefined ? '-' : `${(first.ours / first.linux).toFixed(2)} (${first.title})`;
}

/** The lines of a list. */
export function listed(tally: Tally, list: (typeof lists)[number]): string[] {
  if (list !== 'time') return tally.differing[list];
  return [...tally.times]
    .sort((a, b) => b.ours - b.linux - (a.ours - a.linux))
    .map(({ title, ours, linux }) => `${title}: ${ours.toFixed(3)} ms, Linux ${linux.toFixed(3)}`);
}

/** Counts; the last three where times were measured. */
export function figures(set: string, tally: Tally) {
  const { differing, agreeAccept, agreeReject, times } = tally;
  return {
    set,
    programs: tally.programs,
    agreeAccept,
    agreeReject,
    laxer: differing.laxer.length,
    stricter: differing.stricter.length,
    crashed: differing.crashed.length,
    slow: differing.slow.length,
    lastMessageEqual: agreeReject - differing.message.length,
    log1Equal: agreeReject - differing.log.length,
    log2Equal: tally.log2 - differing.log2.length,
    log2: tally.log2,
    processedEqual: agreeAccept - differing.processed.length,
    runs: tally.runs,
    runsEqual: tally.runsEqual,
    ...(tally.timed
      ? {
          timeMs: rounded(sum(times.map(({ ours }) => ours)), 3),
          linuxTimeMs: rounded(sum(times.map(({ linux }) => linux)), 3),
          timeRatioGeomean: ratio(times),
        }
      : {}),
  };
}

const share = (part: number, all: number): string =>
  all === 0 ? '-' : `${part} of ${all} (${((100 * part) / all).toFixed(1)} %)`;

/** The same to read: shares beside the counts. */
export function tableText(set: string, tally: Tally): string {
  const made = figures(set, tally);
  const rows: [string, string][] = [
    ['programs', String(made.programs)],
    ['agree: accept', String(made.agreeAccept)],
    ['agree: reject', String(made.agreeReject)],
    ['laxer', String(made.laxer)],
    ['stricter', String(made.stricter)],
    ['crashed', String(made.crashed)],
    ['slower than 10 s', String(made.slow)],
    ['rejects: errno equal', share(made.agreeReject - tally.differing.errno.length, made.agreeReject)],
    ['rejects: last message equal', share(made.lastMessageEqual, made.agreeReject)],
    ['rejects: log 1 equal', share(made.log1Equal, made.agreeReject)],
    ['log 2 equal', share(made.log2Equal, made.log2)],
    ['accepts: processed equal', share(made.processedEqual, made.agreeAccept)],
    ['runs equal', share(made.runsEqual, made.runs)],
    ['not run: verified-only', String(tally.notRun)],
  ];
  if (tally.timed) {
    const long = tally.times.filter(({ linux }) => linux >= TIMED_MIN_MS).length;
    rows.push(
      ['time, ms', `${made.timeMs}, Linux ${made.linuxTimeMs} (${tally.times.length} programs)`],
      ['time / Linux, total', (made.timeMs! / made.linuxTimeMs!).toFixed(3)],
      ['time / Linux, most', slowest(tally.times)],
      ['time / Linux, geomean', `${made.timeRatioGeomean ?? '-'} (${long} programs of 0.2 ms and more)`],
    );
  }
  const width = Math.max(...rows.map(([title]) => title.length));
  return [`${set}`, ...rows.map(([title, value]) => `  ${title.padEnd(width)}  ${value}`)].join('\n');
}
