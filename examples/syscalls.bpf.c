// SPDX-License-Identifier: MIT
/*
 * Counts the system calls of one process by their number. A raw tracepoint gets the kernel's own arguments,
 * here (struct pt_regs *regs, long id); user space says which process, before it loads the object.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The process (its thread group). */
const volatile __u32 target_pid = 0;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

SEC("raw_tp/sys_enter")
int count_call(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 number = ctx->args[1];
	__u64 one = 1, *count;

	if (bpf_get_current_pid_tgid() >> 32 != target_pid)
		return 0;
	count = bpf_map_lookup_elem(&calls, &number);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&calls, &number, &one, BPF_ANY);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
