import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { toHex } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import { codec, readBtf } from '../btf/index.ts';
import { readElf } from '../elf/index.ts';
import { type CollectionSpec, openObject } from './index.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const read = (name: string): Uint8Array => readFileSync(`${fixtures}objects/${name}.bpf.o`);
const open = (name: string): CollectionSpec => openObject(read(name), { name: `${name}.bpf.o` });

/** Signed imm and source register of a program's slot. */
function slot(spec: CollectionSpec, program: string, index: number): { src: number; imm: number } {
  const { insns } = spec.programs[program]!;
  const view = new DataView(insns.buffer, insns.byteOffset + index * 8, 8);
  return { src: view.getUint8(1) >> 4, imm: view.getInt32(4, true) };
}

/** The first field (instruction offset) of each record. */
function recordOffsets(records: Uint8Array | undefined, size: number): number[] {
  const view = new DataView(records!.buffer, records!.byteOffset, records!.byteLength);
  return Array.from({ length: records!.length / size }, (_, i) => view.getUint32(i * size, true));
}

test('programs: types, sections, targets, flags', () => {
  const { programs } = open('programs');
  const rows = Object.values(programs).map((p) => [
    p.name,
    p.section,
    p.progType,
    p.expectedAttachType,
    p.progFlags,
    p.attachTo,
    p.autoload,
    p.license,
  ]);
  assert.deepEqual(rows, [
    ['first', 'xdp', 6, 37, 0, undefined, true, 'Dual MIT/GPL'],
    ['second', 'xdp', 6, 37, 0, undefined, true, 'Dual MIT/GPL'],
    ['loop', 'socket', 1, 0, 0, undefined, true, 'Dual MIT/GPL'],
    ['on_read', 'tp/syscalls/sys_enter_read', 5, 0, 0, 'syscalls/sys_enter_read', true, 'Dual MIT/GPL'],
    ['optional', 'kprobe/do_exit', 2, 0, 0, 'do_exit', false, 'Dual MIT/GPL'],
    ['frags', 'xdp.frags', 6, 37, 32, undefined, true, 'Dual MIT/GPL'],
  ]);
});

test('subprograms stand behind their callers, with their records', () => {
  const spec = open('programs');
  const { first, loop } = spec.programs;
  const starts = recordOffsets(first!.funcInfo, 8);
  assert.equal(starts.length, 4, 'first, thrice, twice, add');
  assert.equal(starts[0], 0);
  const lines = recordOffsets(first!.lineInfo, 16);
  for (const start of starts) assert.ok(lines.includes(start), `line info at ${start}`);
  assert.deepEqual(
    lines,
    [...lines].sort((a, b) => a - b),
  );
  assert.ok(lines.every((line) => line < first!.insns.length / 8));
  // bpf_loop's callback is loaded as a function: src 4, relative to the load.
  const [, callback] = recordOffsets(loop!.funcInfo, 8);
  const load = Array.from({ length: loop!.insns.length / 8 }, (_, i) => i).find(
    (i) => loop!.insns[i * 8] === 0x18,
  )!;
  assert.deepEqual(slot(spec, 'loop', load), { src: 4, imm: callback! - load - 1 });
});

test('a hidden function is static in BTF', () => {
  const btf = readBtf(open('programs').btf!);
  const linkage = (name: string): unknown => {
    const type = btf.type(btf.find(name, 'func')!);
    return type.kind === 'func' && type.linkage;
  };
  assert.deepEqual([linkage('add'), linkage('twice'), linkage('thrice')], [0, 1, 0]);
});

