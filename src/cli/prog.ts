/**
 * `skep prog`: what programs an object has, and their instructions.
 */
import { type FormatOptions, formatInsn, opcodeOf } from '../asm/index.ts';
import { decodeLenient } from '../isa/index.ts';
import type { CollectionSpec, ProgramSpec } from '../object/index.ts';
import { progTypeName } from '../uapi/prog-types.ts';
import type { Invocation } from './invocation.ts';
import { chosenPrograms, openFile } from './open.ts';
import { sourceLines } from './source-lines.ts';
import { formatTable } from './table.ts';

export async function show(invocation: Invocation): Promise<number> {
  const spec = openFile(invocation.file);
  const programs = Object.entries(spec.programs).map(([name, program]) => ({
    name,
    type: progTypeName(program.progType) ?? String(program.progType),
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

export async function dump(invocation: Invocation): Promise<number> {
  const spec = openFile(invocation.file);
  const programs = chosenPrograms(spec, invocation.value('prog')).map(([name, program]) => ({
    name,
    insns: dumpLines(spec, program),
  }));
  if (invocation.json) {
    invocation.printJson(programs);
    return 0;
  }
  const { style } = invocation;
  for (const [i, { name, insns }] of programs.entries()) {
    invocation.print(`${i === 0 ? '' : '\n'}${style.strong(`${name}:`)}`);
    for (const { slot, opcode, text, source } of insns) {
      if (source !== undefined) invocation.print(style.faint(`; ${source}`));
      invocation.print(`${String(slot).padStart(4)}: (${opcode}) ${text}`);
    }
  }
  return 0;
}

interface DumpLine {
  readonly slot: number;
  /** Two hex digits. */
  readonly opcode: string;
  readonly text: string;
  /** The line of C that starts here. */
  readonly source: string | undefined;
}

function dumpLines(spec: CollectionSpec, program: ProgramSpec): DumpLine[] {
  const references = new Map(program.references.map((reference) => [reference.slot, reference]));
  const sources = sourceLines(spec, program);
  return decodeLenient(program.insns).flatMap((insn, slot) => {
    if (insn === undefined) return [];
    const reference = references.get(slot);
    const options: FormatOptions =
      reference === undefined
        ? {}
        : {
            wideLoad: () =>
              reference.kind === 'map'
                ? `map[${reference.map}]`
                : `map[${reference.map}][0]+${reference.offset}`,
          };
    const opcode = opcodeOf(insn).toString(16).padStart(2, '0');
    return [{ slot, opcode, text: formatInsn(insn, options), source: sources.get(slot) }];
  });
}
