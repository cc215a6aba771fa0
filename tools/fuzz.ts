/**
 * `npm run fuzz -- [--seconds N] [--seed S] [--count N] [--out FOLDER] [--all] [--alone] [--rules]`: makes programs,
 * verifies them, runs those that are accepted under watch, and compares with Linux where it can be asked. What is
 * found is shrunk and saved as text, which test/soundness replays. `--all` also saves where Linux accepts more or
 * explores otherwise; `--alone` asks no Linux; `--rules` lists the rules of the
 * verifier that no program broke. Loads programs into the running kernel and test-runs them;
 * attaches nothing.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { complain, wholeNumber } from './arguments.ts';
import { candidateText } from './fuzz/candidate.ts';
import { watchRules } from './fuzz/coverage.ts';
import { type Examination, examine, FAULTS, findingKinds } from './fuzz/examine.ts';
import { openOracle } from './fuzz/linux.ts';
import { seedPrograms } from './fuzz/seeds.ts';
import { candidate, count, newTally, shrinkFinding } from './fuzz/session.ts';
import { World } from './fuzz/world.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** How many of a kind are shrunk and saved. */
const SAVED_MAX = 20;

async function main(args: string[]): Promise<void> {
  const { values: options } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      count: { type: 'string', default: '1e9' },
      out: { type: 'string', default: join(root, 'build/fuzz') },
      all: { type: 'boolean', default: false },
      alone: { type: 'boolean', default: false },
      rules: { type: 'boolean', default: false },
    },
  });
  const seconds = wholeNumber(options.seconds, 'seconds');
  const first = wholeNumber(options.seed, 'seed');
  const last = first + wholeNumber(options.count, 'count');
  /** Worth a file: all but differences that make nothing less safe. */
  const grave = new Set(findingKinds.slice(0, options.all ? undefined : FAULTS));
  const oracle = options.alone ? undefined : await openOracle();
  const at: Examination = { world: new World(), linux: oracle?.ask, cpus: oracle?.cpus ?? 1 };
  const objects = ['examples', 'fixtures/objects'].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.bpf.o'))
      .sort()
      .map((name) => join(root, folder, name)),
  );
  const seeds = seedPrograms(objects);
  const tally = newTally();
  const rulesReached = watchRules();
  const started = Date.now();
  for (let seed = first; seed < last && Date.now() - started < seconds * 1000; seed++) {
    const made = candidate(seed, seeds);
    const examined = await examine(made, at);
    count(tally, examined);
    for (const finding of examined.findings) {
      if (!grave.has(finding.kind) || (tally.found.get(finding.kind) ?? 0) > SAVED_MAX) continue;
      const small = await shrinkFinding(made, finding, at);
      const again = (await examine(small, at)).findings.find(({ kind }) => kind === finding.kind) ?? finding;
      const file = join(options.out, `${finding.kind}-${seed}.txt`);
      mkdirSync(options.out, { recursive: true });
      writeFileSync(file, candidateText(small, [`${again.kind}: ${again.text.replaceAll('\n', ' | ')}`]));
      console.log(`${again.kind}: ${again.text.split('\n')[0]}\n  ${file}`);
    }
  }
  oracle?.close();

  const hours = (Date.now() - started) / 3_600_000;
  const rate = (part: number): string =>
    `${part} (${((100 * part) / Math.max(1, tally.programs)).toFixed(1)} %)`;
  console.log(
    `programs: ${tally.programs}, ${Math.round(tally.programs / hours)} an hour, seeds ${first} and on`,
  );
  console.log(`accepted: ${rate(tally.accepted)}; claims checked before ${tally.claims} instructions`);
  console.log(
    oracle === undefined
      ? 'Linux: not asked'
      : `Linux: asked for ${tally.asked} verdicts, compared ${tally.compared} runs`,
  );
  const { rules, reached, missed } = rulesReached();
  const percent = ((100 * reached) / Math.max(1, rules)).toFixed(0);
  console.log(
    `rules: ${reached} of the ${rules} places where the verifier rejects were reached (${percent} %)`,
  );
  if (options.rules) for (const rule of missed) console.log(`  ${rule}`);
  for (const kind of findingKinds) console.log(`${kind}: ${tally.found.get(kind) ?? 0}`);
  if (findingKinds.slice(0, FAULTS).some((kind) => tally.found.has(kind))) process.exitCode = 1;
}

await main(process.argv.slice(2)).catch((error) => complain('fuzz', error));
