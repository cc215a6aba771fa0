/**
 * No accepted program may read what it did not write or leave its memory. A short, fixed share of what
 * `npm run fuzz` does, without Linux; and every program in programs/, each of which once showed a fault, with
 * Linux where it can be asked.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { after, test } from 'node:test';
import { readCandidate } from '../../tools/fuzz/candidate.ts';
import { type Examination, examine, FAULTS, type Finding, findingKinds } from '../../tools/fuzz/examine.ts';
import { openOracle } from '../../tools/fuzz/linux.ts';
import { candidate, count, newTally } from '../../tools/fuzz/session.ts';
import { World } from '../../tools/fuzz/world.ts';

const SEED = 1;
const PROGRAMS = 700;

const faults = new Set(findingKinds.slice(0, FAULTS));
const faultsOf = (findings: readonly Finding[]): string[] =>
  findings.filter(({ kind }) => faults.has(kind)).map(({ kind, text }) => `${kind}: ${text}`);

test('generated programs keep to what the verifier says of them', async () => {
  const at: Examination = { world: new World(), cpus: 4 };
  const tally = newTally();
  for (let seed = SEED; seed < SEED + PROGRAMS; seed++) {
    const examined = await examine(candidate(seed, []), at);
    count(tally, examined);
    assert.deepEqual(faultsOf(examined.findings), [], `seed ${seed}`);
  }
  // Programs that are all refused, or claims that are never looked at, would prove nothing.
  assert.ok(tally.accepted > 0.3 * PROGRAMS && tally.accepted < 0.7 * PROGRAMS, `${tally.accepted} accepted`);
  assert.ok(tally.claims > 10 * tally.accepted, `claims checked ${tally.claims} times`);
});

/** Other kernels take other programs. */
const oracle = release().startsWith('6.18.') ? await openOracle() : undefined;
after(() => oracle?.close());
const at: Examination = { world: new World(), cpus: oracle?.cpus ?? 4, linux: oracle?.ask };

const folder = new URL('programs/', import.meta.url);
for (const name of readdirSync(folder).sort()) {
  test(`found before: ${name}`, async () => {
    const made = readCandidate(readFileSync(new URL(name, folder), 'utf8'));
    assert.deepEqual(faultsOf((await examine(made, at)).findings), []);
  });
}
