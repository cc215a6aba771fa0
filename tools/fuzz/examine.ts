/**
 * Examines one program: verifies it, runs it watched where it is accepted, holds the verifier's claims against
 * the run, and compares with Linux where there is one to ask.
 */
import { SkepError } from '../../src/base/errors.ts';
import { type VerifierResult, verify } from '../../src/verifier/index.ts';
import { ProgramFault } from '../../src/vm/faults.ts';
import { compile } from '../../src/vm/interp/compile.ts';
import type { Plan } from '../../src/vm/interp/plan.ts';
import { bytesOf, type Candidate, progTypeId } from './candidate.ts';
import { type Claims, Follower, readClaims } from './claims.ts';
import { Random } from './random.ts';
import { Hole, type RunFacts, sanitizedRun, type Watch } from './sanitize.ts';
import { setStage } from './stage.ts';
import { FIRST_MAP_FD, type World } from './world.ts';

/**
 * What is wrong, by how bad it is; what is safe, but not as on Linux, from `speculation` on: programs that Linux
 * refuses for the sheer number or length of the paths that only speculation takes, which are not followed here.
 */
export const findingKinds = [
  ...(['crash', 'hole', 'claim', 'laxer', 'result'] as const),
  ...(['speculation', 'stricter', 'processed'] as const),
] as const;
/** How many of these are faults. */
export const FAULTS = 5;
export type FindingKind = (typeof findingKinds)[number];

export interface Finding {
  readonly kind: FindingKind;
  /** One line. */
  readonly text: string;
}

/** What Linux says of a program. */
export interface LinuxAnswer {
  readonly accepted: boolean;
  readonly errno: number;
  readonly processed: number;
  /** The last message of its log, where it rejected. */
  readonly message: string;
  /** Undefined where it was not run. */
  readonly result?: { readonly retval: number; readonly packet: string; readonly maps: string } | undefined;
}

export type AskLinux = (candidate: Candidate) => Promise<LinuxAnswer>;

export interface Examined {
  readonly accepted: boolean;
  /** Whether Linux was asked, and whether the results of the runs were compared too. */
  readonly asked: boolean;
  readonly compared: boolean;
  /** Places at which claims were held against the run. */
  readonly claims: number;
  readonly findings: readonly Finding[];
}

export interface Examination {
  readonly world: World;
  readonly linux?: AskLinux | undefined;
  /** How many CPUs the machine has whose Linux is asked. */
  readonly cpus: number;
}

/** Instructions after which a run counts as one without an end: the verifier follows a million. */
const BUDGET = 4_000_000;
/** Runs with random inputs, after the one with the candidate's own. */
const VARIANTS = 5;
/** Programs whose exploration is longer are not checked claim by claim: their logs are huge. */
const CLAIMS_PROCESSED_MAX = 20_000;

export function verifyCandidate(candidate: Candidate, at: Examination, logLevel: number): VerifierResult {
  const root = candidate.privilege === 'root';
  return verify({
    insns: bytesOf(candidate),
    progType: progTypeId(candidate.type),
    expectedAttachType: 0,
    progFlags: candidate.flags,
    gplCompatible: true,
    capabilities: { bpf: true, netAdmin: true, perfmon: root, sysAdmin: root },
    resolveMap: (fd) => at.world.facts[fd - FIRST_MAP_FD] ?? 'EBADF',
    logLevel,
    cpus: at.cpus,
  });
}

export async function examine(candidate: Candidate, at: Examination): Promise<Examined> {
  const findings: Finding[] = [];
  const find = (kind: FindingKind, text: string): void => void findings.push({ kind, text });
  let result: VerifierResult;
  try {
    result = verifyCandidate(candidate, at, 0);
  } catch (error) {
    find('crash', `the verifier threw ${String(error)}`);
    return { accepted: false, asked: false, compared: false, claims: 0, findings };
  }
  const ours = result.ok ? watchedRuns(candidate, at, result) : undefined;
  if (ours?.finding !== undefined) findings.push(ours.finding);
  const tooLarge = !result.ok && result.errno === 'E2BIG';
  const answer = tooLarge ? undefined : await at.linux?.(candidate);
  const differs = answer === undefined ? undefined : compareVerdicts({ candidate, result, answer });
  if (differs !== undefined) findings.push(differs);
  const compared = ours?.outcome !== undefined && answer?.result !== undefined && !ours.outcome.facts.impure;
  if (compared) compareResults(ours.outcome!, answer.result!, find);
  return { accepted: result.ok, asked: answer !== undefined, compared, claims: ours?.claims ?? 0, findings };
}

/**
 * ENOMEM, E2BIG and EFAULT: too many paths; EINVAL with a state: a loop without an end; and the stack of functions
 * that only speculation calls.
 */