test('maps of BTF: every attribute', () => {
  const { maps, btf } = open('maps');
  const types = readBtf(btf!);
  const key = codec(types, maps['flows']!.btfKeyTypeId);
  assert.deepEqual(key.decode(Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4, 0, 5, 0, 0, 0)), {
    saddr: 1,
    daddr: 2,
    sport: 3,
    dport: 4,
    proto: 5,
    pad: [0, 0, 0],
  });
  const rows = Object.values(maps).map((m) => [
    m.name,
    m.type,
    m.keySize,
    m.valueSize,
    m.maxEntries,
    m.flags,
  ]);
  assert.deepEqual(rows.sort(), [
    ['bloom', 30, 0, 8, 100, 0],
    ['events', 27, 0, 0, 4096, 0],
    ['flows', 1, 16, 16, 128, 1],
    ['inner_one', 2, 4, 16, 3, 0],
    ['inner_two', 2, 4, 16, 3, 0],
    ['jumps', 3, 4, 4, 3, 0],
    ['outer', 12, 4, 4, 4, 0],
    ['pinned', 6, 4, 12, 2, 0],
    ['unseen', 2, 4, 4, 1, 0],
  ]);
  assert.equal(maps['bloom']!.mapExtra, 3n);
  assert.equal(maps['pinned']!.pinning, 'byName');
  assert.equal(maps['flows']!.pinning, 'none');
  assert.deepEqual({ ...maps['outer']!.inner, name: '' }, { ...maps['inner_one'], name: '' });
  assert.deepEqual(maps['outer']!.contents, [
    { key: Uint8Array.of(1, 0, 0, 0), value: { map: 'inner_one' } },
    { key: Uint8Array.of(3, 0, 0, 0), value: { map: 'inner_two' } },
  ]);
  assert.deepEqual(maps['jumps']!.contents, [{ key: Uint8Array.of(2, 0, 0, 0), value: { program: 'tail' } }]);
});

test('static maps, wide attributes, and a map of 2^31 entries', () => {
  const { maps, programs } = open('modern');
  assert.equal(maps['huge']!.maxEntries, 2 ** 31);
  assert.equal(maps['arena']!.mapExtra, 0x100000000000n);
  assert.deepEqual(
    programs['touch']!.references.map(({ kind, map }) => [kind, map]),
    [
      ['map', 'unseen'],
      ['map', 'huge'],
      ['map', 'arena'],
    ],
  );
});

for (const name of ['legacy', 'legacy-nobtf']) {
  test(`maps of old objects (${name})`, () => {
    const spec = open(name);
    const rows = Object.values(spec.maps).map((m) => [
      m.name,
      m.type,
      m.keySize,
      m.valueSize,
      m.maxEntries,
      m.flags,
    ]);
    assert.deepEqual(rows.slice(0, 2), [
      ['addresses', 9, 4, 8, 256, 0],
      ['prefixes', 11, 8, 4, 16, 1],
    ]);
    assert.equal(spec.kernVersion, 0x60c00);
    assert.equal(spec.variables['total']!.size, 4);
    assert.equal(spec.btf === undefined, name === 'legacy-nobtf');
  });
}

/** The tc fixture with another way of pinning its second map. */
function tcPinned(pinning: number): Uint8Array {
  const bytes = Uint8Array.from(read('tc'));
  const maps = readElf(bytes).section('maps')!.data;
  bytes[maps.byteOffset - bytes.byteOffset + 36 + 24] = pinning;
  return bytes;
}

test('a map of tc that only its object shares is in a folder named by the file', () => {
  const bytes = tcPinned(1);
  const { outer } = openObject(bytes).maps;
  const hash = createHash('sha1').update(bytes).digest('hex');
  assert.deepEqual([outer!.pinning, outer!.pinFolder], ['byName', `tc/${hash}`]);
  assert.throws(() => openObject(tcPinned(3)), /pinning 3 is unknown/);
});

test('programs that tc puts into a map by the names of their sections', () => {
  const { programs, maps } = open('tc-calls');
  const { entry, first, second } = programs;
  assert.deepEqual(
    [entry, first, second].map((program) => [program!.section, program!.progType]),
    [
      ['classifier', 3],
      ['7/0', 3],
      ['7/2', 3],
    ],
  );
  assert.deepEqual(maps['jumps']!.contents, [
    { key: Uint8Array.of(0, 0, 0, 0), value: { program: 'first' } },
    { key: Uint8Array.of(2, 0, 0, 0), value: { program: 'second' } },
  ]);
});

test('a section that libbpf does not know is opened, and says nothing', () => {
  const { main_prog: program } = open('unknown-section').programs;
  assert.deepEqual([program!.section, program!.progType, program!.attachTo], ['xdp_main', 0, undefined]);
});

test('maps of tc, which are put into each other by ids', () => {
  const { inner, outer } = open('tc').maps;
  assert.equal(inner!.pinning, 'none');
  assert.deepEqual([outer!.pinning, outer!.pinFolder], ['byName', 'tc/globals']);
  assert.deepEqual({ ...outer!.inner, name: 'inner' }, inner);
  assert.deepEqual(outer!.contents, [{ key: Uint8Array.of(1, 0, 0, 0), value: { map: 'inner' } }]);
});

