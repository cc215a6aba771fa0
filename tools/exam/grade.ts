/** Grades one record: what the embedded kernel makes of it, beside what Linux said or says. */
import process from 'node:process';
import { errnos } from '../../src/uapi/errno.ts';
import { type VerifierResult, verify } from '../../src/verifier/index.ts';
import { log1Of, sameLog1, verificationMs } from './compare.ts';
import { embeddedRuns, inputOf, onEmbedded, verifyRecord } from './embedded.ts';
import type { LiveAnswer } from './linux.ts';
import type { Answer, ExamRecord, ExamSet } from './record.ts';
import { NOT_RUN, recordedResult } from './setup.ts';
import { median, type Tally } from './tally.ts';
import { compareLog2, compareVerdicts, crashed, note } from './verdict.ts';

export interface Grading {
  readonly set: ExamSet;
  readonly tally: Tally;
  readonly kernelBtf: Uint8Array | undefined;
  /** CPUs of the machine that answered, where it is not the one that recorded. */
  readonly cpus?: number | undefined;
  /** What the running kernel says, where it is asked instead of the record. */
  readonly live?: LiveAnswer | undefined;
  /** Prints the logs of both at a level. */
  readonly show?: 1 | 2 | undefined;
}

const SLOW_MS = 10_000;
const STATISTICS = 4;

export function grade(record: ExamRecord, at: Grading): void {
  at.tally.programs++;
  try {
    gradeVerdict(record, at);
  } catch (error) {
    crashed(at.tally, title(record), error);
  }
}

const title = ({ id, name }: ExamRecord): string => (name === '' || name === id ? id : `${id} ${name}`);

function gradeVerdict(record: ExamRecord, at: Grading): void {
  const { set, tally, kernelBtf, cpus } = at;
  const linux: Answer = at.live ?? record.linux;
  countRuns(record, at);
  const failure = onEmbedded(record, set, () => undefined);
  if (failure !== undefined) {
    note(tally, 'stricter', `${title(record)}: cannot be set up: ${failure.refused}`);
    return;
  }
  const before = process.cpuUsage();
  const started = performance.now();
  const result = verifyRecord(record, set, { logLevel: 1, kernelBtf, cpus });
  // On a machine that does other things, too, the time of this process; which includes that of its collector.
  const { user, system } = process.cpuUsage(before);
  const ms = Math.min(performance.now() - started, (user + system) / 1000);
  if (ms > SLOW_MS) note(tally, 'slow', `${title(record)}: ${(ms / 1000).toFixed(1)} s`);
  if (at.show !== undefined) show(record, at, result);
  const agreed = compareVerdicts(tally, {
    title: title(record),
    ours: {
      accepted: result.ok,
      errno: result.ok ? 0 : errnos[result.errno],
      log: result.log,
      processed: result.stats.processed,
    },
    linux: { ...linux, accepted: linux.verdict === 'accept', log: log1Of(linux) },
    sameLog: sameLog1(result.log, linux),
  });
  if (!agreed) return;
  if (result.ok) compareRuns(record, at);
  if (linux.log2 !== undefined) {
    const { log } = verifyRecord(record, set, { logLevel: 2, kernelBtf, cpus });
    compareLog2(tally, { title: title(record), ours: log, linux: linux.log2 });
  }
  measure(record, at);
}

/** Every recorded run is to be equal, also of a program that we reject; those of what does not run are taken off. */
function countRuns(record: ExamRecord, { tally, live }: Grading): void {
  if ((live ?? record.linux).verdict === 'accept') tally.runs += record.runs?.length ?? 0;
}

function compareRuns(record: ExamRecord, { set, tally, live }: Grading): void {
  const runs = record.runs ?? [];
  if (runs.length === 0) return;
  const ours = embeddedRuns(record, set);
  for (const [i, run] of runs.entries()) {
    const wanted = (live === undefined ? recordedResult(run) : live.runs[i]) ?? '';
    const got = ours[i] ?? '';
    if (got === wanted) tally.runsEqual++;
    else if (got === NOT_RUN) {
      tally.runs--;
      tally.notRun++;
    } else note(tally, 'runs', `${title(record)}: run ${i}: ${differenceOf(got, wanted)}`);
  }
}

/** Return values, or where packets that are long begin to differ. */
function differenceOf(ours: string, linux: string): string {
  const [got, packet = ''] = ours.split(', packet ');
  const [wanted, wantedPacket = ''] = linux.split(', packet ');
  if (got !== wanted) return `${got} | Linux: ${wanted}`;
  let at = 0;
  while (packet.slice(at, at + 2) === wantedPacket.slice(at, at + 2)) at += 2;
  const bytes = (text: string): string => text.slice(at, at + 16) || 'its end';
  return `packet from byte ${at / 2} on: ${bytes(packet)} | Linux: ${bytes(wantedPacket)}`;
}

/** The time of both, as often as Linux was asked for it. */
function measure(record: ExamRecord, { set, tally, kernelBtf, cpus, live }: Grading): void {
  const linux = (live?.timed ?? []).map(verificationMs).filter((ms) => ms !== undefined);
  if (linux.length === 0) return;
  const input = inputOf(record, set, { logLevel: STATISTICS, kernelBtf, cpus });
  const ours = linux.map(() => {
    const started = performance.now();
    verify(input);
    return performance.now() - started;
  });
  tally.times.push({ title: title(record), ours: median(ours), linux: median(linux) });
}

function show(
  record: ExamRecord,
  { set, kernelBtf, cpus, live, show: level }: Grading,
  result: VerifierResult,
): void {
  const linux = live ?? record.linux;
  const ours = level === 2 ? verifyRecord(record, set, { logLevel: 2, kernelBtf, cpus }).log : result.log;
  const theirs = level === 2 ? linux.log2 : log1Of(linux);
  console.log(`--- ours\n${ours}--- Linux\n${theirs ?? '(not recorded)'}`);
}
