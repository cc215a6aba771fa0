/* SPDX-License-Identifier: MIT */
/* A histogram for each CPU in a hash: 64 lookups of 8-byte keys. */
#include "bench.h"

MAP(PERCPU_HASH, buckets, __u64, __u64, 256);

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u32 x = ctx->ingress_ifindex, found = 0;
	for (int i = 0; i < 64; i++) {
		x = x * 1664525 + 1013904223;
		__u64 key = x >> 26, zero = 0;
		__u64 *count = bpf_map_lookup_elem(&buckets, &key);
		if (!count) {
			bpf_map_update_elem(&buckets, &key, &zero, BPF_NOEXIST);
			continue;
		}
		*count += x & 15;
		found++;
	}
	return found;
}
