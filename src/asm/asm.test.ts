import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { anyProgram } from '../../test/support/programs.ts';
import { fromHex, SkepError, toHex } from '../base/index.ts';
import { decode, decodeLenient, encode } from '../isa/index.ts';
import { assemble, disassemble, formatInsn } from './index.ts';

/** The same instruction in both dialects. What is `undefined` in LLVM's is lost there. */
const notations: { hex: string; kernel: string; llvm: string }[] = [
  { hex: 'b7 00 00 00 0b 00 00 00', kernel: 'r0 = 11', llvm: 'r0 = 11' },
  { hex: 'bc 21 00 00 00 00 00 00', kernel: 'w1 = w2', llvm: 'w1 = w2' },
  { hex: '0f 21 00 00 00 00 00 00', kernel: 'r1 += r2', llvm: 'r1 += r2' },
  { hex: '07 02 00 00 f8 ff ff ff', kernel: 'r2 += -8', llvm: 'r2 += -8' },
  { hex: 'c7 01 00 00 03 00 00 00', kernel: 'r1 s>>= 3', llvm: 'r1 s>>= 3' },
  { hex: '34 05 01 00 ff ff ff ff', kernel: 'w5 s/= -1', llvm: 'w5 s/= -1' },
  { hex: '9f 43 01 00 00 00 00 00', kernel: 'r3 s%= r4', llvm: 'r3 s%= r4' },
  { hex: '87 00 00 00 00 00 00 00', kernel: 'r0 = -r0', llvm: 'r0 = -r0' },
  { hex: '84 03 00 00 00 00 00 00', kernel: 'w3 = -w3', llvm: 'w3 = -w3' },
  { hex: 'dc 01 00 00 10 00 00 00', kernel: 'r1 = be16 r1', llvm: 'r1 = be16 r1' },
  { hex: 'd7 01 00 00 40 00 00 00', kernel: 'r1 = bswap64 r1', llvm: 'r1 = bswap64 r1' },
  { hex: 'bf 10 08 00 00 00 00 00', kernel: 'r0 = (s8)r1', llvm: 'r0 = (s8)r1' },
  { hex: 'bc 10 10 00 00 00 00 00', kernel: 'w0 = (s16)w1', llvm: 'w0 = (s16)w1' },
  {
    hex: 'bf 21 01 00 00 00 01 00',
    kernel: 'r1 = addr_space_cast(r2, 1, 0)',
    llvm: 'r1 = addr_space_cast(r2, 1, 0)',
  },
  { hex: '65 01 03 00 05 00 00 00', kernel: 'if r1 s> 0x5 goto pc+3', llvm: 'if r1 s> 5 goto +3' },
  { hex: '46 07 01 00 fe ff ff ff', kernel: 'if w7 & 0xfffffffe goto pc+1', llvm: 'if w7 & -2 goto +1' },
  { hex: '3d 34 fd ff 00 00 00 00', kernel: 'if r4 >= r3 goto pc-3', llvm: 'if r4 >= r3 goto -3' },
  { hex: '05 00 00 00 00 00 00 00', kernel: 'goto pc+0', llvm: 'goto +0' },
  { hex: '06 00 00 00 40 e2 01 00', kernel: 'gotol pc+123456', llvm: 'gotol +123456' },
  { hex: 'e5 00 01 00 00 00 00 00', kernel: 'may_goto pc+1', llvm: 'may_goto +1' },
  { hex: '63 1a fc ff 00 00 00 00', kernel: '*(u32 *)(r10 -4) = r1', llvm: '*(u32 *)(r10 - 4) = w1' },
  { hex: '7a 01 00 00 ff ff ff ff', kernel: '*(u64 *)(r1 +0) = -1', llvm: '*(u64 *)(r1 + 0) = -1' },
  { hex: '71 10 02 00 00 00 00 00', kernel: 'r0 = *(u8 *)(r1 +2)', llvm: 'w0 = *(u8 *)(r1 + 2)' },
  { hex: '89 10 02 00 00 00 00 00', kernel: 'r0 = *(s16 *)(r1 +2)', llvm: 'r0 = *(s16 *)(r1 + 2)' },
  {
    hex: 'db 21 00 00 00 00 00 00',
    kernel: 'lock *(u64 *)(r1 +0) += r2',
    llvm: 'lock *(u64 *)(r1 + 0) += r2',
  },
  {
    hex: 'c3 21 08 00 a0 00 00 00',
    kernel: 'lock *(u32 *)(r1 +8) ^= r2',
    llvm: 'lock *(u32 *)(r1 + 8) ^= w2',
  },
  {
    hex: 'db 21 f8 ff 01 00 00 00',
    kernel: 'r2 = atomic64_fetch_add((u64 *)(r1 -8), r2)',
    llvm: 'r2 = atomic_fetch_add((u64 *)(r1 - 8), r2)',
  },
  {
    hex: 'c3 21 04 00 51 00 00 00',
    kernel: 'r2 = atomic_fetch_and((u32 *)(r1 +4), r2)',
    llvm: 'w2 = atomic_fetch_and((u32 *)(r1 + 4), w2)',
  },
  {
    hex: 'db 21 00 00 e1 00 00 00',
    kernel: 'r2 = atomic64_xchg((u64 *)(r1 +0), r2)',
    llvm: 'r2 = xchg_64(r1 + 0, r2)',
  },
  {
    hex: 'c3 21 00 00 e1 00 00 00',
    kernel: 'r2 = atomic_xchg((u32 *)(r1 +0), r2)',
    llvm: 'w2 = xchg32_32(r1 + 0, w2)',
  },
  {
    hex: 'db 21 00 00 f1 00 00 00',
    kernel: 'r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)',
    llvm: 'r0 = cmpxchg_64(r1 + 0, r0, r2)',
  },
  {
    hex: 'c3 21 00 00 f1 00 00 00',
    kernel: 'r0 = atomic_cmpxchg((u32 *)(r1 +0), r0, r2)',
    llvm: 'w0 = cmpxchg32_32(r1 + 0, w0, w2)',
  },
  { hex: '28 00 00 00 0c 00 00 00', kernel: 'r0 = *(u16 *)skb[12]', llvm: 'r0 = *(u16 *)skb[12]' },
  { hex: '50 30 00 00 00 00 00 00', kernel: 'r0 = *(u8 *)skb[r3 + 0]', llvm: 'r0 = *(u8 *)skb[r3]' },
  { hex: '95 00 00 00 00 00 00 00', kernel: 'exit', llvm: 'exit' },
  { hex: '85 00 00 00 01 00 00 00', kernel: 'call bpf_map_lookup_elem#1', llvm: 'call 1' },
];

