/** BTF as libbpf reads, writes and dedups it, by a small program over it (fixtures/libbpf/types.c). */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { readElf } from '../elf/index.ts';
import { type Btf, BtfBuilder, type BtfType, dedupBtf, dumpRaw, readBtf, writeBtf } from './index.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const vmlinux = '/sys/kernel/btf/vmlinux';
const folder = mkdtempSync(join(tmpdir(), 'skep-btf-libbpf-'));
after(() => {
  rmSync(folder, { recursive: true });
});
const program = join(folder, 'types');

function whyNot(): string | false {
  const compiler = ['cc', 'gcc', 'clang-19'].find((tool) => spawnSync(tool, ['--version']).status === 0);
  if (compiler === undefined) return 'no C compiler';
  const { status } = spawnSync(compiler, [
    `${fixtures}libbpf/types.c`,
    '-o',
    program,
    '-lbpf',
    '-lelf',
    '-lz',
  ]);
  return status !== 0 && 'no libbpf-dev';
}
const skip = whyNot();

function libbpf(...args: string[]): Uint8Array {
  return new Uint8Array(execFileSync(program, args, { maxBuffer: 1 << 28 }));
}

/** The raw BTF of every object of the fixtures, as files. */
function rawFiles(): string[] {
  return readdirSync(`${fixtures}objects`)
    .filter((name) => name.endsWith('.bpf.o'))
    .flatMap((name) => {
      const types = readElf(readFileSync(`${fixtures}objects/${name}`)).section('.BTF')?.data;
      if (types === undefined) return [];
      writeFileSync(join(folder, name), types);
      return [join(folder, name)];
    });
}
const files = rawFiles();
const text = (btf: Btf): string => [...dumpRaw(btf)].join('\n');

describe('dedup leaves what libbpf leaves', { skip }, () => {
  const sets: [string, string[]][] = [
    ['every object', files],
    ['every object, the other way round', [...files].reverse()],
    ...files.map((file): [string, string[]] => [`${file.slice(folder.length + 1)}, twice`, [file, file]]),
  ];
  // Half a minute for a quarter of a million types.
  if (existsSync(vmlinux) && process.env['BTF_FULL'] !== undefined)
    sets.push(['the kernel, twice', [vmlinux, vmlinux]]);
  for (const [name, inputs] of sets) {
    test(name, () => {
      const joined = readBtf(libbpf('join', ...inputs));
      const want = readBtf(libbpf('dedup', ...inputs));
      const { builder, ids } = dedupBtf(joined);
      const got = readBtf(builder.build());
      assert.equal(got.typeCount, want.typeCount);
      assert.ok(text(got) === text(want), 'the same types in the same order');
      for (let id = 0; id < joined.typeCount; id++) {
        const [before, now] = [joined.type(id), got.type(ids[id]!)];
        assert.ok(before.kind === now.kind || before.kind === 'fwd', `type ${id}`);
        assert.equal(before.name, now.name);
      }
    });
  }
});

describe('dedup of split BTF leaves what its base has not, as libbpf', { skip }, () => {
  const compare = (base: string, file: string): Btf => {
    const below = readBtf(readFileSync(base));
    const joined = readBtf(libbpf('above', base, file), { base: below });
    const want = readBtf(libbpf('apart', base, file), { base: below });
    const { builder, ids } = dedupBtf(joined);
    const got = readBtf(builder.build(), { base: below });
    assert.equal(text(got), text(want), `${file} on ${base}`);
    for (let id = 0; id < joined.typeCount; id++) assert.equal(joined.type(id).name, got.type(ids[id]!).name);
    return got;
  };

  test('objects on others', () => {
    const pairs = files.flatMap((base, i) =>
      [0, 1, 2].map((step) => [base, files[(i + step) % files.length]!]),
    );
    for (const [objects, file] of pairs as [string, string][]) {
      // A kernel's types are there once each.
      const base = `${objects}.once`;
      writeFileSync(base, libbpf('dedup', objects));
      compare(base, file);
    }
  });

  /** A struct with a pointer to another, which is declared, or defined. */
  const holder = (isDefined: boolean): string => {
    const builder = new BtfBuilder();
    const int = { kind: 'int', name: 'int', size: 4, signed: true, char: false, bool: false } as const;
    const number = builder.add({ ...int, bitOffset: 0, bits: 32 });
    const held = builder.add(
      isDefined
        ? {
            kind: 'struct',
            name: 'held',
            size: 4,
            members: [{ name: 'a', type: number, bitOffset: 0, bitSize: 0 }],
          }
        : { kind: 'fwd', name: 'held', of: 'struct' },
    );
    const pointer = builder.add({ kind: 'ptr', name: '', type: held });
    const member = { name: 'to', type: pointer, bitOffset: 0, bitSize: 0 };
    builder.add({ kind: 'struct', name: 'holder', size: 8, members: [member] });
    const file = join(folder, isDefined ? 'defined' : 'declared');
    writeFileSync(file, builder.build());
    return file;
  };

  test('what the base declares and what it defines', () => {
    const [declared, defined] = [holder(false), holder(true)];
    assert.ok(compare(declared, defined).typeCount > 5, 'the base learns nothing');
    assert.equal(compare(defined, declared).typeCount, 5, 'all of it is there');
  });
});

