/**
 * `skep map dump`: what maps hold, as bpftool prints it. One map is printed just so; of several, each stands under its
 * name, and in JSON in an object with it.
 */
import type { Map as BpfMap } from '../user/index.ts';
import type { Invocation } from './invocation.ts';

export function printDumps(invocation: Invocation, maps: readonly (readonly [string, BpfMap])[]): void {
  const { stdout } = invocation.streams;
  const isPretty = invocation.has('pretty');
  const format = isPretty ? 'pretty' : invocation.json ? 'json' : 'text';
  const write = (map: BpfMap): void => {
    for (const piece of map.dumpPieces(format)) stdout.write(piece);
  };
  const [only, ...others] = maps;
  if (only !== undefined && others.length === 0) {
    write(only[1]);
    return;
  }
  if (format === 'text') {
    for (const [i, [name, map]] of maps.entries()) {
      const { style } = invocation;
      invocation.print(`${i > 0 ? '\n' : ''}${style.strong(name)} ${style.faint(`(${map.typeName})`)}`);
      write(map);
    }
    return;
  }
  stdout.write('[');
  for (const [i, [name, map]] of maps.entries()) {
    const head = JSON.stringify({ name, type: map.typeName }).slice(0, -1);
    stdout.write(`${i > 0 ? ',' : ''}${head},"elements":`);
    write(map);
    stdout.write('}');
  }
  stdout.write(']\n');
}
