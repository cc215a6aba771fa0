/** The exam runner on a few records made here: what it counts, what it lists, and what it says of bad files. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { assemble } from '../../src/asm/index.ts';
import { toHex } from '../../src/base/index.ts';
import { encode } from '../../src/isa/index.ts';
import { whyNoLinux } from '../support/linux.ts';

const runner = fileURLToPath(
  new URL(`../../tools/exam-verifier${import.meta.url.slice(-3)}`, import.meta.url),
);
const folder = mkdtempSync(join(tmpdir(), 'skep-exam-'));
after(() => rmSync(folder, { recursive: true }));

const accepted = { verdict: 'accept', errno: 0, processed: 2, log1: 'processed 2 insns' };
const rejected = {
  verdict: 'reject',
  errno: 13,
  processed: 1,
  log1: '0: R1=ctx() R10=fp0\n0: (95) exit\nR0 !read_ok\nprocessed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n',
};
const record = (id: string, text: string, more: object) => ({
  ...{ id, name: '', prog_type: 1, expected_attach_type: 0, prog_flags: 0, license: 'GPL', maps: [] },
  insns: toHex(encode(assemble(text))),
  ...more,
});
const packet = (length: number): string => '00'.repeat(length);
const records = [
  record('accepted', 'r0 = 0\nexit', {
    linux: accepted,
    runs: [
      { data_in: packet(64), repeat: 1, retval: 0, data_out: packet(64) },
      { data_in: packet(64), repeat: 1, retval: 7, data_out: packet(64) },
    ],
  }),
  record('rejected', 'exit', { linux: rejected }),
  record('other words', 'exit', { linux: { ...rejected, log1: 'R0 !readable\n' } }),
  record('laxer', 'r0 = 0\nexit', { linux: rejected }),
  record('stricter', 'exit', { linux: accepted }),
  record('no such map', 'r0 = 0\nexit', {
    linux: accepted,
    maps: [{ type: 99, key_size: 4, value_size: 4, max_entries: 1, flags: 0 }],
  }),
  record('few rights', 'r0 = 0\nexit', { linux: accepted, capabilities: ['CAP_BPF'] }),
];

function save(name: string, lines: readonly unknown[]): string {
  const path = join(folder, name);
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  writeFileSync(path, gzipSync(text));
  return path;
}

function exam(...args: string[]) {
  const run = spawnSync(process.execPath, ['--conditions=source', '--no-warnings', runner, ...args], {
    encoding: 'utf8',
  });
  return { code: run.status, stdout: run.stdout, stderr: run.stderr };
}

const file = save('small.jsonl.gz', records);

test('--json counts', () => {
  const { code, stdout, stderr } = exam(file, '--json');
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), {
    set: 'small',
    programs: 7,
    agreeAccept: 2,
    agreeReject: 2,
    laxer: 1,
    stricter: 2,
    crashed: 0,
    slow: 0,
    lastMessageEqual: 1,
    log1Equal: 1,
    log2Equal: 0,
    log2: 0,
    processedEqual: 2,
    runs: 2,
    runsEqual: 1,
  });
});

test('--list names what differs', () => {
  const list = (kind: string): string[] =>
    exam(file, '--list', kind)
      .stdout.split('\n')
      .filter((line) => /^[a-z]/.test(line))
      .slice(1);
  assert.deepEqual(list('laxer'), ['laxer: Linux: EACCES: R0 !read_ok']);
  assert.match(list('stricter').join('\n'), /^stricter: EACCES: .*\nno such map: cannot be set up: .*EINVAL/);
  assert.deepEqual(list('message'), ['other words: R0 !read_ok | Linux: R0 !readable']);
  assert.deepEqual(list('runs'), ['accepted: run 1: returned 0 | Linux: returned 7']);
});

test('--only prints both logs', () => {
  const { stdout } = exam(file, '--only', 'rejected');
  assert.match(stdout, /--- ours\n0: R1=ctx\(\).*R0 !read_ok.*--- Linux\n0: R1=ctx\(\)/s);
});

test('a folder: the files of programs in it', () => {
  const inside = join(folder, 'all');
  mkdirSync(inside);
  save('all/a.jsonl.gz', records.slice(0, 2));
  save('all/other.jsonl.gz', [{ name: 'no program' }]);
  const sets = exam(inside, '--json').stdout.trim().split('\n');
  assert.deepEqual(
    sets.map((line) => JSON.parse(line).set),
    ['a'],
  );
});

test('bad files and options end in one line', () => {
  const plain = join(folder, 'plain.txt');
  writeFileSync(plain, 'not gzip');
  const rows: [string[], RegExp][] = [
    [[join(folder, 'none.gz')], /none\.gz: there is no such file$/],
    [[plain], /plain\.txt: not a record of an exam: incorrect header check$/],
    [
      [save('bad.jsonl.gz', [records[0], '{"id":'])],
      /bad\.jsonl\.gz, line 2: not a record of an exam: .*JSON/,
    ],
    [[save('odd.jsonl.gz', [{ id: 'x', prog_type: 1, insns: '1' }])], /line 1: .* no insns in hex in it$/],
    [[file, '--list', 'all'], /--list takes laxer\|/],
    [[], /no file/],
  ];
  for (const [args, want] of rows) {
    const { code, stderr } = exam(...args);
    assert.equal(code, 1);
    assert.match(stderr.trimEnd(), want);
    assert.equal(stderr.trimEnd().split('\n').length, 1);
  }
});

test('--live asks the running kernel, and measures both', { skip: whyNoLinux() }, () => {
  const { code, stdout, stderr } = exam(file, '--live', '--json');
  assert.equal(code, 0, stderr);
  const { timeMs, linuxTimeMs, timeRatioGeomean, ...counts } = JSON.parse(stdout);
  assert.ok(timeMs > 0 && linuxTimeMs >= 0);
  assert.equal(timeRatioGeomean, null, 'none takes long enough');
  const { agreeAccept, agreeReject, laxer, stricter, log1Equal, runsEqual } = counts;
  // The record lies, Linux does not; and neither kernel makes the map.
  const want = { agreeAccept: 3, agreeReject: 3, laxer: 0, stricter: 1, log1Equal: 3, runsEqual: 2 };
  assert.deepEqual({ agreeAccept, agreeReject, laxer, stricter, log1Equal, runsEqual }, want);
});
