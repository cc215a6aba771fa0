/** References to objects of the kernel, and critical sections: what must be given back and closed, and where. */
import { checkKernelCases } from '../../test/support/verifier-cases.ts';

const end = 'r0 = 0\nexit';
const acquire = 'r1 = 1\ncall kfunc:bpf_task_from_pid\nif r0 == 0 goto out\nr7 = r0';
const release = 'r1 = r7\ncall kfunc:bpf_task_release';
const inRcu = (body: string): string =>
  `call kfunc:bpf_rcu_read_lock\n${body}\ncall kfunc:bpf_rcu_read_unlock`;
const save = (slot: number): string => `r1 = r10\nr1 += ${slot}\ncall kfunc:bpf_local_irq_save`;
const restore = (slot: number): string => `r1 = r10\nr1 += ${slot}\ncall kfunc:bpf_local_irq_restore`;
const EXIT = 'BPF_EXIT instruction in main prog';

checkKernelCases([
  { name: 'acquired and released', program: `${acquire}\n${release}\nout:\n${end}`, want: 'ok' },
  {
    name: 'never released',
    program: `${acquire}\nout:\n${end}`,
    want: `${EXIT} would lead to reference leak`,
  },
  {
    name: 'released twice',
    program: `${acquire}\n${release}\n${release}\nout:\n${end}`,
    want: 'arg#0 pointer type STRUCT task_struct must point to scalar, or struct with scalar',
  },
  {
    name: 'released without being compared with NULL',
    program: `r1 = 1\ncall kfunc:bpf_task_from_pid\nr1 = r0\ncall kfunc:bpf_task_release\n${end}`,
    want: 'Possibly NULL pointer passed to trusted arg0',
  },
  {
    name: 'released though it was never acquired',
    program: `r1 = *(u64 *)(r1 + 0)\ncall kfunc:bpf_task_release\n${end}`,
    want: 'release kernel function bpf_task_release expects refcounted PTR_TO_BTF_ID',
  },
  {
    name: 'released as something else',
    program: `${acquire}\nr1 = r7\ncall kfunc:bpf_cpumask_release\nout:\n${end}`,
    want: 'kernel function bpf_cpumask_release args#0 expected pointer to STRUCT bpf_cpumask but R1 has a pointer to STRUCT task_struct',
  },
  {
    name: 'what a mask begins with is a mask',
    program: `call kfunc:bpf_cpumask_create\nif r0 == 0 goto out\nr7 = r0\nr1 = r7\ncall kfunc:bpf_cpumask_first\nr1 = r7\ncall kfunc:bpf_cpumask_release\nout:\n${end}`,
    want: 'ok',
  },
  {
    name: 'a pointer after its release',
    program: `${acquire}\n${release}\nr0 = *(u32 *)(r7 + off:task_struct.pid)\nexit\nout:\n${end}`,
    want: "R7 invalid mem access 'scalar'",
  },
  { name: 'RCU protected', program: `${inRcu('r6 = 0')}\n${end}`, want: 'ok' },
  {
    name: 'RCU protected for ever',
    program: `call kfunc:bpf_rcu_read_lock\n${end}`,
    want: `${EXIT} cannot be used inside bpf_rcu_read_lock-ed region`,
  },
  {
    name: 'RCU unlocked alone',
    program: `call kfunc:bpf_rcu_read_unlock\n${end}`,
    want: 'unmatched rcu read unlock (kernel function bpf_rcu_read_unlock)',
  },
  {
    name: 'RCU protects what a task leads to',
    on: { type: 'syscall', sleepable: true },
    program: `call 158\nr6 = r0\n${inRcu('r1 = *(u64 *)(r6 + off:task_struct.group_leader)\ncall kfunc:bpf_task_acquire\nr7 = r0')}\nif r7 == 0 goto out\n${release}\nout:\n${end}`,
    want: 'ok',
  },
  {
    name: 'RCU protects it no longer',
    on: { type: 'syscall', sleepable: true },
    program: `call 158\nr6 = r0\n${inRcu('r7 = *(u64 *)(r6 + off:task_struct.group_leader)')}\nr1 = r7\ncall kfunc:bpf_task_acquire\n${end}`,
    want: 'R1 must be a rcu pointer',
  },
  {
    name: 'without preemption for ever',
    program: `call kfunc:bpf_preempt_disable\n${end}`,
    want: `${EXIT} cannot be used inside bpf_preempt_disable-ed region`,
  },
  {
    name: 'preemption switched on too often',
    program: `call kfunc:bpf_preempt_disable\ncall kfunc:bpf_preempt_enable\ncall kfunc:bpf_preempt_enable\n${end}`,
    want: 'unmatched attempt to enable preemption (kernel function bpf_preempt_enable)',
  },
  { name: 'interrupts off and on', program: `${save(-8)}\n${restore(-8)}\n${end}`, want: 'ok' },
  {
    name: 'interrupts off for ever',
    program: `${save(-8)}\n${end}`,
    want: `${EXIT} cannot be used inside bpf_local_irq_save-ed region`,
  },
  {
    name: 'interrupts on without flags',
    program: `*(u64 *)(r10 - 8) = 0\n${restore(-8)}\n${end}`,
    want: 'expected an initialized irq flag as arg#0',
  },
  {
    name: 'interrupts off twice in one place',
    program: `${save(-8)}\n${save(-8)}\n${end}`,
    want: 'expected uninitialized irq flag as arg#0',
  },
  {
    name: 'interrupts on out of order',
    program: `${save(-8)}\n${save(-16)}\n${restore(-8)}\n${restore(-16)}\n${end}`,
    want: 'cannot restore irq state out of order, expected id=2 acquired at insn_idx=5',
  },
  {
    name: 'a function that sleeps, where nothing may',
    program: `r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\nr4 = 0\ncall kfunc:bpf_copy_from_user_str\n${end}`,
    want: 'program must be sleepable to call sleepable kfunc bpf_copy_from_user_str',
  },
  {
    name: 'a function that sleeps, under RCU',
    on: { type: 'syscall', sleepable: true },
    program: `${inRcu('r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\nr4 = 0\ncall kfunc:bpf_copy_from_user_str')}\n${end}`,
    want: 'kernel func bpf_copy_from_user_str is sleepable within rcu_read_lock region',
  },
  { name: 'thrown away', program: `r1 = 1\ncall kfunc:bpf_throw\n${end}`, want: 'ok' },
  {
    name: 'thrown with a reference held',
    program: `${acquire}\nr1 = 1\ncall kfunc:bpf_throw\nout:\n${end}`,
    want: 'bpf_throw would lead to reference leak',
  },
  {
    name: 'for programs of another type',
    on: { type: 'raw_tracepoint' },
    program: `r1 = 1\ncall kfunc:bpf_task_from_pid\n${end}`,
    want: 'calling kernel function bpf_task_from_pid is not allowed',
  },
  {
    name: 'iterators over tasks, only under RCU',
    on: { type: 'syscall', sleepable: true },
    program: `r1 = r10\nr1 += -24\nr2 = 0\nr3 = 0\ncall kfunc:bpf_iter_task_new\n${end}`,
    want: 'kernel func bpf_iter_task_new requires RCU critical section protection',
  },
]);
