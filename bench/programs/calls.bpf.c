/* SPDX-License-Identifier: MIT */
/* Functions of BPF: 96 rounds, three calls each, none inlined. */
#include "bench.h"

static __noinline __u32 mix(__u32 a, __u32 b)
{
	return rol32(a * 0x85ebca6b, 13) ^ b;
}

static __noinline __u64 widen(__u64 a, __u32 b)
{
	return a + (__u64)b * 0xc2b2ae35;
}

static __noinline __u32 step(__u64 a, __u32 b)
{
	return mix(a, b) + (a >> 32);
}

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u64 a = ctx->ingress_ifindex;
	__u32 b = 1;
	for (int i = 0; i < 96; i++) {
		b = step(a, b);
		a = widen(a, b);
	}
	return a ^ b;
}
