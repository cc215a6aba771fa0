/** Functions of the program itself. */
import type { Case } from './case.ts';

export const calls: readonly Case[] = [
  {
    name: 'a function',
    type: 'xdp',
    program: `
      call pc+1
      exit
      r0 = 2
      exit`,
    want: 'ok',
  },
  {
    name: 'a function that calls itself',
    type: 'xdp',
    program: `
      call pc+1
      exit
      call pc-1
      r0 = 2
      exit`,
    want: 'the call stack of 9 frames is too deep',
  },
  {
    name: 'a function that sets no result',
    type: 'xdp',
    program: `
      call pc+1
      exit
      exit`,
    want: 'R0 !read_ok',
  },
  {
    name: 'a function that falls into the next',
    type: 'xdp',
    program: `
      call pc+2
      r0 = 0
      exit
      r0 = 1`,
    want: 'last insn is not an exit or jmp',
  },
  {
    name: 'saved registers are saved',
    type: 'xdp',
    program: `
      r6 = r1
      call pc+3
      r0 = *(u32 *)(r6 + 0)
      r0 = 0
      exit
      r6 = 0
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'arguments are gone after a call',
    type: 'xdp',
    program: `
      r1 = 1
      call pc+2
      r0 = r1
      exit
      r0 = 0
      exit`,
    want: 'R1 !read_ok',
  },
  {
    name: "a function reads its caller's stack",
    type: 'xdp',
    program: `
      *(u64 *)(r10 - 8) = 7
      r1 = r10
      r1 += -8
      call pc+1
      exit
      r0 = *(u64 *)(r1 + 0)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a function hands its own stack out',
    type: 'xdp',
    program: `
      call pc+2
      r0 = *(u64 *)(r0 + 0)
      exit
      r0 = r10
      r0 += -8
      *(u64 *)(r10 - 8) = 0
      exit`,
    want: 'cannot return stack pointer to the caller',
  },
  {
    name: '512 bytes of stack in two functions',
    type: 'xdp',
    program: `
      *(u64 *)(r10 - 256) = 0
      call pc+2
      r0 = 0
      exit
      *(u64 *)(r10 - 256) = 0
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'more than 512 bytes of stack in two functions',
    type: 'xdp',
    program: `
      *(u64 *)(r10 - 512) = 0
      call pc+2
      r0 = 0
      exit
      *(u64 *)(r10 - 8) = 0
      r0 = 0
      exit`,
    want: 'combined stack size of 2 calls is 528. Too large',
  },
  {
    name: 'eight functions deep',
    type: 'xdp',
    program: `
      call pc+1
      exit
      call pc+1
      exit
      call pc+1
      exit
      call pc+1
      exit
      call pc+1
      exit
      call pc+1
      exit
      call pc+1
      exit
      call pc+1
      exit
      r0 = 0
      exit`,
    want: 'the call stack of 9 frames is too deep',
  },
  {
    name: 'seven functions deep',
    type: 'xdp',
    program: `
      call pc+1
      exit
      call pc+1
      exit
      call pc+1
      exit
      call pc+1
      exit
      call pc+1
      exit
      call pc+1
      exit
      call pc+1
      exit
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a jump into another function',
    type: 'xdp',
    program: `
      call pc+2
      r0 = 0
      exit
      r0 = 0
      goto -3
      exit`,
    want: 'jump out of range from insn 4 to 2',
  },
  {
    name: 'a call beyond the end',
    type: 'xdp',
    program: `
      call pc+9
      exit`,
    want: 'call to invalid destination',
  },
  {
    name: 'a call into the middle of a function',
    type: 'xdp',
    program: `
      call pc+3
      r0 = 0
      if r0 == 0 goto +2
      exit
      r0 = 1
      exit`,
    want: 'jump out of range from insn 2 to 5',
  },
];
