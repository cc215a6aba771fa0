/** The examples that a newcomer runs first print what they promise. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const runsTypeScript = 'typescript' in process.features && process.features.typescript !== false;
const skip = runsTypeScript ? false : 'this Node does not run TypeScript';

function run(example: string): string {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=source', `examples/${example}`],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  assert.equal(status, 0, stderr);
  assert.equal(stderr, '');
  return stdout;
}

test('the tour', { skip }, () => {
  const text = run('tour.ts');
  const want: { name: string; line: RegExp }[] = [
    { name: 'fields', line: /^ {2}b7 00 00 00 0b 00 00 00 +0xb7 +r0 +r0 +0 +11 +r0 = 11$/m },
    { name: 'verifier log', line: /^ {2}│ 0: \(b7\) r0 = 11/m },
    { name: 'result', line: /it returns 11\.$/m },
    { name: 'rejection', line: /^ {2}│ R0 !read_ok$/m },
    { name: 'reason', line: /^ {2}Why: r0 is what a program returns/m },
    { name: 'a dropped packet', line: /^ {2}drop {2}IP 192\.0\.2\.1\.\d+ > 192\.0\.2\.2\.80: Flags \[S\]/m },
    { name: 'a dropped packet in a VLAN', line: /^ {2}drop {2}vlan 42, /m },
    { name: 'a fragment', line: /^ {2}pass {2}IP 192\.0\.2\.1 > 192\.0\.2\.2: frag \(1480\|1480\)$/m },
    { name: 'HTTP is dropped', line: /^ {2}TCP +80 +HTTP +0 +41 +11060 +░+$/m },
    { name: 'DNS passes', line: /^ {2}UDP +53 +DNS +6 +0 +601 +█+$/m },
    {
      name: 'typed key and value',
      line: /\{ protocol: 6, port: 80 \} → \{ passed: 0n, dropped: 41n, bytes: 11060n \}/,
    },
    { name: 'blocked ports', line: /^ {2}blocked {2}80 → 1$/m },
    { name: 'calls', line: /^ {2}read +0 +11 +█+$/m },
    { name: 'trace pipe', line: /^ {2}│ ls-\d+ .*bpf_trace_printk: read: fd 3, up to 832 bytes$/m },
  ];
  for (const { name, line } of want) assert.match(text, line, name);
  const tooLong = text.split('\n').filter((line) => line.length > 100);
  assert.deepEqual(tooLong, []);
  assert.ok(!text.includes('\x1b'), 'no colour where nobody looks');
});

test('the library example', { skip }, () => {
  const lines = run('library.ts').split('\n');
  assert.equal(lines[0], 'dropped');
  assert.equal(lines[1], '{ protocol: 6, port: 80 } { passed: 0n, dropped: 1n, bytes: 59n }');
});
