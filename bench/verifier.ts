/**
 * `npm run bench -- verifier`: how long the verifier takes for the suite's programs and for two of almost a million
 * steps, beside the running kernel's where that can be asked, in turns, by the time that the log at level 4 tells of.
 * Both are warm; what is shown is the median. Prints a table, and how much memory a process takes at most that
 * verifies one of the large ones once. The recorded programs of an exam are measured by `npm run exam -- FILE --live`.
 */
import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { SkepError } from '../src/base/index.ts';
import { EmbeddedKernel, interpreter } from '../src/kernel/index.ts';
import { LinuxSystem } from '../src/linux/index.ts';
import { LinuxKernel } from '../src/linux-kernel.ts';
import { openObject } from '../src/object/index.ts';
import { progTypes } from '../src/uapi/prog-types.ts';
import type { System } from '../src/uapi/seam.ts';
import { Kernel, type KernelHandle } from '../src/user/index.ts';
import { EMPTY, suiteObject, suitePrograms } from './suite.ts';

const ROUNDS = 9;
const LEVEL_STATS = 4;
const LOG_BYTES = 4096;

interface Timed {
  readonly processed: number;
  readonly ms: number;
}

interface Measured {
  readonly name: string;
  /** A load on one of the kernels. */
  readonly load: (kernel: Kernels) => Timed;
}

/** A kernel as the library sees it, and as the system call does. */
interface Kernels {
  readonly handle: KernelHandle;
  readonly system: System;
}

function timesIn(log: string): Timed {
  const usec = Number(/^verification time (\d+) usec/m.exec(log)?.[1]);
  return { processed: Number(/^processed (\d+) insns/m.exec(log)?.[1]), ms: usec / 1000 };
}

const ofSuite = (name: string): Measured => ({
  name,
  load({ handle }) {
    const collection = handle.load(openObject(suiteObject(name), { name }), { logLevel: LEVEL_STATS });
    const [program] = Object.values(collection.programs);
    collection.close();
    return timesIn(program?.log ?? '');
  },
});

const [MOV, ADD, JUMP_BELOW, EXIT] = [0xb7, 0x07, 0xa5, 0x95];

/** A program of r0 alone, by opcode, offset and immediate of each of its instructions. */
const made = (name: string, count: number, at: (slot: number) => readonly number[]): Measured => ({
  name,
  load({ system }) {
    const insns = new Uint8Array(8 * count);
    const view = new DataView(insns.buffer);
    for (let slot = 0; slot < count; slot++) {
      const [opcode = 0, off = 0, imm = 0] = at(slot);
      insns[8 * slot] = opcode;
      view.setInt16(8 * slot + 2, off, true);
      view.setInt32(8 * slot + 4, imm, true);
    }
    const logBuf = new Uint8Array(LOG_BYTES);
    const log = { logLevel: LEVEL_STATS, logSize: LOG_BYTES, logBuf };
    const progType = progTypes.xdp.id;
    system.close(system.bpf('progLoad', { progType, insns, insnCnt: count, license: 'GPL', ...log }));
    return timesIn(new TextDecoder().decode(logBuf.subarray(0, logBuf.indexOf(0))));
  },
});

const STRAIGHT = 990_000;
const ROUNDS_OF_LOOP = 490_000;
const loop = [[MOV], [ADD, 0, 1], [JUMP_BELOW, -2, ROUNDS_OF_LOOP], [EXIT]] as const;

const large: readonly Measured[] = [
  made(`${STRAIGHT / 1000}k instructions in a row`, STRAIGHT, (slot) =>
    slot === STRAIGHT - 1 ? [EXIT] : [MOV, 0, slot],
  ),
  made(`a loop of ${ROUNDS_OF_LOOP / 1000}k rounds`, loop.length, (slot) => loop[slot] ?? []),
];

/** The kernel that runs; undefined where it cannot be asked. */
function runningKernel(): Kernels | undefined {
  try {
    const linux = { handle: new LinuxKernel(), system: new LinuxSystem() };
    ofSuite(EMPTY).load(linux);
    return linux;
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    console.error(`bench: without Linux: ${error.line}`);
    return undefined;
  }
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] as number;

function embeddedKernel(): Kernels {
  const system = new EmbeddedKernel({ engine: interpreter }).spawn();
  return { handle: new Kernel({ engine: interpreter }), system };
}

/** Megabytes that a process of its own takes at most. */
function peakOf(program: Measured): number {
  const script = process.argv[1] as string;
  return Number(execFileSync(process.execPath, [...process.execArgv, script, 'verifier', program.name]));
}

/** Without a name, the table; with the name of a large program, the memory that it takes. */
export function verifier(name?: string): void {
  if (name !== undefined) {
    large.find((program) => program.name === name)?.load(embeddedKernel());
    console.log(Math.round(process.resourceUsage().maxRSS / 1024));
    return;
  }
  const ours = embeddedKernel();
  const linux = runningKernel();
  const suite = suitePrograms().map(({ name }) => ofSuite(name));
  for (let round = 0; round < ROUNDS; round++) for (const { load } of suite) load(ours);
  console.log(`${'program'.padEnd(34)} processed    skep, ms   Linux, ms   ratio`);
  for (const { name, load } of [...suite, ...large]) {
    const times = { ours: [] as number[], linux: [] as number[] };
    let processed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const timed = load(ours);
      processed = timed.processed;
      times.ours.push(timed.ms);
      if (linux !== undefined) times.linux.push(load(linux).ms);
    }
    const mine = median(times.ours);
    const theirs = linux === undefined ? undefined : median(times.linux);
    console.log(
      name.padEnd(34),
      String(processed).padStart(9),
      mine.toFixed(3).padStart(11),
      (theirs?.toFixed(3) ?? '-').padStart(11),
      (theirs === undefined ? '-' : (mine / theirs).toFixed(2)).padStart(7),
    );
  }
  for (const program of large) console.log(`${program.name}: ${peakOf(program)} MB at most`);
}
