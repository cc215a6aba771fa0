import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SkepError } from '../base/errors.ts';
import { countCpus, findSymbol, tracefs, versionCode } from './targets.ts';

test('lists of CPUs as sysfs prints them', () => {
  const lists = { '0': 1, '0-3': 4, '0,2-5': 5, '0-1,4-5,7': 5 };
  for (const [list, want] of Object.entries(lists)) {
    assert.equal(countCpus(list), want, list);
  }
});

test('versions as uname says them', () => {
  const releases = { '6.18.44-fc-v657': 0x06122c, '5.4': 0x050400, '4.19.300': 0x0413ff, '': 0 };
  for (const [release, want] of Object.entries(releases)) assert.equal(versionCode(release), want, release);
});

test('tracefs, wherever it is mounted', () => {
  const folder = mkdtempSync(join(tmpdir(), 'skep-tracefs-'));
  const places = ['first', 'second'].map((name) => join(folder, name));
  try {
    for (const place of places) mkdirSync(place);
    assert.throws(
      () => tracefs(places),
      (error) =>
        error instanceof SkepError &&
        error.line ===
          `tracefs, which lists tracepoints and has the trace pipe, is not mounted (mount -t tracefs tracefs ${places[0]})`,
    );
    mkdirSync(join(folder, 'second', 'events'));
    assert.equal(tracefs(places), places[1]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('symbols, whole names only', () => {
  const kallsyms =
    'ffffffff81000000 T _stext\nffffffff81000010 t do_one\nffffffffc0000020 t do_one_more\t[mod]\n0000000000000000 T hidden\n';
  assert.equal(findSymbol(kallsyms, '_stext'), 0xffffffff81000000n);
  assert.equal(findSymbol(kallsyms, 'do_one'), 0xffffffff81000010n);
  assert.equal(findSymbol(kallsyms, 'do_one_more'), 0xffffffffc0000020n);
  for (const name of ['do_on', 'T', 'hidden', 'none', ''])
    assert.equal(findSymbol(kallsyms, name), undefined);
});
