// SPDX-License-Identifier: MIT
/*
 * Who makes system calls: a raw tracepoint that counts them by process and command name. A raw tracepoint
 * gets the kernel's own arguments, here (struct pt_regs *regs, long id), where a tracepoint gets a record.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct caller {
	__u32 pid;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct caller);
	__type(value, __u64);
} callers SEC(".maps");

/* The highest system call number seen. */
__u64 highest = 0;

SEC("raw_tp/sys_enter")
int count_caller(struct bpf_raw_tracepoint_args *ctx)
{
	struct caller caller = { .pid = bpf_get_current_pid_tgid() >> 32 };
	bpf_get_current_comm(caller.comm, sizeof(caller.comm));

	__u64 one = 1;
	__u64 *calls = bpf_map_lookup_elem(&callers, &caller);
	if (calls)
		__sync_fetch_and_add(calls, 1);
	else
		bpf_map_update_elem(&callers, &caller, &one, BPF_ANY);

	if (ctx->args[1] > highest)
		highest = ctx->args[1];
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
