/* SPDX-License-Identifier: MIT */
/* A sorting network (Batcher's bitonic one) over 64 numbers in a map value, filled anew each time. */
#include "bench.h"

#define N 64

struct numbers {
	__u32 at[N];
};
MAP(ARRAY, scratch, __u32, struct numbers, 1);

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u32 zero = 0, x = ctx->ingress_ifindex + 12345;
	struct numbers *n = bpf_map_lookup_elem(&scratch, &zero);
	if (!n)
		return XDP_ABORTED;
	for (int i = 0; i < N; i++) {
		x = x * 1664525 + 1013904223;
		n->at[i] = x >> 8;
	}
#pragma clang loop unroll(disable)
	for (__u32 block = 2; block <= N; block *= 2) {
#pragma clang loop unroll(disable)
		for (__u32 distance = block / 2; distance > 0; distance /= 2) {
#pragma clang loop unroll(disable)
			for (__u32 i = 0; i < N; i++) {
				__u32 j = i ^ distance;
				if (j < i)
					continue;
				__u32 a = n->at[i & (N - 1)], b = n->at[j & (N - 1)];
				if (i & block ? a < b : a > b) {
					n->at[i & (N - 1)] = b;
					n->at[j & (N - 1)] = a;
				}
			}
		}
	}
	return n->at[0] ^ n->at[N / 2] ^ n->at[N - 1];
}
