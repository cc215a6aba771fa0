/**
 * `skep verify`: each program of an object is loaded on its own, so that one that is rejected does not hide
 * the next. What is said of a program comes from the verifier's log, as on Linux.
 */
import type { CollectionSpec, ProgramSpec } from '../object/index.ts';
import { progTypeName } from '../uapi/prog-types.ts';
import { type KernelHandle, LoadError } from '../user/index.ts';
import { givenKernelBtf } from './btf.ts';
import type { Invocation } from './invocation.ts';
import { openKernel } from './kernel.ts';
import { chosenPrograms, inFile, openFile } from './open.ts';
import { type Cell, formatTable } from './table.ts';

/** Log levels as bits: instructions of explored paths, statistics. */
const LEVEL_INSNS = 1;
const LEVEL_STATS = 4;

/** Lines of a rejected program's log that are shown unless `--log-level` asks for all. */
const tailLines = 20;

/** One row, and the shape of `--json`. */
interface Verdict {
  readonly name: string;
  readonly type: string;
  readonly section: string;
  readonly accepted: boolean;
  readonly errno: string | undefined;
  /** The verifier's last words. */
  readonly reason: string | undefined;
  /** Instructions of the program, and how many the verifier processed along all paths. */
  readonly insns: number;
  readonly processed: number | undefined;
  readonly totalStates: number | undefined;
  readonly peakStates: number | undefined;
  readonly microseconds: number | undefined;
  readonly log: string | undefined;
}

export async function verify(invocation: Invocation): Promise<number> {
  const spec = openFile(invocation.file);
  const logLevel = invocation.integer('log-level', 0);
  const kernel = await openKernel(invocation);
  const kernelBtf = givenKernelBtf(invocation);
  const verdicts = inFile(invocation.file, () =>
    chosenPrograms(spec, invocation.value('prog')).map(([name, program]) =>
      verifyProgram(kernel, alone(spec, name), { name, program, logLevel, kernelBtf }),
    ),
  );
  if (invocation.json) invocation.printJson(verdicts);
  else print(invocation, verdicts);
  return verdicts.every(({ accepted }) => accepted) ? 0 : 1;
}

interface Verified {
  readonly name: string;
  readonly program: ProgramSpec;
  readonly logLevel: number | undefined;
  /** Types of a kernel that CO-RE relocations are resolved against; by default, of the kernel that verifies. */
  readonly kernelBtf: Uint8Array | undefined;
}

/** Loads a collection with one program in it. */
function verifyProgram(kernel: KernelHandle, spec: CollectionSpec, options: Verified): Verdict {
  const { name, program, logLevel, kernelBtf } = options;
  const base = {
    name,
    type: progTypeName(program.progType) ?? String(program.progType),
    section: program.section,
    insns: program.insns.length / 8,
  };
  try {
    const collection = kernel.load(spec, { logLevel: LEVEL_STATS | (logLevel ?? 0), kernelBtf });
    const { log } = collection.program(name);
    collection.close();
    const shown = logLevel === undefined ? undefined : log;
    return { ...base, accepted: true, errno: undefined, reason: undefined, ...statistics(log), log: shown };
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    const { errno, reason } = error;
    const log = logLevel === undefined ? explainingLog(kernel, spec, kernelBtf) : error.log;
    return { ...base, accepted: false, errno, reason, ...statistics(error.log), log };
  }
}

/** The log of a program that is rejected, with its instructions. */
function explainingLog(
  kernel: KernelHandle,
  spec: CollectionSpec,
  kernelBtf: Uint8Array | undefined,
): string {
  try {
    kernel.load(spec, { logLevel: LEVEL_INSNS, kernelBtf });
    return '';
  } catch (error) {
    if (error instanceof LoadError) return error.log;
    throw error;
  }
}

/** A spec with one of its programs, and the maps without the elements that are programs. */
function alone(spec: CollectionSpec, name: string): CollectionSpec {
  const programs = chosenPrograms(spec, name).map(
    ([, program]) => [name, { ...program, autoload: true }] as const,
  );
  const maps = Object.entries(spec.maps).map(([mapName, map]) => {
    const contents = map.contents.filter(({ value }) => !('program' in value));
    return [mapName, { ...map, contents }] as const;
  });
  return { ...spec, programs: Object.fromEntries(programs), maps: Object.fromEntries(maps) };
}

/** What log level 4 appends to a log. */
function statistics(log: string): Pick<Verdict, 'processed' | 'totalStates' | 'peakStates' | 'microseconds'> {
  const number = (pattern: RegExp): number | undefined => {
    const text = pattern.exec(log)?.[1];
    return text === undefined ? undefined : Number(text);
  };
  return {
    processed: number(/^processed (\d+) insns/m),
    totalStates: number(/ total_states (\d+)/),
    peakStates: number(/ peak_states (\d+)/),
    microseconds: number(/^verification time (\d+) usec/m),
  };
}

function print(invocation: Invocation, verdicts: readonly Verdict[]): void {
  const { style } = invocation;
  if (verdicts.length === 0) invocation.print('the object has no programs');
  for (const verdict of verdicts) {
    if (verdict.log === undefined) continue;
    const lines = verdict.log.trimEnd().split('\n');
    const shown = invocation.has('log-level') ? lines : lines.slice(-tailLines);
    invocation.print(style.strong(`${verdict.name}:`));
    if (shown.length < lines.length) {
      invocation.print(
        style.faint(`  … ${lines.length - shown.length} lines before; --log-level 1 prints all`),
      );
    }
    for (const line of shown) invocation.print(`  ${line}`);
    invocation.print();
  }
  for (const line of formatTable(columns, verdicts.map(row), style)) invocation.print(line);
  for (const { accepted, name, reason, errno } of verdicts) {
    if (!accepted) invocation.note(`program '${name}' rejected: ${reason || errno}`);
  }
}

const columns = [
  { title: 'PROGRAM' },
  { title: 'TYPE' },
  { title: 'VERDICT' },
  { title: 'INSNS', align: 'right' },
  { title: 'PROCESSED', align: 'right' },
  { title: 'STATES', align: 'right' },
  { title: 'TIME', align: 'right' },
] as const;

function row({ name, type, accepted, errno, insns, processed, totalStates, microseconds }: Verdict): Cell[] {
  return [
    name,
    type,
    accepted ? { text: 'accepted', style: 'good' } : { text: `rejected (${errno})`, style: 'bad' },
    String(insns),
    String(processed ?? '-'),
    String(totalStates ?? '-'),
    microseconds === undefined ? '-' : `${microseconds} µs`,
  ];
}
