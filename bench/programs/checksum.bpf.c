/* SPDX-License-Identifier: MIT */
/* The Internet checksum of 1400 bytes, 16 bits at a time. */
#include "bench.h"

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u16 *p = PAYLOAD(ctx, 1400);
	__u32 sum = 0;
	for (int i = 0; i < 700; i++)
		sum += p[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}
