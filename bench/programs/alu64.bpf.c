/* SPDX-License-Identifier: MIT */
/* 64-bit arithmetic: a xorshift generator and a rotating sum, 400 rounds. */
#include "bench.h"

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u64 x = ctx->ingress_ifindex + 0x9e3779b97f4a7c15ull, sum = 0;
	for (int i = 0; i < 400; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		sum = rol64(sum, 5) + (x & ~(__u64)i);
	}
	return sum >> 7;
}
