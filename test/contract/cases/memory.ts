/** Loads and stores through each kind of pointer, and arithmetic on pointers. */
import type { Case } from './case.ts';

export const memory: readonly Case[] = [
  {
    name: 'reads its stack before it writes it',
    type: 'xdp',
    program: `
      r0 = *(u64 *)(r10 - 8)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'reads above its stack',
    program: `
      r0 = *(u64 *)(r10 + 0)
      exit`,
    want: 'invalid read from stack R10 off=0 size=8',
  },
  {
    name: 'reads below its stack',
    program: `
      r0 = *(u64 *)(r10 - 520)
      exit`,
    want: 'invalid read from stack R10 off=-520 size=8',
  },
  {
    name: 'writes below its stack',
    program: `
      *(u64 *)(r10 - 520) = 0
      r0 = 0
      exit`,
    want: 'invalid write to stack R10 off=-520 size=8',
  },
  {
    name: 'a misaligned stack access',
    program: `
      *(u64 *)(r10 - 12) = 0
      r0 = 0
      exit`,
    want: 'misaligned stack access off 0+0+-12 size 8',
  },
  {
    name: 'a pointer comes back from the stack',
    type: 'xdp',
    program: `
      *(u64 *)(r10 - 8) = r1
      r2 = *(u64 *)(r10 - 8)
      r0 = *(u32 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'half a pointer from the stack',
    type: 'xdp',
    program: `
      *(u64 *)(r10 - 8) = r1
      r2 = *(u32 *)(r10 - 8)
      r0 = 0
      exit`,
    want: 'invalid size of register fill',
  },
  {
    name: 'a pointer that was partly overwritten',
    type: 'xdp',
    program: `
      *(u64 *)(r10 - 8) = r1
      *(u8 *)(r10 - 8) = 1
      r2 = *(u64 *)(r10 - 8)
      r0 = *(u32 *)(r2 + 0)
      r0 = 0
      exit`,
    want: "R2 invalid mem access 'scalar'",
  },
  {
    name: 'the stack at an offset that varies',
    type: 'xdp',
    program: `
      r3 = *(u32 *)(r1 + 12)
      r3 &= 8
      *(u64 *)(r10 - 8) = 0
      *(u64 *)(r10 - 16) = 0
      r2 = r10
      r2 += -16
      r2 += r3
      r0 = *(u64 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'the stack at an offset without bound',
    type: 'xdp',
    program: `
      r3 = *(u32 *)(r1 + 12)
      r2 = r10
      r2 += r3
      r0 = *(u64 *)(r2 + 0)
      r0 = 0
      exit`,
    want: 'misaligned stack access off (0x0; 0xffffffff)+0+0 size 8',
  },
  {
    name: 'a value that may be NULL',
    program: `
      *(u32 *)(r10 - 4) = 0
      r2 = r10
      r2 += -4
      r1 = map[fd:HASH]
      call 1
      r0 = *(u64 *)(r0 + 0)
      exit`,
    want: "R0 invalid mem access 'map_value_or_null'",
  },
  {
    name: 'a value that is not NULL',
    program: `
      *(u32 *)(r10 - 4) = 0
      r2 = r10
      r2 += -4
      r1 = map[fd:HASH]
      call 1
      if r0 == 0 goto +1
      r0 = *(u64 *)(r0 + 8)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'beyond a value',
    program: `
      *(u32 *)(r10 - 4) = 0
      r2 = r10
      r2 += -4
      r1 = map[fd:HASH]
      call 1
      if r0 == 0 goto +1
      r0 = *(u64 *)(r0 + 16)
      r0 = 0
      exit`,
    want: 'R0 min value is outside of the allowed memory range',
  },
  {
    name: 'before a value',
    program: `
      r2 = map[fd:ONE][0]+0
      r0 = *(u8 *)(r2 - 1)
      r0 = 0
      exit`,
    want: 'R2 min value is outside of the allowed memory range',
  },
  {
    name: 'the constant element of an array is there',
    program: `
      *(u64 *)(r10 - 8) = 1
      r2 = r10
      r2 += -8
      r1 = map[fd:ARRAY]
      call 1
      r0 = *(u64 *)(r0 + 0)
      r0 = 0
      exit`,
    want: "R0 invalid mem access 'map_value_or_null'",
  },
  {
    name: 'the constant element of an array is not there',
    program: `
      *(u64 *)(r10 - 8) = 9
      r2 = r10
      r2 += -8
      r1 = map[fd:ARRAY]
      call 1
      r0 = *(u64 *)(r0 + 0)
      r0 = 0
      exit`,
    want: "R0 invalid mem access 'map_value_or_null'",
  },
  {
    name: 'writes a map that is for reading',
    program: `
      r2 = map[fd:READONLY][0]+0
      *(u8 *)(r2 + 0) = 1
      r0 = 0
      exit`,
    want: 'write into map forbidden, value_size=8 off=0 size=1',
  },
  {
    name: 'reads a constant',
    program: `
      r2 = map[fd:READONLY][0]+0
      r0 = *(u8 *)(r2 + 0)
      if r0 == 37 goto +1
      r0 = *(u64 *)(r0 + 0)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a direct value of an array of several',
    program: `
      r2 = map[fd:ARRAY][0]+0
      r0 = 0
      exit`,
    want: 'invalid access to map value pointer, value_size=16 off=0',
  },
  {
    name: 'a direct value of a hash',
    program: `
      r2 = map[fd:HASH][0]+0
      r0 = 0
      exit`,
    want: 'no direct value access support for this map type',
  },
  {
    name: 'a direct value beyond the value',
    program: `
      r2 = map[fd:ONE][0]+16
      r0 = 0
      exit`,
    want: 'invalid access to map value pointer, value_size=16 off=16',
  },
  {
    name: 'a number as an address',
    program: `
      r1 = 64
      r0 = *(u64 *)(r1 + 0)
      exit`,
    want: "R1 invalid mem access 'scalar'",
  },
  {
    name: 'multiplies a pointer',
    program: `
      r1 *= 2
      r0 = 0
      exit`,
    want: 'R1 pointer arithmetic with *= operator prohibited',
  },
  {
    name: 'adds two pointers',
    program: `
      r1 += r10
      r0 = 0
      exit`,
    want: 'R1 pointer += pointer prohibited',
  },
  {
    name: 'adds to a pointer that may be NULL',
    program: `
      *(u32 *)(r10 - 4) = 0
      r2 = r10
      r2 += -4
      r1 = map[fd:HASH]
      call 1
      r0 += 8
      r0 = 0
      exit`,
    want: 'R0 pointer arithmetic on map_value_or_null prohibited, null-check it first',
  },
  {
    name: 'adds 32 bits to a pointer',
    program: `
      w1 += 1
      r0 = 0
      exit`,
    want: 'R1 32-bit pointer arithmetic prohibited',
  },
  {
    name: 'a packet without a bound',
    type: 'xdp',
    program: `
      r2 = *(u32 *)(r1 + 0)
      r0 = *(u8 *)(r2 + 0)
      r0 = 2
      exit`,
    want: 'R2 offset is outside of the packet',
  },
  {
    name: 'a packet with a bound',
    type: 'xdp',
    program: `
      r2 = *(u32 *)(r1 + 0)
      r3 = *(u32 *)(r1 + 4)
      r4 = r2
      r4 += 14
      if r4 > r3 goto +1
      r0 = *(u8 *)(r2 + 13)
      r0 = 2
      exit`,
    want: 'ok',
  },
  {
    name: 'a packet beyond its bound',
    type: 'xdp',
    program: `
      r2 = *(u32 *)(r1 + 0)
      r3 = *(u32 *)(r1 + 4)
      r4 = r2
      r4 += 14
      if r4 > r3 goto +1
      r0 = *(u8 *)(r2 + 14)
      r0 = 2
      exit`,
    want: 'R2 offset is outside of the packet',
  },
  {
    name: 'a packet after its head moved',
    type: 'xdp',
    program: `
      r6 = r1
      r2 = *(u32 *)(r1 + 0)
      r3 = *(u32 *)(r1 + 4)
      r7 = r2
      r4 = r2
      r4 += 14
      if r4 > r3 goto +4
      r2 = 0
      r1 = r6
      call 44
      r0 = *(u8 *)(r7 + 0)
      r0 = 2
      exit`,
    want: "R7 invalid mem access 'scalar'",
  },
  {
    name: 'writes a packet that is for reading',
    type: 'cgroup_skb',
    program: `
      r2 = *(u32 *)(r1 + 76)
      r3 = *(u32 *)(r1 + 80)
      r4 = r2
      r4 += 14
      if r4 > r3 goto +1
      *(u8 *)(r2 + 0) = 1
      r0 = 1
      exit`,
    want: 'cannot write into packet',
  },
  {
    name: 'an atomic on the context',
    type: 'xdp',
    program: `
      r0 = 1
      lock *(u32 *)(r1 + 0) += r0
      r0 = 0
      exit`,
    want: 'BPF_ATOMIC stores into R1 ctx is not allowed',
  },
  {
    name: 'an atomic on a value',
    program: `
      r0 = 1
      r2 = map[fd:ONE][0]+0
      lock *(u64 *)(r2 + 8) += r0
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a misaligned atomic',
    program: `
      r0 = 1
      r2 = map[fd:ONE][0]+0
      lock *(u64 *)(r2 + 4) += r0
      r0 = 0
      exit`,
    want: 'misaligned value access off 0+0+4 size 8',
  },
  {
    name: 'a misaligned access where alignment is asked for',
    flag: 'strictAlignment',
    program: `
      r2 = map[fd:ONE][0]+0
      r0 = *(u64 *)(r2 + 4)
      r0 = 0
      exit`,
    want: 'misaligned value access off 0+0+4 size 8',
  },
  {
    name: 'a map inside a map',
    program: `
      *(u32 *)(r10 - 4) = 0
      r2 = r10
      r2 += -4
      r1 = map[fd:INNER]
      call 1
      if r0 == 0 goto +8
      r1 = r0
      r2 = r10
      r2 += -4
      call 1
      if r0 == 0 goto +1
      r0 = *(u64 *)(r0 + 16)
      r0 = 0
      exit
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'beyond a value of a map inside a map',
    program: `
      *(u32 *)(r10 - 4) = 0
      r2 = r10
      r2 += -4
      r1 = map[fd:INNER]
      call 1
      if r0 == 0 goto +6
      r1 = r0
      r2 = r10
      r2 += -4
      call 1
      if r0 == 0 goto +1
      r0 = *(u64 *)(r0 + 24)
      r0 = 0
      exit`,
    want: 'R0 min value is outside of the allowed memory range',
  },
];
