/** BTF as text: equal to bpftool's, and C that compiles to the same layouts. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { SkepError } from '../base/errors.ts';
import { readElf } from '../elf/index.ts';
import { type Btf, BtfBuilder, type BtfType, dumpC, dumpRaw, readBtf } from './index.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const vmlinux = '/sys/kernel/btf/vmlinux';
const files = [
  `${fixtures}kernels/small.o`,
  ...readdirSync(`${fixtures}objects`)
    .filter((name) => name.endsWith('.bpf.o') && !name.includes('nobtf'))
    .map((name) => `${fixtures}objects/${name}`),
  ...(existsSync(vmlinux) ? [vmlinux] : []),
];
const folder = mkdtempSync(join(tmpdir(), 'skep-btf-'));
after(() => {
  rmSync(folder, { recursive: true });
});

function open(file: string): Btf {
  const bytes = readFileSync(file);
  return readBtf(bytes[0] === 0x7f ? readElf(bytes).section('.BTF')!.data : bytes);
}

describe('as bpftool lists types', {
  skip: spawnSync('bpftool', ['version']).status !== 0 && 'no bpftool',
}, () => {
  for (const file of files) {
    test(file.slice(file.lastIndexOf('/') + 1), () => {
      const args = ['btf', 'dump', 'file', file, 'format', 'raw'];
      const theirs = execFileSync('bpftool', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
      const ours = `${[...dumpRaw(open(file))].join('\n')}\n`;
      // Not assert.equal: its report of a difference in many lines takes minutes.
      const lines = theirs.split('\n');
      const different = ours.split('\n').findIndex((line, i) => line !== lines[i]);
      assert.equal(different, -1, `line ${different}: ${lines[different]}`);
      assert.equal(ours.length, theirs.length);
    });
  }
});

/** Structs by name, but for those that several types are called. */
function namedStructs(btf: Btf): number[] {
  const kinds = ['struct', 'union'];
  return Array.from({ length: btf.typeCount - 1 }, (_, i) => i + 1).filter((id) => {
    const { kind, name } = btf.type(id);
    const namesakes = btf.findAll(name).filter((each) => btf.kind(each) !== 'typedef');
    return kinds.includes(kind) && name !== '' && namesakes[0] === id;
  });
}

/** C that says the size of every struct and the place of every member. */
function assertions(btf: Btf): string[] {
  return namedStructs(btf).flatMap((id) => {
    const type = btf.type(id);
    if (type.kind !== 'struct' && type.kind !== 'union') return [];
    const named = `${type.kind} ${type.name}`;
    return [
      `_Static_assert(sizeof(${named}) == ${type.size}, "size of ${named}");`,
      ...type.members
        .filter(({ name, bitSize }) => name !== '' && bitSize === 0)
        .map(({ name, bitOffset }) => {
          const what = `${named}.${name}`;
          return `_Static_assert(__builtin_offsetof(${named}, ${name}) == ${bitOffset / 8}, "${what}");`;
        }),
    ];
  });
}

/** Where the members of a struct are, those of anonymous ones among them. */
function places(btf: Btf, id: number, start = 0): string[] {
  const type = btf.type(id);
  if (type.kind !== 'struct' && type.kind !== 'union') return [];
  return type.members.flatMap(({ name, type: member, bitOffset, bitSize }) =>
    name === '' ? places(btf, member, start + bitOffset) : [`${name} ${start + bitOffset} ${bitSize}`],
  );
}

describe('C compiles to the same layouts', {
  skip: spawnSync('clang-19', ['--version']).status !== 0 && 'no clang-19',
}, () => {
  for (const file of files) {
    test(file.slice(file.lastIndexOf('/') + 1), () => {
      const btf = open(file);
      const header = join(folder, 'types.h');
      const object = join(folder, 'types.o');
      // A variable of each struct, or the compiler would tell nothing of it.
      const uses = namedStructs(btf).map((id, i) => {
        const { kind, name } = btf.type(id);
        return `${kind} ${name} *use_${i};`;
      });
      // The kernel's va_list is x86's.
      const isKernel = file === vmlinux;
      const text = [...dumpC(btf), ...assertions(btf), ...uses, 'int any;'];
      writeFileSync(header, `${text.join('\n')}\n`);
      const target = isKernel ? ['-fsyntax-only'] : ['-target', 'bpf', '-g', '-c', '-o', object];
      const flags = ['-x', 'c', '-Wno-everything', '-DBPF_NO_PRESERVE_ACCESS_INDEX', ...target];
      const { status, stderr } = spawnSync('clang-19', [...flags, header], { encoding: 'utf8' });
      assert.equal(status, 0, stderr.split('\n').slice(0, 5).join('\n'));
      if (isKernel) return;
      const compiled = open(object);
      for (const id of namedStructs(btf)) {
        const { kind, name } = btf.type(id);
        assert.deepEqual(places(compiled, compiled.find(name, kind)!), places(btf, id), name);
      }
    });
  }
});

