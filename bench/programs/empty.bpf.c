/* SPDX-License-Identifier: MIT */
/* Nothing: what entering a program costs. */
#include "bench.h"

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	return XDP_PASS;
}
