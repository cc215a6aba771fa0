/**
 * A small kernel's BTF for tests of the verifier: a few structs as they are in Linux, though not of its sizes, and
 * functions that programs may call. Prototypes are written as C would: 'struct task_struct *f(struct task_struct *p)'.
 */
import { BtfBuilder } from '../../src/btf/index.ts';

/** By struct: its members, as 'type name', each in eight bytes. */
const structs: Readonly<Record<string, readonly string[]>> = {
  list_head: ['void *next', 'void *prev'],
  mm_struct: ['long map_count', 'struct file *exe_file'],
  task_struct: [
    'long state',
    'int pid',
    'struct task_struct *parent',
    'struct task_struct *group_leader',
    'struct mm_struct *mm',
    'struct list_head tasks',
    'long flags',
  ],
  task_struct__safe_rcu: ['struct task_struct *group_leader'],
  file: ['long f_mode', 'struct inode *f_inode'],
  file__safe_trusted: ['struct inode *f_inode'],
  inode: ['long i_ino'],
  cgroup: ['long flags', 'struct cgroup *parent'],
  cpumask: ['long bits'],
  bpf_cpumask: ['struct cpumask cpumask', 'long usage'],
  sock_common: ['long skc_hash'],
  sock: ['struct sock_common __sk_common', 'long sk_mark'],
  tcp_sock: ['struct sock sk', 'long snd_cwnd'],
  sk_buff: ['long len', 'struct sock *sk'],
  __sk_buff: ['int len'],
  xdp_md: ['int data'],
  xdp_buff: ['void *data'],
  seq_file: ['long count'],
  bpf_map: ['long id', 'int max_entries'],
  bpf_iter_meta: ['struct seq_file *seq', 'long session_id'],
  vm_area_struct: ['long vm_start', 'struct mm_struct *vm_mm'],
  bpf_dynptr: ['long a', 'long b'],
  bpf_list_head: ['long a', 'long b'],
  bpf_list_node: ['long a', 'long b', 'long c'],
  bpf_rb_root: ['long a', 'long b'],
  bpf_rb_node: ['long a', 'long b', 'long c', 'long d'],
  bpf_res_spin_lock: ['int val'],
  bpf_wq: ['long a', 'long b'],
  bpf_iter_num: ['long a'],
  bpf_iter_bits: ['long a', 'long b'],
  bpf_iter_task: ['long a', 'long b', 'long c'],
};

const functions: readonly string[] = [
  'int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)',
  'int *bpf_iter_num_next(struct bpf_iter_num *it)',
  'void bpf_iter_num_destroy(struct bpf_iter_num *it)',
  'int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task__nullable, int flags)',
  'struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it)',
  'void bpf_iter_task_destroy(struct bpf_iter_task *it)',
  'struct task_struct *bpf_task_acquire(struct task_struct *p)',
  'void bpf_task_release(struct task_struct *p)',
  'struct task_struct *bpf_task_from_pid(int pid)',
  'struct bpf_cpumask *bpf_cpumask_create()',
  'void bpf_cpumask_release(struct bpf_cpumask *cpumask)',
  'int bpf_cpumask_first(struct cpumask *cpumask)',
  'void bpf_cpumask_set_cpu(int cpu, struct bpf_cpumask *cpumask)',
  'void bpf_rcu_read_lock()',
  'void bpf_rcu_read_unlock()',
  'void bpf_preempt_disable()',
  'void bpf_preempt_enable()',
  'void bpf_local_irq_save(long *flags__irq_flag)',
  'void bpf_local_irq_restore(long *flags__irq_flag)',
  'int bpf_dynptr_from_skb(struct __sk_buff *s, long flags, struct bpf_dynptr *ptr__uninit)',
  'int bpf_dynptr_from_xdp(struct xdp_md *x, long flags, struct bpf_dynptr *ptr__uninit)',
  'void *bpf_dynptr_slice(struct bpf_dynptr *p, int offset, void *buffer__opt, int buffer__szk)',
  'void *bpf_dynptr_slice_rdwr(struct bpf_dynptr *p, int offset, void *buffer__opt, int buffer__szk)',
  'int bpf_dynptr_size(struct bpf_dynptr *p)',
  'int bpf_dynptr_adjust(struct bpf_dynptr *p, int start, int end)',
  'int bpf_dynptr_clone(struct bpf_dynptr *p, struct bpf_dynptr *clone__uninit)',
  'void *bpf_obj_new_impl(long local_type_id__k, void *meta__ign)',
  'void bpf_obj_drop_impl(void *p__alloc, void *meta__ign)',
  'void *bpf_refcount_acquire_impl(void *p__refcounted_kptr, void *meta__ign)',
  'int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta__ign, long off)',
  'struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head)',
  'struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root)',
  'struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node)',
  'int bpf_res_spin_lock(struct bpf_res_spin_lock *lock)',
  'void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock)',
  'void bpf_throw(long cookie)',
  'void *bpf_cast_to_kern_ctx(void *obj)',
  'void *bpf_rdonly_cast(void *obj__ign, int btf_id__k)',
  'int bpf_wq_init(struct bpf_wq *wq, void *p__map, int flags)',
  'int bpf_copy_from_user_str(void *dst, int dst__sz, void *unsafe_ptr__ign, long flags)',
  'int no_kfunc(int a)',
  'int bpf_iter_task(struct bpf_iter_meta *meta, struct task_struct *task)',
  'int bpf_fentry_target(struct task_struct *task, int flags)',
];

