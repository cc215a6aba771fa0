/**
 * `skep map` on a kernel that was there before: the maps that it has, by their ids.
 */
import { SkepError } from '../base/errors.ts';
import { BpfError } from '../uapi/errno.ts';
import { type Map as BpfMap, type KernelHandle, Link, Program } from '../user/index.ts';
import { usageError } from './args.ts';
import type { Invocation } from './invocation.ts';
import { openKernel } from './kernel.ts';
import { printDumps } from './map-dumps.ts';
import { formatTable } from './table.ts';

/** Whether the command is about a running kernel and not about an object. */
export function wantsLiveMaps(invocation: Invocation): boolean {
  const kernel = invocation.value('kernel');
  if (kernel === undefined || kernel === 'embedded') return false;
  const given = ['pcap', 'strace', 'attach', 'device', 'set'].find((option) => invocation.has(option));
  const extra = invocation.operands[0] ?? (given === undefined ? invocation.trailing?.[0] : `--${given}`);
  if (extra === undefined) return true;
  throw usageError(
    `'${extra}' with --kernel ${kernel}`,
    'it shows the maps that the kernel has: leave it out',
  );
}

export async function showLive(invocation: Invocation): Promise<number> {
  const kernel = await openKernel(invocation);
  const maps = findMaps(kernel, invocation.value('map')).map((map) => {
    const { id, name, typeName: type, keySize, valueSize, maxEntries, flags } = map;
    map.close();
    return { id, name, type, keySize, valueSize, maxEntries, flags };
  });
  if (invocation.json) {
    invocation.printJson(maps);
    return 0;
  }
  const rows = maps.map((map) => [
    String(map.id),
    map.name,
    map.type,
    ...[map.keySize, map.valueSize, map.maxEntries].map(String),
  ]);
  for (const line of formatTable(columns, rows, invocation.style)) invocation.print(line);
  return 0;
}

const columns = [
  { title: 'ID', align: 'right' },
  { title: 'MAP' },
  { title: 'TYPE' },
  { title: 'KEY', align: 'right' },
  { title: 'VALUE', align: 'right' },
  { title: 'MAX', align: 'right' },
] as const;

export async function dumpLive(invocation: Invocation): Promise<number> {
  const wanted = invocation.value('map');
  if (wanted === undefined) {
    throw usageError('the kernel has many maps', 'say which: --map ID, --map NAME or --map /PATH/OF/PIN');
  }
  const kernel = await openKernel(invocation);
  const maps = findMaps(kernel, wanted).map((map): [string, BpfMap] => [map.name || `id ${map.id}`, map]);
  try {
    printDumps(invocation, maps);
  } finally {
    for (const [, map] of maps) map.close();
  }
  return 0;
}

/** The maps of a kernel, or those that a name, an id or the path of a pin means. */
export function findMaps(kernel: KernelHandle, wanted: string | undefined): BpfMap[] {
  if (wanted?.startsWith('/')) return [pinnedMap(kernel, wanted)];
  if (wanted !== undefined && /^\d+$/.test(wanted)) return [kernel.mapById(Number(wanted))];
  const maps: BpfMap[] = [];
  for (const id of kernel.mapIds()) {
    const map = mapIfThere(kernel, id);
    if (map === undefined) continue;
    if (wanted === undefined || map.name === wanted) maps.push(map);
    else map.close();
  }
  if (maps.length > 0 || wanted === undefined) return maps;
  throw new SkepError({
    code: 'no-map',
    message: `the kernel has no map '${wanted}'`,
    hint: 'skep map show --kernel linux lists them; names have at most 15 characters',
  });
}

/** Maps come and go between the list of ids and a look at one. */
function mapIfThere(kernel: KernelHandle, id: number): BpfMap | undefined {
  try {
    return kernel.mapById(id);
  } catch (error) {
    if (error instanceof BpfError && error.errno === 'ENOENT') return undefined;
    throw error;
  }
}

function pinnedMap(kernel: KernelHandle, path: string): BpfMap {
  const handle = kernel.openPinned(path);
  if (!(handle instanceof Program) && !(handle instanceof Link)) return handle;
  throw new SkepError({ code: 'no-map', message: `${path} is not a map: it is a ${handle.what}` });
}
