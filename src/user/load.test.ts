/** What loading makes of specs, and what it refuses. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { SkepError } from '../base/errors.ts';
import { type CollectionSpec, openObject } from '../object/index.ts';
import { progTypes } from '../uapi/prog-types.ts';
import { Kernel } from './index.ts';

const open = (name: string): CollectionSpec =>
  openObject(readFileSync(fileURLToPath(new URL(`../../fixtures/objects/${name}.bpf.o`, import.meta.url))));

test('a program of a section without meaning is refused, unless someone says what it is', () => {
  using kernel = new Kernel();
  const spec = open('unknown-section');
  assert.throws(
    () => kernel.load(spec),
    (error) => error instanceof SkepError && /did you mean SEC\("xdp"\)/.test(error.line),
  );
  spec.programs['main_prog']!.progType = progTypes.xdp.id;
  kernel.load(spec).close();
});

test('maps that tc shares are pinned in its folder, which is made', () => {
  using kernel = new Kernel();
  const spec = open('tc-calls');
  spec.maps['jumps']!.pinning = 'byName';
  spec.maps['jumps']!.pinFolder = 'tc/globals';
  using collection = kernel.load(spec);
  const pinned = kernel.openPinned('/sys/fs/bpf/tc/globals/jumps');
  assert.ok('id' in pinned && pinned.id === collection.map('jumps').id);
  pinned.close();
});

test('programs that tc names by a map and a key are in the map', () => {
  using kernel = new Kernel();
  using collection = kernel.load(open('tc-calls'));
  const jumps = collection.map('jumps');
  assert.deepEqual(
    [0, 1, 2].map((key) => jumps.get(key) !== undefined),
    [true, false, true],
  );
});

test('what runs when a program throws is loaded with it, though nothing calls it', () => {
  using kernel = new Kernel();
  using collection = kernel.load(open('exceptions'));
  assert.deepEqual(Object.keys(collection.programs), ['throws', 'plain']);
});

test('fuzz: a broken object is refused in one line, at the latest when it is loaded', () => {
  using kernel = new Kernel({ memoryLimit: 64 << 20 });
  const seeds = ['struct-ops', 'arena', 'exceptions', 'tc-calls', 'globals'].map((name) =>
    readFileSync(fileURLToPath(new URL(`../../fixtures/objects/${name}.bpf.o`, import.meta.url))),
  );
  fuzzReader((bytes) => kernel.load(openObject(bytes)).close(), seeds);
});
