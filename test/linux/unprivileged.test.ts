/**
 * Loading programs without any capability, which a kernel may allow for socket filters and cgroup programs. It takes
 * a sysctl of the whole machine, so it runs only where the machine is the test's own.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { test } from 'node:test';
import { LinuxSystem } from '../../src/linux/index.ts';
import { mapTypes } from '../../src/uapi/map-types.ts';
import { progTypes } from '../../src/uapi/prog-types.ts';
import type { System } from '../../src/uapi/seam.ts';
import { load, makeMap, outcome, returnZero } from '../contract/harness.ts';
import { Actor, asNobody } from '../contract/linux.ts';

const skip = process.env['SKEP_VM'] === undefined ? 'only in a virtual machine: it sets a sysctl' : false;
const SYSCTL = '/proc/sys/kernel/unprivileged_bpf_disabled';

/** What nobody is answered, by the value of the sysctl. */
const rows: readonly { name: string; call: (s: System) => unknown; want: Record<'0' | '2', string> }[] = [
  { name: 'a socket filter', call: (s) => load(s, returnZero), want: { 0: 'ok', 2: 'EPERM' } },
  {
    name: 'a tracepoint program',
    call: (s) => load(s, returnZero, { progType: progTypes.tracepoint.id }),
    want: { 0: 'EPERM', 2: 'EPERM' },
  },
  {
    name: 'a program that returns an address',
    call: (s) => load(s, 'r0 = r10\nexit'),
    want: { 0: 'EACCES', 2: 'EPERM' },
  },
  {
    name: 'a program that compares an address with a number',
    call: (s) => load(s, 'r0 = 0\nif r1 > 7 goto +1\nr0 = 1\nexit'),
    want: { 0: 'EACCES', 2: 'EPERM' },
  },
  {
    name: 'more than 4096 instructions',
    call: (s) => load(s, `${'r0 = 0\n'.repeat(4096)}exit`),
    want: { 0: 'E2BIG', 2: 'EPERM' },
  },
  {
    name: 'a program with a loop',
    call: (s) => load(s, 'r0 = 0\nr0 += 1\nif r0 < 4 goto -2\nexit'),
    want: { 0: 'EINVAL', 2: 'EPERM' },
  },
  {
    name: 'a hash map',
    call: (s) => makeMap(s, { mapType: mapTypes.hash.id }),
    want: { 0: 'ok', 2: 'EPERM' },
  },
  {
    name: 'a map for LPM tries',
    call: (s) => makeMap(s, { mapType: mapTypes.lpm_trie.id, keySize: 8, mapFlags: 1 }),
    want: { 0: 'EPERM', 2: 'EPERM' },
  },
];

test('what may be loaded without rights is what the sysctl says', { skip }, () => {
  const nobody = new Actor(new LinuxSystem(), asNobody);
  const before = readFileSync(SYSCTL, 'latin1');
  try {
    for (const setting of ['0', '2'] as const) {
      writeFileSync(SYSCTL, setting);
      for (const { name, call, want } of rows) {
        assert.equal(
          outcome(() => call(nobody)),
          want[setting],
          `${name}, where ${SYSCTL} is ${setting}`,
        );
      }
    }
  } finally {
    nobody.end();
    writeFileSync(SYSCTL, before);
  }
});