/** Notations that LLVM 19 does not have: newer instructions, and what only the number of a source tells. */
const beyondLlvm: { hex: string; kernel: string; llvm: string }[] = [
  {
    hex: 'd3 21 00 00 00 01 00 00',
    kernel: 'r1 = load_acquire((u8 *)(r2 +0))',
    llvm: 'w1 = load_acquire((u8 *)(r2 + 0))',
  },
  {
    hex: 'db 21 08 00 10 01 00 00',
    kernel: 'store_release((u64 *)(r1 +8), r2)',
    llvm: 'store_release((u64 *)(r1 + 8), r2)',
  },
  { hex: '85 00 00 00 e7 03 00 00', kernel: 'call unknown#999', llvm: 'call 999' },
  { hex: '85 00 00 00 00 00 00 00', kernel: 'call bpf_unspec#0', llvm: 'call 0' },
  { hex: '85 10 00 00 ff ff ff ff', kernel: 'call pc-1', llvm: 'call pc-1' },
  { hex: '85 20 00 00 39 30 00 00', kernel: 'call kfunc#12345', llvm: 'call kfunc#12345' },
  { hex: '85 20 02 00 39 30 00 00', kernel: 'call kfunc#12345[2]', llvm: 'call kfunc#12345[2]' },
  { hex: '50 30 00 00 fa ff ff ff', kernel: 'r0 = *(u8 *)skb[r3 + -6]', llvm: 'r0 = *(u8 *)skb[r3 + -6]' },
  {
    hex: '18 11 00 00 03 00 00 00 00 00 00 00 00 00 00 00',
    kernel: 'r1 = map[fd:3]',
    llvm: 'r1 = map[fd:3]',
  },
  {
    hex: '18 22 00 00 03 00 00 00 00 00 00 00 08 00 00 00',
    kernel: 'r2 = map[fd:3][0]+8',
    llvm: 'r2 = map[fd:3][0]+8',
  },
  {
    hex: '18 31 00 00 07 00 00 00 00 00 00 00 00 00 00 00',
    kernel: 'r1 = btf[id:7]',
    llvm: 'r1 = btf[id:7]',
  },
  {
    hex: '18 31 00 00 07 00 00 00 00 00 00 00 05 00 00 00',
    kernel: 'r1 = btf[id:7][5]',
    llvm: 'r1 = btf[id:7][5]',
  },
  {
    hex: '18 42 00 00 06 00 00 00 00 00 00 00 00 00 00 00',
    kernel: 'r2 = subprog[+6]',
    llvm: 'r2 = subprog[+6]',
  },
  {
    hex: '18 51 00 00 02 00 00 00 00 00 00 00 00 00 00 00',
    kernel: 'r1 = map[idx:2]',
    llvm: 'r1 = map[idx:2]',
  },
  {
    hex: '18 61 00 00 02 00 00 00 00 00 00 00 fc ff ff ff',
    kernel: 'r1 = map[idx:2][0]-4',
    llvm: 'r1 = map[idx:2][0]-4',
  },
];

