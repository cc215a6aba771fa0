/** Verdicts of two kernels on one program, held against each other: into a tally. */
import { errnoName } from '../../src/uapi/errno.ts';
import { lastMessage, masked } from './compare.ts';
import type { List, Tally } from './tally.ts';

/** What one kernel said of a program. */
export interface Verdict {
  readonly accepted: boolean;
  /** As a number; 0 where accepted. */
  readonly errno: number;
  /** Level 1; of a log that was not kept whole, its end. */
  readonly log: string;
  readonly processed: number;
}

export interface Pair {
  /** Names the program in lists. */
  readonly title: string;
  readonly ours: Verdict;
  readonly linux: Verdict;
  readonly sameLog: boolean;
}

export const note = (tally: Tally, list: List, line: string): number => tally.differing[list].push(line);

/** Counts a pair of verdicts; whether they agree. */
export function compareVerdicts(tally: Tally, { title, ours, linux, sameLog }: Pair): boolean {
  const said = lastMessage(ours.log);
  const wanted = lastMessage(linux.log);
  if (ours.accepted !== linux.accepted) {
    if (ours.accepted) note(tally, 'laxer', `${title}: Linux: ${errnoName(linux.errno)}: ${wanted}`);
    else note(tally, 'stricter', `${title}: ${errnoName(ours.errno)}: ${said}`);
    return false;
  }
  if (ours.accepted) {
    tally.agreeAccept++;
    if (ours.processed !== linux.processed) {
      note(tally, 'processed', `${title}: ${ours.processed}, Linux ${linux.processed}`);
    }
    return true;
  }
  tally.agreeReject++;
  if (ours.errno !== linux.errno)
    note(tally, 'errno', `${title}: ${errnoName(ours.errno)}, Linux ${errnoName(linux.errno)}`);
  if (said !== wanted) note(tally, 'message', `${title}: ${said} | Linux: ${wanted}`);
  if (!sameLog) note(tally, 'log', `${title}: ${wanted}`);
  return true;
}

/** Counts a pair of logs at level 2. */
export function compareLog2(
  tally: Tally,
  { title, ours, linux }: Record<'title' | 'ours' | 'linux', string>,
): void {
  tally.log2++;
  const [got, wanted] = [masked(ours), masked(linux)];
  if (got === wanted) return;
  const [lines, theirs] = [got.split('\n'), wanted.split('\n')];
  const at = lines.findIndex((text, i) => text !== theirs[i]);
  const difference = at < 0 ? 'ends early' : `${lines[at]} | Linux: ${theirs[at]}`;
  note(tally, 'log2', `${title}: line ${at + 1}: ${difference}`);
}

/** Counts a program that made the verifier fail. */
export function crashed(tally: Tally, title: string, error: unknown): void {
  const [line = '', ...stack] = String(error instanceof Error ? error.stack : error).split('\n');
  note(tally, 'crashed', `${title}: ${[line, ...stack.slice(0, 3)].join(' | ')}`);
}
