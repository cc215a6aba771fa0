import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandLayouts, recordLayouts, widths } from './layout.ts';

test('every command of Linux 6.18 has a layout', () => {
  assert.equal(Object.keys(commandLayouts).length, 38);
  const numbers = Object.values(commandLayouts).map(({ nr }) => nr);
  assert.deepEqual(
    numbers,
    Array.from({ length: 38 }, (_, nr) => nr),
  );
});

test('fields lie where C puts them: aligned, and within the attributes', () => {
  for (const { size, rows, title } of Object.values(commandLayouts)) {
    for (const { name, at, kind } of rows) {
      const align = kind === 'name' ? 4 : Math.min(widths[kind], 8);
      assert.equal(at % align, 0, `${title} ${name}`);
      assert.ok(at + widths[kind] <= size, `${title} ${name}`);
    }
  }
  for (const [title, { size, rows }] of Object.entries(recordLayouts)) {
    for (const { name, at, kind } of rows) {
      assert.equal(at % Math.min(kind === 'name' ? 4 : widths[kind], 8), 0, `${title} ${name}`);
      assert.ok(at + widths[kind] <= size, `${title} ${name}`);
    }
  }
});

test('sizes are those of union bpf_attr and the info records', () => {
  const sizes = Object.fromEntries(Object.values(commandLayouts).map(({ cmd, size }) => [cmd, size]));
  const want = { mapCreate: 96, mapLookupElem: 32, progLoad: 168, mapLookupBatch: 56, progTestRun: 80 };
  for (const [cmd, size] of Object.entries(want)) assert.equal(sizes[cmd], size, cmd);
  assert.equal(recordLayouts.prog.size, 232);
  assert.equal(recordLayouts.btf.size, 32);
});
