import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { SkepError } from '../base/errors.ts';
import { readElf, readElfSections, sectionTypes, symbolTypes } from './index.ts';

const folder = fileURLToPath(new URL('../../fixtures/objects/', import.meta.url));
const programs = readFileSync(`${folder}programs.bpf.o`);

/** A copy of the programs fixture with bytes changed: [offset, little-endian value, bytes]. */
function changed(...edits: [offset: number, value: number, size: 1 | 2 | 4][]): Uint8Array {
  const bytes = Uint8Array.from(programs);
  const view = new DataView(bytes.buffer);
  for (const [offset, value, size] of edits) {
    if (size === 1) view.setUint8(offset, value);
    else if (size === 2) view.setUint16(offset, value, true);
    else view.setUint32(offset, value, true);
  }
  return bytes;
}

const sectionTable = Number(new DataView(programs.buffer, programs.byteOffset).getBigUint64(40, true));
/** Where section header `index` is. */
const header = (index: number): number => sectionTable + 64 * index;
const indexOf = (name: string): number => readElf(programs).section(name)!.index;

test('sections, symbols and relocations of an object', () => {
  const elf = readElf(programs);
  const xdp = elf.section('xdp')!;
  assert.equal(xdp.type, sectionTypes.progbits);
  assert.equal(xdp.data.length, xdp.size);
  const first = elf.symbols.find(({ name }) => name === 'first')!;
  assert.deepEqual(
    { section: first.section, value: first.value, type: first.type },
    { section: xdp.index, value: 0, type: symbolTypes.func },
  );
  assert.deepEqual(
    elf.relocations(xdp).map(({ offset, symbol }) => [offset, symbol.name]),
    [
      [40, 'counters'],
      [88, 'thrice'],
      [176, ''],
    ],
  );
  assert.deepEqual(elf.relocations(elf.section('license')!), []);
  assert.equal(elf.section('.no'), undefined);
});

describe('a file that is no object for BPF is refused in one line', () => {
  const cases: { name: string; input: Uint8Array; want: RegExp }[] = [
    { name: 'empty', input: new Uint8Array(), want: /not an ELF file/ },
    { name: 'text', input: new TextEncoder().encode('int main() {}'), want: /not an ELF file/ },
    { name: 'magic only', input: programs.subarray(0, 20), want: /cut short/ },
    { name: '32-bit', input: changed([4, 1, 1]), want: /not a 64-bit ELF/ },
    { name: 'big-endian', input: readFileSync(`${folder}programs.bpfeb.o`), want: /big-endian/ },
    { name: 'another encoding', input: changed([5, 9, 1]), want: /encoding 9/ },
    { name: 'x86-64', input: changed([18, 62, 2]), want: /for x86-64, not for BPF/ },
    { name: 'an unknown machine', input: changed([18, 999, 2]), want: /machine 999/ },
    { name: 'an executable', input: changed([16, 2, 2]), want: /an executable, not a relocatable object/ },
    { name: 'no sections', input: changed([40, 0, 4]), want: /no section headers/ },
    { name: 'odd headers', input: changed([58, 40, 2]), want: /section headers of 40 bytes/ },
    {
      name: 'headers beyond the end',
      input: changed([60, 0xfff0, 2]),
      want: /65520 section headers .* beyond/,
    },
    { name: 'no names', input: changed([62, 0, 2]), want: /no table of section names/ },
    { name: 'cut in the middle', input: programs.subarray(0, 900), want: /cut short|reach beyond/ },
    {
      name: 'a section beyond the end',
      input: changed([header(indexOf('xdp')) + 24, 0x7fffffff, 4]),
      want: /section \d+: \d+ bytes at offset 2147483647 reach beyond/,
    },
    {
      name: 'overlapping sections',
      input: changed([header(indexOf('license')) + 24, readAt(header(indexOf('xdp')) + 24), 4]),
      want: /sections \d+ '(xdp|license)' and \d+ '(xdp|license)' overlap/,
    },
    {
      name: 'a symbol table of odd size',
      input: changed([header(indexOf('.symtab')) + 32, 25, 4]),
      want: /25 bytes are not a number of 24-byte symbols/,
    },
    {
      name: 'relocations of a section that is not there',
      input: changed([header(indexOf('.relxdp')) + 44, 500, 4]),
      want: /'.relxdp' relocates section 500/,
    },
  ];
  for (const { name, input, want } of cases) {
    test(name, () => {
      assert.throws(
        () => readElf(input),
        (error) => error instanceof SkepError && want.test(error.line),
      );
    });
  }

  function readAt(offset: number): number {
    return new DataView(programs.buffer, programs.byteOffset).getUint32(offset, true);
  }
});

