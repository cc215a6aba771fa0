/* SPDX-License-Identifier: MIT */
/* A chain of 32 tail calls, each a little state machine over the packet. */
#include "bench.h"

int bench(struct xdp_md *ctx);
int even(struct xdp_md *ctx);
int odd(struct xdp_md *ctx);

PROG_ARRAY(jumps, 2) = { .values = { (void *)&even, (void *)&odd } };

static __always_inline __u32 work(struct xdp_md *ctx, __u32 seed)
{
	__u32 *p = PAYLOAD(ctx, 64);
	__u32 sum = seed;
#pragma clang loop unroll(disable)
	for (int i = 1; i < 8; i++)
		sum = rol32(sum, 5) ^ p[i];
	p[1] = sum;
	return p[0]++;
}

SEC("xdp")
int even(struct xdp_md *ctx)
{
	if ((work(ctx, 17) & 31) < 31)
		bpf_tail_call(ctx, &jumps, 1);
	return XDP_PASS;
}

SEC("xdp")
int odd(struct xdp_md *ctx)
{
	if ((work(ctx, 99) & 31) < 31)
		bpf_tail_call(ctx, &jumps, 0);
	return XDP_DROP;
}

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u32 *p = PAYLOAD(ctx, 64);
	p[0] = 0;
	bpf_tail_call(ctx, &jumps, 0);
	return XDP_ABORTED;
}
