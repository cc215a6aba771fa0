/** The log as a buffer: columns, cutting back, and what is kept of a long one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Log, logLevels } from './index.ts';

test('a state follows its instruction at column 40, or later in steps of 8', () => {
  const cases: { insn: string; want: string }[] = [
    { insn: '1: (bf) r2 = r10\n', want: '1: (bf) r2 = r10                      ; R2=fp0\n' },
    {
      insn: '4: (85) call bpf_get_smp_processor_id#8\n',
      want: '4: (85) call bpf_get_smp_processor_id#8       ; R2=fp0\n',
    },
  ];
  for (const { insn, want } of cases) {
    const log = new Log(logLevels.all);
    log.instruction(insn);
    assert.ok(log.column());
    log.write(' R2=fp0\n');
    assert.equal(log.text(), want);
    assert.equal(log.length, want.length);
  }
});

test('a state does not follow other text', () => {
  const log = new Log(logLevels.paths);
  assert.ok(!log.column());
  log.instruction('0: (95) exit\n');
  log.write('something else\n');
  assert.ok(!log.column());
});

test('cutting back, within a chunk and beyond', () => {
  const log = new Log(logLevels.paths);
  for (const text of ['one ', 'two ', 'three']) log.write(text);
  log.resetTo(10);
  assert.equal(log.text(), 'one two th');
  log.resetTo(99);
  assert.equal(log.text(), 'one two th');
  log.resetTo(3);
  log.write('!');
  assert.deepEqual([log.text(), log.length, log.longest], ['one!', 4, 13]);
});

test('levels', () => {
  const cases: { level: number; on: boolean; verbose: boolean; text: string }[] = [
    { level: 0, on: false, verbose: false, text: '' },
    { level: 1, on: true, verbose: false, text: 'x' },
    { level: 2, on: true, verbose: true, text: 'x' },
    { level: 4, on: false, verbose: false, text: 'x' },
  ];
  for (const { level, on, verbose, text } of cases) {
    const log = new Log(level);
    log.write('x');
    assert.deepEqual([log.on, log.verbose, log.text()], [on, verbose, text]);
    log.write('why not\nR1 !read_ok\n');
    assert.equal(log.lastLine(), 'R1 !read_ok');
  }
});

test('of a log that is too long the end is kept, of a fixed one the start', () => {
  const rolling = new Log(logLevels.paths, 10);
  const fixed = new Log(logLevels.paths | logLevels.fixed, 10);
  for (const log of [rolling, fixed]) for (let i = 0; i < 100; i++) log.write(`${i % 10}ab`);
  assert.equal(rolling.text(), '7ab8ab9ab');
  assert.equal(fixed.text(), '0ab1ab2ab');
  assert.deepEqual([rolling.length, fixed.length], [300, 300]);
  rolling.resetTo(295);
  assert.equal(rolling.text(), '7ab8');
  rolling.resetTo(100);
  assert.deepEqual([rolling.text(), rolling.length], ['', 100]);
  rolling.write('end');
  assert.deepEqual([rolling.text(), rolling.length], ['end', 103]);
});
