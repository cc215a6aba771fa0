/**
 * Examines one program: verifies it, runs it watched where it is accepted, holds the verifier's claims against
 * the run, and compares with Linux where there is one to ask.
 */
import { SkepError } from '../../src/base/errors.ts';
import { PacketBuffer, TAILROOM, XDP_HEADROOM } from '../../src/kernel/packet-buffer.ts';
import { skBuff, xdpMd } from '../../src/uapi/contexts.ts';
import { type VerifierResult, verify } from '../../src/verifier/index.ts';
import { ProgramFault } from '../../src/vm/faults.ts';
import { compile } from '../../src/vm/interp/compile.ts';
import type { RunContext } from '../../src/vm/types.ts';
import { bytesOf, type Candidate, progTypeId } from './candidate.ts';
import { Follower, readClaims } from './claims.ts';
import { Hole, type RunFacts, sanitizedRun, type Watch } from './sanitize.ts';
import { contextBytes, FIRST_MAP_FD, packetBytes, type World } from './world.ts';

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

const PERSISTENT_BUDGET = 4_000_000;
/** Programs whose exploration is longer are not checked claim by claim: their logs are huge. */
const CLAIMS_PROCESSED_MAX = 20_000;
const SKB_HEADROOM = 64;
const ETH_HLEN = 14;

export function verifyCandidate(candidate: Candidate, at: Examination, logLevel: number): VerifierResult {
  const root = candidate.privilege === 'root';
  return verify({
    insns: bytesOf(candidate),
    progType: progTypeId(candidate.type),
    expectedAttachType: 0,
    progFlags: 0,
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
  const ours = result.ok ? watchedRun(candidate, at, result) : undefined;
  if (ours?.finding !== undefined) findings.push(ours.finding);
  const tooLarge = !result.ok && result.errno === 'E2BIG';
  const answer = tooLarge ? undefined : await at.linux?.(candidate);
  const differs = answer === undefined ? undefined : compareVerdicts({ candidate, result, answer });
  if (differs !== undefined) findings.push(differs);
  const compared = ours?.outcome !== undefined && answer?.result !== undefined && !ours.outcome.facts.impure;
  if (compared) compareResults(ours.outcome!, answer.result!, find);
  return { accepted: result.ok, asked: answer !== undefined, compared, claims: ours?.claims ?? 0, findings };
}

/** ENOMEM, E2BIG and EFAULT: too many paths; EINVAL with a state: a loop without an end. */
function isSpeculation({ privilege }: Candidate, { errno, message }: LinuxAnswer): boolean {
  return privilege === 'bpf' && (/^(old|cur) state:/.test(message) || [7, 12, 14].includes(errno));
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

interface Stage {
  readonly context: RunContext;
  readonly bytes: number;
  readonly data: number;
  readonly dataEnd: number;
  /** The packet as it is now, as Linux gives it back. */
  packet(): string;
  free(): void;
}

function watchedRun(candidate: Candidate, at: Examination, result: VerifierResult & { ok: true }): Watched {
  const { world } = at;
  let plan: ReturnType<typeof compile>;
  try {
    plan = compile({
      name: 'fuzz',
      progType: progTypeId(candidate.type),
      insns: result.insns,
      subprogs: result.subprogs,
      maps: world.maps,
    });
  } catch (error) {
    if (error instanceof SkepError) return { claims: 0 };
    throw error;
  }
  world.reset();
  const stage = setStage(candidate, world);
  const follower = followerOf(candidate, at, { result, stage });
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
      context: stage.context,
      contextBytes: stage.bytes,
      privileged: candidate.privilege === 'root',
      watch,
      budget: PERSISTENT_BUDGET,
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

function followerOf(
  candidate: Candidate,
  at: Examination,
  run: { result: VerifierResult & { ok: true }; stage: Stage },
): Follower | undefined {
  if (run.result.stats.processed > CLAIMS_PROCESSED_MAX) return undefined;
  const { log } = verifyCandidate(candidate, at, 2);
  const { context, data, dataEnd } = run.stage;
  return new Follower(readClaims(log), { ctx: context.ctx, data, dataEnd });
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Context and packet in the world's memory, as the embedded kernel's test runs make them. */
function setStage(candidate: Candidate, world: World): Stage {
  const { memory } = world;
  if (candidate.type === 'tracepoint' || candidate.type === 'raw_tracepoint') {
    const bytes = contextBytes(candidate.words);
    const ctx = memory.alloc(bytes.length);
    memory.u8.set(bytes, ctx);
    const free = (): void => memory.free(ctx);
    return { context: { ctx }, bytes: bytes.length, data: 0, dataEnd: 0, packet: () => '', free };
  }
  const isXdp = candidate.type === 'xdp';
  const layout = isXdp ? xdpMd : skBuff;
  const packet = packetBytes(candidate.packetLength);
  const headroom = isXdp ? XDP_HEADROOM : SKB_HEADROOM;
  const before = isXdp ? 0 : ETH_HLEN;
  const buffer = new PacketBuffer({ memory, layout, bytes: packet, before, headroom, tailroom: TAILROOM });
  if (isXdp) buffer.setField(xdpMd.ingress_ifindex, 1);
  else {
    const length = candidate.packetLength - ETH_HLEN;
    buffer.setField(skBuff.len, length);
    buffer.setField(skBuff.protocol, packet[12]! | (packet[13]! << 8));
    buffer.setField(skBuff.ifindex, 1);
    buffer.setField(skBuff.wire_len, length);
    // The first byte of the address has its group bit set: multicast, or broadcast.
    buffer.setField(skBuff.pkt_type, (packet[0]! & 1) === 0 ? 3 : 2);
  }
  return {
    context: { ctx: buffer.ctx, packet: buffer },
    bytes: layout.size,
    data: buffer.data,
    dataEnd: buffer.dataEnd,
    packet: () => (isXdp ? '' : '00'.repeat(ETH_HLEN)) + hex(buffer.copy(buffer.data, buffer.dataEnd)),
    free: () => buffer.free(),
  };
}
