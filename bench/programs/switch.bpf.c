/* SPDX-License-Identifier: MIT */
/* A machine of 32 instructions that interprets 256 bytes of the packet. */
#include "bench.h"

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u8 *p = PAYLOAD(ctx, 256);
	__u32 a = p[0], b = p[1], c = p[2];
	for (int i = 0; i < 256; i++) {
		switch (p[i] & 31) {
		case 0: a += b; break;
		case 1: a -= c; break;
		case 2: a ^= b; break;
		case 3: a |= 5; break;
		case 4: a &= ~8u; break;
		case 5: a <<= 1; break;
		case 6: a >>= 1; break;
		case 7: a = rol32(a, 7); break;
		case 8: b += a; break;
		case 9: b -= i; break;
		case 10: b ^= c; break;
		case 11: b |= 3; break;
		case 12: b &= ~2u; break;
		case 13: b *= 3; break;
		case 14: b >>= 2; break;
		case 15: b = rol32(b, 3); break;
		case 16: c += 7; break;
		case 17: c -= a; break;
		case 18: c ^= a; break;
		case 19: c |= b; break;
		case 20: c &= 0xffff; break;
		case 21: c *= 5; break;
		case 22: c >>= 3; break;
		case 23: c = rol32(c, 11); break;
		case 24: a = b; break;
		case 25: b = c; break;
		case 26: c = a; break;
		case 27: a = i; break;
		case 28: a = a > b ? a : b; break;
		case 29: b = -c; break;
		case 30: c = ~b; break;
		default: a ^= b ^ c;
		}
	}
	return a ^ b ^ c;
}
