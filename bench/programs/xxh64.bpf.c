/* SPDX-License-Identifier: MIT */
/* XXH64's main loop over 1024 bytes of the packet. */
#include "bench.h"

#define P1 0x9e3779b185ebca87ull
#define P2 0xc2b2ae3d27d4eb4full
#define P3 0x165667b19e3779f9ull

static __always_inline __u64 step(__u64 acc, __u64 input)
{
	return rol64(acc + input * P2, 31) * P1;
}

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u64 *p = PAYLOAD(ctx, 1024);
	__u64 a = P1 + P2, b = P2, c = 0, d = -P1;
	for (int i = 0; i < 128; i += 4) {
		a = step(a, p[i]);
		b = step(b, p[i + 1]);
		c = step(c, p[i + 2]);
		d = step(d, p[i + 3]);
	}
	__u64 h = rol64(a, 1) + rol64(b, 7) + rol64(c, 12) + rol64(d, 18);
	h = (h ^ step(0, a)) * P1 + P3;
	h = (h ^ step(0, b)) * P1 + P3;
	h ^= h >> 33;
	h *= P2;
	return h ^ h >> 29;
}
