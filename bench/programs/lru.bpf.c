/* SPDX-License-Identifier: MIT */
/* A connection table that forgets: 64 lookups and updates over 4096 keys in room for 1024. */
#include "bench.h"

MAP(LRU_HASH, connections, __u64, __u64, 1024);

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u32 x;
	static __u32 state;
	x = state + ctx->ingress_ifindex;
	__u32 failed = 0;
	for (int i = 0; i < 64; i++) {
		x = x * 1664525 + 1013904223;
		__u64 key = (x >> 20) * 0x10001ull, one = 1;
		__u64 *count = bpf_map_lookup_elem(&connections, &key);
		if (count)
			*count += 1;
		else
			failed += bpf_map_update_elem(&connections, &key, &one, BPF_ANY) != 0;
	}
	state = x;
	return failed;
}
