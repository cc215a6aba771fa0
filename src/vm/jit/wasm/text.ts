/**
 * A module as text, for people and for pinned tests: the text format's plain instructions, one a line,
 * indented by block, with the names of locals and functions. Branches are shown by relative depth.
 */
import { ByteCursor } from './bytes.ts';
import type { Code } from './code.ts';
import type { ModuleBuilder } from './module.ts';
import { type BulkOp, bulk, NO_RESULT, type OpName, opcodes, opNames, valueTypes } from './opcodes.ts';

interface Names {
  function(index: number): string;
  local(index: number): string;
}

const signature = (words: readonly string[], keyword: string) =>
  words.length === 0 ? '' : ` (${keyword} ${words.join(' ')})`;

function immediate(name: OpName, cursor: ByteCursor, names: Names): string {
  const kind = opcodes[name][1];
  switch (kind) {
    case 'none':
      return '';
    case 'block': {
      const type = cursor.byte();
      return type === NO_RESULT ? '' : ` (result ${type === valueTypes.i32 ? 'i32' : 'i64'})`;
    }
    case 'label':
      return ` ${cursor.u32()}`;
    case 'type': {
      const type = cursor.u32();
      cursor.u32();
      return ` (type ${type})`;
    }
    case 'labels': {
      const labels = Array.from({ length: cursor.u32() + 1 }, () => cursor.u32());
      return ` ${labels.join(' ')}`;
    }
    case 'local':
      return ` $${names.local(cursor.u32())}`;
    case 'function':
      return ` $${names.function(cursor.u32())}`;
    case 'access': {
      cursor.u32();
      const offset = cursor.u32();
      return offset === 0 ? '' : ` offset=${offset}`;
    }
    case 'i32':
    case 'i64':
      return ` ${cursor.i64()}`;
    default:
      for (let i = 0; i < bulk[name as BulkOp].memories; i++) cursor.u32();
      return (kind satisfies 'bulk') && '';
  }
}

const BULK_PREFIX = opcodes['memory.fill'][0];

function bulkName(subcode: number): OpName {
  const names = Object.keys(bulk) as BulkOp[];
  return names.find((name) => bulk[name].subcode === subcode)!;
}

/** What to say above the instruction at an offset of a function's code; nothing of most. */
export type Notes = (code: Code, offset: number) => readonly string[];

function functionText(code: Code, names: Names, notes: Notes | undefined): string[] {
  const { type, locals } = code;
  const params = locals.slice(0, type.params.length).map((local) => ` (param $${local.name} ${local.type})`);
  const lines = [`  (func $${code.name}${params.join('')}${signature(type.results, 'result')}`];
  for (const { name, type: valueType } of locals.slice(type.params.length)) {
    lines.push(`    (local $${name} ${valueType})`);
  }
  const cursor = new ByteCursor(code.instructions());
  let depth = 0;
  while (!cursor.done) {
    for (const note of notes?.(code, cursor.at) ?? []) lines.push(`${' '.repeat(4 + 2 * depth)};; ${note}`);
    const byte = cursor.byte();
    const name = byte === BULK_PREFIX ? bulkName(cursor.u32()) : opNames[byte]!;
    if (name === 'end' || name === 'else') depth--;
    lines.push(`${' '.repeat(4 + 2 * depth)}${name}${immediate(name, cursor, names)}`);
    if (opcodes[name][1] === 'block' || name === 'else') depth++;
  }
  return [...lines, '  )'];
}

/** The whole module. */
export function moduleText(module: ModuleBuilder, notes?: Notes): string {
  const { imports, functions } = module;
  const functionName = (index: number) =>
    imports[index]?.name ?? functions[index - imports.length]?.name ?? String(index);
  const lines = ['(module'];
  if (module.memory !== undefined) {
    const { module: from, name, initial, maximum } = module.memory;
    lines.push(`  (import "${from}" "${name}" (memory ${initial} ${maximum}))`);
  }
  if (module.table !== undefined) {
    lines.push(`  (import "${module.table.module}" "${module.table.name}" (table 0 funcref))`);
  }
  for (const { module: from, name, type } of imports) {
    const sides = `${signature(type.params, 'param')}${signature(type.results, 'result')}`;
    lines.push(`  (import "${from}" "${name}" (func $${name}${sides}))`);
  }
  for (const code of functions) {
    const local = (index: number) => code.locals[index]?.name ?? String(index);
    lines.push(...functionText(code, { function: functionName, local }, notes));
  }
  for (const { name, ref } of module.exports) lines.push(`  (export "${name}" (func $${ref.name}))`);
  return `${[...lines, ')'].join('\n')}\n`;
}