test('structs of functions for the kernel', () => {
  const { maps, programs } = open('struct-ops');
  const { linked, optional } = maps;
  assert.deepEqual(
    [linked, optional].map((map) => [map!.type, map!.keySize, map!.valueSize, map!.flags, map!.autocreate]),
    [
      [26, 4, 64, 0x2000, undefined],
      [26, 4, 64, 0, false],
    ],
  );
  const { value, programs: functions } = linked!.structOps!;
  assert.deepEqual(
    { ...functions },
    {
      not_in_any_kernel: 'not_loaded',
      ssthresh: 'ssthresh',
      cong_avoid: 'cong_avoid',
      undo_cwnd: 'undo_cwnd',
    },
  );
  assert.equal(new TextDecoder().decode(value.subarray(40, 51)), 'skep_linked');
  assert.ok(value.subarray(0, 40).every((byte) => byte === 0));
  const members = Object.values(programs).map((p) => [p.name, p.attachTo, p.expectedAttachType]);
  assert.deepEqual(members, [
    ['ssthresh', 'ssthresh', 1],
    ['cong_avoid', 'cong_avoid', 2],
    ['undo_cwnd', undefined, 3],
    ['not_loaded', undefined, 0],
  ]);
});

test('what runs when a program throws is part of it, though nothing calls it', () => {
  const { programs, btf } = open('exceptions');
  const types = readBtf(btf!);
  const functions = (name: string): string[] => {
    const { funcInfo } = programs[name]!;
    const view = new DataView(funcInfo!.buffer, funcInfo!.byteOffset, funcInfo!.length);
    return Array.from(
      { length: funcInfo!.length / 8 },
      (_, i) => types.type(view.getUint32(i * 8 + 4, true)).name,
    );
  };
  assert.deepEqual(functions('throws'), ['throws', 'caught', 'clamp']);
  assert.deepEqual(functions('plain'), ['plain', 'caught', 'clamp']);
});

test('variables of an arena are its first bytes', () => {
  const { maps, programs, variables } = open('arena');
  assert.deepEqual(Object.keys(maps), ['arena']);
  assert.deepEqual(maps['arena']!.contents, [
    { key: new Uint8Array(), value: new Uint8Array(new Uint32Array([7, 1, 2, 3, 4, 5, 6]).buffer) },
  ]);
  const { counter, pairs } = variables;
  assert.deepEqual([counter!.map, counter!.offset, pairs!.map, pairs!.offset], ['arena', 0, 'arena', 4]);
  const kinds = new Set(programs['sum']!.references.map(({ kind, map }) => `${kind} ${map}`));
  assert.deepEqual([...kinds].sort(), ['map arena', 'mapValue arena']);
});

describe('global variables', () => {
  const spec = open('globals');
  const btf = readBtf(spec.btf!);

  test('sections are arrays, named and flagged as libbpf does', () => {
    const rows = Object.values(spec.maps).map((m) => [
      m.name,
      m.valueSize,
      m.flags,
      m.freeze,
      m.contents.length,
    ]);
    assert.deepEqual(rows, [
      ['globals.data', 28, 0x400, false, 1],
      ['globals.rodata', 16, 0x480, true, 1],
      ['.data.tuned', 4, 0x400, false, 1],
      ['.rodata.banner', 8, 0x480, true, 1],
      ['.data.private', 8, 0, false, 1],
      ['globals.bss', 20, 0x400, false, 0],
    ]);
  });

  const initial: [string, unknown][] = [
    ['seed', 0x11223344],
    ['limits', { low: 10, high: 20, name: 'limits' }],
    ['mode', 5],
    ['target', 7],
    ['table', [1, 2, 3, 4]],
    ['hidden_count', 9],
    ['tuned', 3],
    ['banner', 'hello'],
    ['private_count', 1n],
    ['count.____fmt', 'seen %d'],
  ];
  for (const [name, want] of initial) {
    test(`${name} has its type and initial value`, () => {
      const { map, offset, size, btfTypeId } = spec.variables[name]!;
      const { value } = spec.maps[map]!.contents[0]!;
      assert.ok(value instanceof Uint8Array);
      assert.deepEqual(codec(btf, btfTypeId).decode(value.subarray(offset, offset + size)), want);
    });
  }

  test('those of .bss, also of two functions under one name', () => {
    const { hits, 'count.calls': count, 'other.calls': other } = spec.variables;
    assert.equal(hits!.map, 'globals.bss');
    assert.notEqual(count!.offset, other!.offset);
  });

  test('programs refer to them by map and offset', () => {
    const { references } = spec.programs['other']!;
    const { offset } = spec.variables['other.calls']!;
    assert.deepEqual(references, [{ kind: 'mapValue', slot: 0, map: 'globals.bss', offset }]);
    assert.deepEqual(slot(spec, 'other', 0), { src: 2, imm: 0 });
    assert.deepEqual(slot(spec, 'other', 1), { src: 0, imm: offset });
  });

  test("the object's name is cut so that the map's fits", () => {
    const names = Object.keys(openObject(read('globals'), { name: 'dir/a-very-long.name.o' }).maps);
    assert.deepEqual(
      names.filter((name) => name.startsWith('a')),
      ['a_very_l.data', 'a_very_l.rodata', 'a_very_l.bss'],
    );
  });
});

