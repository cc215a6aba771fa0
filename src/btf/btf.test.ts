import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { SkepError } from '../base/errors.ts';
import { readElf } from '../elf/index.ts';
import {
  type Btf,
  BtfBuilder,
  type BtfType,
  codec,
  cType,
  findMember,
  readBtf,
  readBtfExt,
  resolvedType,
  sizeOf,
  writeBtf,
} from './index.ts';

const object = (name: string): string =>
  fileURLToPath(new URL(`../../fixtures/objects/${name}.bpf.o`, import.meta.url));
const section = (name: string, wanted: string): Uint8Array =>
  readElf(readFileSync(object(name))).section(wanted)!.data;
const types = readBtf(section('types', '.BTF'));

/** BTF of raw records, each a list of 32-bit words; string 1 is 'a'. */
function build(...records: number[][]): Uint8Array {
  const words = records.flat();
  const header = [0x0001eb9f, 24, 0, words.length * 4, words.length * 4, 4];
  return Uint8Array.from([...new Uint8Array(Uint32Array.from([...header, ...words]).buffer), 0, 0x61, 0, 0]);
}

/** btf_type.info */
const info = (kind: number, vlen = 0): number => ((kind << 24) | vlen) >>> 0;
const int = [1, info(1), 4, 32];
const kinds = {
  ptr: 2,
  array: 3,
  struct: 4,
  union: 5,
  typedef: 8,
  const: 10,
  func: 12,
  funcProto: 13,
  var: 14,
  datasec: 15,
};

function idOf(btf: Btf, name: string): number {
  const id = btf.find(name);
  assert.ok(id !== undefined, name);
  return id;
}

test('types of a compiled file, by name', () => {
  const shapes = types.type(types.find('shapes', 'struct')!);
  assert.equal(shapes.kind, 'struct');
  assert.equal(sizeOf(types, types.find('shapes', 'struct')!), 208);
  assert.deepEqual(
    types.findAll('shapes').map((id) => types.kind(id)),
    ['struct', 'var'],
  );
  assert.equal(types.find('nobody'), undefined);
  const bits = types.type(idOf(types, 'bits'));
  assert.deepEqual(
    bits.kind === 'struct' && bits.members.map(({ name, bitOffset, bitSize }) => [name, bitOffset, bitSize]),
    [
      ['a', 0, 3],
      ['b', 3, 7],
      ['c', 10, 5],
      ['d', 15, 1],
      ['e', 16, 33],
      ['f', 49, 4],
    ],
  );
  assert.deepEqual(types.type(idOf(types, 'signed_color')), {
    kind: 'enum',
    name: 'signed_color',
    size: 4,
    signed: true,
    values: [
      { name: 'MINUS', value: -3n },
      { name: 'PLUS', value: 3n },
    ],
  });
  assert.equal(resolvedType(types, idOf(types, 'guarded')).kind, 'int');
});

test('a member in an anonymous union has its offset from the outer start', () => {
  const shapes = types.find('shapes', 'struct')!;
  const address = findMember(types, shapes, 'address');
  const point = findMember(types, shapes, 'point');
  assert.equal(address!.bitOffset, point!.bitOffset - 32);
  assert.equal(findMember(types, shapes, 'x'), undefined, 'a member of a named struct');
});

test('how C spells types', () => {
  const members = types.type(types.find('node', 'struct')!);
  assert.equal(members.kind, 'struct');
  const spelled = members.kind === 'struct' ? members.members.map((m) => cType(types, m.type, m.name)) : [];
  assert.deepEqual(spelled, ['struct node *next', 'const char *const label', 'handler handle', 'guarded id']);
  const handler = types.type(idOf(types, 'handler'));
  assert.equal(
    cType(types, handler.kind === 'typedef' ? handler.type : 0),
    'int (*)(void *, const char *, ...)',
  );
  const shapes = types.type(types.find('shapes', 'struct')!);
  const memberType = (name: string): number =>
    (shapes.kind === 'struct' && shapes.members.find((m) => m.name === name)?.type) || 0;
  assert.equal(cType(types, memberType('matrix')), 'int[2][3]');
  assert.equal(cType(types, memberType('matrix'), 'm'), 'int m[2][3]');
  assert.equal(cType(types, memberType('point')), 'struct {...}');
  assert.equal(cType(types, memberType('raw')), '__u8[3]');
  assert.equal(cType(types, 0), 'void');
});

