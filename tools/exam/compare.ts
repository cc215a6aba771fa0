/** Logs of two kernels side by side, without what differs between any two loads. */
import type { Answer } from './record.ts';

/** Without addresses of maps, times, and what follows the count of instructions. */
export function masked(log: string): string {
  return log
    .replace(/\(18\) r(\d+) = (0x[0-9a-f]+|KADDR) */g, '(18) r$1 = KADDR ')
    .replace(/^(verification time|stack depth) .*\n/gm, '')
    .replace(/^processed (\d+) insns.*$/gm, 'processed $1 insns');
}

/** The last line that is no count. */
export function lastMessage(log: string): string {
  const lines = masked(log)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('processed '));
  return lines.at(-1) ?? '';
}

/** The log at level 1, or the end of it that was kept. */
export const log1Of = (answer: Answer): string => answer.log1 ?? answer.log1_tail ?? '';

/** Whether a log at level 1 is what Linux printed; of a log that was not kept whole, at both ends. */
export function sameLog1(log: string, answer: Answer): boolean {
  if (answer.log1 !== undefined || answer.log1_tail === undefined) {
    return masked(log) === masked(answer.log1 ?? '');
  }
  // Where the middle was cut, a line may be cut too.
  const head = (answer.log1_head ?? '').split('\n').slice(0, -1).join('\n');
  const tail = answer.log1_tail.split('\n').slice(1).join('\n');
  return masked(log).startsWith(masked(head)) && masked(log).endsWith(masked(tail));
}

/** What level 4 says of the time, in milliseconds. */
export function verificationMs(log: string): number | undefined {
  const usec = /^verification time (\d+) usec/m.exec(log)?.[1];
  return usec === undefined ? undefined : Number(usec) / 1000;
}

/** What the log counts at its end. */
export function processedIn(log: string): number {
  return Number(/^processed (\d+) insns/m.exec(log)?.[1] ?? 0);
}
