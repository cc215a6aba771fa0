/** Dynptrs: two slots of the stack that only their functions touch, and slices that end with them. */
import { checkKernelCases } from '../../test/support/verifier-cases.ts';

const end = 'r0 = 0\nexit';
const at = (reg: number, slot: number): string => `r${reg} = r10\nr${reg} += ${slot}`;
/** A dynptr over the packet in r6, at fp-16. */
const begin = `r6 = r1\nr1 = r6\nr2 = 0\n${at(3, -16)}\ncall kfunc:bpf_dynptr_from_skb`;
const slice = (how: string, size = 8): string =>
  `${at(1, -16)}\nr2 = 0\n${at(3, -32)}\nr4 = ${size}\ncall kfunc:bpf_dynptr_slice${how}\nif r0 == 0 goto out`;
const out = `out:\n${end}`;
const on = { type: 'sched_cls' } as const;

checkKernelCases([
  { name: 'read a slice', on, program: `${begin}\n${slice('')}\nr1 = *(u64 *)(r0 + 0)\n${out}`, want: 'ok' },
  {
    name: 'write a slice',
    on,
    program: `${begin}\n${slice('_rdwr')}\n*(u64 *)(r0 + 0) = 1\n${out}`,
    want: 'ok',
  },
  {
    name: 'a slice to read alone',
    on,
    program: `${begin}\n${slice('')}\n*(u64 *)(r0 + 0) = 1\n${out}`,
    want: 'R0 cannot write into rdonly_mem',
  },
  {
    name: 'beyond a slice',
    on,
    program: `${begin}\n${slice('')}\nr1 = *(u64 *)(r0 + 8)\n${out}`,
    want: 'R0 min value is outside of the allowed memory range',
  },
  {
    name: 'a buffer that is too small',
    on,
    program: `${begin}\n${slice('', 40)}\n${out}`,
    want: 'arg#2 arg#3 memory, len pair leads to invalid memory access',
  },
  {
    name: 'a slice after the packet has changed',
    on,
    program: `${begin}\n${slice('')}\nr7 = r0\nr1 = r6\nr2 = 0\ncall 39\nr1 = *(u64 *)(r7 + 0)\n${out}`,
    want: "R7 invalid mem access 'scalar'",
  },
  {
    name: 'a dynptr that was never begun',
    on,
    program: `${at(1, -16)}\ncall kfunc:bpf_dynptr_size\n${end}`,
    want: 'Expected an initialized dynptr as arg #0',
  },
  {
    name: 'written over, it is none any more',
    on,
    program: `${begin}\n*(u64 *)(r10 - 8) = 0\n${at(1, -16)}\ncall kfunc:bpf_dynptr_size\n${end}`,
    want: 'Expected an initialized dynptr as arg #0',
  },
  {
    name: 'between two slots',
    on,
    program: `${begin}\n${at(1, -12)}\ncall kfunc:bpf_dynptr_size\n${end}`,
    want: 'Expected an initialized dynptr as arg #0',
  },
  {
    name: 'its slots are not read',
    on,
    program: `${begin}\nr0 = *(u64 *)(r10 - 8)\nexit`,
    want: 'invalid read from stack off -8+0 size 8',
  },
  {
    name: 'not on the stack',
    on,
    program: `r3 = r1\nr2 = 0\ncall kfunc:bpf_dynptr_from_skb\n${end}`,
    want: 'arg#2 expected pointer to stack or const struct bpf_dynptr',
  },
  {
    name: 'a clone',
    on,
    program: `${begin}\n${at(1, -16)}\n${at(2, -32)}\ncall kfunc:bpf_dynptr_clone\n${at(1, -32)}\nr2 = 0\nr3 = 4\ncall kfunc:bpf_dynptr_adjust\n${end}`,
    want: 'ok',
  },
  {
    name: 'programs that must not write packets',
    on: { type: 'cgroup_skb' },
    program: `${begin}\n${slice('_rdwr')}\n${out}`,
    want: 'the prog does not allow writes to packet data',
  },
  {
    name: 'over packets of another type of program',
    on: { type: 'xdp' },
    program: `${begin}\n${end}`,
    want: 'calling kernel function bpf_dynptr_from_skb is not allowed',
  },
]);
