/**
 * The types of the embedded kernel, which is a small one: what its BTF says of itself. Members are declared as in C
 * and laid out by C's rules for x86-64, so that offsets are its own: programs find members by name, by CO-RE, as they
 * do on any kernel. The names are those of Linux 6.18; of the kernel's internal structs only the members that tracing
 * programs commonly read are here. Structs of the user-space interface (contexts, packet headers) are whole, and laid
 * out as everywhere.
 */

/** Typedefs, by name: what they stand for. */
export const kernelTypedefs: Readonly<Record<string, string>> = {
  __s8: 'signed char',
  __u8: 'unsigned char',
  __s16: 'short',
  __u16: 'unsigned short',
  __s32: 'int',
  __u32: 'unsigned int',
  __s64: 'long long',
  __u64: 'unsigned long long',
  __be16: '__u16',
  __be32: '__u32',
  __be64: '__u64',
  __sum16: '__u16',
  __wsum: '__u32',
  s8: '__s8',
  u8: '__u8',
  s16: '__s16',
  u16: '__u16',
  s32: '__s32',
  u32: '__u32',
  s64: '__s64',
  u64: '__u64',
  bool: '_Bool',
  size_t: 'unsigned long',
  ssize_t: 'long',
  pid_t: 'int',
  uid_t: 'unsigned int',
  gid_t: 'unsigned int',
  dev_t: 'u32',
  umode_t: 'unsigned short',
  fmode_t: 'unsigned int',
  loff_t: 'long long',
  kuid_t: 'struct kuid_struct',
  kgid_t: 'struct kgid_struct',
  kernel_cap_t: 'struct kernel_cap_struct',
  possible_net_t: 'struct possible_net',
  atomic_t: 'struct atomic_value',
  refcount_t: 'struct refcount_struct',
  bpf_user_pt_regs_t: 'struct pt_regs',
};

