/** Functions of executables: of one that is made here, of those of this machine beside nm, and of bad ones. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { SkepError } from '../base/errors.ts';
import { type ExecutableFunction, executableFunctions } from './index.ts';

interface Symbol {
  readonly name: string;
  readonly value: number;
  readonly type?: number;
  readonly local?: boolean;
  readonly section?: number;
}

const TEXT = { address: 0x401000, offset: 64, size: 64 };

/** An executable of sections null, .text, .symtab, .strtab and .dynsym, in that order. */
function executable(symbols: readonly Symbol[], dynamic: readonly Symbol[] = []): Uint8Array {
  const places = new Map<string, number>();
  let at = 1;
  for (const name of new Set([...symbols, ...dynamic].map((symbol) => symbol.name))) {
    places.set(name, at);
    at += name.length + 1;
  }
  const names = new TextEncoder().encode(`\0${[...places.keys()].map((name) => `${name}\0`).join('')}`);
  const table = (list: readonly Symbol[]): Uint8Array => {
    const bytes = new Uint8Array(24 * (list.length + 1));
    const view = new DataView(bytes.buffer);
    for (const [i, { name, value, type = 2, local = false, section = 1 }] of list.entries()) {
      const start = 24 * (i + 1);
      view.setUint32(start, places.get(name)!, true);
      view.setUint8(start + 4, type | ((local ? 0 : 1) << 4));
      view.setUint16(start + 6, section, true);
      view.setBigUint64(start + 8, BigInt(value), true);
    }
    return bytes;
  };
  const [symtab, dynsym] = [table(symbols), table(dynamic)];
  const sections = [
    { type: 0, address: 0, offset: 0, size: 0, link: 0 },
    { type: 1, ...TEXT, link: 0 },
    { type: 2, address: 0, offset: 128, size: symtab.length, link: 3 },
    { type: 3, address: 0, offset: 128 + symtab.length, size: names.length, link: 0 },
    { type: 11, address: 0, offset: 128 + symtab.length + names.length, size: dynsym.length, link: 3 },
  ];
  const headers = 128 + symtab.length + names.length + dynsym.length;
  const file = new Uint8Array(headers + 64 * sections.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.set(symtab, 128);
  file.set(names, 128 + symtab.length);
  file.set(dynsym, 128 + symtab.length + names.length);
  const view = new DataView(file.buffer);
  view.setUint16(16, 2, true);
  view.setBigUint64(40, BigInt(headers), true);
  view.setUint16(58, 64, true);
  view.setUint16(60, sections.length, true);
  for (const [i, section] of sections.entries()) {
    const start = headers + 64 * i;
    view.setUint32(start + 4, section.type, true);
    view.setBigUint64(start + 16, BigInt(section.address), true);
    view.setBigUint64(start + 24, BigInt(section.offset), true);
    view.setBigUint64(start + 32, BigInt(section.size), true);
    view.setUint32(start + 40, section.link, true);
  }
  return file;
}

const all = (): boolean => true;
const sample = executable(
  [
    { name: 'main', value: 0x401010 },
    { name: 'helper', value: 0x401020, local: true },
    { name: 'helper', value: 0x401030, local: true },
    { name: 'counter', value: 0x401038, type: 1 },
    { name: 'elsewhere', value: 0, section: 0 },
    { name: 'absolute', value: 1, section: 0xfff1 },
  ],
  [
    { name: 'main', value: 0x401010 },
    { name: 'exported', value: 0x401000 },
  ],
);

describe('functions and where they are in the file', () => {
  const cases: { name: string; wanted: (name: string) => boolean; want: ExecutableFunction[] }[] = [
    {
      name: 'all, of both tables, each once',
      wanted: all,
      want: [
        { name: 'exported', offset: 64n, global: true },
        { name: 'main', offset: 80n, global: true },
        { name: 'helper', offset: 96n, global: false },
        { name: 'helper', offset: 112n, global: false },
      ],
    },
    { name: 'one', wanted: (n) => n === 'main', want: [{ name: 'main', offset: 80n, global: true }] },
    { name: 'none', wanted: () => false, want: [] },
  ];
  for (const { name, wanted, want } of cases) {
    test(name, () => assert.deepEqual(executableFunctions(sample, wanted), want));
  }
});

describe('what is no executable', () => {
  const changed = (change: (view: DataView) => void): Uint8Array => {
    const bytes = sample.slice();
    change(new DataView(bytes.buffer));
    return bytes;
  };
  const cases = [
    { name: 'nothing', bytes: new Uint8Array(), want: /it is no ELF file/ },
    { name: 'a text', bytes: new TextEncoder().encode('x'.repeat(100)), want: /it is no ELF file/ },
    {
      name: '32 bits',
      bytes: changed((v) => v.setUint8(4, 1)),
      want: /no little-endian ELF file of 64 bits/,
    },
    {
      name: 'a relocatable object',
      bytes: changed((v) => v.setUint16(16, 1, true)),
      want: /neither an exec/,
    },
    { name: 'too many sections', bytes: changed((v) => v.setUint16(60, 9999, true)), want: /do not fit/ },
    { name: 'cut short', bytes: sample.subarray(0, 200), want: /do not fit|cut short/ },
  ];
  for (const { name, bytes, want } of cases) {
    test(name, () => {
      assert.throws(
        () => executableFunctions(bytes, all),
        (error) => error instanceof SkepError && want.test(error.line),
      );
    });
  }

  test('names that overlap are not read for ever', () => {
    const name = 'n'.repeat(4000);
    const bytes = executable(Array.from({ length: 1000 }, () => ({ name, value: 0x401000 })));
    assert.throws(() => executableFunctions(bytes, all), /the names of its symbols overlap/);
  });
});

test('fuzz: executableFunctions', () => {
  fuzzReader((bytes) => executableFunctions(bytes, all), [sample]);
});

const library = ['/lib/x86_64-linux-gnu/libc.so.6', '/lib/aarch64-linux-gnu/libc.so.6'].find(existsSync);
const nm =
  library === undefined
    ? undefined
    : spawnSync('nm', ['-D', '--defined-only', library], { encoding: 'utf8', maxBuffer: 1 << 26 });

test('the functions of the C library are those of nm', {
  skip: library === undefined ? 'no C library of Debian' : nm?.status !== 0 && 'no nm',
}, () => {
  const theirs = new Set<string>();
  for (const line of nm?.stdout.split('\n') ?? []) {
    const [, name] = /^[0-9a-f]+ [TW] ([^@]+)/.exec(line) ?? [];
    if (name !== undefined) theirs.add(name);
  }
  const ours = new Set(executableFunctions(readFileSync(library!), all).map(({ name }) => name));
  assert.ok(theirs.size > 1000);
  // nm shows the indirect ones, which the loader chooses (STT_GNU_IFUNC), by another letter.
  assert.deepEqual(
    [...theirs].filter((name) => !ours.has(name)),
    [],
  );
});
