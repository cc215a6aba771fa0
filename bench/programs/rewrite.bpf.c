/* SPDX-License-Identifier: MIT */
/* Rewrites a packet: addresses swapped, TTL less by one with its checksum, 512 bytes of payload masked. */
#include "bench.h"

#include <linux/if_ether.h>
#include <linux/ip.h>

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	struct iphdr *ip = PAYLOAD(ctx, sizeof(*ip) + 512);
	struct ethhdr *eth = (void *)(long)ctx->data;
	__u8 mac[ETH_ALEN];
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	__u32 from = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = from;
	__u32 check = ip->check + bpf_htons(0x0100);
	ip->check = check + (check >= 0xffff);
	ip->ttl--;
	__u8 *payload = (void *)(ip + 1);
	__u32 key = ip->saddr ^ 0x5a5a5a5a;
	for (int i = 0; i < 512; i++)
		payload[i] ^= key >> (8 * (i & 3));
	return payload[0] ^ payload[511] << 8 ^ (__u32)ip->ttl << 16;
}
