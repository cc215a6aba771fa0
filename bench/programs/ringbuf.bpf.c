/* SPDX-License-Identifier: MIT */
/* 48 events of 40 bytes into a ring buffer. */
#include "bench.h"

struct event {
	__u64 time;
	__u32 pid, cpu;
	__u64 words[3];
};
RINGBUF(events, 1 << 23);

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u32 x = ctx->ingress_ifindex, lost = 0;
	for (int i = 0; i < 48; i++) {
		struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
		if (!event) {
			lost++;
			continue;
		}
		x = x * 1664525 + 1013904223;
		event->time = x;
		event->pid = x >> 5;
		event->cpu = i;
		event->words[0] = x * 3ull;
		event->words[1] = x ^ i;
		event->words[2] = 0;
		bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	}
	return lost;
}
