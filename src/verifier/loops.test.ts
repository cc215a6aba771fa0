import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../asm/index.ts';
import { encode } from '../isa/index.ts';
import { type VerifierInput, type VerifierResult, verify } from './index.ts';

const SOCKET_FILTER = 1;
const XDP = 6;

const input = (program: string, logLevel = 0): VerifierInput => ({
  insns: encode(assemble(program)),
  progType: XDP,
  expectedAttachType: 0,
  progFlags: 0,
  gplCompatible: true,
  capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
  resolveMap: () => 'EBADF',
  logLevel,
});

const run = (program: string, logLevel?: number): VerifierResult => verify(input(program, logLevel));

const cases = [
  {
    name: 'may_goto bounds a loop that nothing else does',
    input: 'r1 = 0\nl:\nmay_goto done\nr1 += 1\ngoto l\ndone:\nr0 = 0\nexit',
    want: 'ok',
  },
  {
    name: 'without it, the same loop never ends',
    input: 'r0 = 0\nl:\nr2 = 1\nif r1 == 0 goto l\nexit',
    want: 'infinite loop detected at insn 1',
  },
  {
    name: 'a range that holds each time round is covered the second time',
    input: `
      r1 = *(u32 *)(r1 + 12)
      if r1 > 6 goto out
      l:
      may_goto out
      r2 = r1
      r2 <<= 3
      r3 = r10
      r3 += -64
      r3 += r2
      *(u64 *)(r3 + 0) = 0
      r1 += 1
      if r1 < 7 goto l
      out:
      r0 = 0
      exit`,
    want: 'ok',
  },
];

// A byte of a packet points into the stack: backtracking gives up there, each time round, and marks all there is.
test('a loop that forces all scalars to be precise is followed to the limit', () => {
  const result = verify({
    ...input(`
      r6 = r1
      *(u64 *)(r10 - 8) = 0
      w8 = 1
      l:
      r0 = *(u8 *)skb[0]
      r0 &= 7
      r9 = r10
      r9 += r0
      r5 = *(u8 *)(r9 - 8)
      w8 += 1
      if w8 != 0 goto l
      r0 = 0
      exit`),
    progType: SOCKET_FILTER,
  });
  assert.equal(result.ok, false);
  assert.equal(result.message, 'BPF program is too large. Processed 1000001 insn');
});

for (const { name, input: program, want } of cases) {
  test(name, () => {
    const result = run(program);
    assert.equal(result.ok ? 'ok' : result.message, want);
  });
}

test('the log names a loop as its exploration starts and ends', () => {
  const result = run('r1 = 0\nl:\nmay_goto done\nr1 += 1\ngoto l\ndone:\nr0 = 0\nexit', 2);
  const lines = result.log.split('\n').filter((line) => line.startsWith('SCC'));
  assert.deepEqual(lines, ['SCC enter (1)', 'SCC backedge (1)', 'SCC exit (1)']);
});
