import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Field } from './commands.ts';
import { contexts } from './contexts.ts';
import { helperProtos } from './helper-protos.ts';
import { helperName, helpers } from './helpers.ts';
import { commands, errnoName, errnos, mapTypes, progTypes } from './index.ts';
import type { Labelled } from './label.ts';

/** The keys of a table whose label is not `absent`. */
const present = (table: Record<string, Labelled>): string[] =>
  Object.keys(table).filter((key) => table[key]?.label !== 'absent');

test('the tables have every number of Linux 6.18 once', () => {
  const rows = [
    { table: Object.values(commands).map(({ nr }) => nr), first: 0, last: 37 },
    { table: Object.values(mapTypes).map(({ id }) => id), first: 1, last: 33 },
    { table: Object.values(progTypes).map(({ id }) => id), first: 1, last: 32 },
    { table: Object.values(helpers).map(({ id }) => id), first: 1, last: 211 },
  ];
  for (const { table, first, last } of rows) {
    const want = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    assert.deepEqual(
      [...table].sort((a, b) => a - b),
      want,
    );
  }
});

test('a helper is labelled by whether the verifier has its prototype', () => {
  const known = Object.keys(helperProtos).sort();
  assert.deepEqual(present(helpers).sort(), known);
});

test('a program type is labelled by whether the verifier has its context', () => {
  // The contexts of these are typed by the kernel's BTF.
  const typed = ['lsm', 'netfilter', 'struct_ops', 'tracing'];
  const known = [...new Set([...Object.keys(contexts), ...typed])].sort();
  assert.deepEqual(present(progTypes).sort(), known);
});

test('numbers find their names', () => {
  assert.equal(helperName(1), 'map_lookup_elem');
  assert.equal(helperName(212), undefined);
  assert.equal(errnoName(errnos.EACCES), 'EACCES');
});

test('the fields of a command are aligned as in C and lie within union bpf_attr', () => {
  const size = { u32: 4, s32: 4, u64: 8, name: 16, str: 8, in: 8, out: 8, info: 8 } as const;
  for (const [name, { fields }] of Object.entries(commands)) {
    for (const [field, { at, kind }] of Object.entries<Field>(fields)) {
      const align = kind === 'name' ? 4 : size[kind];
      assert.equal(at % align, 0, `${name}.${field} at ${at}`);
      assert.ok(at + size[kind] <= 168, `${name}.${field} ends after union bpf_attr`);
    }
  }
});
