/** Counts of tests, from the summaries that `node --test` prints. */

export interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** What a report in TAP counts at its end; undefined where it has no end. */
export function countTap(tap: string): Count | undefined {
  const number = (name: string): number =>
    Number(new RegExp(`^# ${name} (\\d+)\\r?$`, 'm').exec(tap)?.[1] ?? 0);
  if (!/^# tests \d+\r?$/m.test(tap)) return undefined;
  return {
    passed: number('pass'),
    failed: number('fail') + number('cancelled'),
    skipped: number('skipped') + number('todo'),
  };
}

export function addCount(total: Count, more: Count): void {
  for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += more[key];
}

export const countText = ({ passed, failed, skipped }: Count): string =>
  `${passed} passed, ${failed} failed, ${skipped} skipped`;