test('externs', () => {
  const { externs, maps, variables, programs } = open('externs');
  const weak = Object.entries(externs!).map(([name, each]) => [name, each.kind, each.weak]);
  assert.deepEqual(weak.sort(), [
    ['CONFIG_BOOL', 'config', true],
    ['CONFIG_LETTER', 'config', true],
    ['CONFIG_MISSING', 'config', true],
    ['CONFIG_NUMBER', 'config', true],
    ['CONFIG_TEXT', 'config', true],
    ['CONFIG_TRISTATE', 'config', true],
    ['LINUX_KERNEL_VERSION', 'config', false],
    ['bpf_prog_active', 'variable', true],
    ['bpf_rcu_read_lock', 'function', true],
    ['bpf_rcu_read_unlock', 'function', true],
    ['no_kfunc', 'function', true],
    ['no_such', 'variable', true],
    ['no_typed', 'variable', true],
  ]);
  const { type, valueSize, freeze, flags } = maps['externs.kconfig']!;
  assert.deepEqual(
    { type, valueSize, freeze, flags },
    { type: 2, valueSize: 38, freeze: true, flags: 0x480 },
  );
  assert.deepEqual(variables['LINUX_KERNEL_VERSION']!.offset, 16);
  assert.deepEqual(
    programs['missing']!.symbols!.map(({ symbol, isCall }) => `${symbol}${isCall ? '()' : ''}`).sort(),
    ['no_kfunc', 'no_kfunc()', 'no_such', 'no_typed'],
  );
});

test('CO-RE relocations are told by program', () => {
  const { programs } = open('core');
  assert.deepEqual(programs['relocated']!.coreRelocations, [
    { slot: 1, kind: 'byte_off', typeId: 5, access: '0:1' },
    { slot: 8, kind: 'field_exists', typeId: 5, access: '0:0' },
  ]);
  assert.deepEqual(programs['plain']!.coreRelocations, []);
});

