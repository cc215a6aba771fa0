/** What is known of numbers, and what that lets a program do. */
import type { Case } from './case.ts';

export const numbers: readonly Case[] = [
  {
    name: 'divides by zero, as an immediate',
    program: `
      r0 = 1
      r0 /= 0
      exit`,
    want: 'div by zero',
  },
  {
    name: 'shifts by too much',
    program: `
      r0 = 1
      r0 <<= 64
      exit`,
    want: 'invalid shift 64',
  },
  {
    name: 'shifts a half by too much',
    program: `
      w0 = 1
      w0 <<= 32
      exit`,
    want: 'invalid shift 32',
  },
  {
    name: 'an index that a comparison bounds',
    program: `
      r3 = *(u32 *)(r1 + 0)
      r2 = map[fd:ONE][0]+0
      if r3 > 15 goto +2
      r2 += r3
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'an index that a comparison bounds by one too many',
    program: `
      r3 = *(u32 *)(r1 + 0)
      r2 = map[fd:ONE][0]+0
      if r3 > 16 goto +2
      r2 += r3
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'R2 max value is outside of the allowed memory range',
  },
  {
    name: 'an index that a mask bounds',
    program: `
      r3 = *(u32 *)(r1 + 0)
      r2 = map[fd:ONE][0]+0
      r3 &= 15
      r2 += r3
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'an index that may be negative',
    program: `
      r3 = *(u32 *)(r1 + 0)
      r2 = map[fd:ONE][0]+0
      r3 -= 1
      if r3 s> 15 goto +2
      r2 += r3
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'R2 min value is negative, either use unsigned index or do a if (index >=0) check.',
  },
  {
    name: 'an index without a bound',
    program: `
      r3 = *(u32 *)(r1 + 0)
      r2 = map[fd:ONE][0]+0
      r2 += r3
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'R2 unbounded memory access, make sure to bounds check any such access',
  },
  {
    name: 'an index that shifting bounds',
    program: `
      r3 = *(u32 *)(r1 + 0)
      r2 = map[fd:ONE][0]+0
      r3 >>= 28
      r2 += r3
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'an index that a remainder does not bound',
    program: `
      r3 = *(u32 *)(r1 + 0)
      r2 = map[fd:ONE][0]+0
      r3 %= 16
      r2 += r3
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'math between map_value pointer and register with unbounded min value is not allowed',
  },
  {
    name: 'a copy is bounded with the number that it is of',
    program: `
      r3 = *(u32 *)(r1 + 0)
      r4 = r3
      r2 = map[fd:ONE][0]+0
      if r3 > 15 goto +2
      r2 += r4
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a copy plus a constant is bounded too',
    program: `
      r3 = *(u32 *)(r1 + 0)
      r4 = r3
      r4 += 4
      r2 = map[fd:ONE][0]+0
      if r3 > 11 goto +2
      r2 += r4
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a 32-bit comparison says little of 64 bits',
    program: `
      r3 = *(u64 *)(r1 + 48)
      r2 = map[fd:ONE][0]+0
      if w3 > 15 goto +2
      r2 += r3
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'math between map_value pointer and register with unbounded min value is not allowed',
  },
  {
    name: 'a sign-extended byte',
    program: `
      r3 = *(s8 *)(r1 + 48)
      r2 = map[fd:ONE][0]+0
      if r3 s< 0 goto +3
      r3 &= 15
      r2 += r3
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'JSET on a known bit',
    program: `
      r3 = *(u32 *)(r1 + 0)
      r2 = map[fd:ONE][0]+0
      if r3 & 0xfffffff0 goto +2
      r2 += r3
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a multiplication that overflows is not known',
    program: `
      r3 = *(u32 *)(r1 + 0)
      r3 &= 15
      r3 *= 16
      r2 = map[fd:ONE][0]+0
      r2 += r3
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'R2 max value is outside of the allowed memory range',
  },
  {
    name: 'swapped bytes of a constant',
    program: `
      r3 = 0x0f000000
      r3 = be32 r3
      r2 = map[fd:ONE][0]+0
      r2 += r3
      r0 = *(u8 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'ok',
  },
];