describe('notations', () => {
  for (const { hex, kernel, llvm } of [...notations, ...beyondLlvm]) {
    test(kernel, () => {
      const bytes = fromHex(hex);
      const [insn] = decode(bytes);
      assert.ok(insn !== undefined);
      assert.equal(formatInsn(insn), kernel);
      assert.equal(formatInsn(insn, { dialect: 'llvm' }), llvm);
      assert.equal(toHex(encode(assemble(kernel))), toHex(bytes));
      assert.equal(toHex(encode(assemble(llvm))), toHex(bytes));
    });
  }
});

describe('what else assembles', () => {
  const cases: { name: string; input: string; want: string }[] = [
    { name: 'two statements on a line', input: 'r0 = 11; exit', want: 'r0 = 11\nexit\n' },
    { name: 'a comment after ;', input: 'r0 = 11 ; the answer\nexit;', want: 'r0 = 11\nexit\n' },
    {
      name: 'comments',
      input: '# one\nr0 = 1 // two\n/* three\nfour */ exit # five',
      want: 'r0 = 1\nexit\n',
    },
    { name: 'a source line of llvm-objdump', input: '; r0 = 5;\nexit', want: 'exit\n' },
    {
      name: 'a verifier log',
      input:
        '0: (b7) r0 = 1                        ; R0=1\n1: (18) r1 = 0xffff88811b96dc00 ; R1=map_ptr(ks=8)\n3: (95) exit',
      want: 'r0 = 1\nr1 = 0xffff88811b96dc00 ll\nexit\n',
    },
    {
      name: 'llvm-objdump',
      input:
        '       0:\tb7 00 00 00 0b 00 00 00\tr0 = 0xb\n       1:\t18 01 00 00 01 00 00 00 00 00 00 00 00 00 00 00\tr1 = 0x1 ll\n       3:\t05 00 ff ff 00 00 00 00\tgoto -0x1 <f+0x18>',
      want: 'r0 = 11\nr1 = 0x1 ll\ngoto pc-1\n',
    },
    {
      name: 'hexadecimal is unsigned or signed',
      input: 'r0 = 0xffffffff\nr1 = -0x10',
      want: 'r0 = -1\nr1 = -16\n',
    },
    {
      name: 'a wide number',
      input: 'r1 = 0x1122334455667788 ll\nr2 = -1 ll',
      want: 'r1 = 0x1122334455667788 ll\nr2 = 0xffffffffffffffff ll\n',
    },
    {
      name: 'labels',
      input: 'again: r1 += -1\nif r1 != 0 goto again\ngoto out\nr0 = 0\nout:\nexit',
      want: 'r1 += -1\nif r1 != 0x0 goto pc-2\ngoto pc+1\nr0 = 0\nexit\n',
    },
    {
      name: 'a call to a label, and its address',
      input: 'call sub\nr1 = subprog[sub]\nexit\nsub: exit',
      want: 'call pc+3\nr1 = subprog[+2]\nexit\nexit\n',
    },
    {
      name: 'helpers by name',
      input: 'call bpf_ktime_get_ns\ncall trace_printk',
      want: 'call bpf_ktime_get_ns#5\ncall bpf_trace_printk#6\n',
    },
    {
      name: 'a kernel function of a log',
      input: 'call bpf_cpumask_create#63659',
      want: 'call kfunc#63659\n',
    },
    {
      name: 'no spaces',
      input: 'r1=*(u32*)(r2+4)\n*(u8*)(r1-1)=r2\nr0=-r0',
      want: 'r1 = *(u32 *)(r2 +4)\n*(u8 *)(r1 -1) = r2\nr0 = -r0\n',
    },
    { name: 'ld_pseudo', input: 'ld_pseudo r1, 1, 3', want: 'r1 = map[fd:3]\n' },
    { name: 'Windows line ends', input: 'r0 = 0\r\nexit\r\n', want: 'r0 = 0\nexit\n' },
    { name: 'nothing', input: '\n  \n', want: '' },
  ];
  for (const { name, input, want } of cases) {
    test(name, () => assert.equal(disassemble(assemble(input)), want));
  }
});

