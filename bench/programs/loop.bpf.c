/* SPDX-License-Identifier: MIT */
/* bpf_loop(): 256 rounds of a callback. */
#include "bench.h"

struct state {
	__u64 a, b;
};

static long each(__u32 i, void *context)
{
	struct state *state = context;
	state->a += state->b ^ i;
	state->b = rol64(state->b, 9) + state->a;
	return state->a == 0;
}

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	struct state state = { ctx->ingress_ifindex, 0x9e3779b97f4a7c15ull };
	bpf_loop(256, each, &state, 0);
	return state.a ^ state.b;
}
