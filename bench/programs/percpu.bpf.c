/* SPDX-License-Identifier: MIT */
/* Counters for each CPU: 128 packets by size and by protocol. */
#include "bench.h"

struct traffic {
	__u64 packets, bytes;
};
MAP(PERCPU_ARRAY, by_size, __u32, struct traffic, 64);
MAP(PERCPU_ARRAY, by_protocol, __u32, struct traffic, 256);

static __always_inline void count(const void *map, __u32 key, __u32 bytes)
{
	struct traffic *traffic = bpf_map_lookup_elem((void *)map, &key);
	if (!traffic)
		return;
	traffic->packets++;
	traffic->bytes += bytes;
}

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u32 x = ctx->ingress_ifindex, sum = 0;
	for (int i = 0; i < 128; i++) {
		x = x * 1664525 + 1013904223;
		__u32 bytes = x >> 21;
		count(&by_size, bytes >> 5, bytes);
		count(&by_protocol, x >> 3 & 0xff, bytes);
		sum += bytes;
	}
	return sum;
}
