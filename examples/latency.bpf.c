// SPDX-License-Identifier: MIT
/*
 * How long the system calls of one process take: a histogram by powers of two, and a record of each call that
 * took long, through a ring buffer.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The process (its thread group), and from how many nanoseconds on a call is told of. */
const volatile __u32 target_pid = 0;
const volatile __u64 slow_ns = 1000000;

struct call {
	__u64 start;
	__u64 number;
};

struct slow_call {
	__u32 thread;
	__u32 number;
	__u64 ns;
	char comm[16];
};

/* Keeps the type in the object's BTF. */
const struct slow_call *unused __attribute__((unused));

/* What each thread is doing. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct call);
} doing SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} slow SEC(".maps");

/* slots[n]: calls of 2^n to 2^(n+1) nanoseconds. */
__u64 slots[64];
/* Records that found no room. */
__u64 lost;

SEC("raw_tp/sys_enter")
int call_enters(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 thread = id;
	struct call call = { .start = bpf_ktime_get_ns(), .number = ctx->args[1] };

	if (id >> 32 == target_pid)
		bpf_map_update_elem(&doing, &thread, &call, BPF_ANY);
	return 0;
}

static __u32 log2_of(__u64 value)
{
	__u32 result = 0;

	for (int step = 32; step > 0; step >>= 1) {
		if (value >> step) {
			value >>= step;
			result += step;
		}
	}
	return result;
}

SEC("raw_tp/sys_exit")
int call_exits(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 thread = bpf_get_current_pid_tgid();
	struct call *call = bpf_map_lookup_elem(&doing, &thread);
	struct slow_call *record;
	__u64 ns, number;

	if (!call)
		return 0;
	ns = bpf_ktime_get_ns() - call->start;
	number = call->number;
	bpf_map_delete_elem(&doing, &thread);
	__sync_fetch_and_add(&slots[log2_of(ns) & 63], 1);
	if (ns < slow_ns)
		return 0;
	record = bpf_ringbuf_reserve(&slow, sizeof(*record), 0);
	if (!record) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	record->thread = thread;
	record->number = number;
	record->ns = ns;
	bpf_get_current_comm(record->comm, sizeof(record->comm));
	bpf_ringbuf_submit(record, 0);
	return 0;
}

char _license[] SEC("license") = "Dual MIT/GPL";
