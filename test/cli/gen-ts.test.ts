/** `skep gen ts` on the command line: where the module goes, and where it finds its object. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { example, readExample, scratch, skep } from './skep.ts';

const files = scratch();
after(() => files.remove());
const firewall = example('firewall.bpf.o');

test('to standard output, to a file, and from standard input', () => {
  const printed = skep(['gen', 'ts', firewall]);
  assert.equal(printed.code, 0, printed.stderr);
  assert.match(printed.stdout, /^ {2}flows: Map<Flow, Traffic>; \/\/ hash, 4096 entries$/m);
  assert.match(printed.stdout, /new URL\('\.\/firewall\.bpf\.o', import\.meta\.url\)/);
  const object = files.write('firewall.bpf.o', readExample('firewall.bpf.o'));
  mkdirSync(files.path('made'));
  const module = files.path('made/firewall.ts');
  const written = skep(['gen', 'ts', object, '-o', module]);
  assert.deepEqual(written, { code: 0, stdout: '', stderr: '' });
  assert.match(readFileSync(module, 'utf8'), /new URL\('\.\.\/firewall\.bpf\.o', import\.meta\.url\)/);
  const embedded = skep(['gen', 'ts', firewall, '--embed']).stdout;
  assert.match(embedded, /const bytes = fromBase64\(object\);/);
  assert.doesNotMatch(embedded, /node:fs/);
  // What comes from standard input is nowhere to be read again.
  assert.match(
    skep(['gen', 'ts', '-'], { input: readExample('firewall.bpf.o') }).stdout,
    /fromBase64\(object\)/,
  );
});

test('what it cannot', () => {
  const cases: { args: string[]; code: number; want: RegExp }[] = [
    { args: [], code: 2, want: /'skep gen ts' wants a FILE/ },
    { args: [files.write('text', 'text')], code: 1, want: /text: / },
    { args: [files.path('nothing')], code: 1, want: /nothing: no such file/ },
    { args: [firewall, '-o', files.path('no/folder/x.ts')], code: 1, want: /no such file/ },
  ];
  for (const { args, code, want } of cases) {
    const ran = skep(['gen', 'ts', ...args]);
    assert.equal(ran.code, code, ran.stderr);
    assert.match(ran.stderr, want);
    assert.doesNotMatch(ran.stderr, /bug in skep/);
  }
});