/** Structs, by name: their members as C declares them. */
export const kernelStructs: Readonly<Record<string, string>> = {
  // Tasks
  list_head: 'struct list_head *next; struct list_head *prev',
  hlist_node: 'struct hlist_node *next; struct hlist_node **pprev',
  atomic_value: 'int counter',
  refcount_struct: 'atomic_t refs',
  kuid_struct: 'uid_t val',
  kgid_struct: 'gid_t val',
  kernel_cap_struct: 'u64 val',
  thread_info: 'unsigned long flags; unsigned long syscall_work; u32 status; u32 cpu',
  task_struct: `
    struct thread_info thread_info; unsigned int __state; void *stack; unsigned int flags; int on_cpu;
    int on_rq; int prio; int static_prio; int normal_prio; unsigned int rt_priority; unsigned int policy;
    int nr_cpus_allowed; struct mm_struct *mm; struct mm_struct *active_mm; int exit_state; int exit_code;
    int exit_signal; pid_t pid; pid_t tgid; struct task_struct *real_parent; struct task_struct *parent;
    struct list_head children; struct list_head sibling; struct task_struct *group_leader;
    struct pid *thread_pid; u64 utime; u64 stime; unsigned long nvcsw; unsigned long nivcsw; u64 start_time;
    u64 start_boottime; const struct cred *real_cred; const struct cred *cred; char comm[16];
    struct fs_struct *fs; struct files_struct *files; struct nsproxy *nsproxy; struct signal_struct *signal;
    kuid_t loginuid; unsigned int sessionid; struct css_set *cgroups; struct task_struct *last_wakee`,
  cred: `
    atomic_t usage; kuid_t uid; kgid_t gid; kuid_t suid; kgid_t sgid; kuid_t euid; kgid_t egid; kuid_t fsuid;
    kgid_t fsgid; unsigned int securebits; kernel_cap_t cap_inheritable; kernel_cap_t cap_permitted;
    kernel_cap_t cap_effective; kernel_cap_t cap_bset; kernel_cap_t cap_ambient; struct user_namespace *user_ns`,
  signal_struct:
    'atomic_t live; int nr_threads; int group_exit_code; struct tty_struct *tty; short oom_score_adj',
  mm_struct: `
    unsigned long task_size; unsigned long total_vm; unsigned long start_code; unsigned long end_code;
    unsigned long start_data; unsigned long end_data; unsigned long start_brk; unsigned long brk;
    unsigned long start_stack; unsigned long arg_start; unsigned long arg_end; unsigned long env_start;
    unsigned long env_end; struct task_struct *owner; struct user_namespace *user_ns; struct file *exe_file`,
  upid: 'int nr; struct pid_namespace *ns',
  pid: 'refcount_t count; unsigned int level; struct upid numbers[1]',
  ns_common: 'struct dentry *stashed; unsigned int inum; refcount_t count',
  user_namespace: 'struct user_namespace *parent; int level; kuid_t owner; kgid_t group; struct ns_common ns',
  pid_namespace:
    'struct task_struct *child_reaper; unsigned int level; struct pid_namespace *parent; struct ns_common ns',
  mnt_namespace: 'struct ns_common ns; u64 seq',
  new_utsname: `
    char sysname[65]; char nodename[65]; char release[65]; char version[65]; char machine[65];
    char domainname[65]`,
  uts_namespace: 'struct new_utsname name; struct user_namespace *user_ns; struct ns_common ns',
  nsproxy: `
    refcount_t count; struct uts_namespace *uts_ns; struct mnt_namespace *mnt_ns;
    struct pid_namespace *pid_ns_for_children; struct net *net_ns`,
  css_set: 'refcount_t refcount; struct cgroup *dfl_cgrp',
  cgroup: 'unsigned long flags; int level; struct kernfs_node *kn',
  kernfs_node: 'struct kernfs_node *parent; const char *name; u64 id',

  // Files
  qstr: 'u32 hash; u32 len; const unsigned char *name',
  path: 'struct vfsmount *mnt; struct dentry *dentry',
  vfsmount: 'struct dentry *mnt_root; struct super_block *mnt_sb; int mnt_flags',
  dentry: `
    unsigned int d_flags; struct dentry *d_parent; struct qstr d_name; struct inode *d_inode;
    struct super_block *d_sb`,
  super_block:
    'dev_t s_dev; unsigned long s_flags; unsigned long s_magic; struct dentry *s_root; char s_id[32]',
  inode: `
    umode_t i_mode; kuid_t i_uid; kgid_t i_gid; unsigned int i_flags; struct super_block *i_sb;
    unsigned long i_ino; unsigned int __i_nlink; dev_t i_rdev; loff_t i_size`,
  file: `
    fmode_t f_mode; struct inode *f_inode; unsigned int f_flags; const struct cred *f_cred; struct path f_path;
    loff_t f_pos; void *private_data`,
  fdtable: 'unsigned int max_fds; struct file **fd',
  files_struct: 'atomic_t count; struct fdtable *fdt',
  fs_struct: 'int users; int umask; struct path root; struct path pwd',
  linux_binprm: 'struct file *file; int argc; int envc; const char *filename; const char *interp',
  filename: 'const char *name; const char *uptr',
  open_how: '__u64 flags; __u64 mode; __u64 resolve',

  // Sockets and packets in the kernel
  net: 'struct ns_common ns; unsigned int ifindex; u64 net_cookie',
  possible_net: 'struct net *net',
  in_addr: '__be32 s_addr',
  in6_addr: '__u8 s6_addr[16]',
  sock_common: `
    __be32 skc_daddr; __be32 skc_rcv_saddr; unsigned int skc_hash; __be16 skc_dport; __u16 skc_num;
    unsigned short skc_family; volatile unsigned char skc_state; unsigned char skc_reuse; int skc_bound_dev_if;
    possible_net_t skc_net; struct in6_addr skc_v6_daddr; struct in6_addr skc_v6_rcv_saddr; u64 skc_cookie`,
  sock: `
    struct sock_common __sk_common; int sk_rcvbuf; int sk_sndbuf; int sk_wmem_queued; u32 sk_priority;
    u32 sk_mark; u16 sk_type; u16 sk_protocol; kuid_t sk_uid; struct socket *sk_socket; int sk_err`,
  socket: 'int state; short type; unsigned long flags; struct file *file; struct sock *sk',
  net_device:
    'char name[16]; int ifindex; unsigned int flags; unsigned int mtu; unsigned short type; possible_net_t nd_net',
  sk_buff: `
    struct sk_buff *next; struct sk_buff *prev; struct net_device *dev; struct sock *sk; char cb[48];
    unsigned int len; unsigned int data_len; __u16 mac_len; __u16 queue_mapping; __u8 pkt_type:3;
    __u8 ip_summed:2; __u32 priority; int skb_iif; __u32 hash; __be16 vlan_proto; __u16 vlan_tci; __u32 mark;
    __u16 transport_header; __u16 network_header; __u16 mac_header; __be16 protocol; unsigned int tail;
    unsigned int end; unsigned char *head; unsigned char *data; unsigned int truesize; refcount_t users`,
  xdp_rxq_info: 'struct net_device *dev; u32 queue_index; u32 reg_state',
  xdp_buff: `
    void *data; void *data_end; void *data_meta; void *data_hard_start; struct xdp_rxq_info *rxq; u32 frame_sz;
    u32 flags`,

  // Registers and trace events
  pt_regs: `
    unsigned long r15; unsigned long r14; unsigned long r13; unsigned long r12; unsigned long bp; unsigned long bx;
    unsigned long r11; unsigned long r10; unsigned long r9; unsigned long r8; unsigned long ax; unsigned long cx;
    unsigned long dx; unsigned long si; unsigned long di; unsigned long orig_ax; unsigned long ip;
    unsigned long cs; unsigned long flags; unsigned long sp; unsigned long ss`,
  trace_entry: 'unsigned short type; unsigned char flags; unsigned char preempt_count; int pid',
  trace_event_raw_sys_enter: 'struct trace_entry ent; long id; unsigned long args[6]; char __data[0]',
  trace_event_raw_sys_exit: 'struct trace_entry ent; long id; long ret; char __data[0]',
  syscall_trace_enter: 'struct trace_entry ent; int nr; unsigned long args[0]',
  syscall_trace_exit: 'struct trace_entry ent; int nr; long ret',
  bpf_raw_tracepoint_args: '__u64 args[0]',
  bpf_perf_event_data: 'bpf_user_pt_regs_t regs; __u64 sample_period; __u64 addr',

  // Contexts
  xdp_md:
    '__u32 data; __u32 data_end; __u32 data_meta; __u32 ingress_ifindex; __u32 rx_queue_index; __u32 egress_ifindex',
  __sk_buff: `
    __u32 len; __u32 pkt_type; __u32 mark; __u32 queue_mapping; __u32 protocol; __u32 vlan_present;
    __u32 vlan_tci; __u32 vlan_proto; __u32 priority; __u32 ingress_ifindex; __u32 ifindex; __u32 tc_index;
    __u32 cb[5]; __u32 hash; __u32 tc_classid; __u32 data; __u32 data_end; __u32 napi_id; __u32 family;
    __u32 remote_ip4; __u32 local_ip4; __u32 remote_ip6[4]; __u32 local_ip6[4]; __u32 remote_port;
    __u32 local_port; __u32 data_meta; struct bpf_flow_keys *flow_keys; __u64 tstamp; __u32 wire_len;
    __u32 gso_segs; struct bpf_sock *sk; __u32 gso_size; __u8 tstamp_type; __u64 hwtstamp`,
  bpf_sock: `
    __u32 bound_dev_if; __u32 family; __u32 type; __u32 protocol; __u32 mark; __u32 priority; __u32 src_ip4;
    __u32 src_ip6[4]; __u32 src_port; __be16 dst_port; __u32 dst_ip4; __u32 dst_ip6[4]; __u32 state;
    __s32 rx_queue_mapping`,

  // Packets on the wire
  ethhdr: 'unsigned char h_dest[6]; unsigned char h_source[6]; __be16 h_proto',
  vlan_hdr: '__be16 h_vlan_TCI; __be16 h_vlan_encapsulated_proto',
  iphdr: `
    __u8 ihl:4; __u8 version:4; __u8 tos; __be16 tot_len; __be16 id; __be16 frag_off; __u8 ttl; __u8 protocol;
    __sum16 check; __be32 saddr; __be32 daddr`,
  ipv6hdr: `
    __u8 priority:4; __u8 version:4; __u8 flow_lbl[3]; __be16 payload_len; __u8 nexthdr; __u8 hop_limit;
    struct in6_addr saddr; struct in6_addr daddr`,
  udphdr: '__be16 source; __be16 dest; __be16 len; __sum16 check',
  tcphdr: `
    __be16 source; __be16 dest; __be32 seq; __be32 ack_seq; __u16 res1:4; __u16 doff:4; __u16 fin:1; __u16 syn:1;
    __u16 rst:1; __u16 psh:1; __u16 ack:1; __u16 urg:1; __u16 ece:1; __u16 cwr:1; __be16 window; __sum16 check;
    __be16 urg_ptr`,
  icmphdr: '__u8 type; __u8 code; __sum16 checksum; __be32 un',
  icmp6hdr: '__u8 icmp6_type; __u8 icmp6_code; __sum16 icmp6_cksum; __be32 icmp6_dataun',

  // What lies in maps and on the stacks of programs
  bpf_spin_lock: '__u32 val',
  bpf_timer: '__u64 __opaque[2]',
  bpf_wq: '__u64 __opaque[2]',
  bpf_dynptr: '__u64 __opaque[2]',
  bpf_list_head: '__u64 __opaque[2]',
  bpf_list_node: '__u64 __opaque[3]',
  bpf_rb_root: '__u64 __opaque[2]',
  bpf_rb_node: '__u64 __opaque[4]',
  bpf_refcount: '__u32 __opaque[1]',
  bpf_iter_num: '__u64 __opaque[1]',
  bpf_iter_bits: '__u64 __opaque[2]',
};

