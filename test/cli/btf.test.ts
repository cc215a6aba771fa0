/**
 * Types of objects and kernels on the command line: `skep btf dump`, and `--btf` where programs ask for them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { skep } from './skep.ts';

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
