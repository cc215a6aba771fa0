/** The contexts of program types, their attach types and return values. */
import type { Case } from './case.ts';

export const contexts: readonly Case[] = [
  {
    name: 'a field of __sk_buff',
    program: `
      r0 = *(u32 *)(r1 + 0)
      exit`,
    want: 'ok',
  },
  {
    name: 'half of a field of __sk_buff',
    program: `
      r0 = *(u16 *)(r1 + 2)
      exit`,
    want: 'ok',
  },
  {
    name: 'a field that socket filters do not see',
    program: `
      r0 = *(u32 *)(r1 + 76)
      exit`,
    want: 'invalid bpf_context access off=76 size=4',
  },
  {
    name: 'a field that socket filters may not write',
    program: `
      *(u32 *)(r1 + 8) = 1
      r0 = 0
      exit`,
    want: 'invalid bpf_context access off=8 size=4',
  },
  {
    name: 'a mark',
    type: 'sched_cls',
    program: `
      *(u32 *)(r1 + 8) = 1
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'half a mark',
    type: 'sched_cls',
    program: `
      *(u16 *)(r1 + 8) = 1
      r0 = 0
      exit`,
    want: 'invalid bpf_context access off=8 size=2',
  },
  {
    name: 'a packet pointer that is sign-extended',
    type: 'sched_cls',
    program: `
      r0 = *(s32 *)(r1 + 76)
      r0 = 0
      exit`,
    want: 'invalid bpf_context access off=76 size=4',
  },
  {
    name: 'half a packet pointer',
    type: 'xdp',
    program: `
      r0 = *(u16 *)(r1 + 0)
      r0 = 0
      exit`,
    want: 'invalid bpf_context access off=0 size=2',
  },
  {
    name: 'an address of the remote end',
    type: 'cgroup_skb',
    program: `
      r0 = *(u32 *)(r1 + 92)
      r0 = 1
      exit`,
    want: 'ok',
  },
  {
    name: 'half an address of the remote end',
    type: 'cgroup_skb',
    program: `
      r0 = *(u16 *)(r1 + 92)
      r0 = 1
      exit`,
    want: 'invalid bpf_context access off=92 size=2',
  },
  {
    name: 'a field where programs of a device map are',
    type: 'xdp',
    attach: 'xdp_devmap',
    program: `
      r0 = *(u32 *)(r1 + 20)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'a field for programs of a device map only',
    type: 'xdp',
    program: `
      r0 = *(u32 *)(r1 + 20)
      r0 = 0
      exit`,
    want: 'invalid bpf_context access off=20 size=4',
  },
  {
    name: 'the socket of a packet may be NULL',
    type: 'sched_cls',
    program: `
      r2 = *(u64 *)(r1 + 168)
      r0 = *(u32 *)(r2 + 4)
      r0 = 0
      exit`,
    want: "R2 invalid mem access 'sock_common_or_null'",
  },
  {
    name: 'the family of a socket',
    type: 'sched_cls',
    program: `
      r2 = *(u64 *)(r1 + 168)
      if r2 == 0 goto +1
      r0 = *(u32 *)(r2 + 4)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'the second byte of the family of a socket',
    type: 'sched_cls',
    program: `
      r2 = *(u64 *)(r1 + 168)
      if r2 == 0 goto +1
      r0 = *(u8 *)(r2 + 5)
      r0 = 0
      exit`,
    want: 'R2 invalid sock_common access off=5 size=1',
  },
  {
    name: 'the type of a socket that may be none',
    type: 'sched_cls',
    program: `
      r2 = *(u64 *)(r1 + 168)
      if r2 == 0 goto +1
      r0 = *(u32 *)(r2 + 8)
      r0 = 0
      exit`,
    want: 'R2 invalid sock_common access off=8 size=4',
  },
  {
    name: 'a counter of a TCP socket',
    type: 'sched_cls',
    program: `
      r1 = *(u64 *)(r1 + 168)
      if r1 == 0 goto +3
      call 96
      if r0 == 0 goto +1
      r0 = *(u64 *)(r0 + 80)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'keys of a flow',
    type: 'flow_dissector',
    program: `
      r2 = *(u64 *)(r1 + 144)
      *(u16 *)(r2 + 0) = 14
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'beyond the keys of a flow',
    type: 'flow_dissector',
    program: `
      r2 = *(u64 *)(r1 + 144)
      *(u64 *)(r2 + 56) = 14
      r0 = 0
      exit`,
    want: 'invalid access to flow keys off=56 size=8',
  },
  {
    name: 'a register of a traced function',
    type: 'kprobe',
    program: `
      r0 = *(u64 *)(r1 + 112)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'registers cannot be written',
    type: 'kprobe',
    program: `
      *(u64 *)(r1 + 112) = 0
      r0 = 0
      exit`,
    want: 'invalid bpf_context access off=112 size=8',
  },
  {
    name: 'beyond the registers',
    type: 'kprobe',
    program: `
      r0 = *(u64 *)(r1 + 168)
      r0 = 0
      exit`,
    want: 'invalid bpf_context access off=168 size=8',
  },
  {
    name: 'what the tracer keeps to itself',
    type: 'tracepoint',
    program: `
      r0 = *(u64 *)(r1 + 0)
      r0 = 0
      exit`,
    want: 'invalid bpf_context access off=0 size=8',
  },
  {
    name: 'a field of a trace entry',
    type: 'tracepoint',
    program: `
      r0 = *(u64 *)(r1 + 8)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'the last argument of a raw tracepoint',
    type: 'raw_tracepoint',
    program: `
      r0 = *(u64 *)(r1 + 88)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'beyond the last argument of a raw tracepoint',
    type: 'raw_tracepoint',
    program: `
      r0 = *(u64 *)(r1 + 96)
      r0 = 0
      exit`,
    want: 'invalid bpf_context access off=96 size=8',
  },
  {
    name: 'the buffer of a writable tracepoint',
    type: 'raw_tracepoint_writable',
    program: `
      r2 = *(u64 *)(r1 + 0)
      *(u64 *)(r2 + 8) = 1
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'before the buffer of a writable tracepoint',
    type: 'raw_tracepoint_writable',
    program: `
      r2 = *(u64 *)(r1 + 0)
      *(u64 *)(r2 - 8) = 1
      r0 = 0
      exit`,
    want: 'R2 invalid tracepoint buffer access: off=-8, size=8',
  },
  {
    name: 'a sampling period',
    type: 'perf_event',
    program: `
      r0 = *(u64 *)(r1 + 168)
      r0 = 0
      exit`,
    want: 'ok',
  },
  {
    name: 'an IPv4 address of a connection',
    type: 'cgroup_sock_addr',
    attach: 'cgroup_inet4_connect',
    program: `
      *(u32 *)(r1 + 4) = 1
      r0 = 1
      exit`,
    want: 'ok',
  },
  {
    name: 'an IPv4 address of an IPv6 connection',
    type: 'cgroup_sock_addr',
    attach: 'cgroup_inet6_connect',
    program: `
      *(u32 *)(r1 + 4) = 1
      r0 = 1
      exit`,
    want: 'invalid bpf_context access off=4 size=4',
  },
  {
    name: 'no attach type where one is needed',
    type: 'cgroup_sock_addr',
    program: `
      r0 = 1
      exit`,
    want: 'EINVAL',
  },
  {
    name: 'a return value of 2 for a connection',
    type: 'cgroup_sock_addr',
    attach: 'cgroup_inet4_connect',
    program: `
      r0 = 2
      exit`,
    want: 'At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]',
  },
  {
    name: 'a return value of 2 for a bind',
    type: 'cgroup_sock_addr',
    attach: 'cgroup_inet4_bind',
    program: `
      r0 = 2
      exit`,
    want: 'ok',
  },
  {
    name: 'a return value of 0 for a message received',
    type: 'cgroup_sock_addr',
    attach: 'cgroup_udp4_recvmsg',
    program: `
      r0 = 0
      exit`,
    want: 'At program exit the register R0 has smin=0 smax=0 should have been in [1, 1]',
  },
  {
    name: 'the level of a socket option that is read',
    type: 'cgroup_sockopt',
    attach: 'cgroup_getsockopt',
    program: `
      *(u32 *)(r1 + 24) = 1
      r0 = 1
      exit`,
    want: 'invalid bpf_context access off=24 size=4',
  },
  {
    name: 'the level of a socket option that is set',
    type: 'cgroup_sockopt',
    attach: 'cgroup_setsockopt',
    program: `
      *(u32 *)(r1 + 24) = 1
      r0 = 1
      exit`,
    want: 'ok',
  },
  {
    name: 'a callback of a TCP socket',
    type: 'sock_ops',
    program: `
      r0 = *(u32 *)(r1 + 0)
      *(u32 *)(r1 + 4) = 1
      r0 = 1
      exit`,
    want: 'ok',
  },
  {
    name: 'a return value that is not known',
    type: 'cgroup_device',
    program: `
      r0 = *(u32 *)(r1 + 4)
      exit`,
    want: 'At program exit the register R0 has smin=0 smax=4294967295 should have been in [0, 1]',
  },
  {
    name: 'the data of a message',
    type: 'sk_msg',
    program: `
      r2 = *(u64 *)(r1 + 0)
      r3 = *(u64 *)(r1 + 8)
      r4 = r2
      r4 += 1
      if r4 > r3 goto +1
      r0 = *(u8 *)(r2 + 0)
      r0 = 1
      exit`,
    want: 'ok',
  },
  {
    name: 'a socket that a lookup chose',
    type: 'sk_lookup',
    attach: 'sk_lookup',
    program: `
      r2 = *(u64 *)(r1 + 0)
      if r2 == 0 goto +1
      r0 = *(u32 *)(r2 + 8)
      r0 = 1
      exit`,
    want: 'ok',
  },
  {
    name: 'the position in a file of a sysctl',
    type: 'cgroup_sysctl',
    program: `
      *(u32 *)(r1 + 4) = 1
      r0 = 1
      exit`,
    want: 'ok',
  },
  {
    name: 'the hash of a packet',
    type: 'sk_reuseport',
    program: `
      r0 = *(u32 *)(r1 + 32)
      r0 = 1
      exit`,
    want: 'ok',
  },
  {
    name: 'a system call that does not sleep',
    type: 'syscall',
    program: `
      r0 = 0
      exit`,
    want: 'Syscall programs can only be sleepable',
  },
  {
    name: 'a system call',
    type: 'syscall',
    flag: 'sleepable',
    program: `
      r0 = *(u64 *)(r1 + 3)
      *(u8 *)(r1 + 1) = 1
      r0 = 0
      exit`,
    want: 'invalid bpf_context access off=3 size=8',
  },
  {
    name: 'a packet that sleeps',
    type: 'xdp',
    flag: 'sleepable',
    program: `
      r0 = 0
      exit`,
    want: 'Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable',
  },
  {
    name: 'a moved context',
    type: 'xdp',
    program: `
      r1 += 4
      r0 = *(u32 *)(r1 + 0)
      r0 = 0
      exit`,
    want: 'dereference of modified ctx ptr R1 off=4 disallowed',
  },
  {
    name: 'a context that moved by what is not known',
    type: 'xdp',
    program: `
      r2 = *(u32 *)(r1 + 12)
      r2 &= 4
      r1 += r2
      r0 = *(u32 *)(r1 + 12)
      r0 = 0
      exit`,
    want: 'variable ctx access var_off=(0x0; 0x4) disallowed',
  },
];
