/* SPDX-License-Identifier: MIT */
/* SipHash-2-4 over 512 bytes of the packet. */
#include "bench.h"

#define ROUND                                                                                                          \
	do {                                                                                                           \
		v0 += v1; v1 = rol64(v1, 13); v1 ^= v0; v0 = rol64(v0, 32);                                            \
		v2 += v3; v3 = rol64(v3, 16); v3 ^= v2;                                                                \
		v0 += v3; v3 = rol64(v3, 21); v3 ^= v0;                                                                \
		v2 += v1; v1 = rol64(v1, 17); v1 ^= v2; v2 = rol64(v2, 32);                                            \
	} while (0)

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u64 *p = PAYLOAD(ctx, 512);
	__u64 k0 = 0x0706050403020100ull, k1 = 0x0f0e0d0c0b0a0908ull;
	__u64 v0 = 0x736f6d6570736575ull ^ k0, v1 = 0x646f72616e646f6dull ^ k1;
	__u64 v2 = 0x6c7967656e657261ull ^ k0, v3 = 0x7465646279746573ull ^ k1;
	for (int i = 0; i < 64; i++) {
		v3 ^= p[i];
		ROUND;
		ROUND;
		v0 ^= p[i];
	}
	v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}