describe('errors say where and what was expected', () => {
  const cases: { input: string; where: string; message: RegExp }[] = [
    { input: 'r0 = 11\nexti', where: 'line 2, column 1', message: /^expected an instruction, found "exti"/ },
    { input: 'r11 = 1', where: 'line 1, column 1', message: /^expected r0 to r10, found "r11"/ },
    { input: 'r0 = w1', where: 'line 1, column 6', message: /^expected a register r0 to r10, found "w1"/ },
    { input: 'w1 += r2', where: 'line 1, column 7', message: /^expected a register w0 to w10, found "r2"/ },
    { input: 'r0 = 4294967296', where: 'line 1, column 6', message: /does not fit 32 bits/ },
    {
      input: 'r1 = 99999999999999999999 ll',
      where: 'line 1, column 6',
      message: /out of range for a 64-bit number/,
    },
    { input: 'r0 ~ 1', where: 'line 1, column 4', message: /^unexpected character "~"/ },
    { input: 'if r1 goto +1', where: 'line 1, column 7', message: /^expected a comparison/ },
    { input: 'if r1 == 1', where: 'line 1, column 11', message: /^expected "goto", found the end/ },
    { input: 'goto nowhere', where: 'line 1, column 6', message: /^there is no label "nowhere"/ },
    { input: 'goto 3', where: 'line 1, column 6', message: /^expected a label or an offset/ },
    { input: 'goto +32768', where: 'line 1, column 6', message: /out of range for an offset of 16 bits/ },
    { input: 'call bpf_nothing', where: 'line 1, column 6', message: /^there is no label or helper/ },
    { input: 'call bpf_map_lookup_elem#2', where: 'line 1, column 26', message: /is helper 1, not 2/ },
    { input: 'a: exit\na: exit', where: 'line 2, column 1', message: /there twice/ },
    { input: 'r0 = *(u24 *)(r1 + 0)', where: 'line 1, column 8', message: /^expected a type/ },
    { input: 'r0 = *(s64 *)(r1 + 0)', where: 'line 1, column 8', message: /^expected s8, s16 or s32/ },
    { input: 'w0 = *(u64 *)(r1 + 0)', where: 'line 1, column 1', message: /^expected a register r0 to r10/ },
    { input: 'lock *(u16 *)(r1 + 0) += r2', where: 'line 1, column 8', message: /^expected u32 or u64/ },
    { input: 'r1 = be16 r2', where: 'line 1, column 11', message: /^expected r1 again/ },
    { input: 'r1 = cmpxchg_64(r1 + 0, r0, r2)', where: 'line 1, column 1', message: /^expected r0 or w0/ },
    {
      input: 'exit now',
      where: 'line 1, column 6',
      message: /^expected the end of the statement, found "now"/,
    },
    { input: 'r0 = 1 /* no end', where: 'line 1, column 8', message: /^comment without/ },
    { input: '0: (b7) w0 = 1', where: 'line 1, column 9', message: /opcode \(b7\), but this is \(b4\)/ },
    {
      input: 'w2 = atomic64_xchg((u64 *)(r1 + 0), w2)',
      where: 'line 1, column 1',
      message: /^expected a register r0/,
    },
    {
      input: 'w2 = atomic_fetch_or((u64 *)(r1 + 0), w2)',
      where: 'line 1, column 1',
      message: /^expected a register r0/,
    },
    { input: 'r1 = (constructor)r2', where: 'line 1, column 7', message: /^expected s8, s16 or s32/ },
    { input: 'constructor', where: 'line 1, column 1', message: /^expected an instruction/ },
    { input: 'call constructor', where: 'line 1, column 6', message: /^there is no label or helper/ },
    { input: 'r1 = map[id:3]', where: 'line 1, column 10', message: /^expected fd or idx, found "id"/ },
    { input: 'call kfunc#1[40000]', where: 'line 1, column 14', message: /out of range for a 16-bit number/ },
    {
      input: '0: b7 00 00 00 01 00 00 00 r0 = 2',
      where: 'line 1, column 28',
      message: /^the line says bytes b7 .* 01 00 00 00, but this is b7/,
    },
    {
      input: '0: 85 f0 00 00 01 00 00 00 call 1',
      where: 'line 1, column 28',
      message: /^the line says bytes/,
    },
    { input: 'r1 = map[fd:3][1]+8', where: 'line 1, column 16', message: /only element 0/ },
    { input: 'r0 = 12abc', where: 'line 1, column 6', message: /^expected a number, found "12abc"/ },
  ];
  for (const { input, where, message } of cases) {
    test(input, () => {
      assert.throws(
        () => assemble(input),
        (error) => {
          assert.ok(error instanceof SkepError);
          assert.match(error.message, message);
          assert.equal(error.where, where);
          return true;
        },
      );
    });
  }

  test('a label out of reach', () => {
    const far = `if r1 == 0 goto out\n${'r0 = 0\n'.repeat(33000)}out: exit`;
    assert.throws(
      () => assemble(far),
      (error) => error instanceof SkepError && /33000 slots away/.test(error.message),
    );
    assert.equal(assemble(far.replace('if r1 == 0 goto', 'gotol')).length, 33002);
  });
});

