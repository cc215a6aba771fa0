/* SPDX-License-Identifier: MIT */
/* A search for a string of eight characters, and the words and lines, in 512 bytes of text. */
#include "bench.h"

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	__u8 *p = PAYLOAD(ctx, 520);
	__u32 words = 0, lines = 0, found = 0, inside = 0;
	for (__u32 i = 0; i < 512; i++) {
		__u8 c = p[i];
		__u32 blank = c == ' ' || c == '\t' || c == '\n';
		words += inside & blank;
		lines += c == '\n';
		inside = !blank;
		if (c == 'p' && p[i + 1] == 'a' && p[i + 2] == 's' && p[i + 3] == 's' && p[i + 4] == 'w' &&
		    p[i + 5] == 'o' && p[i + 6] == 'r' && p[i + 7] == 'd')
			found += i;
	}
	return words ^ lines << 10 ^ found << 20;
}
