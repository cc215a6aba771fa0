/** Objects as LLVM's tools read them: sections and symbols, and which line of C each instruction is of. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readBtf } from '../btf/index.ts';
import { readElf, symbolTypes } from '../elf/index.ts';
import { openObject } from './index.ts';
import { listProgram } from './listing.ts';

/** A field of LLVM's JSON: a number, or a name with one. */
type Field = number & { readonly Name: string; readonly Value: number };
type Shown = Readonly<Record<string, Field>>;

const folder = fileURLToPath(new URL('../../fixtures/objects/', import.meta.url));
const objects = ['programs', 'globals', 'maps', 'types', 'arena', 'core', 'legacy'];

const has = (tool: string): boolean => spawnSync(tool, ['--version']).status === 0;
const run = (tool: string, args: readonly string[]): string => {
  const { status, stdout, stderr } = spawnSync(tool, args, { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
};

describe('as llvm-readelf', { skip: !has('llvm-readelf-19') && 'no llvm-readelf-19' }, () => {
  for (const name of objects) {
    test(name, () => {
      const file = `${name}.bpf.o`;
      const elf = readElf(readFileSync(`${folder}${file}`));
      const [theirs] = JSON.parse(
        run('llvm-readelf-19', ['--elf-output-style=JSON', '-S', '-s', '-r', file]),
      );
      const sections = theirs.Sections.map(({ Section: each }: { Section: Shown }) => [
        each['Name']?.Name,
        each['Type']?.Value,
        each['Size'],
        each['Flags']?.Value,
        each['AddressAlignment'],
      ]);
      assert.deepEqual(
        elf.sections.map(({ name, type, size, flags, align }) => [name, type, size, flags, align]),
        sections,
      );
      const symbols = theirs.Symbols.map(({ Symbol: each }: { Symbol: Shown }) => [
        each['Name']?.Name,
        each['Value'],
        each['Size'],
        each['Binding']?.Value,
        each['Type']?.Value,
        each['Section']?.Value,
      ]);
      assert.deepEqual(
        elf.symbols.map(({ name, value, size, binding, type, section, index }) => [
          // LLVM names a section's symbol after it.
          type === symbolTypes.section ? elf.sections[section]!.name : index === 0 ? '' : name,
          value,
          size,
          binding,
          type,
          section,
        ]),
        symbols,
      );
    });
  }
});

/** Lines of C by slot of a section, where `llvm-objdump -l` says that another begins. */
function objdumpLines(text: string): Map<string, Map<number, number>> {
  const sections = new Map<string, Map<number, number>>();
  let current = new Map<number, number>();
  let line: number | undefined;
  for (const each of text.split('\n')) {
    const [, section] = /^Disassembly of section (.*):$/.exec(each) ?? [];
    const [, at] = /^; \S+\.c:(\d+)$/.exec(each) ?? [];
    const [, slot] = /^ +(\d+):/.exec(each) ?? [];
    if (section !== undefined) sections.set(section, (current = new Map()));
    else if (at !== undefined) line = Number(at);
    else if (slot !== undefined) {
      if (line !== undefined) current.set(Number(slot), line);
      line = undefined;
    }
  }
  return sections;
}

describe('as llvm-objdump -d -l', { skip: !has('llvm-objdump-19') && 'no llvm-objdump-19' }, () => {
  for (const name of objects) {
    test(name, () => {
      const file = `${name}.bpf.o`;
      const bytes = readFileSync(`${folder}${file}`);
      const theirs = objdumpLines(run('llvm-objdump-19', ['-d', '-l', '--no-show-raw-insn', file]));
      const spec = openObject(bytes);
      const elf = readElf(bytes);
      let compared = 0;
      for (const program of Object.values(spec.programs)) {
        // Of its own function; subprograms stand in other places of the object.
        const section = elf.section(program.section) ?? elf.section(`?${program.section}`)!;
        const symbol = elf.symbolsIn(section).find((each) => each.name === program.name)!;
        const { insns, funcInfo, lineInfo } = program;
        const btf = spec.btf === undefined ? undefined : readBtf(spec.btf);
        const listed = listProgram({ insns, btf, funcInfo, lineInfo });
        for (const { slot, source } of listed.slice(0, symbol.size / 8)) {
          if (slot * 8 >= symbol.size) break;
          const line = theirs.get(section.name)?.get(symbol.value / 8 + slot);
          // Before a function's first statement, BTF names its declaration and DWARF its brace.
          if (slot === 0 || line === undefined || source === undefined) continue;
          assert.equal(source.line, line, `${program.name}, slot ${slot}: ${source.text}`);
          compared++;
        }
      }
      assert.ok(compared > 0);
    });
  }
});
