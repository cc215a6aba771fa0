/** Calls of helpers: who may make them, with which arguments, and what comes back. */
import type { Case } from './case.ts';

export const helpers: readonly Case[] = [
  {
    name: 'a helper that is none',
    type: 'xdp',
    program: `
      call 212
      r0 = 0
      exit`,
    want: 'invalid func unknown#212',
  },
  {
    name: 'a helper of other programs',
    program: `
      call 44
      r0 = 0
      exit`,
    want: 'program of this type cannot use helper bpf_xdp_adjust_head#44',
  },
  {
    name: 'a helper for the GPL',
    type: 'xdp',
    license: 'Proprietary',
    program: `
      r1 = r10
      r1 += -8
      *(u64 *)(r10 - 8) = 0
      r2 = 8
      call 6
      r0 = 0
      exit`,
    want: 'cannot call GPL-restricted function from non-GPL compatible program',
  },
  {
    name: 'a helper that sleeps',
    type: 'xdp',
    program: `
      call 148
      r0 = 0
      exit`,
    want: 'helper call might sleep in a non-sleepable prog',
  },
  {
    name: 'a context that is none',
    type: 'xdp',
    program: `
      r1 = 0
      r2 = 0
      call 44
      r0 = 0
      exit`,
    want: 'R1 type=scalar expected=ctx',
  },
  {
    name: 'a key on the stack',
    type: 'xdp',
    program: `
      *(u32 *)(r10 - 4) = 0
      r2 = r10
      r2 += -4
      r1 = map[fd:HASH]
      call 3
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a key that was not written',
    type: 'cgroup_skb',
    program: `
      r2 = r10
      r2 += -600
      r1 = map[fd:HASH]
      call 3
      r0 = 0
      exit`,
    want: 'invalid read from stack R2 off=-600 size=4',
  },
  {
    name: 'a key that is a number',
    type: 'xdp',
    program: `
      r2 = 4
      r1 = map[fd:HASH]
      call 3
      r0 = 0
      exit`,
    want: 'R2 type=scalar expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_',
  },
  {
    name: 'a map that is none',
    type: 'xdp',
    program: `
      r1 = 4
      r2 = r10
      call 3
      r0 = 0
      exit`,
    want: 'R1 type=scalar expected=map_ptr',
  },
  {
    name: 'a map of another kind',
    type: 'xdp',
    program: `
      r2 = 0
      r3 = 0
      r1 = map[fd:HASH]
      call 51
      exit`,
    want: 'cannot pass map_type 1 into func bpf_redirect_map#51',
  },
  {
    name: 'a map of devices',
    type: 'xdp',
    program: `
      r2 = 0
      r3 = 0
      r1 = map[fd:DEVICES]
      call 51
      exit`,
    want: 'ok',
  },
  {
    name: 'an element of a queue',
    type: 'xdp',
    program: `
      r2 = r10
      r2 += -8
      r1 = map[fd:QUEUE]
      call 88
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a lookup in a queue',
    type: 'xdp',
    program: `
      r2 = r10
      r2 += -8
      *(u64 *)(r10 - 8) = 0
      r1 = map[fd:QUEUE]
      call 1
      r0 = 0
      exit`,
    want: 'invalid zero-sized read',
  },
  {
    name: 'an update of a map for reading',
    type: 'xdp',
    program: `
      *(u64 *)(r10 - 8) = 0
      r2 = r10
      r2 += -8
      r3 = r2
      r4 = 0
      r1 = map[fd:READONLY]
      call 2
      r0 = 0
      exit`,
    want: 'write into map forbidden',
  },
  {
    name: 'memory of a size that is not known',
    type: 'kprobe',
    program: `
      r2 = *(u64 *)(r1 + 0)
      r1 = r10
      r1 += -16
      r3 = 0
      call 113
      r0 = 0
      exit`,
    want: "R2 min value is negative, either use unsigned or 'var &= const'",
  },
  {
    name: 'memory of a size that is bounded',
    type: 'kprobe',
    program: `
      r2 = *(u64 *)(r1 + 0)
      if r2 > 16 goto +4
      r1 = r10
      r1 += -16
      r3 = 0
      call 113
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'memory of a size that may be too big',
    type: 'kprobe',
    program: `
      r2 = *(u64 *)(r1 + 0)
      if r2 > 17 goto +4
      r1 = r10
      r1 += -16
      r3 = 0
      call 113
      r0 = 0
      exit`,
    want: 'invalid write to stack R1 off=-16 size=17',
  },
  {
    name: 'memory of no size',
    type: 'xdp',
    program: `
      r1 = r10
      r2 = 0
      call 16
      r0 = 0
      exit`,
    want: 'R2 invalid zero-sized read: u64=[0,0]',
  },
  {
    name: 'a record that is reserved and sent',
    type: 'xdp',
    program: `
      r1 = map[fd:RING]
      r2 = 8
      r3 = 0
      call 131
      if r0 == 0 goto +4
      *(u64 *)(r0 + 0) = 1
      r1 = r0
      r2 = 0
      call 132
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a record that is not given back',
    type: 'xdp',
    program: `
      r1 = map[fd:RING]
      r2 = 8
      r3 = 0
      call 131
      if r0 == 0 goto +1
      *(u64 *)(r0 + 0) = 1
      r0 = 0
      exit`,
    want: 'BPF_EXIT instruction in main prog would lead to reference leak',
  },
  {
    name: 'a record that is given back twice',
    type: 'xdp',
    program: `
      r1 = map[fd:RING]
      r2 = 8
      r3 = 0
      call 131
      if r0 == 0 goto +7
      r6 = r0
      r1 = r6
      r2 = 0
      call 132
      r1 = r6
      r2 = 0
      call 132
      r0 = 0
      exit`,
    want: 'R1 type=scalar expected=ringbuf_mem',
  },
  {
    name: 'a record of a size that is not known',
    type: 'xdp',
    program: `
      r2 = *(u32 *)(r1 + 12)
      r1 = map[fd:RING]
      r3 = 0
      call 131
      r0 = 0
      exit`,
    want: "R2 is not a known constant'",
  },
  {
    name: 'beyond a record',
    type: 'xdp',
    program: `
      r1 = map[fd:RING]
      r2 = 8
      r3 = 0
      call 131
      if r0 == 0 goto +4
      *(u64 *)(r0 + 8) = 1
      r1 = r0
      r2 = 0
      call 132
      r0 = 0
      exit`,
    want: 'R0 min value is outside of the allowed memory range',
  },
  {
    name: 'a socket that is looked up and let go',
    type: 'sched_cls',
    program: `
      *(u64 *)(r10 - 16) = 0
      *(u32 *)(r10 - 8) = 0
      r2 = r10
      r2 += -16
      r3 = 12
      r4 = 0
      r5 = 0
      call 84
      if r0 == 0 goto +2
      r1 = r0
      call 86
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a socket that is kept',
    type: 'sched_cls',
    program: `
      *(u64 *)(r10 - 16) = 0
      *(u32 *)(r10 - 8) = 0
      r2 = r10
      r2 += -16
      r3 = 12
      r4 = 0
      r5 = 0
      call 84
      r0 = 0
      exit`,
    want: 'BPF_EXIT instruction in main prog would lead to reference leak',
  },
  {
    name: 'lets go of what it does not hold',
    type: 'sched_cls',
    program: `
      r1 = *(u64 *)(r1 + 168)
      if r1 == 0 goto +1
      call 86
      r0 = 0
      exit`,
    want: 'R1 must be referenced when passed to release function',
  },
  {
    name: 'a format',
    program: `
      r1 = r10
      r1 += -16
      r2 = 16
      r3 = map[fd:READONLY][0]+0
      *(u64 *)(r10 - 24) = 0
      r4 = r10
      r4 += -24
      r5 = 8
      call 165
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a format with too few values',
    program: `
      r1 = r10
      r1 += -16
      r2 = 16
      r3 = map[fd:READONLY][0]+0
      r4 = 0
      r5 = 0
      call 165
      r0 = 0
      exit`,
    want: 'Invalid format string',
  },
  {
    name: 'a format that may change',
    program: `
      r1 = r10
      r1 += -16
      r2 = 16
      r3 = map[fd:ONE][0]+0
      r4 = 0
      r5 = 0
      call 165
      r0 = 0
      exit`,
    want: "R3 does not point to a readonly map'",
  },
  {
    name: 'a tail call',
    type: 'xdp',
    program: `
      r2 = map[fd:PROGS]
      r3 = 0
      call 12
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a tail call into a hash',
    type: 'xdp',
    program: `
      r2 = map[fd:HASH]
      r3 = 0
      call 12
      r0 = 0
      exit`,
    want: 'expected prog array map for tail call',
  },
  {
    name: 'the class of a packet',
    type: 'sched_cls',
    program: `
      call 17
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'the class of a task',
    program: `
      r1 = 0
      call 17
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'registers after a call',
    type: 'xdp',
    program: `
      call 5
      r0 = r1
      exit`,
    want: 'R1 !read_ok',
  },
  {
    name: 'a number from a helper is not known',
    type: 'xdp',
    program: `
      call 7
      r2 = r10
      r2 += r0
      *(u8 *)(r2 + 0) = 0
      r0 = 0
      exit`,
    want: 'math between fp pointer and register with unbounded min value is not allowed',
  },
];
