/**
 * `npm run exam-objects -- DIR|FILE.o… [--carve] [--list KIND] [--only PROGRAM] [--log2] [--limit N] [--json]`: loads each
 * program of compiled objects on the embedded kernel and on the running one, through the same loader, and compares
 * verdict, logs and the time that verification takes. `--carve` takes the BPF objects out of executables.
 * Attaches and pins nothing.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { SkepError } from '../src/base/index.ts';
import { LinuxKernel } from '../src/linux-kernel.ts';
import { type CollectionSpec, openObject } from '../src/object/index.ts';
import { Kernel } from '../src/user/index.ts';
import { complain, usage, wholeNumber } from './arguments.ts';
import { carve } from './exam/carve.ts';
import { whyNotLive } from './exam/linux.ts';
import { gradeProgram, type Kernels } from './exam/objects.ts';
import { figures, listed, lists, newTally, tableText } from './exam/tally.ts';

interface Options {
  readonly carve: boolean;
  readonly list: (typeof lists)[number] | 'unasked' | undefined;
  readonly only: string | undefined;
  readonly log2: boolean;
  readonly limit: number;
  readonly json: boolean;
}

/** A file that is given, or those of a folder. */
function filesOf(path: string, options: Options): string[] {
  if (!existsSync(path)) throw new SkepError({ code: 'exam', where: path, message: 'there is no such file' });
  if (!statSync(path).isDirectory()) return [path];
  const inside = readdirSync(path, { recursive: !options.carve, encoding: 'utf8' }).sort();
  return inside
    .filter((name) => options.carve || name.endsWith('.o'))
    .map((name) => join(path, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true);
}

/** The objects of a file, with a name for each. */
function objectsOf(file: string, options: Options): { name: string; bytes: Uint8Array }[] {
  const bytes = new Uint8Array(readFileSync(file));
  if (!options.carve) return [{ name: basename(file), bytes }];
  const found = carve(bytes);
  return found.map((object, i) => ({
    name: `${basename(file)}${found.length > 1 ? `#${i}` : ''}`,
    bytes: object,
  }));
}

/** One argument: a file or a folder. */
function examine(path: string, options: Options, kernels: Kernels): void {
  const tally = newTally(true);
  const unasked: string[] = [];
  const grading = {
    ...kernels,
    tally,
    unasked,
    show: options.only === undefined ? undefined : options.log2 ? 2 : 1,
  } as const;
  let objects = 0;
  for (const file of filesOf(path, options)) {
    for (const { name, bytes } of objectsOf(file, options)) {
      objects++;
      const spec = openedOrComplaint(name, bytes);
      for (const program of Object.keys(spec?.programs ?? {})) {
        if (spec === undefined || (options.only !== undefined && options.only !== program)) continue;
        gradeProgram(spec, program, `${name}:${program}`, grading);
      }
    }
  }
  const set = basename(path);
  if (options.json) console.log(JSON.stringify(figures(set, tally)));
  else
    console.log(
      `${tableText(`${set}: ${objects} objects`, tally)}\n  Linux was not asked  ${unasked.length}`,
    );
  if (options.list === undefined) return;
  const rows = options.list === 'unasked' ? unasked : listed(tally, options.list);
  for (const row of rows.slice(0, options.limit)) console.log(row);
}

function openedOrComplaint(name: string, bytes: Uint8Array): CollectionSpec | undefined {
  try {
    return openObject(bytes);
  } catch (error) {
    complain('exam-objects', error, name);
    return undefined;
  }
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      carve: { type: 'boolean', default: false },
      list: { type: 'string' },
      only: { type: 'string' },
      log2: { type: 'boolean', default: false },
      limit: { type: 'string', default: 'Infinity' },
      json: { type: 'boolean', default: false },
    },
  });
  const kinds = [...lists, 'unasked'] as const;
  const list = kinds.find((kind) => kind === values.list);
  if (values.list !== undefined && list === undefined) throw usage(`--list takes ${kinds.join('|')}`);
  if (positionals.length === 0) throw usage('no object: npm run exam-objects -- DIR|FILE.o…');
  const reason = whyNotLive();
  if (reason !== undefined) throw new SkepError({ code: 'no-linux', message: reason });
  const linux = new LinuxKernel();
  const kernelBtf = linux.sys.kernelBtf();
  const kernels: Kernels = {
    linux,
    kernelBtf,
    embedded: new Kernel({
      cpus: linux.sys.possibleCpus(),
      ...(kernelBtf === undefined ? {} : { btf: kernelBtf }),
    }),
  };
  const { carve, only, log2, json } = values;
  const limit = wholeNumber(values.limit, 'limit');
  for (const path of positionals) {
    try {
      examine(path, { carve, only, log2, json, list, limit }, kernels);
    } catch (error) {
      complain('exam-objects', error);
    }
  }
}

try {
  main();
} catch (error) {
  complain('exam-objects', error);
}