const int: BtfType = {
  kind: 'int',
  name: 'int',
  size: 4,
  signed: true,
  char: false,
  bool: false,
  bitOffset: 0,
  bits: 32,
};

function built(...types: BtfType[]): Btf {
  const builder = new BtfBuilder();
  for (const type of [int, ...types]) builder.add(type);
  return readBtf(builder.build());
}

const member = (name: string, type: number, bitOffset: number, bitSize = 0) => ({
  name,
  type,
  bitOffset,
  bitSize,
});

describe('C of layouts that no compiler would choose', () => {
  const cases: { name: string; input: Btf; want: string }[] = [
    {
      name: 'a gap',
      input: built({ kind: 'struct', name: 's', size: 16, members: [member('a', 1, 0), member('b', 1, 96)] }),
      want: 'struct s {\n\tint a;\n\tint: 32;\n\tint: 32;\n\tint b;\n};',
    },
    {
      name: 'a member at an odd place',
      input: built({ kind: 'struct', name: 's', size: 5, members: [member('a', 1, 8)] }),
      want: 'struct s {\n\tchar: 8;\n\tint a;\n} __attribute__((packed));',
    },
    {
      name: 'bitfields apart',
      input: built({
        kind: 'struct',
        name: 's',
        size: 4,
        members: [member('a', 1, 0, 3), member('b', 1, 10, 5)],
      }),
      want: 'struct s {\n\tint a: 3;\n\tchar: 5;\n\tchar: 2;\n\tint b: 5;\n};',
    },
    {
      name: 'a large union',
      input: built({ kind: 'union', name: 'u', size: 64, members: [member('a', 1, 0)] }),
      want: 'union u {\n\tint a;\n\tchar __filler[64];\n};',
    },
    {
      name: 'two of one name',
      input: built(
        { kind: 'struct', name: 's', size: 4, members: [member('a', 1, 0)] },
        { kind: 'struct', name: 's', size: 4, members: [member('b', 1, 0)] },
      ),
      want: 'struct s___2 {\n\tint b;\n};',
    },
    {
      name: 'a typedef of what is not there yet',
      input: built(
        { kind: 'typedef', name: 't', type: 3 },
        { kind: 'struct', name: 's', size: 8, members: [member('p', 4, 0)] },
        { kind: 'ptr', name: '', type: 2 },
      ),
      want: 'struct s;\n\ntypedef struct s t;\n\nstruct s {\n\tt *p;\n};',
    },
  ];
  for (const { name, input, want } of cases) {
    test(name, () => {
      const text = dumpC(input).join('\n');
      assert.ok(text.includes(want), text);
    });
  }
});

test('a name that is none is refused', () => {
  assert.throws(
    () => dumpC(built({ kind: 'typedef', name: 'x; int evil', type: 1 })),
    (error) => error instanceof SkepError && /"x; int evil" is no name of C/.test(error.line),
  );
});

test('types that are used very many times over come to an end', () => {
  const levels: BtfType[] = Array.from({ length: 60 }, (_, i) => ({
    kind: 'struct' as const,
    name: i === 59 ? 'top' : '',
    size: 0,
    members: i === 0 ? [] : [member('a', i + 1, 0), member('b', i + 1, 0)],
  }));
  assert.throws(() => dumpC(built(...levels)), /too many lines of C/);
});

test('fuzz: text of any BTF', () => {
  const raw = [`${fixtures}objects/types.bpf.o`, `${fixtures}kernels/small.o`].map((file) =>
    Uint8Array.from(readElf(readFileSync(file)).section('.BTF')!.data),
  );
  fuzzReader((bytes) => {
    const btf = readBtf(bytes);
    for (const _ of dumpRaw(btf));
    dumpC(btf);
  }, raw);
});
