/* SPDX-License-Identifier: MIT */
/* 64-bit multiplication, division and remainder, 160 rounds. */
#include "bench.h"

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u64 x = ctx->ingress_ifindex + 88172645463325252ull, sum = 0;
	for (__u64 i = 1; i <= 160; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		sum += x / (i * 12345 + 7);
		sum ^= x % (i + 1000003);
	}
	return sum;
}
