/** `--kernel linux`: the same commands on the running kernel. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
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