describe('broken BTF is refused in one line', () => {
  const good = build(int);
  const cases: { name: string; input: Uint8Array; want: RegExp }[] = [
    { name: 'empty', input: new Uint8Array(), want: /BTF is cut short/ },
    { name: 'not BTF', input: new Uint8Array(32), want: /not BTF: it starts with 0x0/ },
    {
      name: 'big-endian in its first bytes alone',
      input: Uint8Array.from([0xeb, 0x9f, ...good.subarray(2)]),
      want: /the type section, 268435456 bytes at \d+, reaches beyond/,
    },
    {
      name: 'sections that overlap',
      input: Uint8Array.from(good, (byte, i) => (i === 16 ? 12 : byte)),
      want: /the type section, 16 bytes at 24, and the string section, 4 at 36, overlap/,
    },
    {
      name: 'a count of elements beyond the end',
      input: build([1, info(kinds.struct, 0xffff), 8, 1, 0, 0]),
      want: /type 1, at byte 0 of the type section: the type section ends inside it/,
    },
    {
      name: 'sections of 2^32 bytes',
      input: Uint8Array.from(good, (byte, i) => (i >= 12 && i < 16 ? 0xff : byte)),
      want: /the type section, 4294967295 bytes at 24, reaches beyond the 44 bytes/,
    },
    { name: 'a later version', input: Uint8Array.from(good, (b, i) => (i === 2 ? 2 : b)), want: /version 2/ },
    {
      name: 'strings beyond the end',
      input: good.subarray(0, good.length - 1),
      want: /string section.*beyond/,
    },
    {
      name: 'an unknown kind',
      input: build([1, info(20), 0]),
      want: /type 1, at byte \d+ of the type section: kind 20 is unknown/,
    },
    {
      name: 'cut in a type',
      input: build([1, info(1), 4]),
      want: /type 1, at byte 0 of the type section: the type section ends inside it/,
    },
    {
      name: 'a name outside',
      input: build([99, info(1), 4, 32]),
      want: /type 1, at byte \d+ of the type section: its name is at 99, of 4 bytes/,
    },
    {
      name: 'an int of 3 bytes',
      input: build([1, info(1), 3, 24]),
      want: /type 1, at byte \d+ of the type section: int of 3 bytes/,
    },
    { name: 'an int of 33 bits', input: build([1, info(1), 4, 33]), want: /bits up to 33 in 4 bytes/ },
    {
      name: 'an id outside',
      input: build([0, info(kinds.ptr), 7]),
      want: /type 1, at byte \d+ of the type section: it refers to type 7, of 2/,
    },
    {
      name: 'a typedef of itself',
      input: build([1, info(kinds.typedef), 1]),
      want: /type 1, at byte \d+ of the type section: it contains itself/,
    },
    {
      name: 'two typedefs of each other',
      input: build([1, info(kinds.typedef), 2], [1, info(kinds.typedef), 1]),
      want: /type \d, at byte \d+ of the type section: it contains itself/,
    },
    {
      name: 'an array of itself',
      input: build(int, [0, info(kinds.array), 0, 2, 1, 4]),
      want: /type 2, at byte \d+ of the type section: it contains itself/,
    },
    {
      name: 'a struct in itself',
      input: build([1, info(kinds.struct, 1), 8, 1, 2, 0], [0, info(kinds.const), 1]),
      want: /type \d, at byte \d+ of the type section: it contains itself/,
    },
    {
      name: 'a section in its own variable',
      input: build([1, info(kinds.var), 2, 1], [1, info(kinds.datasec, 1), 4, 1, 0, 4]),
      want: /type \d, at byte \d+ of the type section: it contains itself/,
    },
    {
      name: 'a section of something else',
      input: build(int, [1, info(kinds.datasec, 1), 4, 1, 0, 4]),
      want: /type 2, at byte \d+ of the type section: type 1 in it is no variable/,
    },
    {
      name: 'structs in each other without end',
      input: build(int, ...Array.from({ length: 300 }, (_, i) => [1, info(kinds.struct, 1), 4, 1, i + 1, 0])),
      want: /more than 256 types lie in each other/,
    },
  ];
  for (const { name, input, want } of cases) {
    test(name, () => {
      assert.throws(
        () => readBtf(input),
        (error) => {
          assert.ok(error instanceof SkepError);
          assert.match(error.line, want);
          return true;
        },
      );
    });
  }
});

