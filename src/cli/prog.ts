/**
 * `skep prog show`: what programs an object has.
 */
import { progTypeName } from '../uapi/prog-types.ts';
import { usageError } from './args.ts';
import type { Invocation } from './invocation.ts';
import { isLive } from './live.ts';
import { openFile } from './open.ts';
import { formatTable } from './table.ts';

export async function show(invocation: Invocation): Promise<number> {
  if (isLive(invocation)) return (await import('./live-objects.ts')).showPrograms(invocation);
  const [, extra] = invocation.operands;
  if (extra !== undefined) throw usageError(`unexpected argument '${extra}' for 'skep prog show'`);
  const spec = openFile(invocation.file);
  const programs = Object.entries(spec.programs).map(([name, program]) => ({
    name,
    type: program.progType === 0 ? 'unspec' : (progTypeName(program.progType) ?? String(program.progType)),
    section: program.section,
    insns: program.insns.length / 8,
    license: program.license,
    autoload: program.autoload,
    maps: [...new Set(program.references.map(({ map }) => map))],
  }));
  if (invocation.json) {
    invocation.printJson(programs);
    return 0;
  }
  const rows = programs.map((each) => [
    each.name,
    each.type,
    each.section,
    String(each.insns),
    each.license,
    each.maps.join(', '),
  ]);
  for (const line of formatTable(showColumns, rows, invocation.style)) invocation.print(line);
  return 0;
}

const showColumns = [
  { title: 'PROGRAM' },
  { title: 'TYPE' },
  { title: 'SECTION' },
  { title: 'INSNS', align: 'right' },
  { title: 'LICENSE' },
  { title: 'MAPS' },
] as const;
