/** Arguments that are typed by BTF, and reads through them. */
import { checkKernelCases } from '../../test/support/verifier-cases.ts';

const task = 'r6 = *(u64 *)(r1 + 0)';
const end = 'r0 = 0\nexit';

checkKernelCases([
  {
    name: 'a number of a task',
    program: `${task}\nr0 = *(u32 *)(r6 + off:task_struct.pid)\nexit`,
    want: 'ok',
  },
  {
    name: 'a pointer to a pointer',
    program: `${task}\nr1 = *(u64 *)(r6 + off:task_struct.mm)\nr0 = *(u32 *)(r1 + off:mm_struct.map_count)\nexit`,
    want: 'ok',
  },
  {
    name: 'nothing is written',
    program: `${task}\n*(u32 *)(r6 + off:task_struct.pid) = 1\n${end}`,
    want: 'only read is supported',
  },
  {
    name: 'before its begin',
    program: `${task}\nr0 = *(u32 *)(r6 - 8)\nexit`,
    want: 'R6 is ptr_task_struct invalid negative access: off=-8',
  },
  {
    name: 'an argument that is not there',
    program: 'r0 = *(u64 *)(r1 + 24)\nexit',
    want: 'invalid bpf_context access off=24 size=8',
  },
  {
    name: 'half an argument',
    program: 'r0 = *(u32 *)(r1 + 0)\nexit',
    want: 'invalid bpf_context access off=0 size=4',
  },
  {
    name: 'arguments are not written',
    program: '*(u64 *)(r1 + 0) = 1\nr0 = 0\nexit',
    want: 'invalid bpf_context access off=0 size=8',
  },
  {
    name: 'an argument that may be NULL',
    on: { type: 'tracing', attach: 'btf_trace_sched_pi_setprio' },
    program: 'r1 = *(u64 *)(r1 + 8)\nr0 = *(u32 *)(r1 + off:task_struct.pid)\nexit',
    want: "R1 invalid mem access 'trusted_ptr_or_null_'",
  },
  {
    name: 'an argument that was compared with NULL',
    on: { type: 'tracing', attach: 'btf_trace_sched_pi_setprio' },
    program:
      'r1 = *(u64 *)(r1 + 8)\nr0 = 0\nif r1 == 0 goto out\nr0 = *(u32 *)(r1 + off:task_struct.pid)\nout:\nexit',
    want: 'ok',
  },
  {
    name: 'the current task is trusted',
    program: `call 158\nr1 = r0\ncall kfunc:bpf_task_acquire\nif r0 == 0 goto out\nr1 = r0\ncall kfunc:bpf_task_release\nout:\n${end}`,
    want: 'ok',
  },
  {
    name: 'a cast to no struct',
    on: { type: 'sched_cls' },
    program: 'r1 = 0\nr2 = 1\ncall kfunc:bpf_rdonly_cast\nr0 = 0\nexit',
    want: 'kfunc bpf_rdonly_cast type ID argument must be of a struct or void',
  },
  {
    name: "the kernel's context of a program",
    on: { type: 'sched_cls' },
    program: 'call kfunc:bpf_cast_to_kern_ctx\nr0 = *(u32 *)(r0 + off:sk_buff.len)\nexit',
    want: 'ok',
  },
]);
