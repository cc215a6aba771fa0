/* SPDX-License-Identifier: MIT */
/* The product of two 8 × 8 matrices of 32-bit numbers in map values. */
#include "bench.h"

#define N 8

struct matrix {
	__u32 at[N][N];
};
MAP(ARRAY, matrices, __u32, struct matrix, 3);

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u32 *p = PAYLOAD(ctx, 512), zero = 0, one = 1, two = 2;
	struct matrix *a = bpf_map_lookup_elem(&matrices, &zero);
	struct matrix *b = bpf_map_lookup_elem(&matrices, &one);
	struct matrix *c = bpf_map_lookup_elem(&matrices, &two);
	if (!a || !b || !c)
		return XDP_ABORTED;
	for (int i = 0; i < N * N; i++) {
		a->at[i / N][i % N] = p[i];
		b->at[i / N][i % N] = p[N * N + i];
	}
	for (int i = 0; i < N; i++) {
		for (int j = 0; j < N; j++) {
			__u32 sum = 0;
			for (int k = 0; k < N; k++)
				sum += a->at[i][k] * b->at[k][j];
			c->at[i][j] = sum;
		}
	}
	return c->at[0][0] ^ c->at[3][4] ^ c->at[7][7];
}
