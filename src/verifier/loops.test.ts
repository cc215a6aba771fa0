import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../asm/index.ts';
import { encode } from '../isa/index.ts';
import { type VerifierResult, verify } from './index.ts';

const XDP = 6;

function run(program: string, logLevel = 0): VerifierResult {
  return verify({
    insns: encode(assemble(program)),
    progType: XDP,
    expectedAttachType: 0,
    progFlags: 0,
    gplCompatible: true,
    capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
    resolveMap: () => 'EBADF',
    logLevel,
  });
}

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

for (const { name, input, want } of cases) {
  test(name, () => {
    const result = run(input);
    assert.equal(result.ok ? 'ok' : result.message, want);
  });
}

test('the log names a loop as its exploration starts and ends', () => {
  const result = run('r1 = 0\nl:\nmay_goto done\nr1 += 1\ngoto l\ndone:\nr0 = 0\nexit', 2);
  const lines = result.log.split('\n').filter((line) => line.startsWith('SCC'));
  assert.deepEqual(lines, ['SCC enter (1)', 'SCC backedge (1)', 'SCC exit (1)']);
});
