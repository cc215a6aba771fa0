/**
 * What maps hold, as tables and as JSON.
 */
import type { Value } from '../btf/index.ts';
import type { Map as BpfMap } from '../user/index.ts';
import type { Invocation } from './invocation.ts';
import type { Session } from './session.ts';
import { formatTable } from './table.ts';
import { formatValue } from './values.ts';

/** The shape of a map in JSON. */
interface MapContents {
  readonly name: string;
  readonly type: string;
  readonly entries: { readonly key: Value; readonly value: Value }[];
}

/** The maps of a session, or the one that `--map` names. */
export function chosenMaps({ collection }: Session, name: string | undefined): [string, BpfMap][] {
  return name === undefined ? Object.entries(collection.maps) : [[name, collection.map(name)]];
}

export function mapContents(name: string, map: BpfMap): MapContents {
  const entries = sortedEntries(map).map(([key, value]) => ({ key, value }));
  return { name, type: map.typeName, entries };
}

/** Prints maps, each under its name. */
export function printMaps(invocation: Invocation, maps: readonly [string, BpfMap][]): void {
  const { style } = invocation;
  for (const [i, [name, map]] of maps.entries()) {
    const rows = sortedEntries(map).map(([key, value]) => [formatValue(key), formatValue(value)]);
    if (i > 0) invocation.print();
    const count = `${rows.length} of ${map.maxEntries}`;
    invocation.print(`${style.strong(name)} ${style.faint(`(${map.typeName}, ${count})`)}`);
    if (rows.length === 0) continue;
    for (const line of formatTable([{ title: 'KEY' }, { title: 'VALUE' }], rows, style))
      invocation.print(`  ${line}`);
  }
}

/** By key: the order in a hash map means nothing. */
function sortedEntries(map: BpfMap): [Value, Value][] {
  return [...map].sort(([a], [b]) => compare(a, b));
}

/** Numbers by size, structs member by member, the rest by its text. */
function compare(a: Value, b: Value): number {
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : Number(a > b);
  if (typeof a === 'object' && typeof b === 'object') {
    const others = Object.values(b) as Value[];
    for (const [i, member] of (Object.values(a) as Value[]).entries()) {
      const other = others[i];
      const order = other === undefined ? 1 : compare(member, other);
      if (order !== 0) return order;
    }
    return 0;
  }
  const [left, right] = [formatValue(a), formatValue(b)];
  return left < right ? -1 : Number(left > right);
}

function isNumber(value: Value): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}
