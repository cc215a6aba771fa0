/** `--kernel linux`: the same commands on the running kernel. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LinuxKernel } from '../../src/linux-kernel.ts';
import { whyNoLinux } from '../support/linux.ts';
import { example, skep } from './skep.ts';

const skip = whyNoLinux();
const firewall = example('firewall.bpf.o');

test('verify says of each program what Linux says', { skip }, () => {
  const [linux, embedded] = ['linux', 'embedded'].map((kernel) => {
    const { code, stdout, stderr } = skep(['verify', firewall, '--kernel', kernel, '--json']);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout)[0];
  });
  assert.ok(linux.microseconds >= 0);
  const facts = ({ name, accepted, insns, processed }: Record<string, unknown>) => ({
    name,
    accepted,
    insns,
    processed,
  });
  assert.deepEqual(facts(linux), facts(embedded));
});

test('prog run runs the program there', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'skep-'));
  try {
    const packet = join(directory, 'packet');
    writeFileSync(packet, new Uint8Array(64));
    const args = ['prog', 'run', firewall, '--data-in', packet, '--kernel', 'linux', '--json'];
    const { code, stdout, stderr } = skep(args);
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(stdout).retval, 2);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a kernel that there is not', () => {
  const { code, stderr } = skep(['verify', firewall, '--kernel', 'bsd']);
  assert.equal(code, 2);
  assert.equal(stderr, "skep: option '--kernel' wants one of embedded, linux, not 'bsd'\n");
});

test('map show and map dump are about the maps that the kernel has', { skip }, () => {
  const kernel = new LinuxKernel();
  const name = `skep_${process.pid}`;
  const map = kernel.createMap<number, number>({ type: 'hash', maxEntries: 4, name });
  try {
    map.set(80, 1234);
    const shown = skep(['map', 'show', '--kernel', 'linux', '--map', name, '--json']);
    assert.deepEqual(JSON.parse(shown.stdout), [
      { id: map.id, name, type: 'hash', keySize: 4, valueSize: 4, maxEntries: 4, flags: 0 },
    ]);
    for (const wanted of [name, String(map.id)]) {
      const dumped = skep(['map', 'dump', '--kernel', 'linux', '--map', wanted, '--json']);
      const element = { key: ['0x50', '0x00', '0x00', '0x00'], value: ['0xd2', '0x04', '0x00', '0x00'] };
      assert.deepEqual(JSON.parse(dumped.stdout), [element], dumped.stderr);
    }
    const all = skep(['map', 'show', '--kernel', 'linux']);
    assert.match(all.stdout, new RegExp(`^ *${map.id} +${name} +hash +4 +4 +4$`, 'm'));
  } finally {
    map.close();
  }
});

test('what map cannot do on the running kernel', { skip }, () => {
  const cases = [
    { args: ['show', firewall], want: `'${firewall}' with --kernel linux`, code: 2 },
    { args: ['show', '--pcap', 'x'], want: "'--pcap' with --kernel linux", code: 2 },
    { args: ['dump'], want: 'the kernel has many maps', code: 2 },
    { args: ['dump', '--map', 'no such'], want: "the kernel has no map 'no such'", code: 1 },
    { args: ['dump', '--map', '4294967295'], want: 'No such file or directory', code: 1 },
    { args: ['dump', '--map', '/no/pin'], want: 'No such file or directory', code: 1 },
  ];
  for (const { args, want, code } of cases) {
    const [word = '', ...rest] = args;
    const ran = skep(['map', word, '--kernel', 'linux', ...rest]);
    assert.equal(ran.code, code, ran.stderr);
    assert.ok(ran.stderr.includes(want), ran.stderr);
    assert.equal(ran.stderr.trim().split('\n').length, 1);
  }
});
