/** How far programs are explored: as many instructions as Linux 6.18 processes, where what is remembered decides. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../asm/index.ts';
import { encode } from '../isa/index.ts';
import { verify } from './index.ts';

const XDP = 6;
const ROOT = { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true };
const BPF_ALONE = { bpf: true, perfmon: false, netAdmin: true, sysAdmin: false };

const cases = [
  {
    name: 'a pointer beyond the end of the packet does not cover one that is not',
    input: `
      r2 = *(u32 *)(r1 + 0)
      r5 = *(u32 *)(r1 + 4)
      if r2 < r5 goto on
      goto on
      on:
      call f
      exit
      f:
      r0 = 0
      exit`,
    capabilities: ROOT,
    want: 12,
  },
  {
    name: 'to little endian, all eight bytes: the number is still the one that it was copied from',
    input: `
      r6 = *(u32 *)(r1 + 12)
      r2 = r6
      r2 = le64 r2
      if r2 != 7 goto out
      if r6 == 7 goto out
      r0 /= 0
      out:
      r0 = 0
      exit`,
    capabilities: ROOT,
    want: 9,
  },
  {
    name: 'a number that was linked and moved, and lost its upper half, moves pointers by what it is now',
    input: `
      r8 = *(u32 *)(r1 + 12)
      r7 = r8
      r8 -= 2147483647
      w8 = w8
      r2 = *(u32 *)(r1 + 0)
      r2 += r8
      r0 = r7
      exit`,
    capabilities: ROOT,
    want: 8,
  },
  {
    name: 'without CAP_PERFMON, a helper may read what stands beside a spilled number of two bytes',
    input: `
      *(u16 *)(r10 - 8) = 2
      r1 = r10
      r1 += -8
      r2 = 4
      r3 = 0
      r4 = 0
      r5 = 0
      call 28
      r0 = 0
      exit`,
    capabilities: BPF_ALONE,
    want: 10,
  },
  {
    name: 'what an atomic operation fetches from the stack is looked for there, and in its register before it',
    input: `
      r7 = *(u32 *)(r1 + 12)
      r8 = *(u32 *)(r1 + 16)
      *(u64 *)(r10 - 8) = 1
      if r7 > 3 goto on
      *(u64 *)(r10 - 8) = 2
      on:
      r8 = atomic_fetch_add((u64 *)(r10 - 8), r8)
      r8 &= 3
      r2 = r10
      r2 += r8
      *(u8 *)(r2 - 16) = 0
      if r8 > 1 goto out
      r7 += 1
      out:
      r0 = 0
      exit`,
    capabilities: ROOT,
    want: 21,
  },
];

for (const { name, input, capabilities, want } of cases) {
  test(name, () => {
    const result = verify({
      insns: encode(assemble(input)),
      progType: XDP,
      expectedAttachType: 0,
      progFlags: 0,
      gplCompatible: true,
      capabilities,
      resolveMap: () => 'EBADF',
      logLevel: 0,
    });
    assert.equal(result.ok ? result.stats.processed : result.message, want);
  });
}
