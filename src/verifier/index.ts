/**
 * The verifier: is a program safe to run? `verify` explores every path through it with abstract values and
 * answers as Linux 6.18 does, in its words. What it proved comes back as data.
 */
import { checkAttachTarget } from './attach-target.ts';
import { hasBtfContext } from './btf-ctx.ts';
import { checkFuncInfo, checkFuncRecords, checkLineInfo } from './btf-funcs.ts';
import { checkCfg } from './cfg.ts';
import { Env, Rejection, type Subprog } from './env.ts';
import { explore } from './explore.ts';
import { rulesOf } from './kernels.ts';
import { findLiveRegs } from './live-regs.ts';
import { printLiveRegs } from './live-regs-text.ts';
import { logLevels } from './log/index.ts';
import { findPostorder } from './postorder.ts';
import { resolveLoads } from './resolve.ts';
import { rewrite } from './rewrite.ts';
import { findLoops } from './scc.ts';
import { checkStackDepth, checkSubprogs, findSubprogs } from './subprogs.ts';
import { findEdges } from './successors.ts';
import type { Rejected, VerifierInput, VerifierResult, VerifierStats } from './types.ts';

export { valueFields } from './fields.ts';
export type { KernelVersion } from './kernels.ts';
export type * from './types.ts';

/**
 * Verify a program for Linux 6.18. Never throws for a bad program: the answer says what is wrong, with the
 * errno of BPF_PROG_LOAD and the log at the level asked for.
 * @throws {SkepError} 'kernel-version' for a kernel that it does not speak for
 */
export function verify(input: VerifierInput): VerifierResult {
  const size = input.insns.length;
  const most = rulesOf(input.kernel).instructions * 8;
  if (size === 0 || size > most || size % 8 !== 0) {
    return refuse(size > most || size === 0 ? 'E2BIG' : 'EINVAL');
  }
  const env = new Env(input);
  // A rejection's message is wanted even where no log is.
  const started = input.now?.() ?? 0;
  try {
    check(env);
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    const message = env.message ?? env.log.lastLine();
    finishLog(env, started);
    return {
      ok: false,
      errno: error.errno,
      insn: env.processed > 0 ? env.insn : undefined,
      log: env.log.text(),
      message,
      stats: statsOf(env),
    };
  }
  finishLog(env, started);
  return {
    ok: true,
    log: env.log.text(),
    stats: statsOf(env),
    insns: rewrite(env),
    subprogs: env.subprogs.map(({ name, start, end, stackDepth }) => ({ name, start, end, stackDepth })),
    maps: env.maps.slice(0, env.namedMaps).map((map) => map.handle),
    maxCtxOffset: env.maxCtxOffset,
    tailCalls: env.subprogs.some((subprog) => subprog.hasTailCall),
    facts: env.facts.finish(env.seen),
  };
}

function refuse(errno: 'E2BIG' | 'EINVAL'): Rejected {
  const stats = { processed: 0, maxStatesPerInsn: 0, totalStates: 0, peakStates: 0 };
  return { ok: false, errno, insn: undefined, log: '', message: '', stats };
}

/** Linux's order: structure first, then every path, then what needs all of it. */
function check(env: Env): void {
  if (!env.readBtf()) env.fail('EINVAL');
  checkFuncRecords(env);
  findSubprogs(env);
  checkSubprogs(env);
  checkFuncInfo(env);
  checkLineInfo(env);
  resolveLoads(env);
  env.namedMaps = env.maps.length;
  checkCfg(env);
  checkAttachTarget(env);
  findEdges(env);
  findPostorder(env);
  findLoops(env);
  findLiveRegs(env);
  printLiveRegs(env);
  checkProgramType(env);
  explore(env, 0);
  if (env.exceptionCallback > 0) env.calledGlobals.add(env.exceptionCallback);
  for (let again = true; again; ) {
    again = false;
    for (const index of env.calledGlobals) {
      if (env.verifiedGlobals.has(index)) continue;
      env.verifiedGlobals.add(index);
      verifyGlobal(env, index);
      again = true;
    }
  }
  checkStackDepth(env);
  if (!env.allowLeaks && [...env.tailCallMaps.values()].includes(-1))
    env.reject('EINVAL', 'tail_call abusing map_ptr');
  if (env.unconvertible) env.reject('EFAULT', 'verifier bug: error during ctx access conversion (0)');
  if (env.missingKfunc) env.reject('EINVAL', 'invalid kernel function call not eliminated in verifier pass');
}

function checkProgramType(env: Env): void {
  if (env.context !== undefined || hasBtfContext(env)) return;
  env.reject('EINVAL', `programs of type ${env.input.progType} are not supported`);
}

function verifyGlobal(env: Env, index: number): void {
  const subprog = env.subprogs[index] as Subprog;
  if (env.log.on) env.write(`Validating ${subprog.name}() func#${index}...\n`);
  explore(env, index);
  if (env.log.on)
    env.write(`Func#${index} ('${subprog.name}') is safe for any args that match its prototype\n`);
}

function statsOf(env: Env): VerifierStats {
  const { processed, maxStatesPerInsn, totalStates, peakStates } = env;
  return { processed, maxStatesPerInsn, totalStates, peakStates };
}

/** print_verification_stats */
function finishLog(env: Env, started: number): void {
  const { log } = env;
  if (log.level === 0) return;
  if ((log.level & logLevels.stats) !== 0) {
    const usec = Math.round(((env.input.now?.() ?? 0) - started) * 1000);
    log.write(`verification time ${usec} usec\n`);
    log.write(`stack depth ${env.subprogs.map((subprog) => subprog.stackDepth).join('+')}\n`);
  }
  log.write(
    `processed ${env.processed} insns (limit ${env.rules.instructions}) max_states_per_insn ${env.maxStatesPerInsn} ` +
      `total_states ${env.totalStates} peak_states ${env.peakStates} mark_read 0\n`,
  );
}
