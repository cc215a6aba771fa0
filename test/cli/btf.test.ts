/**
 * Types of objects and kernels on the command line: `skep btf dump`, and `--btf` where programs ask for them.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BtfBuilder, readBtf } from '../../src/btf/index.ts';
import { readElf } from '../../src/elf/index.ts';
import { LinuxKernel } from '../../src/linux-kernel.ts';
import { whyNoLinux } from '../support/linux.ts';
import { scratch, skep } from './skep.ts';

const fixture = (path: string): string => fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url));
const core = fixture('objects/core.bpf.o');

test('btf dump, in both formats and by words in any order', () => {
  const raw = skep(['btf', 'dump', core]);
  assert.match(
    raw.stdout,
    /^\[\d+\] STRUCT 'task_struct' size=8 vlen=2\n\t'pid' type_id=\d+ bits_offset=0$/m,
  );
  assert.equal(skep(['btf', 'dump', 'file', core, 'format', 'raw']).stdout, raw.stdout);
  assert.match(
    skep(['btf', 'dump', 'format', 'c', core]).stdout,
    /\nstruct task_struct \{\n\tint pid;\n\tint tgid;\n\};\n/,
  );
  const { types } = JSON.parse(skep(['btf', 'dump', core, '--json']).stdout) as {
    types: { id: number; name: string }[];
  };
  assert.equal(types.find(({ name }) => name === 'task_struct')?.id, 5);
});

test('btf dump of an object of the other byte order', () => {
  const { stdout } = skep(['btf', 'dump', fixture('objects/programs.bpfeb.o')]);
  assert.match(stdout, /^\[1\] PTR '\(anon\)' type_id=3\n\[2\] INT 'int' size=4 /);
});

test('btf dump of what it cannot', () => {
  const cases: { args: string[]; code: number; want: RegExp }[] = [
    { args: [core, 'format', 'xml'], code: 2, want: /there is no format 'xml' \(formats are raw and c\)/ },
    { args: [core, 'more'], code: 2, want: /unexpected argument 'more'/ },
    { args: ['format', 'c'], code: 2, want: /wants a FILE/ },
    { args: ['id', '1'], code: 2, want: /no id to ask for its types \(--kernel linux/ },
    { args: ['map', 'counts', 'kv', 'format', 'c'], code: 2, want: /no map to ask for its types/ },
    { args: ['id', 'one', '--kernel', 'linux'], code: 2, want: /'one' is no id/ },
    { args: [core, '--kernel', 'linux'], code: 2, want: /a FILE with --kernel linux/ },
    { args: [core, 'format', 'c', '--json'], code: 2, want: /C is no JSON/ },
    {
      args: [fixture('objects/legacy-nobtf.bpf.o')],
      code: 1,
      want: /it has no section \.BTF \(compile with -g\)/,
    },
    { args: [fixture('build.sh')], code: 1, want: /build\.sh: not BTF: it starts with 0x2123/ },
  ];
  for (const { args, code, want } of cases) {
    const ran = skep(['btf', 'dump', ...args]);
    assert.match(ran.stderr, want);
    assert.equal(ran.code, code, ran.stderr);
  }
});

test('verify --btf resolves against the types of a given kernel', () => {
  const object = fixture('objects/relocations.bpf.o');
  const kernel = fixture('kernels/small.o');
  assert.match(skep(['verify', object]).stderr, /'fields' rejected: failed to resolve CO-RE relocation/);
  assert.equal(skep(['verify', object, '--btf', kernel, '--prog', 'kinds']).code, 0);
  const { code, stderr } = skep(['verify', object, '--btf', kernel, '--prog', 'values']);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /failed to resolve CO-RE relocation <enumval_value> \[\d+\] enum state::STATE_GONE = 3/,
  );
});

const files = scratch();
after(() => files.remove());
const noBpftool = spawnSync('bpftool', ['version']).status !== 0 && 'no bpftool';

function bpftool(...args: string[]): string {
  return spawnSync('bpftool', args, { encoding: 'utf8', maxBuffer: 1 << 28 }).stdout;
}

test("JSON is bpftool's, byte for byte", { skip: noBpftool }, () => {
  const vmlinux = '/sys/kernel/btf/vmlinux';
  for (const file of [fixture('objects/types.bpf.o'), fixture('objects/modern.bpf.o'), vmlinux].filter(
    existsSync,
  )) {
    const [ours, theirs] = [
      skep(['btf', 'dump', '-j', 'file', file]).stdout,
      bpftool('-j', 'btf', 'dump', 'file', file),
    ];
    assert.ok(ours === theirs, file);
  }
});

test('split BTF on its base', { skip: noBpftool }, () => {
  const raw = readElf(readFileSync(fixture('objects/types.bpf.o'))).section('.BTF')!.data;
  const base = readBtf(raw);
  const builder = new BtfBuilder(base, 'split');
  const pointer = builder.add({ kind: 'ptr', name: '', type: base.find('shapes', 'struct')! });
  const members = [{ name: 'first', type: pointer, bitOffset: 0, bitSize: 0 }];
  builder.add({ kind: 'struct', name: 'module_state', size: 8, members });
  const [basePath, path] = [files.write('base', raw), files.write('module', builder.build())];
  for (const format of ['raw', 'c']) {
    const ours = skep(['btf', 'dump', 'file', path, 'format', format, '-B', basePath]).stdout;
    const theirs = bpftool('-B', basePath, 'btf', 'dump', 'file', path, 'format', format);
    if (format === 'raw') assert.equal(ours, theirs);
    else
      for (const text of [ours, theirs])
        assert.match(text, /struct module_state \{\n\tstruct shapes \*first;\n\};/);
  }
  assert.match(
    skep(['btf', 'dump', path]).stderr,
    /types of a kernel's module need those of the kernel as their base/,
  );
});

test('types of what the running kernel has', { skip: whyNoLinux() || noBpftool }, () => {
  const kernel = new LinuxKernel();
  const loaded = kernel.load(readFileSync(fixture('objects/dump.bpf.o')));
  try {
    const [map, program] = [loaded.map('everything'), loaded.program('tail')];
    const requests = [
      ['id', String(program.info().btfId)],
      ['prog', 'id', String(program.info().id)],
      ...['key', 'value', 'kv', 'all'].map((part) => ['map', 'id', String(map.id), part]),
      ['map', 'id', String(map.id)],
    ];
    for (const request of requests) {
      const ours = skep(['btf', 'dump', ...request, '--kernel', 'linux']).stdout;
      assert.equal(ours, bpftool('btf', 'dump', ...request), request.join(' '));
    }
    const header = skep([
      'btf',
      'dump',
      'map',
      String(map.id),
      'value',
      'format',
      'c',
      '--kernel',
      'linux',
    ]).stdout;
    assert.match(header, /\nstruct value \{\n/);
    assert.doesNotMatch(header, /\nstruct key \{\n/);
  } finally {
    loaded.close();
  }
});

test('verify: programs of types and functions of the kernel, against its own and against given ones', () => {
  const object = fixture('objects/tracing.bpf.o');
  const vmlinux = '/sys/kernel/btf/vmlinux';
  for (const options of [[], ...(existsSync(vmlinux) ? [['--btf', vmlinux]] : [])]) {
    const { code, stdout, stderr } = skep(['verify', object, ...options]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^enter +tracing +accepted /m);
    assert.match(stdout, /^count +raw_tracepoint +accepted /m);
  }
  // Its types have no such tracepoint.
  const { stderr } = skep(['verify', object, '--btf', fixture('kernels/small.o')]);
  assert.match(stderr, /'enter' not loaded: /);
});