function isSpeculation({ privilege }: Candidate, { errno, message }: LinuxAnswer): boolean {
  return (
    privilege === 'bpf' &&
    (/^(old state:|cur state:|combined stack size)/.test(message) || [7, 12, 14].includes(errno))
  );
}

interface Verdicts {
  readonly candidate: Candidate;
  readonly result: VerifierResult;
  readonly answer: LinuxAnswer;
}

function compareVerdicts({ candidate, result, answer }: Verdicts): Finding | undefined {
  if (result.ok && !answer.accepted) {
    const text = `Linux rejects it (${answer.errno}): ${answer.message}`;
    return { kind: isSpeculation(candidate, answer) ? 'speculation' : 'laxer', text };
  }
  if (!result.ok && answer.accepted) {
    return { kind: 'stricter', text: `Linux accepts it: ${result.errno}: ${result.message}` };
  }
  if (!result.ok || candidate.privilege !== 'root' || result.stats.processed === answer.processed)
    return undefined;
  return { kind: 'processed', text: `${result.stats.processed} instructions, Linux ${answer.processed}` };
}

interface Outcome {
  readonly facts: RunFacts;
  readonly packet: string;
  readonly maps: string;
}

function compareResults(
  ours: Outcome,
  theirs: NonNullable<LinuxAnswer['result']>,
  find: (kind: FindingKind, text: string) => void,
): void {
  const retval = Number(BigInt.asUintN(32, ours.facts.r0));
  if (retval !== theirs.retval) find('result', `returned ${retval}, on Linux ${theirs.retval}`);
  else if (ours.packet !== theirs.packet)
    find('result', `left packet ${ours.packet}, on Linux ${theirs.packet}`);
  else if (ours.maps !== theirs.maps) find('result', `left maps\n${ours.maps}\non Linux\n${theirs.maps}`);
}

interface Watched {
  readonly outcome?: Outcome;
  readonly finding?: Finding;
  readonly claims: number;
}

/** Runs with the candidate's own inputs, whose outcome counts, and with random ones. */
function watchedRuns(candidate: Candidate, at: Examination, result: VerifierResult & { ok: true }): Watched {
  let plan: Plan;
  try {
    plan = compile({
      name: 'fuzz',
      progType: progTypeId(candidate.type),
      insns: result.insns,
      subprogs: result.subprogs,
      maps: at.world.maps,
    });
  } catch (error) {
    if (error instanceof SkepError) return { claims: 0 };
    throw error;
  }
  const claims = claimsOf(candidate, at, result);
  const first = watchedRun(candidate, at, { plan, claims });
  let checked = first.claims;
  if (first.finding !== undefined) return first;
  for (let variant = 1; variant <= VARIANTS; variant++) {
    const random = new Random(Number(BigInt.asUintN(32, candidate.words[0] ?? 0n)) + variant * 7919);
    const run = watchedRun(candidate, at, { plan, claims, random });
    checked += run.claims;
    if (run.finding !== undefined) return { claims: checked, finding: run.finding };
  }
  return { ...first, claims: checked };
}

interface Prepared {
  readonly plan: Plan;
  readonly claims: Claims | undefined;
  readonly random?: Random;
}

function watchedRun(candidate: Candidate, { world }: Examination, run: Prepared): Watched {
  const { plan, claims, random } = run;
  world.reset(random);
  const stage = setStage(candidate, world, random);
  const { context, data, dataEnd } = stage;
  const follower =
    claims === undefined ? undefined : new Follower(claims, { ctx: context.ctx, data, dataEnd });
  let claim: Finding | undefined;
  const watch: Watch = (slot, machine, frames) => {
    if (follower === undefined || claim !== undefined) return;
    const wrong = follower.step(slot, machine, frames);
    if (wrong !== undefined) claim = { kind: 'claim', text: `before instruction ${slot}: ${wrong}` };
  };
  try {
    const facts = sanitizedRun({
      world,
      plan,
      original: candidate.slots,
      context,
      contextBytes: stage.bytes,
      privileged: candidate.privilege === 'root',
      watch,
      budget: BUDGET,
      fill: 0xa5,
    });
    const outcome = { facts, packet: stage.packet(), maps: world.dump() };
    return { outcome, claims: follower?.checked ?? 0, ...(claim === undefined ? {} : { finding: claim }) };
  } catch (error) {
    if (!(error instanceof Hole || error instanceof ProgramFault || error instanceof SkepError)) throw error;
    return { claims: follower?.checked ?? 0, finding: { kind: 'hole', text: error.message } };
  } finally {
    stage.free();
  }
}

function claimsOf(
  candidate: Candidate,
  at: Examination,
  result: VerifierResult & { ok: true },
): Claims | undefined {
  if (result.stats.processed > CLAIMS_PROCESSED_MAX) return undefined;
  return readClaims(verifyCandidate(candidate, at, 2).log);
}