/** Tracepoints, by what they give to programs. */
const tracepoints: readonly string[] = [
  'void task_newtask(void *data, struct task_struct *task, long flags)',
  'void sched_pi_setprio(void *data, struct task_struct *task, struct task_struct *pi)',
  'void netif_rx(void *data, struct sk_buff *skb)',
];

class KernelTypes {
  readonly builder = new BtfBuilder();
  readonly ids = new Map<string, number>();

  /** The id of a type as C writes it. */
  type(text: string): number {
    const known = this.ids.get(text);
    if (known !== undefined) return known;
    let id: number;
    if (text === 'void') return 0;
    if (text.endsWith('*')) {
      id = this.builder.add({ kind: 'ptr', name: '', type: this.type(text.slice(0, -1).trim()) });
    } else if (text.startsWith('struct ')) return this.struct(text.slice('struct '.length));
    else {
      const size = text === 'int' ? 4 : 8;
      const name = text === 'int' ? 'int' : 'long int';
      id = this.builder.add({
        kind: 'int',
        name,
        size,
        signed: true,
        char: false,
        bool: false,
        bitOffset: 0,
        bits: size * 8,
      });
    }
    this.ids.set(text, id);
    return id;
  }

  /** Pointers may be cyclic, so a struct has its id before its members have theirs. */
  private struct(name: string): number {
    const key = `struct ${name}`;
    const known = this.ids.get(key);
    if (known !== undefined) return known;
    throw new Error(`struct ${name} is used before it is there`);
  }

  declare(text: string, functionName: (name: string) => string = (name) => name): void {
    const parts = /^(.*?)(\w+)\((.*)\)$/.exec(text);
    const [, result = 'void', name = '', list = ''] = parts ?? [];
    const parameters = list === '' ? [] : list.split(', ').map((one) => this.variable(one));
    const proto = this.builder.add({
      kind: 'funcProto',
      name: '',
      type: this.type(result.trim()),
      parameters,
    });
    this.ids.set(functionName(name), proto);
  }

  variable(text: string): { name: string; type: number } {
    const [, type = '', name = ''] = /^(.*?)(\w+)$/.exec(text) ?? [];
    return { name, type: this.type(type.trim()) };
  }
}

function build(): { bytes: Uint8Array; id: (name: string) => number } {
  const types = new KernelTypes();
  const { builder, ids } = types;
  for (const text of ['int', 'long']) types.type(text);
  const first = builder.add({ kind: 'ptr', name: '', type: 0 });
  ids.set('void *', first);
  // Structs are numbered before their members are known: pointers to them come first.
  const names = Object.keys(structs);
  let next = first + 1;
  for (const name of names) ids.set(`struct ${name}`, next++);
  const pointers = next;
  for (const [i, name] of names.entries()) ids.set(`struct ${name} *`, pointers + i);
  for (const name of names) {
    let offset = 0;
    const members = (structs[name] ?? []).map((text) => {
      const member = { ...types.variable(text), bitOffset: offset * 8, bitSize: 0 };
      offset += sizeOf(text);
      return member;
    });
    builder.add({ kind: 'struct', name, size: offset, members });
  }
  for (const name of names) builder.add({ kind: 'ptr', name: '', type: ids.get(`struct ${name}`) ?? 0 });
  for (const text of functions) {
    types.declare(text, (name) => `proto ${name}`);
    const name = /(\w+)\(/.exec(text)?.[1] ?? '';
    ids.set(name, builder.add({ kind: 'func', name, type: ids.get(`proto ${name}`) ?? 0, linkage: 0 }));
  }
  for (const text of tracepoints) {
    const name = `btf_trace_${/(\w+)\(/.exec(text)?.[1] ?? ''}`;
    types.declare(text, () => `proto ${name}`);
    const pointer = builder.add({ kind: 'ptr', name: '', type: ids.get(`proto ${name}`) ?? 0 });
    ids.set(name, builder.add({ kind: 'typedef', name, type: pointer }));
  }
  return { bytes: builder.build(), id: (name) => ids.get(name) ?? 0 };
}

function sizeOf(member: string): number {
  const struct = /^struct (\w+) \w+$/.exec(member)?.[1];
  if (struct === undefined) return 8;
  return (structs[struct] ?? []).reduce((sum, one) => sum + sizeOf(one), 0);
}

/** The BTF, and the ids of its types, functions and tracepoints (`btf_trace_…`) by name (`struct file`). */
export const kernelBtf = build();
