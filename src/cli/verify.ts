/**
 * `skep verify`: each program of the objects is loaded on its own, so that one that is rejected does not hide the
 * next. What is said of a program comes from the verifier's log, as on Linux; a rejection is explained, and the
 * whole can be compared with a run before.
 */

import { SkepError } from '../base/errors.ts';
import { interpreter } from '../kernel/index.ts';
import type { CollectionSpec, ProgramSpec } from '../object/index.ts';
import { BpfError } from '../uapi/errno.ts';
import { progTypeName } from '../uapi/prog-types.ts';
import { Kernel, type KernelHandle, LoadError, type LoadOptions } from '../user/index.ts';
import { explainRejection } from '../verifier/explain/index.ts';
import { givenKernelBtf } from './btf.ts';
import type { Invocation } from './invocation.ts';
import { givenConfig } from './kconfig.ts';
import { openKernel } from './kernel.ts';
import { chosenPrograms, inFile, openFile } from './open.ts';
import { type Cell, type Column, formatTable } from './table.ts';
import { compareVerdicts, readBaseline } from './verify-compare.ts';
import { explanationLines } from './verify-explain.ts';
import type { Verdict } from './verify-verdict.ts';

/** Log levels as bits: instructions of explored paths, statistics. */
const LEVEL_INSNS = 1;
const LEVEL_STATS = 4;

export async function verify(invocation: Invocation): Promise<number> {
  const given = givenKernelBtf(invocation);
  // Nothing runs, so nothing needs to be translated.
  const kernel = await openKernel(invocation, { btf: given, engine: interpreter });
  // The embedded kernel has these types as its own then.
  const kernelBtf = kernel instanceof Kernel ? undefined : given;
  const verifyOne = (file: string): Verdict[] => verifyFile(invocation, { kernel, kernelBtf }, file);
  const { operands } = invocation;
  let unread = 0;
  const verdicts = operands.flatMap((file) => {
    try {
      return verifyOne(file);
    } catch (error) {
      // One of several that is no object does not hide the others.
      if (operands.length === 1 || !(error instanceof SkepError) || error.code === 'usage') throw error;
      invocation.note(error.line);
      unread++;
      return [];
    }
  });
  const exitCode = (holds: boolean): number => (holds && unread === 0 ? 0 : 1);
  const against = invocation.value('baseline');
  if (against !== undefined) {
    const before = readBaseline(against, verifyOne);
    return exitCode(compareVerdicts(invocation, { before, after: verdicts }));
  }
  if (invocation.json) invocation.printJson(verdicts);
  else if (unread < operands.length) print(invocation, verdicts);
  return exitCode(verdicts.every(({ accepted }) => accepted));
}

function verifyFile(
  invocation: Invocation,
  { kernel, kernelBtf }: { kernel: KernelHandle; kernelBtf: Uint8Array | undefined },
  file: string,
): Verdict[] {
  const spec = openFile(file);
  const logLevel = invocation.integer('log-level', 0);
  const given = { kernelBtf, kconfig: givenConfig(invocation) };
  return inFile(file, () =>
    chosenPrograms(spec, invocation.value('prog')).map(([name, program]) =>
      verifyProgram(kernel, alone(spec, name), { file, name, program, logLevel, given }),
    ),
  );
}

interface Verified {
  readonly file: string;
  readonly name: string;
  readonly program: ProgramSpec;
  readonly logLevel: number | undefined;
  /** Types of a kernel, for CO-RE relocations, and its configuration; by default, those of the kernel that verifies. */
  readonly given: Pick<LoadOptions, 'kernelBtf' | 'kconfig'>;
}

/** Loads a collection with one program in it. */
function verifyProgram(kernel: KernelHandle, spec: CollectionSpec, options: Verified): Verdict {
  const { file, name, program, logLevel, given } = options;
  const base = {
    file,
    name,
    type: progTypeName(program.progType) ?? String(program.progType),
    section: program.section,
    insns: program.insns.length / 8,
  };
  try {
    const collection = kernel.load(spec, { logLevel: LEVEL_STATS | (logLevel ?? 0), ...given });
    const { log } = collection.program(name);
    collection.close();
    const shown = logLevel === undefined ? undefined : log;
    return { ...base, accepted: true, errno: undefined, reason: undefined, ...statistics(log), log: shown };
  } catch (error) {
    if (error instanceof SkepError && !(error instanceof LoadError)) return notLoaded(base, error);
    if (!(error instanceof LoadError)) throw error;
    const { errno, reason } = error;
    const path = pathLog(kernel, spec, given);
    const log = logLevel === undefined ? path : error.log;
    const explanation = explainRejection(path);
    return { ...base, accepted: false, errno, reason, ...statistics(error.log), log, explanation };
  }
}

