/** Grades one record: what the embedded kernel makes of it, beside what Linux said or says. */
import process from 'node:process';
import { errnos } from '../../src/uapi/errno.ts';
import type { VerifierResult } from '../../src/verifier/index.ts';
import { lastMessage, log1Of, masked, sameLog1, verificationMs } from './compare.ts';
import { embeddedRuns, onEmbedded, verifyRecord } from './embedded.ts';
import type { LiveAnswer } from './linux.ts';
import type { Answer, ExamRecord, ExamSet } from './record.ts';
import { recordedResult } from './setup.ts';
import { type List, median, type Tally } from './tally.ts';

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
  const { tally } = at;
  tally.programs++;
  try {
    gradeVerdict(record, at);
  } catch (error) {
    const [line = '', ...stack] = String(error instanceof Error ? error.stack : error).split('\n');
    tally.differing.crashed.push(`${title(record)}: ${[line, ...stack.slice(0, 3)].join(' | ')}`);
  }
}

const title = ({ id, name }: ExamRecord): string => (name === '' || name === id ? id : `${id} ${name}`);

function gradeVerdict(record: ExamRecord, at: Grading): void {
  const { set, tally, kernelBtf, cpus } = at;
  const linux: Answer = at.live ?? record.linux;
  const note = (list: List, text: string): number => tally.differing[list].push(`${title(record)}: ${text}`);
  const setUpFailure = onEmbedded(record, set, () => undefined);
  if (setUpFailure !== undefined) {
    countRuns(record, at);
    note('stricter', `cannot be set up: ${setUpFailure.refused}`);
    return;
  }
  const before = process.cpuUsage();
  const started = performance.now();
  const result = verifyRecord(record, set, { logLevel: 1, kernelBtf, cpus });
  // On a machine that does other things, too, the time of this process; which includes that of its collector.
  const { user, system } = process.cpuUsage(before);
  const ms = Math.min(performance.now() - started, (user + system) / 1000);
  if (ms > SLOW_MS) note('slow', `${(ms / 1000).toFixed(1)} s`);
  if (at.show !== undefined) show(record, at, result);
  countRuns(record, at);
  if (result.ok && linux.verdict === 'reject') note('laxer', `Linux: ${lastMessage(log1Of(linux))}`);
  else if (!result.ok && linux.verdict === 'accept') note('stricter', `${result.errno}: ${result.message}`);
  else if (result.ok) {
    tally.agreeAccept++;
    const { processed } = result.stats;
    if (processed !== linux.processed) note('processed', `${processed}, Linux ${linux.processed}`);
    compareRuns(record, at);
  } else {
    tally.agreeReject++;
    const wanted = lastMessage(log1Of(linux));
    if (errnos[result.errno] !== linux.errno) note('errno', `${result.errno}, Linux ${linux.errno}`);
    if (lastMessage(result.log) !== wanted) note('message', `${result.message} | Linux: ${wanted}`);
    if (!sameLog1(result.log, linux)) note('log', wanted);
  }
  if (result.ok === (linux.verdict === 'accept')) {
    compareLog2(record, at);
    measure(record, at);
  }
}

/** Every recorded run is to be equal, also of a program that we reject. */
function countRuns(record: ExamRecord, { tally, live }: Grading): void {
  if ((live ?? record.linux).verdict === 'accept') tally.runs += record.runs?.length ?? 0;
}

function compareLog2(record: ExamRecord, { set, tally, kernelBtf, cpus, live }: Grading): void {
  const wanted = (live ?? record.linux).log2;
  if (wanted === undefined) return;
  tally.log2++;
  const { log } = verifyRecord(record, set, { logLevel: 2, kernelBtf, cpus });
  if (masked(log) === masked(wanted)) return;
  const [ours, theirs] = [masked(log).split('\n'), masked(wanted).split('\n')];
  const line = ours.findIndex((text, i) => text !== theirs[i]);
  const said = line < 0 ? 'ends early' : `${ours[line]} | Linux: ${theirs[line]}`;
  tally.differing.log2.push(`${title(record)}: line ${line + 1}: ${said}`);
}

function compareRuns(record: ExamRecord, { set, tally, live }: Grading): void {
  const runs = record.runs ?? [];
  if (runs.length === 0) return;
  const ours = embeddedRuns(record, set);
  for (const [i, run] of runs.entries()) {
    const wanted = (live === undefined ? recordedResult(run) : live.runs[i]) ?? '';
    const got = ours[i] ?? '';
    if (got === wanted) tally.runsEqual++;
    else tally.differing.runs.push(`${title(record)}: run ${i}: ${differenceOf(got, wanted)}`);
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
  const ours = linux.map(() => {
    const started = performance.now();
    verifyRecord(record, set, { logLevel: STATISTICS, kernelBtf, cpus });
    return performance.now() - started;
  });
  tally.times.push({ ours: median(ours), linux: median(linux) });
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
