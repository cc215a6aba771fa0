/** Probes in notes: of the fixture, of one that was moved, of this machine's beside readelf, and of bad ones. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { SkepError } from '../base/errors.ts';
import { usdtProbes } from './index.ts';

const library = readFileSync(new URL('../../fixtures/usdt/probes.so', import.meta.url));
const all = (): boolean => true;

/** The library with 64 bits of the header of a section or segment changed, as a tool that moves addresses does. */
function changed(change: (view: DataView, section: (name: string) => number) => void): Uint8Array {
  const bytes = new Uint8Array(library);
  const view = new DataView(bytes.buffer);
  const table = Number(view.getBigUint64(40, true));
  const header = (index: number): number => table + 64 * index;
  const names = Number(view.getBigUint64(header(view.getUint16(62, true)) + 24, true));
  const section = (name: string): number => {
    for (let i = 0; i < view.getUint16(60, true); i++) {
      const at = names + view.getUint32(header(i), true);
      const text = String.fromCharCode(...bytes.subarray(at, at + name.length + 1));
      if (text === `${name}\0`) return header(i);
    }
    throw new Error(`no section ${name}`);
  };
  change(view, section);
  return bytes;
}

test('the probes of the fixture, in the order of their notes', () => {
  const { machine, isFixed, probes } = usdtProbes(library, all);
  assert.equal(machine, 'x64');
  assert.equal(isFixed, false);
  assert.deepEqual(
    probes.map(({ provider, name, args }) => [provider, name, args]),
    [
      ['toy', 'arguments', '8@%rdi -4@%esi 4@%esi -4@$-7 -4@8(%rdx) -2@12(%rdx) 2@12(%rdx) 1@%dil'],
      ['toy', 'twice', '-8@%rdi'],
      ['toy', 'twice', '-8@%rsi'],
      ['toy', 'guarded', ''],
    ],
  );
  const nop = 0x90;
  for (const { offset } of probes) assert.equal(library[Number(offset)], nop);
  const semaphores = probes.map(({ semaphore }) => semaphore);
  assert.deepEqual(semaphores.slice(0, 3), [0n, 0n, 0n]);
  // Its section lies at another place in the file than in memory.
  const view = new DataView(library.buffer, library.byteOffset);
  assert.equal(view.getUint16(Number(semaphores[3]), true), 0);
  assert.equal(semaphores[3], 0x1000n);
});

test('those that are asked for', () => {
  const names = (wanted: (provider: string, name: string) => boolean): string[] =>
    usdtProbes(library, wanted).probes.map(({ name }) => name);
  assert.deepEqual(
    names((provider, name) => provider === 'toy' && name === 'twice'),
    ['twice', 'twice'],
  );
  assert.deepEqual(
    names((provider) => provider === 'other'),
    [],
  );
});

test('where the base was moved, code and semaphores were, too', () => {
  const [moved, plain] = [0x1000n, usdtProbes(library, all)];
  const file = changed((view, section) => {
    const at = section('.stapsdt.base') + 16;
    view.setBigUint64(at, view.getBigUint64(at, true) + moved, true);
    // The segments move with it.
    const segments = Number(view.getBigUint64(32, true));
    for (let i = 0; i < view.getUint16(56, true); i++) {
      const address = segments + 56 * i + 16;
      view.setBigUint64(address, view.getBigUint64(address, true) + moved, true);
    }
  });
  const { probes } = usdtProbes(file, all);
  assert.deepEqual(
    probes.map(({ offset, semaphore }) => [offset, semaphore]),
    plain.probes.map(({ offset, semaphore }) => [offset, semaphore]),
  );
  assert.deepEqual(
    probes.map(({ address }) => address - moved),
    plain.probes.map(({ address }) => address),
  );
});

test('a file without such notes has none', () => {
  const file = changed((view, section) => view.setUint32(section('.note.stapsdt') + 4, 1, true));
  assert.deepEqual(usdtProbes(file, all).probes, []);
});

describe('what cannot be read', () => {
  const cases: { name: string; bytes: Uint8Array; want: RegExp }[] = [
    { name: 'no ELF file', bytes: new Uint8Array(100), want: /no ELF file/ },
    {
      name: 'a note that ends behind its section',
      bytes: changed((view, section) => {
        const at = section('.note.stapsdt') + 32;
        view.setBigUint64(at, view.getBigUint64(at, true) - 8n, true);
      }),
      want: /cut short/,
    },
    {
      name: 'a probe in no segment',
      bytes: changed((view, section) => {
        const notes = Number(view.getBigUint64(section('.note.stapsdt') + 24, true));
        view.setBigUint64(notes + 20, 0x999999n, true);
      }),
      want: /the code of its probe toy:arguments is at 0x999999, in no such part/,
    },
    {
      name: 'a semaphore in code',
      bytes: changed((view, section) => {
        const notes = Number(view.getBigUint64(section('.note.stapsdt') + 24, true));
        view.setBigUint64(notes + 36, view.getBigUint64(notes + 20, true), true);
      }),
      want: /the semaphore of its probe toy:arguments/,
    },
    {
      name: 'strings that do not end',
      bytes: changed((view, section) => {
        const notes = Number(view.getBigUint64(section('.note.stapsdt') + 24, true));
        view.setUint32(notes + 4, 26, true);
      }),
      want: /the note of a probe is cut short/,
    },
  ];
  for (const { name, bytes, want } of cases) {
    test(name, () =>
      assert.throws(
        () => usdtProbes(bytes, all),
        (error) => error instanceof SkepError && want.test(error.line),
      ),
    );
  }
  fuzzReader((bytes) => usdtProbes(bytes, all), [new Uint8Array(library)]);
});

describe('as readelf reads them', () => {
  const { stdout } = spawnSync(
    'sh',
    ['-c', 'ls /usr/lib/*/libstdc++.so.6 /usr/lib/*/libpython3*.so.1.0 /usr/bin/python3'],
    {
      encoding: 'utf8',
    },
  );
  const reason = spawnSync('readelf', ['--version']).status === 0 ? false : 'no readelf';
  for (const file of stdout.split('\n').filter((path) => existsSync(path))) {
    test(file, { skip: reason }, () => {
      const said = spawnSync('readelf', ['--notes', '--wide', file], {
        encoding: 'utf8',
        maxBuffer: 1 << 26,
      });
      const pattern = /Provider: (.*)\n\s+Name: (.*)\n\s+Location: 0x([0-9a-f]+), .*\n\s+Arguments: ?(.*)\n/g;
      const want = [...said.stdout.matchAll(pattern)].map(([, ...parts]) => parts);
      const { probes } = usdtProbes(readFileSync(file), all);
      const got = probes.map(({ provider, name, address, args }) => {
        return [provider, name, address.toString(16).padStart(16, '0'), args];
      });
      assert.deepEqual(got, want);
    });
  }
});
