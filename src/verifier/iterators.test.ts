/** Open-coded iterators: kernel functions that keep their state on the program's stack. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelBtf } from '../../test/support/kernel-btf.ts';
import { assemble } from '../asm/index.ts';
import { encode } from '../isa/index.ts';
import { type VerifierInput, verify } from './index.ts';

const SOCKET_FILTER = 1;

const [create, next, destroy, other] = [
  'bpf_iter_num_new',
  'bpf_iter_num_next',
  'bpf_iter_num_destroy',
  'no_kfunc',
].map((name) => kernelBtf.id(name));

function input(program: string, more: Partial<VerifierInput> = {}): VerifierInput {
  return {
    insns: encode(assemble(program)),
    progType: SOCKET_FILTER,
    expectedAttachType: 0,
    progFlags: 0,
    gplCompatible: true,
    capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
    resolveMap: () => 'EBADF',
    kernelBtf: kernelBtf.bytes,
    logLevel: 0,
    ...more,
  };
}

const it = 'r1 = r10\nr1 += -8';
const begin = `${it}\nr2 = 0\nr3 = 10\ncall kfunc#${create}`;
const end = `${it}\ncall kfunc#${destroy}\nr0 = 0\nexit`;

/** A loop over numbers; `body` sees the number in r1. */
const loop = (body: string): string => `
  ${begin}
  l:
  ${it}
  call kfunc#${next}
  if r0 == 0 goto done
  r1 = *(u32 *)(r0 + 0)
  ${body}
  goto l
  done:
  ${end}`;

const cases = [
  { name: 'a loop over numbers', program: loop('r6 = r1'), want: 'ok' },
  {
    name: 'a sum that nobody bounds',
    program: loop('r7 = r1\nr7 += r1').replace('r1 = r10', 'r7 = 0\nr1 = r10'),
    want: 'ok',
  },
  {
    name: 'a number may be anything',
    program: loop('r2 = r10\nr2 += r1\n*(u8 *)(r2 - 64) = 0'),
    want: 'invalid unbounded variable-offset write to stack R2',
  },
  {
    name: 'items are not written',
    program: loop('*(u32 *)(r0 + 0) = 1'),
    want: 'R0 cannot write into rdonly_mem',
  },
  {
    name: 'items end',
    program: loop('r1 = *(u32 *)(r0 + 4)'),
    want: 'R0 min value is outside of the allowed memory range',
  },
  {
    name: 'NULL is the end',
    program: `${begin}\n${it}\ncall kfunc#${next}\nr0 = *(u32 *)(r0 + 0)\n${end}`,
    want: "R0 invalid mem access 'scalar'",
  },
  {
    name: 'never begun',
    program: `${it}\ncall kfunc#${next}\nr0 = 0\nexit`,
    want: 'expected an initialized iter_num as arg #0',
  },
  {
    name: 'begun twice',
    program: `${begin}\n${begin}\n${end}`,
    want: 'expected uninitialized iter_num as arg #0',
  },
  {
    name: 'never ended',
    program: `${begin}\nr0 = 0\nexit`,
    want: 'BPF_EXIT instruction in main prog would lead to reference leak',
  },
  {
    name: 'not on the stack',
    program: `r2 = 0\nr3 = 0\ncall kfunc#${create}\nr0 = 0\nexit`,
    want: 'arg#0 expected pointer to an iterator on stack',
  },
  {
    name: 'its state is not read',
    program: `${begin}\nr0 = *(u64 *)(r10 - 8)\n${end}`,
    want: 'invalid read from stack off -8+0 size 8',
  },
  {
    name: 'written over, it is none any more',
    program: `${begin}\n*(u8 *)(r10 - 8) = 0\n${end}`,
    want: 'expected an initialized iter_num as arg #0',
  },
  {
    name: 'an item does not outlive its iterator',
    program: `${begin}\n${it}\ncall kfunc#${next}\nr6 = r0\n${it}\ncall kfunc#${destroy}\nif r6 == 0 goto out\nr0 = *(u32 *)(r6 + 0)\nout:\nr0 = 0\nexit`,
    want: "R6 invalid mem access 'scalar'",
  },
  {
    name: 'a bound that is no number',
    program: begin.replace('r2 = 0', 'r2 = r10'),
    want: 'R2 is not a scalar',
  },
  {
    name: 'another kernel function',
    program: `call kfunc#${other}\nr0 = 0\nexit`,
    want: 'calling kernel function no_kfunc is not allowed',
  },
  {
    name: 'no type of that number',
    program: 'call kfunc#9999\nr0 = 0\nexit',
    want: 'kernel btf_id 9999 is not a function',
  },
];

for (const { name, program, want } of cases) {
  test(name, () => {
    const result = verify(input(program.endsWith('exit') ? program : `${program}\nr0 = 0\nexit`));
    assert.equal(result.ok ? 'ok' : result.message, want);
  });
}

test('only for programs under a licence that allows it', () => {
  const result = verify(input(loop('r6 = r1'), { gplCompatible: false }));
  assert.equal(
    result.ok ? 'ok' : result.message,
    'cannot call kernel function from non-GPL compatible program',
  );
});

test('the log shows its progress', () => {
  const result = verify(input(loop('r6 = r1'), { logLevel: 2 }));
  assert.match(
    result.log,
    /call bpf_iter_num_new#\d+ +; R0=scalar\(\) fp-8=iter_num\(ref_id=1,state=active,depth=0\) refs=1/,
  );
  assert.match(result.log, /fp-8=iter_num\(ref_id=1,state=drained,depth=0\)/);
  assert.match(
    result.log,
    /R0=rdonly_mem\(id=2,ref_obj_id=1,sz=4\) .*fp-8=iter_num\(ref_id=1,state=active,depth=1\)/,
  );
});
