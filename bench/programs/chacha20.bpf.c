/* SPDX-License-Identifier: MIT */
/* ChaCha20: two blocks, its state in 16 variables, into the packet. */
#include "bench.h"

#define QUARTER(a, b, c, d)                                                                                            \
	do {                                                                                                           \
		a += b; d = rol32(d ^ a, 16);                                                                          \
		c += d; b = rol32(b ^ c, 12);                                                                          \
		a += b; d = rol32(d ^ a, 8);                                                                           \
		c += d; b = rol32(b ^ c, 7);                                                                           \
	} while (0)

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u32 *p = PAYLOAD(ctx, 128);
	__u32 key[8] = { 0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c, 0x13121110, 0x17161514, 0x1b1a1918, 0x1f1e1d1c };
	for (int block = 0; block < 2; block++) {
		__u32 a0 = 0x61707865, a1 = 0x3320646e, a2 = 0x79622d32, a3 = 0x6b206574;
		__u32 b0 = key[0], b1 = key[1], b2 = key[2], b3 = key[3], c0 = key[4], c1 = key[5], c2 = key[6], c3 = key[7];
		__u32 d0 = block, d1 = 0x09000000, d2 = 0x4a000000, d3 = ctx->ingress_ifindex;
#pragma clang loop unroll(disable)
		for (int i = 0; i < 10; i++) {
			QUARTER(a0, b0, c0, d0);
			QUARTER(a1, b1, c1, d1);
			QUARTER(a2, b2, c2, d2);
			QUARTER(a3, b3, c3, d3);
			QUARTER(a0, b1, c2, d3);
			QUARTER(a1, b2, c3, d0);
			QUARTER(a2, b3, c0, d1);
			QUARTER(a3, b0, c1, d2);
		}
		__u32 *to = p + 16 * block;
		to[0] ^= a0; to[1] ^= a1; to[2] ^= a2; to[3] ^= a3;
		to[4] ^= b0; to[5] ^= b1; to[6] ^= b2; to[7] ^= b3;
		to[8] ^= c0; to[9] ^= c1; to[10] ^= c2; to[11] ^= c3;
		to[12] ^= d0; to[13] ^= d1; to[14] ^= d2; to[15] ^= d3;
	}
	return p[0] ^ p[31];
}