test('a struct may point to itself', () => {
  const btf = readBtf(build([1, info(kinds.struct, 1), 8, 1, 2, 0], [0, info(kinds.ptr), 1]));
  assert.equal(sizeOf(btf, 1), 8);
  assert.equal(cType(btf, 2), 'struct a *');
});

test('a function type that takes itself has no C text', () => {
  const btf = readBtf(build([0, info(kinds.funcProto, 1), 0, 0, 2], [0, info(kinds.ptr), 1]));
  assert.throws(() => cType(btf, 2), SkepError);
});

test('sizes beyond 4 GiB are refused', () => {
  const array = (of: number): number[] => [0, info(kinds.array), 0, of, 1, 0xffffffff];
  const btf = readBtf(build(int, array(1), array(2)));
  assert.throws(() => sizeOf(btf, 3), /more than 4 GiB/);
  assert.throws(() => codec(btf, 3), /more than 4 GiB/);
});

test('few bytes that are described very many times have no codec', () => {
  const union = (of: number): number[] => [1, info(kinds.union, 2), 4, 0, of, 0, 0, of, 0];
  const btf = readBtf(build(int, ...Array.from({ length: 60 }, (_, i) => union(i + 1))));
  assert.throws(() => codec(btf, 61), SkepError);
});

test('BTF.ext of a compiled file', () => {
  const btf = readBtf(section('programs', '.BTF'));
  const ext = readBtfExt(section('programs', '.BTF.ext'));
  assert.deepEqual(
    ext.funcInfo.map(({ nameOffset, recordSize, count }) => [btf.string(nameOffset), recordSize, count]),
    [
      ['.text', 8, 4],
      ['xdp', 8, 2],
      ['socket', 8, 1],
      ['tp/syscalls/sys_enter_read', 8, 1],
      ['?kprobe/do_exit', 8, 1],
      ['xdp.frags', 8, 1],
    ],
  );
  assert.equal(ext.lineInfo.length, 6);
  assert.equal(ext.coreRelocations.length, 0);
  assert.equal(readBtfExt(section('core', '.BTF.ext')).coreRelocations[0]!.count, 2);
});

test('what a great many types refer to is looked at once before they are loaded', () => {
  const many = 200_000;
  const repeated = (make: (i: number) => number[]): number[] =>
    Array.from({ length: many }, (_, i) => make(i)).flat();
  const long = 60_000;
  const parameters = Array.from({ length: long }, () => [1, 1]).flat();
  const inputs = {
    'a chain of pointers': build(
      int,
      repeated((i) => [0, info(kinds.ptr), i + 1]),
    ),
    'functions of one long prototype': build(
      int,
      [0, info(kinds.funcProto, long), 0, ...parameters],
      repeated(() => [1, info(kinds.func), 2]),
    ),
  };
  for (const [name, input] of Object.entries(inputs)) {
    assert.ok(readBtf(input, { loadable: true }).typeCount > many, name);
  }
});

test('fuzz: readBtf, with all that can be asked of types', () => {
  const seeds = [section('types', '.BTF'), section('maps', '.BTF'), build(int)];
  fuzzReader((bytes) => {
    const btf = readBtf(bytes);
    for (let id = 0; id < btf.typeCount; id++) {
      const tries = [cType, (b: Btf, i: number) => codec(b, i).size];
      for (const ask of tries) {
        try {
          ask(btf, id);
        } catch (error) {
          if (!(error instanceof SkepError)) throw error;
        }
      }
    }
    btf.find('a');
  }, seeds);
});

test('fuzz: split BTF, and BTF of the other byte order', () => {
  const split = new BtfBuilder(types, 'split');
  split.add({ kind: 'typedef', name: 'shapes', type: types.find('shapes', 'struct')! });
  split.add({
    kind: 'struct',
    name: 'more',
    size: 8,
    members: [{ name: 'at', type: 3, bitOffset: 0, bitSize: 0 }],
  });
  fuzzReader(
    (bytes) => {
      const btf = readBtf(bytes, { base: types });
      for (let id = btf.firstId; id < btf.typeCount; id++) cType(btf, id);
      btf.findAll('shapes');
      btf.flavoured();
    },
    [split.build(), split.build('big')],
  );
  fuzzReader((bytes) => readBtf(bytes).findAll('shapes'), [writeBtf(types, 'big')]);
});

