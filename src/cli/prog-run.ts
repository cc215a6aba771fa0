/**
 * `skep prog run`: test runs of one program, as `bpftool prog run` does them.
 */
import { SkepError } from '../base/errors.ts';
import type { CollectionSpec } from '../object/index.ts';
import type { TestRunResult } from '../user/index.ts';
import { readInput, writeOutput } from './files.ts';
import type { Invocation } from './invocation.ts';
import { openKernel } from './kernel.ts';
import { chosenPrograms, inFile, openFile } from './open.ts';
import { loadWithSettings } from './session.ts';

export async function testRun(invocation: Invocation): Promise<number> {
  const spec = openFile(invocation.file);
  const name = oneProgram(spec, invocation.value('prog'));
  const dataIn = invocation.value('data-in');
  const ctxIn = invocation.value('ctx-in');
  const input = {
    data: dataIn === undefined ? undefined : readInput(dataIn),
    ctx: ctxIn === undefined ? undefined : readInput(ctxIn),
    repeat: invocation.integer('repeat', 1),
  };
  const kernel = await openKernel(invocation);
  const result = inFile(invocation.file, () => {
    const collection = loadWithSettings(kernel, spec, invocation);
    return collection.program(name).testRun(input);
  });
  report(invocation, result);
  return 0;
}

/** The program that `--prog` names, or the only one. */
function oneProgram(spec: CollectionSpec, wanted: string | undefined): string {
  const [first, second] = chosenPrograms(spec, wanted);
  if (first !== undefined && second === undefined) return first[0];
  const names = Object.keys(spec.programs).join(', ');
  throw new SkepError({
    code: 'no-program',
    message: first === undefined ? 'the object has no programs' : 'the object has several programs',
    hint: first === undefined ? undefined : `choose one with --prog: ${names}`,
  });
}

/** What `bpftool prog run` says, and the packet and context into their files. */
function report(invocation: Invocation, { retval, durationNs, data, ctx }: TestRunResult): void {
  const dataOut = invocation.value('data-out');
  const ctxOut = invocation.value('ctx-out');
  if (dataOut !== undefined) writeOutput(dataOut, data);
  if (ctxOut !== undefined) writeOutput(ctxOut, ctx);
  if (invocation.json) {
    invocation.printJson({ retval, durationNs, dataSizeOut: data.length, ctxSizeOut: ctx.length });
    return;
  }
  const line = `Return value: ${retval}, duration${invocation.has('repeat') ? ' (average)' : ''}: ${durationNs}ns`;
  // Standard output is the packet's where it was asked for.
  if (dataOut === '-' || ctxOut === '-') invocation.note(line);
  else invocation.print(line);
}
