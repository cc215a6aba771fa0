/**
 * `skep gen object`: objects linked into one, as `bpftool gen object` does.
 */
import { basename } from 'node:path';
import { linkObjects } from '../object/index.ts';
import { readInput, writeOutput } from './files.ts';
import type { Invocation } from './invocation.ts';

export async function genObject(invocation: Invocation): Promise<number> {
  const [output = '-', ...files] = invocation.operands;
  const inputs = files.map((file) => ({ name: basename(file), bytes: readInput(file) }));
  writeOutput(output, linkObjects(inputs));
  return 0;
}
