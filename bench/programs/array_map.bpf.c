/* SPDX-License-Identifier: MIT */
/* 128 lookups in an array of 1024 values, each counted up. */
#include "bench.h"

MAP(ARRAY, values, __u32, __u64, 1024);

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u32 x = ctx->ingress_ifindex;
	__u64 sum = 0;
	for (int i = 0; i < 128; i++) {
		x = x * 1664525 + 1013904223;
		__u32 key = x >> 22;
		__u64 *value = bpf_map_lookup_elem(&values, &key);
		if (!value)
			break;
		sum += key;
		*value += key;
	}
	return sum;
}