test('fuzz: readBtfExt', () => {
  fuzzReader(readBtfExt, [section('programs', '.BTF.ext'), section('core', '.BTF.ext')]);
});

/** What `bpftool btf dump -j` calls a type's fields, from ours. */
function bpftoolView(btf: Btf, id: number): Record<string, unknown> {
  const type = btf.type(id);
  const name = type.name === '' ? '(anon)' : type.name;
  const own: Record<BtfType['kind'], () => Record<string, unknown>> = {
    void: () => ({}),
    int: () =>
      type.kind === 'int'
        ? {
            size: type.size,
            bits_offset: type.bitOffset,
            nr_bits: type.bits,
            encoding: type.bool ? 'BOOL' : type.char ? 'CHAR' : type.signed ? 'SIGNED' : '(none)',
          }
        : {},
    ptr: () => ('type' in type ? { type_id: type.type } : {}),
    array: () =>
      type.kind === 'array'
        ? { type_id: type.type, index_type_id: type.indexType, nr_elems: type.length }
        : {},
    struct: () =>
      type.kind === 'struct' || type.kind === 'union'
        ? {
            size: type.size,
            vlen: type.members.length,
            members: type.members.map((m) => ({
              name: m.name || '(anon)',
              type_id: m.type,
              bits_offset: m.bitOffset,
              ...(m.bitSize > 0 && { bitfield_size: m.bitSize }),
            })),
          }
        : {},
    union: () => own.struct(),
    enum: () =>
      type.kind === 'enum' || type.kind === 'enum64'
        ? {
            size: type.size,
            encoding: type.signed ? 'SIGNED' : 'UNSIGNED',
            vlen: type.values.length,
            values: type.values.map((v) => ({ name: v.name, val: Number(v.value) })),
          }
        : {},
    enum64: () => own.enum(),
    fwd: () => (type.kind === 'fwd' ? { fwd_kind: type.of } : {}),
    typedef: () => own.ptr(),
    volatile: () => own.ptr(),
    const: () => own.ptr(),
    restrict: () => own.ptr(),
    func: () =>
      type.kind === 'func'
        ? { type_id: type.type, linkage: ['static', 'global', 'extern'][type.linkage] }
        : {},
    funcProto: () =>
      type.kind === 'funcProto'
        ? {
            ret_type_id: type.type,
            vlen: type.parameters.length,
            params: type.parameters.map((p) => ({ name: p.name || '(anon)', type_id: p.type })),
          }
        : {},
    var: () =>
      type.kind === 'var'
        ? { type_id: type.type, linkage: ['static', 'global', 'extern'][type.linkage] }
        : {},
    datasec: () =>
      type.kind === 'datasec'
        ? {
            size: type.size,
            vlen: type.variables.length,
            vars: type.variables.map((v) => ({ type_id: v.type, offset: v.offset, size: v.size })),
          }
        : {},
    float: () => (type.kind === 'float' ? { size: type.size } : {}),
    declTag: () => (type.kind === 'declTag' ? { type_id: type.type, component_idx: type.component } : {}),
    typeTag: () => own.ptr(),
  };
  const kind = type.kind.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
  return { id, kind, name, ...own[type.kind]() };
}

const hasBpftool = spawnSync('bpftool', ['version']).status === 0;

function bpftoolDump(file: string): Record<string, unknown>[] {
  const json = execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', file], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  return JSON.parse(json).types;
}

test('types as bpftool lists them', { skip: !hasBpftool && 'no bpftool' }, () => {
  for (const name of ['types', 'maps', 'globals', 'programs', 'core']) {
    const btf = readBtf(section(name, '.BTF'));
    const ours = Array.from({ length: btf.typeCount - 1 }, (_, i) => bpftoolView(btf, i + 1));
    assert.deepEqual(ours, bpftoolDump(object(name)), name);
  }
});

const vmlinux = '/sys/kernel/btf/vmlinux';

test("the running kernel's BTF", { skip: !existsSync(vmlinux) && 'the kernel has no BTF' }, () => {
  const btf = readBtf(readFileSync(vmlinux));
  assert.ok(btf.typeCount > 10_000);
  const task = btf.find('task_struct', 'struct')!;
  const decoded = codec(btf, task).decode(new Uint8Array(sizeOf(btf, task))) as Record<string, unknown>;
  assert.equal(decoded['comm'], '');
  assert.equal(cType(btf, task), 'struct task_struct');
});
