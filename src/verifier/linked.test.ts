/** Copies of a number that moved by a constant: what a branch tells of one holds for the others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../asm/index.ts';
import { encode } from '../isa/index.ts';
import { verify } from './index.ts';

const XDP = 6;

const cases = [
  {
    name: 'a sum of 64 bits',
    input:
      'r1 = *(u32 *)(r1 + 12)\nr2 = r1\nr2 += 3\nif r1 != 10 goto out\nif r2 == 13 goto out\nr0 /= 0\nout:\nr0 = 0\nexit',
    want: 'ok',
  },
  {
    name: 'a sum of 32 bits',
    input:
      'r1 = *(u32 *)(r1 + 12)\nw2 = w1\nw2 += 3\nif w1 != 10 goto out\nif w2 == 13 goto out\nr0 /= 0\nout:\nr0 = 0\nexit',
    want: 'ok',
  },
  {
    name: 'a sum of 32 bits does not tell of an upper half',
    input: `
      r6 = r10
      r7 = r1
      call 5
      r1 = r0
      w1 += 3
      if r1 != 13 goto out
      if r0 == 10 goto out
      r0 = *(u64 *)(r7 + 0)
      out:
      r0 = 0
      exit`,
    want: 'invalid bpf_context access off=0 size=8',
  },
  {
    name: 'a sum of 32 bits of what has an upper half is linked to nothing',
    input: `
      r6 = r1
      call 5
      r1 = r0
      w1 += 1
      if r1 != 1 goto out
      if r0 == 0 goto out
      r0 = *(u64 *)(r6 + 0)
      out:
      r0 = 0
      exit`,
    want: 'invalid bpf_context access off=0 size=8',
  },
  {
    name: 'a sum with itself is linked to nothing',
    input: `
      r6 = r1
      call 7
      r1 = r0
      if r1 != 1 goto out
      r1 += r1
      if r1 == 2 goto out
      r0 = *(u64 *)(r6 + 0)
      out:
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a constant too large to move a pointer by counts where it is linked',
    input: `
      r6 = r1
      r9 = *(u32 *)(r6 + 12)
      *(u32 *)(r10 - 8) = r9
      w9 -= 2147483647
      r2 = *(u32 *)(r6 + 0)
      r2 += r9
      r0 = 2
      exit`,
    want: 'pkt pointer offset -2147483647 is not allowed',
  },
];

for (const { name, input, want } of cases) {
  test(name, () => {
    const result = verify({
      insns: encode(assemble(input)),
      progType: XDP,
      expectedAttachType: 0,
      progFlags: 0,
      gplCompatible: true,
      capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
      resolveMap: () => 'EBADF',
      logLevel: 0,
    });
    assert.equal(result.ok ? 'ok' : result.message, want);
  });
}
