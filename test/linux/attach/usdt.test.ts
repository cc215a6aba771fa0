/**
 * Programs on probes that a library carries, on the running kernel: they run where this process comes past the probes
 * of the fixture, and find the arguments. What the kernel lacks skips by name; those of `npm run test:vm` have it.
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { AttachOptions } from '../../../src/user/index.ts';
import { type Loaded, loadOnly, whereThere } from '../../support/attach.ts';
import { enterSandbox } from '../../support/linux-sandbox.ts';

const sandbox = enterSandbox();
const isOther = process.arch !== 'x64' && 'the library with probes is one for x86-64';
const skip = 'reason' in sandbox ? sandbox.reason : isOther;
const binary = fileURLToPath(new URL('../../../fixtures/usdt/probes.so', import.meta.url));

interface Library {
  fire(wide: bigint, number: number): number;
  twice(first: number, second: number): number;
  guarded(): number;
}

/** The library in this process. */
function open(): Library {
  const library = createRequire(import.meta.url)('koffi').load(binary);
  return {
    fire: library.func('fire', 'int', ['long', 'int']),
    twice: library.func('twice', 'int', ['long', 'long']),
    guarded: library.func('guarded', 'int', []),
  };
}

/** Attaches to a probe for as long as `run` takes, and looks at what was counted. */
function attached(
  name: string,
  options: AttachOptions,
  run: (loaded: Loaded, library: Library) => void,
): void {
  const library = open();
  const loaded = loadOnly(`${name}`, { object: 'usdt' });
  const link = loaded.program.attach({ binary, usdt: `toy:${name}`, ...options });
  try {
    run(loaded, library);
  } finally {
    link.close();
  }
  const after = loaded.hits();
  library.fire(0n, 0);
  library.twice(0, 0);
  library.guarded();
  assert.equal(loaded.hits(), after, 'closed');
  loaded.collection.close();
}

test('arguments of each form, size and sign', { skip }, (t) =>
  whereThere(t, () =>
    attached('arguments', { cookie: 99n }, ({ collection, hits }, library) => {
      assert.equal(library.fire(-0x1234_5678_9abc_deffn, -5), -5);
      const value = (name: string): unknown => collection.variable(name).get();
      assert.equal(hits(), 1n);
      assert.equal(value('count'), 8);
      assert.equal(value('cookie'), 99n);
      const wide = -0x1234_5678_9abc_deffn;
      assert.deepEqual(value('args'), [
        wide,
        -5n,
        0xffff_fffbn,
        -7n,
        -5n,
        -3n,
        0xfffdn,
        BigInt.asUintN(8, wide),
      ]);
      const ENOENT = 2n;
      assert.equal(value('beyond'), -ENOENT);
    }),
  ),
);

test('a probe in two places, whose argument is somewhere else in each', { skip }, (t) =>
  whereThere(t, () =>
    attached('twice', {}, ({ collection, hits, program }, library) => {
      library.twice(30, 12);
      assert.equal(hits(), 2n);
      assert.equal(collection.variable('sum').get(), 42n);
      assert.ok(program.usdt !== undefined);
    }),
  ),
);

test('of one process alone, and of another', { skip }, (t) =>
  whereThere(t, () => {
    attached('twice', { pid: process.pid }, ({ hits }, library) => {
      library.twice(1, 2);
      assert.equal(hits(), 2n);
    });
    attached('twice', { pid: 1 }, ({ hits }, library) => {
      library.twice(1, 2);
      assert.equal(hits(), 0n);
    });
  }),
);

test('the semaphore says while somebody listens', { skip }, (t) =>
  whereThere(t, () => {
    const library = open();
    assert.equal(library.guarded(), 0);
    attached('guarded', {}, ({ collection, hits }) => {
      assert.equal(library.guarded(), 1);
      assert.equal(hits(), 1n);
      assert.equal(collection.variable('count').get(), 0);
    });
    assert.equal(library.guarded(), 0);
  }),
);

test('a section names the library, the provider and the probe', { skip }, (t) =>
  whereThere(t, () => {
    const library = open();
    const loaded = loadOnly('guarded', { object: 'usdt', attachTo: `${binary}:toy:guarded` });
    const link = loaded.program.attach();
    assert.equal(library.guarded(), 1);
    assert.equal(loaded.hits(), 1n);
    link.close();
    loaded.collection.close();
  }),
);