describe('disassemble', () => {
  const program = assemble('if r1 == 0 goto out\ncall sub\nr1 = 5 ll\nout: exit\nsub: exit');
  const cases: { name: string; options: Parameters<typeof disassemble>[1]; want: string }[] = [
    {
      name: 'labels',
      options: { labels: true },
      want: '  if r1 == 0x0 goto L4\n  call func_5\n  r1 = 0x5 ll\nL4:\n  exit\nfunc_5:\n  exit\n',
    },
    {
      name: 'opcodes',
      options: { opcodes: true },
      want: '0: (15) if r1 == 0x0 goto pc+3\n1: (85) call pc+3\n2: (18) r1 = 0x5\n4: (95) exit\n5: (95) exit\n',
    },
    {
      name: 'bytes, LLVM',
      options: { bytes: true, dialect: 'llvm' },
      want:
        '0: 15 01 03 00 00 00 00 00  if r1 == 0 goto +3\n1: 85 10 00 00 03 00 00 00  call pc+3\n' +
        '2: 18 01 00 00 05 00 00 00 00 00 00 00 00 00 00 00  r1 = 5 ll\n' +
        '4: 95 00 00 00 00 00 00 00  exit\n5: 95 00 00 00 00 00 00 00  exit\n',
    },
  ];
  for (const { name, options, want } of cases) {
    test(name, () => {
      const text = disassemble(program, options);
      assert.equal(text, want);
      assert.deepEqual(assemble(text), program);
    });
  }

  test('names and addresses that only the caller knows', () => {
    const slots = assemble('r1 = map[fd:3]\ncall kfunc#7\nr2 = 1 ll');
    const text = disassemble(slots, {
      opcodes: true,
      wideLoad: (insn) => (insn.pseudo === 'mapFd' ? '0xffff888100000000' : undefined),
      kfunc: (insn) => `bpf_function_${insn.imm}`,
    });
    assert.equal(text, '0: (18) r1 = 0xffff888100000000\n2: (85) call bpf_function_7#7\n3: (18) r2 = 0x1\n');
  });

  test('an invalid instruction is printed by the fields that it shows', () => {
    const texts = ['72 0e ff ff ff ff ff ff', '85 30 00 00 00 00 00 00', 'ff 00 00 00 00 00 00 00'];
    assert.deepEqual(
      texts.map((hex) => disassemble(decodeLenient(fromHex(hex)))),
      ['*(u8 *)(r14 -1) = -1\n', 'call unknown#0\n', 'BUG_ff\n'],
    );
  });
});

