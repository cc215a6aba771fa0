/* SPDX-License-Identifier: MIT */
/* FNV-1a, a byte at a time, over 512 bytes of the packet. */
#include "bench.h"

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u8 *p = PAYLOAD(ctx, 512);
	__u64 h = 0xcbf29ce484222325ull;
	for (int i = 0; i < 512; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h ^ h >> 32;
}
