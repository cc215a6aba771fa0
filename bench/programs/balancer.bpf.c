/* SPDX-License-Identifier: MIT */
/* A load balancer: parse, hash the flow, look its server up, translate the address, count, check the sums. */
#include "bench.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#define RING 1024
#define PAYLOAD_BYTES 512

struct flow {
	__u32 from, to;
	__u16 from_port, to_port;
	__u32 protocol;
};
struct server {
	__u32 address;
	__u16 port;
	__u16 weight;
};
struct traffic {
	__u64 packets, bytes;
};
MAP(LRU_HASH, connections, struct flow, __u32, 1024);
MAP(ARRAY, ring, __u32, __u32, RING);
MAP(ARRAY, servers, __u32, struct server, 16);
MAP(PERCPU_ARRAY, counters, __u32, struct traffic, 16);

static __always_inline __u32 hash(const struct flow *flow)
{
	__u32 h = 0x9747b28c;
	const __u32 *words = (const void *)flow;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		h ^= rol32(words[i] * 0xcc9e2d51, 15) * 0x1b873593;
		h = rol32(h, 13) * 5 + 0xe6546b64;
	}
	h ^= h >> 16;
	return h * 0x85ebca6b;
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	__u16 *words = (void *)(ip + 1);
	if ((void *)(words) + sizeof(*tcp) + PAYLOAD_BYTES > end)
		return XDP_DROP;
	if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != 6 || ip->ihl != 5)
		return XDP_PASS;
	struct flow flow = { ip->saddr, ip->daddr, tcp->source, tcp->dest, ip->protocol };
	__u32 slot = hash(&flow) & (RING - 1), which;
	__u32 *known = bpf_map_lookup_elem(&connections, &flow);
	if (known) {
		which = *known;
	} else {
		__u32 *at = bpf_map_lookup_elem(&ring, &slot);
		if (!at)
			return XDP_DROP;
		which = (*at ^ slot) & 15;
		bpf_map_update_elem(&connections, &flow, &which, BPF_ANY);
	}
	struct server *server = bpf_map_lookup_elem(&servers, &which);
	struct traffic *traffic = bpf_map_lookup_elem(&counters, &which);
	if (!server || !traffic)
		return XDP_DROP;
	traffic->packets++;
	traffic->bytes += end - (void *)eth;
	ip->ttl = 64;
	tcp->urg_ptr = server->port;
	ip->id = server->address;
	ip->check = 0;
	tcp->check = 0;
	__u64 sum = 0;
	__u16 *header = (void *)ip;
#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += header[i];
	ip->check = fold(sum);
	sum = (__u64)ip->saddr + ip->daddr + bpf_htons(6) + bpf_htons(sizeof(*tcp) + PAYLOAD_BYTES);
	for (int i = 0; i < (int)(sizeof(*tcp) + PAYLOAD_BYTES) / 2; i++)
		sum += words[i];
	tcp->check = fold(sum);
	return tcp->check ^ ip->check;
}
