/** What the log and the errno say beside the last message: lines before it, and which of two errnos. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelBtf } from '../../test/support/kernel-btf.ts';
import { assemble } from '../asm/index.ts';
import { BtfBuilder, readBtf } from '../btf/index.ts';
import { encode } from '../isa/index.ts';
import { type VerifierInput, type VerifierResult, verify } from './index.ts';

const SOCKET_FILTER = 1;
const SCHED_CLS = 3;
const TRACING = 26;
const TRACE_RAW_TP = 23;

const int = { kind: 'int', name: 'int', size: 4, signed: true, char: false, bool: false } as const;

function run(program: string, more: Partial<VerifierInput> = {}): VerifierResult {
  return verify({
    insns: encode(assemble(program)),
    progType: SOCKET_FILTER,
    expectedAttachType: 0,
    progFlags: 0,
    gplCompatible: true,
    capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
    resolveMap: () => 'EBADF',
    logLevel: 1,
    ...more,
  });
}

test('too many branches that wait: the errno tells what made them', () => {
  const many = (body: string): string => `${`${body}\n`.repeat(8200)}r0 = 0\nexit`;
  const cases = [
    { name: 'jumps', program: `call 7\n${many('if r0 == 5 goto +0')}`, want: 'EFAULT' },
    { name: 'may_goto', program: many('may_goto +0'), want: 'ENOMEM' },
  ];
  for (const { name, program, want } of cases) {
    const result = run(program);
    assert.equal(result.ok ? 'ok' : result.message, 'The sequence of 8193 jumps is too complex.', name);
    assert.equal(result.ok ? 'ok' : result.errno, want, name);
  }
});

test('the first argument of bpf_loop is a number', () => {
  const builder = new BtfBuilder();
  const number = builder.add({ ...int, bitOffset: 0, bits: 32 });
  const proto = builder.add({ kind: 'funcProto', name: '', type: number, parameters: [] });
  const func = builder.add({ kind: 'func', name: 'f', type: proto, linkage: 0 });
  const slots = [...assemble('r2 = 0 ll\nr3 = 0\nr4 = 0\ncall 181\nexit\nr0 = 0\nexit')];
  slots[0] = { op: 'ldimm64', dst: 2, pseudo: 'func', lo: 5, hi: 0 };
  const result = run('exit', {
    insns: encode(slots),
    btf: builder.build(),
    funcInfo: new Uint8Array(Uint32Array.of(0, func, 6, func).buffer),
  });
  assert.equal(result.ok ? 'ok' : result.message, 'verifier bug: backtracking misuse');
  assert.equal(result.ok ? 'ok' : result.errno, 'EFAULT');
});

const lines = (...slots: number[]): Uint8Array =>
  new Uint8Array(Uint32Array.from(slots.flatMap((slot) => [slot, 0, 0, 1 << 10])).buffer);

test('line_info is in order and inside the program', () => {
  const btf = new BtfBuilder().build();
  const cases = [
    { name: 'in order', slots: [0, 1], want: 'ok' },
    {
      name: 'twice',
      slots: [0, 0],
      want: 'Invalid line_info[1].insn_off:0 (prev_offset:0 prog->len:2)',
    },
    { name: 'none', slots: [1], want: 'missing bpf_line_info for func#0' },
  ];
  for (const { name, slots, want } of cases) {
    const result = run('r0 = 0\nexit', { btf, lineInfo: lines(...slots) });
    assert.equal(result.ok ? 'ok' : result.message, want, name);
  }
});

test('of a tracepoint, arguments are counted with the hidden one behind its last', () => {
  const attachBtfId = readBtf(kernelBtf.bytes).find('btf_trace_task_newtask', 'typedef');
  const input = {
    progType: TRACING,
    expectedAttachType: TRACE_RAW_TP,
    attachBtfId,
    kernelBtf: kernelBtf.bytes,
  };
  for (const [off, ordinal] of [
    [16, 3],
    [24, 5],
  ]) {
    const { log } = run(`r0 = *(u64 *)(r1 + ${off})\nexit`, input);
    assert.match(log, new RegExp(`func 'task_newtask' doesn't have ${ordinal}-th argument`));
  }
});

test('a trusted argument without a name has no match in the kernel', () => {
  const builder = new BtfBuilder();
  const number = builder.add({ ...int, bitOffset: 0, bits: 32 });
  const pointer = builder.add({ kind: 'ptr', name: '', type: 0 });
  const mainProto = builder.add({ kind: 'funcProto', name: '', type: number, parameters: [] });
  const main = builder.add({ kind: 'func', name: 'main', type: mainProto, linkage: 1 });
  const parameters = [{ name: 'p', type: pointer }];
  const proto = builder.add({ kind: 'funcProto', name: '', type: number, parameters });
  const func = builder.add({ kind: 'func', name: 'g', type: proto, linkage: 1 });
  builder.add({ kind: 'declTag', name: 'arg:trusted', type: func, component: 0 });
  const result = run('call g\nexit\ng:\nr0 = 0\nexit', {
    progType: SCHED_CLS,
    btf: builder.build(),
    funcInfo: new Uint8Array(Uint32Array.of(0, main, 2, func).buffer),
    kernelBtf: kernelBtf.bytes,
  });
  assert.match(result.log, /arg#0 reference type\('UNKNOWN \(anon\)'\) candidate matching error: -22\n/);
  assert.equal(result.ok ? 'ok' : result.errno, 'EINVAL');
});

test('helpers that show what the kernel holds need CAP_PERFMON, storage of tasks does not', () => {
  const capabilities = { bpf: true, perfmon: false, netAdmin: false, sysAdmin: false };
  const cases = [
    { id: 137, want: 'program of this type cannot use helper bpf_skc_to_tcp_sock#137' },
    { id: 35, want: 'program of this type cannot use helper bpf_get_current_task#35' },
    { id: 156, want: 'R1 type=ctx expected=map_ptr' },
  ];
  for (const { id, want } of cases) {
    const result = run(`call ${id}\nexit`, { capabilities, kernelBtf: kernelBtf.bytes });
    assert.equal(result.ok ? 'ok' : result.message, want);
  }
});

test('a call of a module that nothing names', () => {
  const cases = [
    { off: 1, first: 'kfunc offset > 0 without fd_array is invalid', errno: 'EPROTO' },
    { off: -1, first: 'negative offset disallowed for kernel module function call', errno: 'EINVAL' },
  ];
  for (const { off, first, errno } of cases) {
    const insns = encode([{ op: 'call', kind: 'kfunc', imm: 1, off }, { op: 'exit' }]);
    const result = run('exit', { insns, kernelBtf: kernelBtf.bytes });
    assert.ok(result.log.startsWith(`${first}\nfailed to find BTF for kernel function\n`), result.log);
    assert.equal(result.ok ? 'ok' : result.errno, errno);
  }
});
