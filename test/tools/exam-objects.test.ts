/** Objects on both kernels, and objects inside executables. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { carve } from '../../tools/exam/carve.ts';
import { whyNoLinux } from '../support/linux.ts';

const runner = fileURLToPath(
  new URL(`../../tools/exam-objects${import.meta.url.slice(-3)}`, import.meta.url),
);
const example = (name: string): string => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'skep-objects-'));
after(() => rmSync(folder, { recursive: true }));
const skip = whyNoLinux();

const run = (...args: string[]) =>
  spawnSync(process.execPath, ['--conditions=source', '--no-warnings', runner, ...args], {
    encoding: 'utf8',
  });

const minimal = new Uint8Array(readFileSync(example('minimal.bpf.o')));
const firewall = new Uint8Array(readFileSync(example('firewall.bpf.o')));
const noise = Uint8Array.from({ length: 1001 }, (_, i) => (i * 31) & 0xff);
/** An executable that carries two objects, one of them twice, and the start of a third. */
const executable = Buffer.concat([noise, minimal, noise, firewall, minimal, noise, minimal.subarray(0, 700)]);

test('objects are taken out of an executable whole, each once', () => {
  assert.deepEqual(carve(executable), [minimal, firewall]);
  assert.deepEqual(carve(new Uint8Array()), []);
});

test('a file with headers that lie gives no object', () => {
  const start = minimal.slice(0, 64);
  assert.deepEqual(carve(start), []);
  new DataView(start.buffer).setUint16(60, 0, true);
  new DataView(start.buffer).setBigUint64(40, 1n << 60n, true);
  assert.deepEqual(carve(start), []);
});

test('each program of an object is loaded on both kernels', { skip }, () => {
  const file = join(folder, 'tool');
  writeFileSync(file, executable);
  const { stdout, stderr, status } = run('--carve', file, '--json');
  assert.equal(status, 0, stderr);
  const { set, programs, agreeAccept, laxer, stricter, processedEqual, timeMs } = JSON.parse(stdout);
  assert.deepEqual({ set, laxer, stricter }, { set: 'tool', laxer: 0, stricter: 0 });
  assert.deepEqual([programs, agreeAccept, processedEqual], [2, 2, 2]);
  assert.ok(timeMs > 0);
});

test('bad files and options end in one line', { skip }, () => {
  const bad = join(folder, 'bad.o');
  writeFileSync(bad, 'no object');
  const rows: [string[], RegExp][] = [
    [[join(folder, 'none.o')], /none\.o: there is no such file$/],
    [[bad], /^exam-objects: bad\.o: .*ELF/],
    [[], /no object/],
    [[bad, '--list', 'all'], /--list takes/],
  ];
  for (const [args, want] of rows) {
    const { status, stderr } = run(...args);
    assert.equal(status, 1);
    assert.match(stderr.trimEnd(), want);
    assert.equal(stderr.trimEnd().split('\n').length, 1);
  }
});
