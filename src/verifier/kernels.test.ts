import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../asm/index.ts';
import { encode } from '../isa/index.ts';
import { type KernelVersion, type VerifierInput, verify } from './index.ts';

const input = (kernel?: KernelVersion): VerifierInput => ({
  insns: encode(assemble('r0 = 0\nexit')),
  progType: 6,
  expectedAttachType: 0,
  progFlags: 0,
  gplCompatible: true,
  capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
  kernel,
  resolveMap: () => 'EBADF',
  logLevel: 1,
});

test('the latest kernel is meant where none is named', () => {
  assert.deepEqual(verify(input('6.18')).log, verify(input()).log);
});

test('a kernel that it does not speak for', () => {
  for (const kernel of ['2.6', 'toString', '']) {
    assert.throws(() => verify(input(kernel as KernelVersion)), {
      name: 'SkepError',
      code: 'kernel-version',
      message: `the verifier does not know Linux ${kernel}`,
    });
  }
});