/** The arguments of raw tracepoints, for programs that get them with their types: `btf_trace_NAME`. */
export const kernelTraces: Readonly<Record<string, string>> = {
  sys_enter: 'struct pt_regs *regs; long id',
  sys_exit: 'struct pt_regs *regs; long ret',
};

/**
 * Functions that programs may call (kfuncs; what is known of them besides is in kfuncs.ts): what each returns, and its
 * arguments, whose names say what a call checks (kernel doc bpf/kfuncs). They are for the verifier: none runs here.
 */
export const kernelFunctions: Readonly<Record<string, string>> = {
  bpf_arena_alloc_pages: 'void *(void *p__map; void *addr__ign; u32 page_cnt; int node_id; u64 flags)',
  bpf_arena_free_pages: 'void(void *p__map; void *ptr__ign; u32 page_cnt)',
  bpf_arena_reserve_pages: 'int(void *p__map; void *ptr__ign; u32 page_cnt)',
  bpf_cast_to_kern_ctx: 'void *(void *obj)',
  bpf_dynptr_adjust: 'int(const struct bpf_dynptr *p; u32 start; u32 end)',
  bpf_dynptr_clone: 'int(const struct bpf_dynptr *p; struct bpf_dynptr *clone__uninit)',
  bpf_dynptr_copy:
    'int(struct bpf_dynptr *dst_ptr; u32 dst_off; struct bpf_dynptr *src_ptr; u32 src_off; u32 size)',
  bpf_dynptr_is_null: 'bool(const struct bpf_dynptr *p)',
  bpf_dynptr_is_rdonly: 'bool(const struct bpf_dynptr *p)',
  bpf_dynptr_memset: 'int(struct bpf_dynptr *p; u32 offset; u32 size; u8 val)',
  bpf_dynptr_size: '__u32(const struct bpf_dynptr *p)',
  bpf_dynptr_slice: 'void *(const struct bpf_dynptr *p; u32 offset; void *buffer__opt; u32 buffer__szk)',
  bpf_dynptr_slice_rdwr: 'void *(const struct bpf_dynptr *p; u32 offset; void *buffer__opt; u32 buffer__szk)',
  bpf_iter_bits_destroy: 'void(struct bpf_iter_bits *it)',
  bpf_iter_bits_new: 'int(struct bpf_iter_bits *it; const u64 *unsafe_ptr__ign; u32 nr_words)',
  bpf_iter_bits_next: 'int *(struct bpf_iter_bits *it)',
  bpf_iter_num_destroy: 'void(struct bpf_iter_num *it)',
  bpf_iter_num_new: 'int(struct bpf_iter_num *it; int start; int end)',
  bpf_iter_num_next: 'int *(struct bpf_iter_num *it)',
  bpf_preempt_disable: 'void()',
  bpf_preempt_enable: 'void()',
  bpf_probe_read_kernel_dynptr:
    'int(struct bpf_dynptr *dptr; u32 off; u32 size; const void *unsafe_ptr__ign)',
  bpf_probe_read_kernel_str_dynptr:
    'int(struct bpf_dynptr *dptr; u32 off; u32 size; const void *unsafe_ptr__ign)',
  bpf_probe_read_user_dynptr: 'int(struct bpf_dynptr *dptr; u32 off; u32 size; const void *unsafe_ptr__ign)',
  bpf_probe_read_user_str_dynptr:
    'int(struct bpf_dynptr *dptr; u32 off; u32 size; const void *unsafe_ptr__ign)',
  bpf_rcu_read_lock: 'void()',
  bpf_rcu_read_unlock: 'void()',
  bpf_rdonly_cast: 'void *(const void *obj__ign; u32 btf_id__k)',
  bpf_strcasecmp: 'int(const char *s1__ign; const char *s2__ign)',
  bpf_strchr: 'int(const char *s__ign; char c)',
  bpf_strchrnul: 'int(const char *s__ign; char c)',
  bpf_strcmp: 'int(const char *s1__ign; const char *s2__ign)',
  bpf_strcspn: 'int(const char *s__ign; const char *reject__ign)',
  bpf_strlen: 'int(const char *s__ign)',
  bpf_strnchr: 'int(const char *s__ign; size_t count; char c)',
  bpf_strnlen: 'int(const char *s__ign; size_t count)',
  bpf_strnstr: 'int(const char *s1__ign; const char *s2__ign; size_t len)',
  bpf_strrchr: 'int(const char *s__ign; int c)',
  bpf_strspn: 'int(const char *s__ign; const char *accept__ign)',
  bpf_strstr: 'int(const char *s1__ign; const char *s2__ign)',
  bpf_wq_init: 'int(struct bpf_wq *wq; void *p__map; unsigned int flags)',
  bpf_wq_set_callback_impl:
    'int(struct bpf_wq *wq; int (*callback_fn)(void *, int *, void *); unsigned int flags; void *aux__prog)',
  bpf_wq_start: 'int(struct bpf_wq *wq; unsigned int flags)',
  bpf_cgroup_acquire: 'struct cgroup *(struct cgroup *cgrp)',
  bpf_cgroup_ancestor: 'struct cgroup *(struct cgroup *cgrp; int level)',
  bpf_cgroup_from_id: 'struct cgroup *(u64 cgid)',
  bpf_cgroup_release: 'void(struct cgroup *cgrp)',
  bpf_list_back: 'struct bpf_list_node *(struct bpf_list_head *head)',
  bpf_list_front: 'struct bpf_list_node *(struct bpf_list_head *head)',
  bpf_list_pop_back: 'struct bpf_list_node *(struct bpf_list_head *head)',
  bpf_list_pop_front: 'struct bpf_list_node *(struct bpf_list_head *head)',
  bpf_list_push_back_impl:
    'int(struct bpf_list_head *head; struct bpf_list_node *node; void *meta__ign; u64 off)',
  bpf_list_push_front_impl:
    'int(struct bpf_list_head *head; struct bpf_list_node *node; void *meta__ign; u64 off)',
  bpf_obj_drop_impl: 'void(void *p__alloc; void *meta__ign)',
  bpf_obj_new_impl: 'void *(u64 local_type_id__k; void *meta__ign)',
  bpf_percpu_obj_drop_impl: 'void(void *p__alloc; void *meta__ign)',
  bpf_percpu_obj_new_impl: 'void *(u64 local_type_id__k; void *meta__ign)',
  bpf_rbtree_add_impl:
    'int(struct bpf_rb_root *root; struct bpf_rb_node *node; bool (*less)(struct bpf_rb_node *, const struct bpf_rb_node *); void *meta__ign; u64 off)',
  bpf_rbtree_first: 'struct bpf_rb_node *(struct bpf_rb_root *root)',
  bpf_rbtree_left: 'struct bpf_rb_node *(struct bpf_rb_root *root; struct bpf_rb_node *node)',
  bpf_rbtree_remove: 'struct bpf_rb_node *(struct bpf_rb_root *root; struct bpf_rb_node *node)',
  bpf_rbtree_right: 'struct bpf_rb_node *(struct bpf_rb_root *root; struct bpf_rb_node *node)',
  bpf_rbtree_root: 'struct bpf_rb_node *(struct bpf_rb_root *root)',
  bpf_refcount_acquire_impl: 'void *(void *p__refcounted_kptr; void *meta__ign)',
  bpf_task_acquire: 'struct task_struct *(struct task_struct *p)',
  bpf_task_from_pid: 'struct task_struct *(s32 pid)',
  bpf_task_from_vpid: 'struct task_struct *(s32 vpid)',
  bpf_task_release: 'void(struct task_struct *p)',
  bpf_task_under_cgroup: 'long(struct task_struct *task; struct cgroup *ancestor)',
  bpf_throw: 'void(u64 cookie)',
  bpf_get_task_exe_file: 'struct file *(struct task_struct *task)',
  bpf_path_d_path: 'int(const struct path *path; char *buf; size_t buf__sz)',
  bpf_put_file: 'void(struct file *file)',
  bpf_dynptr_from_skb: 'int(struct __sk_buff *s; u64 flags; struct bpf_dynptr *ptr__uninit)',
  bpf_dynptr_from_xdp: 'int(struct xdp_md *x; u64 flags; struct bpf_dynptr *ptr__uninit)',
};