test('assemble(disassemble(p)) is p, in both dialects and every layout', () => {
  const options = fc.record({
    dialect: fc.constantFrom('kernel' as const, 'llvm' as const),
    labels: fc.boolean(),
    slots: fc.boolean(),
    opcodes: fc.boolean(),
    bytes: fc.boolean(),
  });
  fc.assert(
    fc.property(anyProgram, options, (program, layout) => {
      const text = disassemble(program, layout);
      assert.deepEqual(assemble(text), program, text);
    }),
    { numRuns: 3000 },
  );
});

test('assembling fails with SkepError only', () => {
  const seeds = [...notations, ...beyondLlvm].flatMap(({ kernel, llvm }) => [kernel, llvm]).join('\n');
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const read = (input: Uint8Array): unknown => assemble(new TextDecoder().decode(input));
  fuzzReader(read, [
    bytes(seeds),
    bytes('a: r0 = 1 ll; goto a # x\n0: (b7) r1 = map[fd:3][0]+8 /* c */\n'),
    ...notations.map(({ llvm }) => bytes(llvm)),
  ]);
});

describe('hostile text', () => {
  const long = 100_000;
  const cases: { name: string; input: string; want: RegExp }[] = [
    { name: 'a long word', input: `goto ${'x'.repeat(long)}`, want: /^there is no label "x{40}…"$/ },
    { name: 'a long number', input: `r0 = ${'9'.repeat(long)}`, want: /^expected a number, found "9{40}…"$/ },
    {
      name: 'labels on one line',
      input: `${Array.from({ length: long }, (_, i) => `l${i}:`).join('')}?`,
      want: /^unexpected/,
    },
    {
      name: 'semicolons',
      input: `r0 = 1${';r0 = 1'.repeat(long)};exit;r99 = 1`,
      want: /^expected r0 to r10/,
    },
    { name: 'signs', input: `r0 = ${'-'.repeat(long)}`, want: /^expected a number/ },
    { name: 'open comments', input: '/* '.repeat(long), want: /^comment without/ },
  ];
  for (const { name, input, want } of cases) {
    test(name, () => {
      assert.throws(
        () => assemble(input),
        (error) => error instanceof SkepError && want.test(error.message),
      );
    });
  }
});
