/** Writing BTF: what clang and pahole wrote comes back byte for byte, and what is built is read. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SkepError } from '../base/errors.ts';
import { readElf } from '../elf/index.ts';
import { BtfBuilder, type BtfType, readBtf, readBtfExt, writeBtf, writeBtfExt } from './index.ts';

const objects = fileURLToPath(new URL('../../fixtures/objects/', import.meta.url));

test("clang's BTF, byte for byte", () => {
  let count = 0;
  for (const file of readdirSync(objects).filter((name) => name.endsWith('.bpf.o'))) {
    const raw = readElf(readFileSync(`${objects}${file}`)).section('.BTF')?.data;
    if (raw === undefined) continue;
    assert.deepEqual(writeBtf(readBtf(raw)), Uint8Array.from(raw), file);
    count++;
  }
  assert.ok(count > 8);
});

const vmlinux = '/sys/kernel/btf/vmlinux';

test("the running kernel's BTF, byte for byte", {
  skip: !existsSync(vmlinux) && 'the kernel has no BTF',
}, () => {
  const raw = readFileSync(vmlinux);
  assert.ok(Buffer.from(writeBtf(readBtf(raw))).equals(raw));
});

const all: readonly BtfType[] = [
  { kind: 'int', name: 'int', size: 4, signed: true, char: false, bool: false, bitOffset: 0, bits: 32 },
  { kind: 'ptr', name: '', type: 1 },
  { kind: 'array', name: '', type: 1, indexType: 1, length: 7 },
  {
    kind: 'struct',
    name: 'pair',
    size: 8,
    members: [
      { name: 'low', type: 1, bitOffset: 0, bitSize: 3 },
      { name: 'high', type: 1, bitOffset: 32, bitSize: 0 },
    ],
  },
  { kind: 'union', name: '', size: 4, members: [{ name: 'x', type: 1, bitOffset: 0, bitSize: 0 }] },
  { kind: 'enum', name: 'e', size: 4, signed: true, values: [{ name: 'MINUS', value: -1n }] },
  { kind: 'fwd', name: 'later', of: 'union' },
  { kind: 'typedef', name: 'number', type: 1 },
  { kind: 'volatile', name: '', type: 1 },
  { kind: 'const', name: '', type: 0 },
  { kind: 'restrict', name: '', type: 2 },
  {
    kind: 'funcProto',
    name: '',
    type: 1,
    parameters: [
      { name: 'a', type: 1 },
      { name: '', type: 0 },
    ],
  },
  { kind: 'func', name: 'f', type: 12, linkage: 2 },
  { kind: 'var', name: 'v', type: 1, linkage: 1 },
  { kind: 'datasec', name: '.data', size: 4, variables: [{ type: 14, offset: 0, size: 4 }] },
  { kind: 'float', name: 'double', size: 8 },
  { kind: 'declTag', name: 'tag', type: 4, component: -1 },
  { kind: 'typeTag', name: 'address_space(1)', type: 1, attribute: true },
  { kind: 'enum64', name: 'wide', size: 8, signed: false, values: [{ name: 'TOP', value: 2n ** 64n - 1n }] },
];

test('every kind is read as it was built', () => {
  const builder = new BtfBuilder();
  assert.deepEqual(
    all.map((type) => builder.add(type)),
    all.map((_, i) => i + 1),
  );
  const btf = readBtf(builder.build());
  assert.deepEqual(
    all.map((_, i) => btf.type(i + 1)),
    all,
  );
});

test('types are added behind those that there are', () => {
  const base = new BtfBuilder();
  base.add(all[0]!);
  const builder = new BtfBuilder(readBtf(base.build()));
  assert.equal(builder.string('int'), 1);
  assert.equal(builder.add({ kind: 'typedef', name: 'number', type: 1 }), 2);
  const btf = readBtf(builder.build());
  assert.deepEqual([btf.type(1), btf.find('number')], [all[0], 2]);
});

test('the other byte order, read and written', () => {
  const [little, big] = ['programs.bpf.o', 'programs.bpfeb.o'].map((file) =>
    readFileSync(`${objects}${file}`),
  );
  const section = (name: string) => Uint8Array.from(readElf(little!).section(name)!.data);
  const [types, ext] = [section('.BTF'), section('.BTF.ext')];
  // clang's own: the file is searched for it, as big-endian ELF is not read.
  const swapped = writeBtf(readBtf(types), 'big');
  const at = big!.indexOf(swapped.subarray(0, 24));
  assert.ok(at > 0, 'clang writes the same header');
  const clangs = readBtf(big!.subarray(at, at + swapped.length));
  assert.equal(clangs.byteOrder, 'big');
  assert.deepEqual(readBtf(swapped).bytes, Uint8Array.from(types));
  for (let id = 1; id < clangs.typeCount; id++) assert.deepEqual(clangs.type(id), readBtf(types).type(id));
  assert.deepEqual(writeBtf(clangs, 'big'), Uint8Array.from(big!.subarray(at, at + swapped.length)));
  assert.deepEqual(readBtfExt(writeBtfExt(readBtfExt(ext), 'big')), readBtfExt(ext));
});

test("clang's BTF.ext, byte for byte", () => {
  for (const name of ['programs', 'core', 'relocations', 'externs']) {
    const raw = readElf(readFileSync(`${objects}${name}.bpf.o`)).section('.BTF.ext')!.data;
    assert.deepEqual(writeBtfExt(readBtfExt(raw)), Uint8Array.from(raw), name);
  }
});

test('split BTF goes on where its base ends', () => {
  const base = new BtfBuilder();
  for (const type of all) base.add(type);
  const below = readBtf(base.build());
  const builder = new BtfBuilder(below, 'split');
  const first = below.typeCount;
  const added: BtfType[] = [
    { kind: 'ptr', name: '', type: 4 },
    {
      kind: 'struct',
      name: 'module',
      size: 8,
      members: [{ name: 'low', type: first, bitOffset: 0, bitSize: 0 }],
    },
    { kind: 'typedef', name: 'number', type: first + 1 },
  ];
  assert.deepEqual(
    added.map((type) => builder.add(type)),
    [first, first + 1, first + 2],
  );
  const raw = builder.build();
  assert.throws(() => readBtf(raw), SkepError, 'without its base');
  const split = readBtf(raw, { base: below });
  assert.deepEqual(
    [...all, ...added],
    [...all, ...added].map((_, i) => split.type(i + 1)),
  );
  assert.deepEqual(split.findAll('number'), [8, first + 2]);
  assert.deepEqual(split.findAll('module'), [first + 1]);
  assert.deepEqual(split.idsOf('typedef'), [8, first + 2]);
  assert.equal(split.kind(3), 'array');
  assert.deepEqual(writeBtf(split), raw);
  assert.deepEqual(readBtf(writeBtf(split, 'big'), { base: below }).bytes, raw);
  const third = new BtfBuilder(split, 'split');
  third.add({ kind: 'const', name: '', type: first + 1 });
  third.add({ kind: 'typedef', name: 'module', type: first + 3 });
  const above = readBtf(third.build(), { base: split });
  assert.deepEqual(above.findAll('module'), [first + 1, first + 4]);
});

test('what BTF cannot say is refused', () => {
  const builder = new BtfBuilder();
  const values = Array.from({ length: 65536 }, (_, i) => ({ name: `V${i}`, value: BigInt(i) }));
  const refused: [BtfType, RegExp][] = [
    [{ kind: 'enum', name: 'many', size: 4, signed: false, values }, /enum 'many' has 65536 elements/],
    [{ kind: 'fwd', name: 'a\0b', of: 'struct' }, /a name with a NUL/],
    [{ kind: 'void', name: '' }, /void is no type of its own/],
  ];
  for (const [type, want] of refused) {
    assert.throws(
      () => builder.add(type),
      (error) => error instanceof SkepError && want.test(error.line),
    );
  }
});
