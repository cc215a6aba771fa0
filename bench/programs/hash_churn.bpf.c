/* SPDX-License-Identifier: MIT */
/* Flows come and go in a hash of 16-byte keys: 64 updates and 64 deletions. */
#include "bench.h"

struct flow {
	__u32 from, to;
	__u16 from_port, to_port;
	__u32 protocol;
};
struct traffic {
	__u64 packets, bytes;
};
MAP(HASH, flows, struct flow, struct traffic, 1024);

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	struct flow key = { .from = 0x0a000001, .protocol = 6 };
	struct traffic value = { 1, 60 };
	__u32 done = 0;
	for (__u32 i = 0; i < 64; i++) {
		key.to = i * 2654435761u;
		key.from_port = 1024 + i;
		key.to_port = 443;
		done += bpf_map_update_elem(&flows, &key, &value, BPF_ANY) == 0;
	}
	for (__u32 i = 0; i < 64; i++) {
		key.to = i * 2654435761u;
		key.from_port = 1024 + i;
		done += bpf_map_delete_elem(&flows, &key) == 0;
	}
	return done;
}
