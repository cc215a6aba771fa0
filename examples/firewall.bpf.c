// SPDX-License-Identifier: MIT
/*
 * A firewall at the device (XDP): drops every TCP and UDP packet from or to a port that user space put into
 * the map `blocked`, and counts what it saw by protocol and port.
 *
 * It reads Ethernet, up to two VLAN tags, IPv4 with options, IPv6 with extension headers, and fragments. Only
 * the first fragment of a datagram has ports; the later ones pass, and without the first one they never
 * become a datagram again.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAX_VLAN_TAGS 2
#define MAX_EXTENSIONS 3

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8

struct vlan_tag {
	__be16 tci;
	__be16 next_proto;
};

/* The start of every IPv6 extension header; the fragment header alone has no length but an offset. */
struct ipv6_extension {
	__u8 next_header;
	__u8 length; /* in 8 bytes, the first 8 not counted */
	__be16 fragment_offset;
	__be32 id;
};

/* TCP and UDP both start with these. */
struct ports {
	__be16 source;
	__be16 dest;
};

/* What is counted apart. `port` is the service's: the blocked one, or else the lower; 0 where there is none. */
struct flow {
	__u16 protocol; /* of IP; 0 for what is not IP */
	__u16 port;
};

struct traffic {
	__u64 passed;
	__u64 dropped;
	__u64 bytes;
};

/* Port → 1 to drop its packets, 0 to let them pass all the same. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u16);
	__type(value, __u32);
} blocked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct flow);
	__type(value, struct traffic);
} flows SEC(".maps");

/* Packets by the program's return value (enum xdp_action). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 5);
	__type(key, __u32);
	__type(value, __u64);
} actions SEC(".maps");

/* Where the parser is. */
struct cursor {
	void *at;
	void *end;
};

/* The header at the cursor, which moves behind it; NULL where the packet ends before. */
#define take(cursor, type)                                                       \
	({                                                                       \
		type *header_ = (cursor)->at;                                    \
		if ((void *)(header_ + 1) > (cursor)->end)                       \
			header_ = NULL;                                          \
		else                                                             \
			(cursor)->at = header_ + 1;                              \
		header_;                                                         \
	})

/* Each parser returns the protocol that follows, or -1 for a packet that is cut short. */
static __always_inline int ethernet(struct cursor *cursor)
{
	struct ethhdr *eth = take(cursor, struct ethhdr);
	if (!eth)
		return -1;
	__be16 proto = eth->h_proto;
#pragma unroll
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		struct vlan_tag *tag = take(cursor, struct vlan_tag);
		if (!tag)
			return -1;
		proto = tag->next_proto;
	}
	return bpf_ntohs(proto);
}

static __always_inline int ipv4(struct cursor *cursor, _Bool *first)
{
	struct iphdr *ip = cursor->at;
	if ((void *)(ip + 1) > cursor->end || ip->version != 4)
		return -1;
	__u32 length = ip->ihl * 4;
	if (length < sizeof(*ip))
		return -1;
	cursor->at += length;
	*first = !(ip->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET));
	return ip->protocol;
}

static __always_inline int ipv6(struct cursor *cursor, _Bool *first)
{
	struct ipv6hdr *ip = take(cursor, struct ipv6hdr);
	if (!ip || ip->version != 6)
		return -1;
	int next = ip->nexthdr;
#pragma unroll
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT)
			break;
		struct ipv6_extension *extension = take(cursor, struct ipv6_extension);
		if (!extension)
			return -1;
		if (next != IPPROTO_FRAGMENT)
			cursor->at += extension->length * 8;
		else if (extension->fragment_offset & bpf_htons(IPV6_FRAGMENT_OFFSET))
			*first = 0;
		next = extension->next_header;
	}
	return next;
}

static __always_inline _Bool is_blocked(__u16 port)
{
	__u32 *drop = bpf_map_lookup_elem(&blocked, &port);
	return drop && *drop;
}

/* Fills `flow` and says what to do with the packet. */
static __always_inline int judge(struct cursor *cursor, struct flow *flow)
{
	_Bool first = 1;
	int protocol;
	switch (ethernet(cursor)) {
	case ETH_P_IP:
		protocol = ipv4(cursor, &first);
		break;
	case ETH_P_IPV6:
		protocol = ipv6(cursor, &first);
		break;
	default:
		return XDP_PASS;
	}
	if (protocol < 0)
		return XDP_PASS;
	flow->protocol = protocol;
	if (!first || (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP))
		return XDP_PASS;
	struct ports *ports = take(cursor, struct ports);
	if (!ports)
		return XDP_PASS;
	__u16 source = bpf_ntohs(ports->source);
	__u16 dest = bpf_ntohs(ports->dest);
	flow->port = source < dest ? source : dest;
	if (is_blocked(dest)) {
		flow->port = dest;
		return XDP_DROP;
	}
	if (is_blocked(source)) {
		flow->port = source;
		return XDP_DROP;
	}
	return XDP_PASS;
}

static __always_inline void count(struct flow *flow, int action, __u64 bytes)
{
	struct traffic *traffic = bpf_map_lookup_elem(&flows, flow);
	if (!traffic) {
		struct traffic none = {};
		bpf_map_update_elem(&flows, flow, &none, BPF_NOEXIST);
		traffic = bpf_map_lookup_elem(&flows, flow);
	}
	if (traffic) {
		__sync_fetch_and_add(action == XDP_DROP ? &traffic->dropped : &traffic->passed, 1);
		__sync_fetch_and_add(&traffic->bytes, bytes);
	}
	__u32 index = action;
	__u64 *packets = bpf_map_lookup_elem(&actions, &index);
	if (packets)
		*packets += 1;
}

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
	struct cursor cursor = { (void *)(long)ctx->data, (void *)(long)ctx->data_end };
	struct flow flow = {};
	__u64 bytes = cursor.end - cursor.at;
	int action = judge(&cursor, &flow);

	count(&flow, action, bytes);
	return action;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
