/**
 * Random programs that the verifier accepts run with equal results on both engines: r0, packet and maps. A
 * program may tell addresses, which differ between the engines (their stacks lie elsewhere): one whose result
 * changes when memory is laid out differently is left out. FUZZ_RUNS=100000 for a long session.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SkepError } from '../../src/base/errors.ts';
import { verify } from '../../src/verifier/index.ts';
import type { VerifierResult } from '../../src/verifier/types.ts';
import { ProgramFault } from '../../src/vm/faults.ts';
import { type Engine, interpreter, jit } from '../../src/vm/index.ts';
import { bytesOf, type Candidate, candidateText, progTypeId } from '../../tools/fuzz/candidate.ts';
import { generate } from '../../tools/fuzz/generate.ts';
import { Random } from '../../tools/fuzz/random.ts';
import { setStage } from '../../tools/fuzz/stage.ts';
import { FIRST_MAP_FD, World } from '../../tools/fuzz/world.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 400);
const BUDGET = 4_000_000;
/** Inputs for each program besides its own. */
const VARIANTS = 3;

function accept(candidate: Candidate, world: World): VerifierResult {
  const root = candidate.privilege === 'root';
  return verify({
    insns: bytesOf(candidate),
    progType: progTypeId(candidate.type),
    expectedAttachType: 0,
    progFlags: candidate.flags,
    gplCompatible: true,
    capabilities: { bpf: true, netAdmin: true, perfmon: root, sysAdmin: root },
    resolveMap: (fd) => world.facts[fd - FIRST_MAP_FD] ?? 'EBADF',
    logLevel: 0,
    cpus: 1,
  });
}

/** The outcomes of a program with its own and with random inputs, as text; undefined where it is rejected. */
function outcomes(candidate: Candidate, world: World, engine: Engine): string[] | undefined {
  const result = accept(candidate, world);
  if (!result.ok) return undefined;
  const program = engine.load(
    {
      name: 'random',
      progType: progTypeId(candidate.type),
      insns: result.insns,
      subprogs: result.subprogs,
      maps: world.maps,
    },
    world,
  );
  return Array.from({ length: 1 + VARIANTS }, (_, variant) => {
    const random = () => (variant === 0 ? undefined : new Random(variant * 7919));
    world.reset(random());
    const stage = setStage(candidate, world, random());
    try {
      const r0 = program.run({ ...stage.context, budget: BUDGET });
      return `r0 0x${r0.toString(16)}\n${stage.packet()}\n${world.dump()}`;
    } catch (error) {
      // A hole in the verifier, which other tests look for; or a loop that never ends.
      if (error instanceof ProgramFault) return 'fault';
      throw error;
    } finally {
      stage.free();
    }
  });
}

test('random programs have equal results on both engines', () => {
  const world = new World();
  const elsewhere = new World();
  elsewhere.memory.alloc(12345);
  let compared = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const candidate = generate(new Random(seed));
    let want: string[] | undefined;
    try {
      want = outcomes(candidate, world, interpreter);
    } catch (error) {
      // What this runtime cannot run, or what does not end.
      if (error instanceof SkepError) continue;
      throw error;
    }
    if (want === undefined || want.includes('fault')) continue;
    if (outcomes(candidate, elsewhere, interpreter)?.join() !== want.join()) continue;
    const got = outcomes(candidate, world, jit);
    assert.deepEqual(got, want, candidateText(candidate, [`seed ${seed}`]));
    compared++;
  }
  assert.ok(compared > runs / 4, `${compared} of ${runs} programs were accepted and compared`);
});
