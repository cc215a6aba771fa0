/** Instructions with fields that mean nothing, or something else to Linux than to its documentation. */
import { checkKernelCases, type KernelCase } from '../../test/support/verifier-cases.ts';

const on = { type: 'socket_filter' } as const;
const zero = 'b700000000000000';
const exit = '9500000000000000';
const cases: readonly KernelCase[] = [
  { name: 'an exit with an offset', program: `${zero}\n9500070000000000`, want: 'ok' },
  {
    name: 'an exit with a number',
    program: `${zero}\n9500000001000000`,
    want: 'BPF_EXIT uses reserved fields',
  },
  {
    name: 'of a store, the number before the register',
    program: `73fafFff05000000\n${exit}`.toLowerCase(),
    want: 'BPF_STX uses reserved fields',
  },
  { name: 'a store of no register', program: `73faffff00000000\n${exit}`, want: 'R15 is invalid' },
  {
    name: 'of a sum, the source before the destination',
    program: `0f3c000000000000\n${exit}`,
    want: 'R3 !read_ok',
  },
  { name: 'a sum into no register', program: `070c000001000000\n${exit}`, want: 'R12 is invalid' },
  {
    name: 'a sum with an offset',
    program: `0700080001000000\n${exit}`,
    want: 'BPF_ALU uses reserved fields',
  },
  {
    name: 'a quotient with another offset',
    program: `3700020001000000\n${exit}`,
    want: 'BPF_ALU uses reserved fields',
  },
  { name: 'a move from nowhere', program: `bfb0000000000000\n${exit}`, want: 'R11 is invalid' },
  { name: 'a move of 3 bits', program: `bf10030000000000\n${exit}`, want: 'BPF_MOV uses reserved fields' },
  {
    name: 'of a jump, the register before the fields',
    program: `1532010000000000\n${exit}\n${exit}`,
    want: 'R2 !read_ok',
  },
  {
    name: 'a jump with a source that it does not take',
    program: `1511010000000000\n${zero}\n${exit}`,
    want: 'BPF_JMP/JMP32 uses reserved fields',
  },
  {
    name: 'an atomic of two bytes that is none',
    program: `${zero}\ncb0af8ff77000000\n${exit}`,
    want: 'BPF_ATOMIC uses invalid atomic opcode 77',
  },
  {
    name: 'a sum in memory of two bytes',
    program: `${zero}\ncb0af8ff00000000\n${exit}`,
    want: 'invalid atomic operand size',
  },
  {
    name: 'an atomic that is none',
    program: `${zero}\ndb0af8ff77000000\n${exit}`,
    want: 'BPF_ATOMIC uses invalid atomic opcode 77',
  },
  {
    name: 'a packet load where there are none, before its fields',
    program: `2800010000000000\n${exit}`,
    want: 'BPF_LD_[ABS|IND] instructions not allowed for this program type',
    on: { type: 'xdp' },
  },
  {
    name: 'a packet load with an offset',
    program: `2800010000000000\n${exit}`,
    want: 'BPF_LD_[ABS|IND] uses reserved fields',
  },
  {
    name: 'no type of the kernel',
    program: `1830000000000000\n0000000000000000\n${zero}\n${exit}`,
    want: "pseudo btf_id 0 in ldimm64 isn't KIND_VAR or KIND_FUNC",
  },
  {
    name: 'a type of a module that is not open',
    program: `1830000001000000\n0000000039300000\n${zero}\n${exit}`,
    want: 'invalid module BTF object FD specified.',
  },
  {
    name: 'a number of rounds that is a pointer',
    program: 'r2 = 0 ll\nr3 = 0\nr4 = 0\ncall 181\nexit',
    want: 'R2 type=scalar expected=func',
  },
];

checkKernelCases(cases.map((one) => ({ on, ...one })));
