/** A session of fuzzing: candidate after candidate from a seed, and the tally of what came of them. */
import type { Candidate } from './candidate.ts';
import { type Examination, type Examined, examine, type Finding, type FindingKind } from './examine.ts';
import { generate } from './generate.ts';
import { mutate } from './mutate.ts';
import { Random } from './random.ts';
import type { SeedProgram } from './seeds.ts';
import { shrink } from './shrink.ts';

/** The candidate with a number: generated, or one of `seeds` mutated, and mutated some more. */
export function candidate(seed: number, seeds: readonly SeedProgram[]): Candidate {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995);
  const made = generate(random);
  if (seeds.length > 0 && random.chance(12)) {
    const { type, slots } = random.pick(seeds);
    const privilege = type === 'tracepoint' || type === 'raw_tracepoint' ? 'root' : made.privilege;
    return { ...made, type, privilege, slots: mutate(slots, random) };
  }
  return random.chance(25) ? { ...made, slots: mutate(made.slots, random) } : made;
}

export interface Tally {
  programs: number;
  accepted: number;
  asked: number;
  /** Runs whose results were compared with Linux. */
  compared: number;
  /** Instructions before which claims were held against the run. */
  claims: number;
  readonly found: Map<FindingKind, number>;
}

export const newTally = (): Tally => ({
  programs: 0,
  accepted: 0,
  asked: 0,
  compared: 0,
  claims: 0,
  found: new Map(),
});

export function count(tally: Tally, examined: Examined): void {
  tally.programs++;
  tally.accepted += Number(examined.accepted);
  tally.asked += Number(examined.asked);
  tally.compared += Number(examined.compared);
  tally.claims += examined.claims;
  for (const { kind } of examined.findings) tally.found.set(kind, (tally.found.get(kind) ?? 0) + 1);
}

/** What stays the same while a finding shrinks: its kind, and its words without their numbers. */
const shapeOf = ({ kind, text }: Finding): string =>
  kind === 'stricter' || kind === 'laxer' ? `${kind} ${text.replace(/0x[0-9a-f]+|-?\d+/g, '')}` : kind;

/** The smallest program that still has a finding of the same shape. */
export function shrinkFinding(start: Candidate, finding: Finding, at: Examination): Promise<Candidate> {
  const wanted = shapeOf(finding);
  return shrink(start, async (made) =>
    (await examine(made, at)).findings.some((each) => shapeOf(each) === wanted),
  );
}
