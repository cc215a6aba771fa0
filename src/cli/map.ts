/**
 * `skep map`: loads an object, feeds it what is given, and shows its maps.
 */
import { BpfError } from '../uapi/errno.ts';
import type { Map as BpfMap } from '../user/index.ts';
import { usageError } from './args.ts';
import type { Invocation } from './invocation.ts';
import { dumpLive, showLive, wantsLiveMaps } from './live-maps.ts';
import { printDumps } from './map-dumps.ts';
import { chosenMaps } from './maps.ts';
import { exitCodeOf, inputsOf, play } from './play.ts';
import { type Session, startSession } from './session.ts';
import { formatTable } from './table.ts';

export async function show(invocation: Invocation): Promise<number> {
  if (wantsLiveMaps(invocation)) return showLive(invocation);
  const { session, exitCode } = await played(invocation);
  const maps = chosenMaps(session, invocation.value('map')).map(([name, map]) => ({
    name,
    type: map.typeName,
    keySize: map.keySize,
    valueSize: map.valueSize,
    maxEntries: map.maxEntries,
    flags: map.flags,
    entries: countOf(map),
  }));
  if (invocation.json) {
    invocation.printJson(maps);
    return exitCode;
  }
  const rows = maps.map((map) => [
    map.name,
    map.type,
    ...[map.keySize, map.valueSize, map.entries ?? '-', map.maxEntries].map(String),
  ]);
  for (const line of formatTable(columns, rows, invocation.style)) invocation.print(line);
  return exitCode;
}

/** Null of a map of a kind that the embedded kernel keeps no elements of. */
function countOf(map: BpfMap): number | null {
  try {
    return map.size;
  } catch (error) {
    if (error instanceof BpfError && error.errno === 'ENOTSUPP') return null;
    throw error;
  }
}

const columns = [
  { title: 'MAP' },
  { title: 'TYPE' },
  { title: 'KEY', align: 'right' },
  { title: 'VALUE', align: 'right' },
  { title: 'ENTRIES', align: 'right' },
  { title: 'MAX', align: 'right' },
] as const;

export async function dump(invocation: Invocation): Promise<number> {
  if (wantsLiveMaps(invocation)) return dumpLive(invocation);
  const { session, exitCode } = await played(invocation);
  const maps = chosenMaps(session, invocation.value('map'));
  printDumps(invocation, maps);
  return exitCode;
}

/** The session after what is given was played into it; the trace pipe goes to standard error. */
async function played(invocation: Invocation): Promise<{ session: Session; exitCode: number }> {
  if (invocation.operands.length === 0) {
    throw usageError(
      'each command line starts a fresh embedded kernel, so there are no maps to show',
      'give an object: skep map show FILE, or --kernel linux for the maps of the running kernel',
    );
  }
  const inputs = inputsOf(invocation);
  const session = startSession(invocation);
  const onTrace = (line: string): void => {
    invocation.streams.stderr.write(`${line}\n`);
  };
  const exitCode = exitCodeOf(await play(invocation, { session, inputs, onTrace }));
  return { session, exitCode };
}