describe('what cannot be opened is refused in one line that says where', () => {
  const programs = read('programs');
  const { offset: relocationsAt } = locate(programs, '.relxdp');
  const tc = read('tc');
  const tcMaps = locate(tc, 'maps').offset + readElf(tc).symbols.find(({ name }) => name === 'inner')!.value;
  const patch = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    copy[at] = value;
    return copy;
  };
  const cases: { name: string; input: Uint8Array; want: RegExp }[] = [
    {
      name: 'an extern that no section of BTF declares',
      input: renamed(read('ksyms'), 'init_task', 'init_tasc'),
      want: /^section 'socket', function 'variable', instruction 0: 'init_tasc' is declared, and not defined \(define it, or/,
    },
    {
      name: 'a map of maps whose model is not there',
      input: patch(tc, tcMaps + 20, 43),
      want: /^map 'outer': no map has the id 42 of its inner map$/,
    },
    {
      name: 'a struct of functions that BTF does not describe',
      input: renamed(read('globals'), '.data.tuned', '.struct_ops'),
      want: /^section '\.struct_ops': BTF does not describe it \(compile with -g\)$/,
    },
    {
      name: 'variables of an arena, without an arena',
      input: renamed(read('globals'), '.data.tuned', '.arena.1\0'),
      want: /^section '\.arena\.1': it has variables of an arena, and the object defines no arena$/,
    },
    {
      name: 'a relocation of an unknown type',
      input: patch(programs, relocationsAt + 8, 77),
      want: /section 'xdp', function 'first', instruction 5: a relocation of type 77 against 'counters'/,
    },
    {
      name: 'a relocation inside an instruction',
      input: patch(programs, relocationsAt, 44),
      want: /section 'xdp': a relocation against 'counters' at offset 44/,
    },
    {
      name: 'a load of something that is no map',
      input: patch(
        programs,
        relocationsAt + 12,
        readElf(programs).symbols.findIndex(({ name }) => name === '_license'),
      ),
      want: /instruction 5: it loads '_license', at offset 0 of section 'license', where no map or variable is/,
    },
    {
      name: 'a call into the middle of a function',
      input: patch(programs, locate(programs, 'xdp').offset + 176 + 4, 1),
      want: /section 'xdp', function 'second', instruction 2: no function starts at offset 16 of section '\.text'/,
    },
  ];
  for (const { name, input, want } of cases) {
    test(name, () => {
      assert.throws(
        () => openObject(input),
        (error) => {
          assert.ok(error instanceof SkepError);
          assert.match(error.line, want);
          return true;
        },
      );
    });
  }

  function renamed(bytes: Uint8Array, from: string, to: string): Uint8Array {
    const text = Buffer.from(bytes);
    text.write(to, text.indexOf(from, readElf(bytes).section('.strtab')!.data.byteOffset - bytes.byteOffset));
    return text;
  }

  function locate(bytes: Uint8Array, section: string): { offset: number } {
    return { offset: readElf(bytes).section(section)!.data.byteOffset - bytes.byteOffset };
  }
});

describe('sizes that the file only claims cost nothing', () => {
  /** The globals fixture with another size of .bss. */
  const withBss = (size: bigint): Uint8Array => {
    const bytes = Uint8Array.from(read('globals'));
    const view = new DataView(bytes.buffer);
    const header = Number(view.getBigUint64(40, true)) + 64 * readElf(bytes).section('.bss')!.index;
    view.setBigUint64(header + 32, size, true);
    return bytes;
  };

  test('.bss of 2 GiB opens', () => {
    const { valueSize, contents } = openObject(withBss(1n << 31n)).maps['object.bss']!;
    assert.deepEqual({ valueSize, contents }, { valueSize: 2 ** 31, contents: [] });
  });

  test('.bss of 2^40 bytes is refused', () => {
    assert.throws(() => openObject(withBss(1n << 40n)), /1099511627776 bytes of variables/);
  });
});

test('a definition of a map that says what no map has is refused', () => {
  const text = Buffer.from(read('maps'));
  const { byteOffset } = readElf(text).section('.BTF')!.data;
  text.write('max_entriez', text.indexOf('max_entries', byteOffset - text.byteOffset));
  assert.throws(
    () => openObject(text),
    (error) =>
      error instanceof SkepError &&
      /^map 'inner_one': a map has no attribute 'max_entriez'$/.test(error.line),
  );
});

test('fuzz: openObject', () => {
  const seeds = [
    'programs',
    'globals',
    'maps',
    'legacy',
    'core',
    'tc',
    'tc-calls',
    'struct-ops',
    'arena',
    'externs',
  ];
  fuzzReader((bytes) => openObject(bytes), seeds.map(read));
});

/** Most are in objects, others beside their sources. */
function committed(file: string): string {
  const found = readdirSync(fixtures, { recursive: true, encoding: 'utf8' }).find(
    (path) => basename(path) === file,
  );
  return join(fixtures, found ?? file);
}

const hasClang = spawnSync('clang-19', ['--version']).status === 0;

test('the committed objects are what their sources compile to', {
  skip: !hasClang && 'no clang-19',
}, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'skep-fixtures-'));
  try {
    const built = spawnSync(`${fixtures}build.sh`, { env: { ...process.env, OUT: folder } });
    if (built.status !== 0) return t.skip('libbpf-dev or the kernel headers are not installed');
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.bpf.o'))) {
      const code = (bytes: Uint8Array): string[] =>
        readElf(bytes)
          .sections.filter(({ flags }) => (flags & 2) !== 0)
          .map(({ name, data }) => `${name} ${toHex(data)}`);
      assert.deepEqual(code(readFileSync(join(folder, file))), code(readFileSync(committed(file))), file);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
