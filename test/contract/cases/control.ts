/** Where a program may go: jumps, loops, ends. */
import type { Case } from './case.ts';

export const control: readonly Case[] = [
  {
    name: 'falls off its end',
    program: `
      r0 = 0`,
    want: 'last insn is not an exit or jmp',
  },
  {
    name: 'code that nothing reaches',
    program: `
      r0 = 0
      exit
      r0 = 1
      exit`,
    want: 'unreachable insn 2',
  },
  {
    name: 'a jump beyond the end',
    program: `
      r0 = 0
      if r0 == 0 goto +5
      exit`,
    want: 'jump out of range from insn 1 to 7',
  },
  {
    name: 'a jump before the start',
    program: `
      r0 = 0
      goto -3
      exit`,
    want: 'jump out of range from insn 1 to -1',
  },
  {
    name: 'a jump into a two-slot load',
    program: `
      r0 = 0
      if r0 == 0 goto +1
      r1 = 1 ll
      exit`,
    want: 'jump into the middle of ldimm64 insn 2',
  },
  {
    name: 'a loop that never ends',
    program: `
      r0 = 0
      goto -2`,
    want: 'old state: R0=0 R1=ctx() R10=fp0',
  },
  {
    name: 'a loop that is bounded',
    program: `
      r0 = 0
      r0 += 1
      if r0 < 10 goto -2
      exit`,
    want: 'ok',
  },
  {
    name: 'a loop whose bound is not known',
    program: `
      r0 = *(u32 *)(r1 + 0)
      r2 = 0
      r2 += 1
      if r2 != r0 goto -2
      r0 = 0
      exit`,
    want: 'BPF program is too large. Processed 1000001 insn',
  },
  {
    name: 'may_goto bounds a loop',
    program: `
      r0 = 0
      may_goto +1
      goto -2
      exit`,
    want: 'ok',
  },
  {
    name: 'a number that was never set',
    program: `
      r0 = r2
      exit`,
    want: 'R2 !read_ok',
  },
  {
    name: 'no return value',
    program: `
      exit`,
    want: 'R0 !read_ok',
  },
  {
    name: 'a pointer for a return value is fine for a loader with every right',
    program: `
      r0 = r10
      exit`,
    want: 'ok',
  },
  {
    name: 'writes to the frame pointer',
    program: `
      r10 = 0
      r0 = 0
      exit`,
    want: 'frame pointer is read only',
  },
  {
    name: 'goto that goes 32 bits far',
    program: `
      r0 = 0
      gotol +1
      r0 = 1
      exit`,
    want: 'unreachable insn 2',
  },
];
