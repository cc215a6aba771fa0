// SPDX-License-Identifier: MIT
/*
 * Counts the system calls of one process by their number, and writes each read(2) to the trace pipe. User
 * space chooses the process, before it loads the object, by the constant `target_pid`.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The process (its thread group); 0 for all. */
const volatile __u32 target_pid = 0;
/* The number of read(2): 0 on x86-64, 63 on arm64. */
const volatile __u32 read_number = 0;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, __u64);
} calls SEC(".maps");

/* As /sys/kernel/tracing/events/raw_syscalls/sys_enter/format has it. */
struct sys_enter {
	__u64 common;
	long id;
	unsigned long args[6];
};

SEC("tracepoint/raw_syscalls/sys_enter")
int count_syscall(struct sys_enter *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	if (target_pid && pid != target_pid)
		return 0;

	__u32 number = ctx->id;
	__u64 one = 1;
	__u64 *calls_so_far = bpf_map_lookup_elem(&calls, &number);
	if (calls_so_far)
		__sync_fetch_and_add(calls_so_far, 1);
	else
		bpf_map_update_elem(&calls, &number, &one, BPF_ANY);

	if (number == read_number)
		bpf_printk("read: fd %lu, up to %lu bytes", ctx->args[0], ctx->args[2]);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
