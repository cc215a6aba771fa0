// SPDX-License-Identifier: MIT
/*
 * A dispatcher: `dispatch` looks at the EtherType and jumps, by a tail call through a program array, to the
 * program for it. The array is filled as the object is loaded. A tail call does not come back; it falls
 * through only where the slot is empty. `seen`, a function of its own, is called and does come back.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum slot { SLOT_IPV4, SLOT_IPV6, SLOT_ARP, SLOTS };

int on_ipv4(struct xdp_md *ctx);
int on_ipv6(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, SLOTS);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct xdp_md *));
} handlers SEC(".maps") = {
	.values = {
		[SLOT_IPV4] = (void *)&on_ipv4,
		[SLOT_IPV6] = (void *)&on_ipv6,
	},
};

/* Packets by slot; the last one is for what no program took. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS + 1);
	__type(key, __u32);
	__type(value, __u64);
} packets SEC(".maps");

static __noinline int seen(__u32 slot)
{
	__u64 *count = bpf_map_lookup_elem(&packets, &slot);
	if (!count)
		return -1;
	__sync_fetch_and_add(count, 1);
	return 0;
}

SEC("xdp")
int on_ipv4(struct xdp_md *ctx)
{
	seen(SLOT_IPV4);
	return XDP_PASS;
}

SEC("xdp")
int on_ipv6(struct xdp_md *ctx)
{
	seen(SLOT_IPV6);
	return XDP_PASS;
}

SEC("xdp")
int dispatch(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	switch (eth->h_proto) {
	case bpf_htons(ETH_P_IP):
		bpf_tail_call(ctx, &handlers, SLOT_IPV4);
		break;
	case bpf_htons(ETH_P_IPV6):
		bpf_tail_call(ctx, &handlers, SLOT_IPV6);
		break;
	case bpf_htons(ETH_P_ARP):
		bpf_tail_call(ctx, &handlers, SLOT_ARP);
		break;
	}
	seen(SLOTS);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
