import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../../asm/index.ts';
import { encode } from '../../isa/index.ts';
import { verify } from '../index.ts';
import { explainRejection } from './index.ts';
import { messages } from './messages.ts';
import { parseRejection } from './parse-log.ts';

/** A message, and what its explanation must speak of; where it depends on registers, they are given. */
const meanings: readonly (readonly [message: string, want: RegExp, log?: string])[] = [
  ['R2 !read_ok', /nothing was ever written to R2.*a value in R2 on every path/],
  [
    'R4 offset is outside of the packet',
    /14 bytes are known to be there, and R4 is used for 1 at offset 14; .*data_end/,
    'invalid access to packet, off=14 size=1, R4(id=0,off=14,r=14)',
  ],
  ['R0 bitwise operator &= on pointer prohibited', /R0 is fp-8, a pointer.*&=/, '3: R0=fp-8'],
  ['R0 32-bit pointer arithmetic prohibited', /a pointer of 64 bits.*cut the address/],
  ["R0 invalid mem access 'map_value_or_null'", /it may be NULL.*a check/],
  ["R0 invalid mem access 'scalar'", /R0 is 7, a number and no pointer/, '3: R0=7'],
  ["R4 invalid mem access 'pkt_end'", /memory that programs may access/],
  ['invalid write to stack R10 off=8 size=8', /offset 8 of the stack, and 8 bytes.*512 bytes/],
  ['invalid read from stack R10 off=-8+4 size=8', /offset -8 of the stack.*not all were written/],
  ['invalid read from stack R10 off=0 size=8', /offset 0 of the stack/],
  ['invalid indirect read from stack R2 off -8+0 size 8', /helper is given memory on the stack/],
  ['misaligned stack access off 0+0+-4 size 8', /at 0\+0\+-4.*multiple of 8/],
  ['misaligned context access off 0+0+49 size 2', /the context would be accessed at 0\+0\+49.*multiple of 2/],
  ['misaligned access off 0+0+1 size 4', /the memory would be accessed/],
  ['invalid size of register spill', /cannot be stored in part/],
  ['invalid size of register fill', /cannot be loaded in part/],
  [
    'R0 max value is outside of the allowed memory range',
    /an access of 8 bytes at offset 16 of something that has 16 bytes/,
    '3: (79) r1 = *(u64 *)(r0 +0)\ninvalid access to map value, value_size=16 off=16 size=8',
  ],
  ['R0 min value is outside of the allowed memory range', /at its least/],
  ['R0 min value is negative, either use unsigned index or do a if (index >=0) check.', /may be negative/],
  ["R4 min value is negative, either use unsigned or 'var &= const'", /R4, a size/],
  ['R0 unbounded memory access, make sure to bounds check any such access', /nothing bounds it from above/],
  ["R2 unbounded memory access, use 'var &= const' or 'if (var < const)'", /nothing bounds it from above/],
  ['R2 invalid zero-sized read: u64=[0,0]', /it may be 0/],
  ['invalid bpf_context access off=72 size=4', /4 bytes at offset 72 of the context/],
  ['R1 pointer arithmetic on sock_or_null prohibited, null-check it first', /R1 may be NULL/],
  [
    'math between map_value pointer and register with unbounded min value is not allowed',
    /may be any number/,
  ],
  ['math between map_value pointer and 4294967295 is not allowed', /4294967295 is to be added/],
  ['value 1073741823 makes map_value pointer be out of bounds', /would reach 1073741823/],
  ['R0 pointer arithmetic with /= operator prohibited', /\/= makes no sense/],
  ['dereference of modified ctx ptr R1 off=1 disallowed', /R1 is a ctx pointer that was moved by 1/],
  ['negative offset ctx ptr R1 off=-1 disallowed', /moved back by -1/],
  ['variable ctx access var_off=(0x0; 0x4) disallowed', /not known: \(0x0; 0x4\)/],
  ['R0 pointer += pointer prohibited', /both operands are pointers.*a pointer and a number/],
  ['R9 pointer &= pointer prohibited', /both operands are pointers/],
  ['R3 pointer arithmetic on pkt_end prohibited', /of kind pkt_end/],
  ['R0 tried to subtract pointer from scalar', /the pointer on the left/],
  ['R1 subtraction from stack pointer prohibited', /points to the stack/],
  ['R1 type=map_value_or_null expected=map_value', /one of: map_value.*check the pointer for NULL/],
  ['R1 type=scalar expected=ctx', /one of: ctx.*order of the arguments/],
  ['BPF_EXIT instruction in main prog would lead to reference leak', /acquired on this path.*released/],
  ['Unreleased reference id=2 alloc_insn=7', /what instruction 7 acquired/],
  ['BPF_ATOMIC stores into R1 ctx is not allowed', /R1 is a pointer of kind ctx/],
  ['R1 must be referenced when passed to release function', /nothing that this program acquired/],
  ['R0 leaks addr as return value', /R0 holds a pointer.*CAP_PERFMON/],
  ['R0 pointer arithmetic of map value goes out of range, prohibited for !root', /would leave its object/],
  ['R0 stack pointer arithmetic goes out of range, prohibited for !root; off=8', /would leave its object/],
  ['invalid bpf_ld_imm64 insn', /two slots/],
  ['jump out of range from insn 0 to -2', /instruction 0 jumps to -2/],
  ['unreachable insn 6', /no path leads to instruction 6/],
  ['last insn is not an exit or jmp', /an exit or a jump at the end/],
  ['same insn cannot be used with different pointers', /one kind for each instruction/],
  ['cannot pass map_type 1 into func bpf_redirect_map#51', /type 1.*bpf_redirect_map\(\) works on/],
  ['program of this type cannot use helper bpf_bind#64', /bpf_bind\(\) exists/],
  ['invalid func unknown#212', /calls unknown#212/],
  ['cannot call GPL-restricted function from non-GPL compatible program', /licence/],
  [
    'At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]',
    /smin=2 smax=2.*from 0 to 1/,
  ],
  ['At program exit the register R0 is not a known value (ctx)', /the return value is ctx/],
  ['fd 1 is not pointing to valid bpf_map', /names fd 1/],
  ['infinite loop detected at insn 3', /instruction 3 comes round/],
  ['BPF program is too large. Processed 1000001 insn', /1000001 instructions/],
  ['The sequence of 8193 jumps is too complex.', /8193 branches wait/],
  ['combined stack size of 2 calls is 608. Too large', /2 nested calls need 608 bytes/],
  ['helper call might sleep in a non-sleepable prog', /may not sleep/],
  ["R3 does not point to a readonly map'", /R3 points to a value that may change/],
  ['tracing progs cannot use bpf_timer yet', /bpf_timer in its value/],
  ['div by zero', /the constant 0/],
  ['write into map forbidden, value_size=48 off=0 size=8', /BPF_F_RDONLY_PROG/],
  ['R0 invalid sock access off=0 size=8', /8 bytes at offset 0 of a sock/],
  ['R1 cannot write into sock', /kind sock, which is for reading/],
  ['R1 pointer comparison prohibited', /a comparison of numbers/],
  [
    'R2 variable stack access prohibited for !root, var_off=(0xfffffffffffffff8; 0x4) off=-8',
    /varies: \(0xfffffffffffffff8; 0x4\)/,
  ],
  ['the call stack of 9 frames is too deep', /at most 8 frames/],
  ['invalid access to map value pointer, value_size=48 off=48', /byte 48 of a value of 48 bytes/],
  ["get_local_storage() doesn't support non-zero flags", /the constant 0/],
  ['BPF_CALL uses reserved fields', /BPF_CALL.*zero in all fields/],
  ['R15 is invalid', /R0 to R10/],
  ['unknown opcode 8d', /0x8d is no instruction/],
  ['frame pointer is read only', /r10 is the frame pointer/],
];

for (const [message, want, log = ''] of meanings) {
  test(`explained: ${message}`, () => {
    const meaning = explainRejection(`${log}\n${message}\nprocessed 1 insns\n`)?.meaning;
    assert.ok(meaning !== undefined);
    assert.match([meaning.knew, meaning.needed, meaning.help ?? ''].join('; '), want);
  });
}

test('every row of the table explains one of them', () => {
  const used = new Set(meanings.map(([message]) => messages.find(({ pattern }) => pattern.test(message))));
  assert.deepEqual(
    messages.filter((row) => !used.has(row)).map(({ pattern }) => String(pattern)),
    [],
  );
});

test('a message that there is no explanation of is shown as it is', () => {
  const explained = explainRejection('something quite new\n');
  assert.equal(explained?.message, 'something quite new');
  assert.equal(explained?.meaning, undefined);
  assert.equal(explainRejection('processed 0 insns (limit 1000000)\n'), undefined);
  assert.equal(explainRejection(''), undefined);
});

test('the path is read branch by branch, with C lines', () => {
  const log = [
    '0: R1=ctx() R10=fp0',
    '; void *data = (void *)(long)ctx->data; @ a.bpf.c:10',
    '0: (61) r2 = *(u32 *)(r1 +0)          ; R1=ctx() R2_w=pkt(r=0)',
    '; if (data + 14 > data_end) @ a.bpf.c:12',
    '1: (2d) if r4 > r3 goto pc+3          ; R3=pkt_end() R4=pkt(off=14,r=14)',
    '; if (x) @ a.bpf.c:13',
    '2: (15) if r5 == 0x0 goto pc+1        ; R5=scalar(umin=1,var_off=(0x0; 0xff))',
    '',
    'from 2 to 4: R2=pkt(r=14) R5=0',
    '; return *(data + 20); @ a.bpf.c:14',
    '4: (71) r0 = *(u8 *)(r2 +20)',
    'invalid access to packet, off=20 size=1, R2(id=0,off=20,r=14)',
    'R2 offset is outside of the packet',
    'processed 5 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0',
  ].join('\n');
  const explained = explainRejection(log);
  assert.equal(explained?.insn, 4);
  assert.deepEqual(explained?.source, { text: 'return *(data + 20);', file: 'a.bpf.c', line: 14 });
  assert.deepEqual(explained?.details, ['invalid access to packet, off=20 size=1, R2(id=0,off=20,r=14)']);
  assert.match(explained?.meaning?.knew ?? '', /14 bytes are known to be there/);
  assert.deepEqual(
    explained?.branches.map(({ insn, branch, source }) => [insn, branch, source?.line]),
    [
      [1, 'not taken', 12],
      [2, 'taken', 13],
    ],
  );
});

test('registers of the function at hand are told, not of its caller', () => {
  const { registers, steps } = parseRejection(
    [
      '0: (85) call pc+1',
      'caller:',
      ' R6=ctx() R10=fp0',
      'callee:',
      ' frame1: R1=7 R10=fp0',
      '2: frame1: R1=7 R10=fp0',
      '2: (bf) r0 = r1                       ; frame1: R0_w=7 R1=7',
      '3: (95) exit',
      'returning from callee:',
      ' frame1: R0=7 R1=7 R10=fp0',
      'to caller at 1:',
      ' R0=7 R6=ctx() R10=fp0',
      '1: (95) exit',
    ].join('\n'),
  );
  assert.equal(registers.get('R1'), undefined);
  assert.equal(registers.get('R6'), 'ctx()');
  assert.deepEqual(
    steps.map(({ insn, depth }) => [insn, depth]),
    [
      [0, 0],
      [2, 1],
      [3, 1],
      [1, 0],
    ],
  );
});

test('logs of this verifier are understood at levels 1 and 2', () => {
  const program = `
    r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 14
    if r4 > r3 goto +1
    r0 = *(u8 *)(r2 + 14)
    r0 = 2
    exit`;
  for (const logLevel of [1, 2]) {
    const result = verify({
      insns: encode(assemble(program)),
      progType: 6,
      expectedAttachType: 0,
      progFlags: 0,
      gplCompatible: true,
      capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
      resolveMap: () => 'EBADF',
      logLevel,
    });
    const explained = explainRejection(result.log);
    assert.equal(explained?.message, 'R2 offset is outside of the packet');
    assert.equal(explained?.insn, 5);
    assert.match(explained?.meaning?.knew ?? '', /14 bytes are known to be there/);
    assert.deepEqual(
      explained?.branches.map(({ insn, branch }) => [insn, branch]),
      [[4, 'not taken']],
    );
  }
});
