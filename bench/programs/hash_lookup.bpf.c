/* SPDX-License-Identifier: MIT */
/* 128 lookups in a hash of 32-bit keys, half of which are there. */
#include "bench.h"

MAP(HASH, values, __u32, __u64, 4096);

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u32 x = ctx->ingress_ifindex, zero = 0, found = 0;
	if (!bpf_map_lookup_elem(&values, &zero)) {
		for (__u32 i = 0; i < 2048; i += 2) {
			__u64 value = i;
			bpf_map_update_elem(&values, &i, &value, BPF_ANY);
		}
	}
	for (int i = 0; i < 128; i++) {
		x = x * 1664525 + 1013904223;
		__u32 key = x >> 21;
		__u64 *value = bpf_map_lookup_elem(&values, &key);
		if (value) {
			found++;
			*value += 2;
		}
	}
	return found;
}
