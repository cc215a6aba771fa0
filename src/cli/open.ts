/**
 * Opening the object that a command names.
 */
import { SkepError } from '../base/errors.ts';
import { type CollectionSpec, openObject, type ProgramSpec } from '../object/index.ts';
import { placeOf, readInput } from './files.ts';

/** Opens the object that the command names; errors in it say which file. */
export function openFile(path: string): CollectionSpec {
  const bytes = readInput(path);
  return inFile(path, () => openObject(bytes, { name: path }));
}

/** An error inside gets the file as its place. */
export function inFile<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw error instanceof SkepError && error.code !== 'usage' ? error.at(placeOf(path)) : error;
  }
}

/** The specs of the programs that a command is about. */
export function chosenPrograms(spec: CollectionSpec, name: string | undefined): [string, ProgramSpec][] {
  const programs = Object.entries(spec.programs);
  if (name === undefined) return programs;
  const chosen = programs.filter(([candidate]) => candidate === name);
  if (chosen.length > 0) return chosen;
  const names = programs.map(([candidate]) => candidate).join(', ');
  throw new SkepError({
    code: 'no-program',
    message: `there is no program '${name}'`,
    hint: names === '' ? 'the object has none' : `there are ${names}`,
  });
}
