// SPDX-License-Identifier: MIT
/* Fills a ring buffer with records of 64 bytes; counts what found room. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1000);
	__type(key, __u32);
	__type(value, __u64);
} hash SEC(".maps");

__u64 accepted;

static long one(__u32 index, void *context)
{
	__u64 *record = bpf_ringbuf_reserve(&ring, 64, 0);

	if (!record)
		return 1;
	for (int i = 0; i < 8; i++)
		record[i] = accepted;
	accepted++;
	/* The reader looks by itself: waking it is not what is measured. */
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("raw_tp/sys_enter")
int fill(void *ctx)
{
	bpf_loop(1 << 20, one, NULL, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