test('the other byte order', { skip }, () => {
  for (const file of files) {
    const raw = readFileSync(file);
    const swapped = libbpf('swap', file);
    assert.deepEqual(writeBtf(readBtf(raw), 'big'), swapped, file);
    assert.equal(text(readBtf(swapped)), text(readBtf(raw)));
  }
});

test('split BTF', { skip }, () => {
  for (const file of files) {
    const base = readBtf(readFileSync(file));
    if (base.find('int', 'int') === undefined) continue;
    const raw = libbpf('split', file);
    const split = readBtf(raw, { base });
    const first = base.typeCount;
    assert.deepEqual(split.findAll('module_state'), [first + 1]);
    assert.deepEqual(split.findAll('module_state_t'), [first + 2]);
    assert.deepEqual(split.type(first), { kind: 'ptr', name: '', type: base.find('int', 'int') });
    assert.deepEqual(writeBtf(split), raw);
    const builder = new BtfBuilder(base, 'split');
    for (let id = first; id < split.typeCount; id++) builder.add(split.type(id));
    assert.deepEqual(text(readBtf(builder.build(), { base })), text(split));
  }
});

test('an enum that is declared is the one that is defined, and a struct', () => {
  const builder = new BtfBuilder();
  builder.add({
    kind: 'int',
    name: 'int',
    size: 4,
    signed: true,
    char: false,
    bool: false,
    bitOffset: 0,
    bits: 32,
  });
  builder.add({ kind: 'enum', name: 'color', size: 4, signed: false, values: [] });
  builder.add({ kind: 'enum', name: 'color', size: 4, signed: false, values: [{ name: 'RED', value: 0n }] });
  builder.add({ kind: 'fwd', name: 'node', of: 'struct' });
  const struct = (name: string, type: number): BtfType => ({
    kind: 'struct',
    name,
    size: 8,
    members: [{ name: 'first', type, bitOffset: 0, bitSize: 0 }],
  });
  builder.add({ kind: 'ptr', name: '', type: 4 });
  builder.add(struct('list', 5));
  // What another unit has, which knows the struct.
  builder.add(struct('node', 1));
  builder.add({ kind: 'ptr', name: '', type: 7 });
  builder.add(struct('list', 8));
  const { builder: left, ids } = dedupBtf(readBtf(builder.build()));
  const got = readBtf(left.build());
  assert.equal(got.typeCount, 6, 'void, int, color, node, a pointer and list');
  for (const [one, other] of [
    [2, 3],
    [4, 7],
    [5, 8],
    [6, 9],
  ] as const)
    assert.equal(ids[one], ids[other]);
});

test('structs that differ in what is behind a pointer stay apart', () => {
  const builder = new BtfBuilder();
  builder.add({
    kind: 'int',
    name: 'int',
    size: 4,
    signed: true,
    char: false,
    bool: false,
    bitOffset: 0,
    bits: 32,
  });
  builder.add({ kind: 'float', name: 'float', size: 4 });
  for (const inner of [1, 2]) {
    const members = (type: number) => [{ name: 'x', type, bitOffset: 0, bitSize: 0 }];
    const id = builder.add({ kind: 'struct', name: 'node', size: 4, members: members(inner) });
    const pointer = builder.add({ kind: 'ptr', name: '', type: id });
    builder.add({ kind: 'struct', name: 'list', size: 8, members: members(pointer) });
  }
  assert.equal(readBtf(dedupBtf(readBtf(builder.build())).builder.build()).typeCount, 9);
});

test('fuzz: dedup', () => {
  const raw = readFileSync(files[0] as string);
  fuzzReader(
    (bytes) => {
      const { builder } = dedupBtf(readBtf(bytes));
      readBtf(builder.build());
    },
    [Uint8Array.from(raw)],
  );
});
