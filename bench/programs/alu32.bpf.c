/* SPDX-License-Identifier: MIT */
/* 32-bit arithmetic: three counters that feed each other, 400 rounds. */
#include "bench.h"

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u32 a = ctx->ingress_ifindex, b = 0x1234567, c = 0x89abcdef;
	for (__u32 i = 0; i < 400; i++) {
		a += b ^ i;
		b = rol32(b, 7) + c;
		c ^= a >> 3;
		if ((int)c < 0)
			c -= a | 1;
	}
	return a ^ b ^ c;
}
