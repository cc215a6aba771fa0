/**
 * `skep gen ts`: typed bindings of an object.
 */
import { basename, dirname, relative, resolve, sep } from 'node:path';
import { openObject } from '../object/index.ts';
import { generateBindings } from '../user/bindings/generate.ts';
import { readInput, writeOutput } from './files.ts';
import type { Invocation } from './invocation.ts';
import { inFile } from './open.ts';

/** Where the object is, as the module that is written says it: a relative URL. */
function pathFrom(output: string, object: string): string {
  const path = relative(dirname(resolve(output)), resolve(object))
    .split(sep)
    .map(encodeURIComponent)
    .join('/');
  return path.startsWith('../') ? path : `./${path}`;
}

export async function genTs(invocation: Invocation): Promise<number> {
  const { file } = invocation;
  const output = invocation.value('output') ?? '-';
  const bytes = readInput(file);
  const text = inFile(file, () => {
    const embeds = invocation.has('embed') || file === '-';
    const name = file === '-' ? 'object.bpf.o' : basename(file);
    const path = output === '-' ? `./${encodeURIComponent(name)}` : pathFrom(output, file);
    return generateBindings({ spec: openObject(bytes, { name }), name, object: embeds ? bytes : { path } });
  });
  writeOutput(output, new TextEncoder().encode(text));
  return 0;
}
