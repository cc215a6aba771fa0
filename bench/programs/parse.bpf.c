/* SPDX-License-Identifier: MIT */
/* Type, length and value: walks up to 160 options of various lengths, each with a test of its bounds. */
#include "bench.h"

struct option {
	__u8 type, length;
	__be16 value;
};

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	void *at = (void *)(long)ctx->data + ETH_BYTES;
	__u32 sum = 0, unknown = 0;
	for (int i = 0; i < 160; i++) {
		struct option *option = at;
		if (at + sizeof(*option) > end)
			break;
		switch (option->type & 7) {
		case 0:
			sum += 1;
			break;
		case 1:
			sum += bpf_ntohs(option->value);
			break;
		case 2:
			sum ^= option->value << 8;
			break;
		case 3:
			if (option->value & 1)
				sum = rol32(sum, 3);
			break;
		default:
			unknown++;
		}
		at += 4 + (option->length & 4);
	}
	return sum + unknown;
}