test('the sections of other ELF files: of the other byte order, and for other machines', () => {
  const bigEndian = readFileSync(`${folder}programs.bpfeb.o`);
  assert.throws(() => readElf(bigEndian), /a big-endian object/);
  const names = (bytes: Uint8Array): string[] => readElfSections(bytes).map(({ name }) => name);
  assert.deepEqual(names(bigEndian), names(programs));
  const other = changed([18, 62, 2]);
  assert.throws(() => readElf(other), /an object for x86-64/);
  assert.deepEqual(names(other), names(programs));
});

test('control characters of a name do not reach the terminal', () => {
  const names = readElf(programs).sections.find(({ name }) => name === '.strtab')!;
  const at = new TextDecoder('latin1').decode(names.data).indexOf('.symtab');
  const elf = changed(
    [names.data.byteOffset - programs.byteOffset + at + 1, 0x1b, 1],
    [names.data.byteOffset - programs.byteOffset + at + 2, 0x0a, 1],
    [header(indexOf('.symtab')) + 40, 9999, 4],
  );
  assert.throws(
    () => readElf(elf),
    (error) => error instanceof SkepError && /^section '\.\\x1b\\x0amtab': /.test(error.line),
  );
});

test('a relocation against a symbol that is not there is refused when it is asked for', () => {
  const relocations = readElf(programs).section('.relxdp')!;
  const elf = readElf(changed([relocations.data.byteOffset - programs.byteOffset + 12, 9999, 4]));
  assert.throws(() => elf.relocations(elf.section('xdp')!), /relocation 0 names symbol 9999/);
});

test('fuzz: readElf with its relocations', () => {
  fuzzReader(
    (bytes) => {
      const elf = readElf(bytes);
      for (const section of elf.sections) elf.relocations(section);
    },
    [programs, readFileSync(`${folder}maps.bpf.o`)],
  );
});

interface ReadelfView {
  Sections: {
    Section: { Name: { Name: string }; Size: number; Type: { Value: number }; Info: number; Link: number };
  }[];
  Symbols: { Symbol: { Name: { Name: string }; Value: number; Size: number; Type: { Value: number } } }[];
}

const readelf = ['llvm-readelf-19', 'llvm-readelf'].find(
  (tool) => spawnSync(tool, ['--version']).status === 0,
);

test('sections and symbols as llvm-readelf lists them', {
  skip: readelf === undefined && 'no llvm-readelf',
}, () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.bpf.o'))) {
    const json = execFileSync(readelf!, ['--elf-output-style=JSON', '-S', '-s', folder + file], {
      encoding: 'utf8',
    });
    const [view] = JSON.parse(json) as [ReadelfView];
    const elf = readElf(readFileSync(folder + file));
    assert.deepEqual(
      elf.sections.map(({ name, size, type, info, link }) => [name, size, type, info, link]),
      view.Sections.map(({ Section: s }) => [s.Name.Name, s.Size, s.Type.Value, s.Info, s.Link]),
      file,
    );
    // It shows a section's symbol by the section's name.
    assert.deepEqual(
      elf.symbols
        .filter(({ type }) => type !== symbolTypes.section)
        .map((s) => [s.name, s.value, s.size, s.type]),
      view.Symbols.map(({ Symbol: s }) => [s.Name.Name, s.Value, s.Size, s.Type.Value]).filter(
        ([, , , type]) => type !== symbolTypes.section,
      ),
      file,
    );
  }
});
