/** Loaders with CAP_BPF alone: the paths that only speculation takes are explored too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../asm/index.ts';
import { encode } from '../isa/index.ts';
import { type VerifierResult, verify } from './index.ts';

const XDP = 6;

function run(program: string, perfmon: boolean, logLevel = 0): VerifierResult {
  return verify({
    insns: encode(assemble(program)),
    progType: XDP,
    expectedAttachType: 0,
    progFlags: 0,
    gplCompatible: true,
    capabilities: { bpf: true, perfmon, netAdmin: false, sysAdmin: false },
    resolveMap: () => 'EBADF',
    logLevel,
  });
}

const said = (result: VerifierResult): string => (result.ok ? 'ok' : result.message);

const cases = [
  {
    name: 'an error that only speculation reaches is fenced off',
    program: 'r0 = 0\nif r0 == 0 goto out\nr0 = *(u64 *)(r5 + 0)\nout:\nr0 = 0\nexit',
    root: 'ok',
    bpf: 'ok',
  },
  {
    name: 'a loop that only speculation takes is refused',
    program: 'r0 = 0\nl:\nr2 = 1\nif r0 == 0 goto out\ngoto l\nout:\nexit',
    root: 'ok',
    bpf: 'infinite loop detected at insn 1',
  },
];

for (const { name, program, root, bpf } of cases) {
  test(name, () => {
    assert.equal(said(run(program, true)), root);
    assert.equal(said(run(program, false)), bpf);
  });
}

test('what only speculation reaches is dead code', () => {
  const result = run(cases[0]?.program ?? '', false, 2);
  assert.ok(result.ok);
  assert.equal(result.insns[2], undefined);
  assert.match(result.log, /from 1 to 2 \(speculative execution\):/);
  assert.match(result.log, /R5 !read_ok/);
});
