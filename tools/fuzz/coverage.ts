/**
 * Which of the verifier's rules a session reached: the places in its sources that reject a program, by V8's
 * coverage of blocks. What nothing reached is what generated programs do not test.
 */
import { readFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface RuleCoverage {
  readonly rules: number;
  readonly reached: number;
  /** 'file.ts:line: text' of those that were not. */
  readonly missed: readonly string[];
}

/** A call that ends verification with an errno. */
const RULE = /\b(?:reject|fail|refuse)\(/g;
const SOURCE = /\/src\/verifier\/.*(?<!\.test)\.[tj]s$/;

/** Counts from now on; the function that is handed back ends it. */
export function watchRules(): () => RuleCoverage {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true });
  return () => {
    let coverage: RuleCoverage = { rules: 0, reached: 0, missed: [] };
    session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error === null) coverage = rulesIn(answer.result);
    });
    session.disconnect();
    return coverage;
  };
}

function rulesIn(scripts: readonly Profiler.ScriptCoverage[]): RuleCoverage {
  const missed: string[] = [];
  let rules = 0;
  for (const { url, functions } of scripts) {
    if (!SOURCE.test(url)) continue;
    const path = fileURLToPath(url);
    const text = readFileSync(path, 'utf8');
    const ranges = functions.flatMap((each) => each.ranges);
    for (const { index } of text.matchAll(RULE)) {
      const line = text.slice(text.lastIndexOf('\n', index) + 1, text.indexOf('\n', index)).trim();
      if (/^(\*|\/\/|(export )?(async )?function|(reject|fail|refuse)\(.*\{$|import)/.test(line)) continue;
      rules++;
      if (isReached(ranges, index)) continue;
      missed.push(`${basename(path)}:${text.slice(0, index).split('\n').length}: ${line}`);
    }
  }
  return { rules, reached: rules - missed.length, missed };
}

/** By the innermost range around a place: stripping types moves nothing. */
function isReached(ranges: readonly Profiler.CoverageRange[], at: number): boolean {
  let innermost: Profiler.CoverageRange | undefined;
  for (const range of ranges) {
    if (at < range.startOffset || at >= range.endOffset) continue;
    const size = range.endOffset - range.startOffset;
    if (innermost === undefined || size <= innermost.endOffset - innermost.startOffset) innermost = range;
  }
  return (innermost?.count ?? 0) > 0;
}
