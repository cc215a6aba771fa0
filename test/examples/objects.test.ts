/** The committed objects are what the sources beside them compile to, and the real kernel takes them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const examples = fileURLToPath(new URL('../../examples', import.meta.url));
const sources = readdirSync(examples).filter((name) => name.endsWith('.bpf.c'));
const objectOf = (source: string): string => source.replace(/\.c$/, '.o');

test('every source has its object, up to date', (t) => {
  const version = spawnSync('clang-19', ['--version'], { encoding: 'utf8' });
  if (version.status !== 0) return t.skip('clang-19 is not installed');
  const copy = mkdtempSync(join(tmpdir(), 'skep-examples-'));
  try {
    for (const name of [...sources, 'build.sh']) cpSync(join(examples, name), join(copy, name));
    const { status, stderr } = spawnSync('./build.sh', { cwd: copy, encoding: 'utf8' });
    if (stderr.includes('file not found')) return t.skip('the headers are not installed');
    assert.equal(status, 0, stderr);
    for (const source of sources) {
      const built = readFileSync(join(copy, objectOf(source)));
      const committed = readFileSync(join(examples, objectOf(source)));
      const producer = /clang version [^\0]*/.exec(committed.toString('latin1'))?.[0];
      if (producer !== undefined && !built.toString('latin1').includes(producer)) {
        return t.skip(`the objects were built by ${producer}`);
      }
      assert.ok(built.equals(committed), `${source} changed: run examples/build.sh`);
    }
  } finally {
    rmSync(copy, { recursive: true });
  }
});

test('the real kernel loads every object', (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root may load programs');
  if (spawnSync('bpftool', ['version']).status !== 0) return t.skip('bpftool is not installed');
  const directory = mkdtempSync(join(tmpdir(), 'skep-bpffs-'));
  // A mount namespace of its own: the file system, and what is pinned in it, ends with the shell.
  const script = `mount -t bpf bpf "$1" || exit 77; cd "$2" || exit 1
    for object in *.bpf.o; do bpftool prog loadall "$object" "$1/\${object%%.*}" || exit 1; done`;
  try {
    const { status, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', directory, examples], {
      encoding: 'utf8',
    });
    if (status === 77) return t.skip('the BPF file system cannot be mounted here');
    assert.equal(status, 0, stderr);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