/** What hinders a program before the verifier sees it: a map that cannot be made, a target that is not there. */
function notLoaded(
  base: Pick<Verdict, 'file' | 'name' | 'type' | 'section' | 'insns'>,
  error: SkepError,
): Verdict {
  return {
    ...base,
    accepted: false,
    errno: error instanceof BpfError ? error.errno : undefined,
    // The row says already which program it is.
    reason: error.line.replace(`program '${base.name}': `, ''),
    ...statistics(''),
    log: undefined,
  };
}

/** The log of a program that is rejected, with the instructions of the path. */
function pathLog(kernel: KernelHandle, spec: CollectionSpec, given: Verified['given']): string {
  try {
    kernel.load(spec, { logLevel: LEVEL_INSNS, ...given }).close();
    return '';
  } catch (error) {
    if (error instanceof LoadError) return error.log;
    throw error;
  }
}

/**
 * A spec with one of its programs; its maps without the elements that are programs or maps, which a verdict does not
 * depend on, and without pins.
 */
function alone(spec: CollectionSpec, name: string): CollectionSpec {
  const programs = chosenPrograms(spec, name).map(
    ([, program]) => [name, { ...program, autoload: true }] as const,
  );
  const maps = Object.entries(spec.maps).map(([mapName, map]) => {
    const contents = map.contents.filter(({ value }) => value instanceof Uint8Array);
    return [mapName, { ...map, contents, pinning: 'none' as const }] as const;
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
  for (const verdict of verdicts) printLog(invocation, verdict);
  const files = new Set(verdicts.map(({ file }) => file)).size > 1;
  const table = files ? [fileColumn, ...columns] : columns;
  const rows = verdicts.map((verdict) => (files ? [verdict.file, ...row(verdict)] : row(verdict)));
  for (const line of formatTable(table, rows, style)) invocation.print(line);
  for (const { accepted, name, reason, errno, processed } of verdicts) {
    if (!accepted)
      invocation.note(
        `program '${name}' ${processed === undefined ? 'not loaded' : 'rejected'}: ${reason || errno}`,
      );
  }
}

/** The log that was asked for, and why a program is rejected. */
function printLog(invocation: Invocation, verdict: Verdict): void {
  const { style } = invocation;
  const { name, log, explanation } = verdict;
  const asked = invocation.has('log-level') && log !== undefined;
  if (!asked && (verdict.accepted || explanation === undefined)) return;
  invocation.print(style.strong(`${name}:`));
  if (asked || explanation === undefined) {
    for (const line of (log ?? '').trimEnd().split('\n')) invocation.print(`  ${line}`);
  }
  if (explanation !== undefined) {
    for (const line of explanationLines(explanation, style)) invocation.print(`  ${line}`);
    if (!asked) invocation.print(style.faint('  --log-level 1 prints every instruction of the path'));
  }
  invocation.print();
}

const fileColumn: Column = { title: 'FILE' };
const columns: readonly Column[] = [
  { title: 'PROGRAM' },
  { title: 'TYPE' },
  { title: 'VERDICT' },
  { title: 'INSNS', align: 'right' },
  { title: 'PROCESSED', align: 'right' },
  { title: 'STATES', align: 'right' },
  { title: 'TIME', align: 'right' },
];

function row({ name, type, accepted, errno, insns, processed, totalStates, microseconds }: Verdict): Cell[] {
  return [
    name,
    type,
    accepted ? { text: 'accepted', style: 'good' } : { text: refusal(errno, processed), style: 'bad' },
    String(insns),
    String(processed ?? '-'),
    String(totalStates ?? '-'),
    microseconds === undefined ? '-' : `${microseconds} µs`,
  ];
}

function refusal(errno: string | undefined, processed: number | undefined): string {
  return processed === undefined ? 'not loaded' : `rejected (${errno})`;
}
