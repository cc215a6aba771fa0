/* SPDX-License-Identifier: MIT */
/* A stateful firewall: parse, connection table, 80 rules of addresses, ports and protocol in order, counters. */
#include "bench.h"

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#define RULES 80

struct flow {
	__u32 from, to;
	__u16 from_port, to_port;
	__u32 protocol;
};
struct rule {
	__u32 from, from_mask, to, to_mask;
	__u16 low, high;
	__u8 protocol, action;
	__u32 number;
};
struct table {
	struct rule rules[RULES];
	/* What is so where no rule matches; not yet written where there is none. */
	__u32 number, verdict;
};
MAP(LRU_HASH, established, struct flow, __u64, 1024);
MAP(ARRAY, policy, __u32, struct table, 1);
MAP(PERCPU_ARRAY, hits, __u32, __u64, RULES + 1);

/* What user space would write: half of the rules are for other networks, the rest for ports of this one. */
static __noinline int write_rules(struct table *table)
{
	if (!table)
		return 0;
	for (__u32 i = 0; i < RULES; i++) {
		struct rule *rule = &table->rules[i];
		rule->from_mask = rule->to_mask = bpf_htonl(0xffffff00);
		rule->from = bpf_htonl(0xc0000200 + (i & 1 ? i << 8 : 0));
		rule->to = bpf_htonl(0xc6336400);
		rule->low = i * 16 + 2000;
		rule->high = rule->low + 15;
		rule->protocol = i % 3 ? 6 : 17;
		rule->number = i;
		rule->action = i == RULES - 2 ? XDP_PASS : XDP_DROP;
	}
	table->number = RULES;
	table->verdict = XDP_PASS;
	return 0;
}

static __always_inline int matches(const struct rule *rule, const struct flow *flow, __u16 port)
{
	if ((flow->from & rule->from_mask) != rule->from || (flow->to & rule->to_mask) != rule->to)
		return 0;
	if (rule->high && (port < rule->low || port > rule->high))
		return 0;
	return rule->protocol == 0 || rule->protocol == flow->protocol;
}

SEC("xdp")
int bench(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	if ((void *)(tcp + 1) > end)
		return XDP_DROP;
	if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5)
		return XDP_PASS;
	struct flow flow = { ip->saddr, ip->daddr, tcp->source, tcp->dest, ip->protocol };
	__u32 zero = 0;
	__u64 *seen = bpf_map_lookup_elem(&established, &flow);
	if (seen)
		*seen += 1;
	struct table *table = bpf_map_lookup_elem(&policy, &zero);
	if (!table)
		return XDP_ABORTED;
	if (!table->number)
		write_rules(table);
	__u32 hit = table->number, verdict = table->verdict;
	__u16 port = bpf_ntohs(flow.to_port);
	for (__u32 i = 0; i < RULES; i++) {
		const struct rule *rule = &table->rules[i];
		/* As in pf: the last rule that matches decides, unless one before it is final. */
		if (!matches(rule, &flow, port))
			continue;
		hit = rule->number;
		verdict = rule->action & 3;
		if (rule->action & 0x80)
			break;
	}
	__u64 *count = bpf_map_lookup_elem(&hits, &hit);
	if (count)
		*count += 1;
	if (!seen && verdict == XDP_PASS) {
		__u64 one = 1;
		bpf_map_update_elem(&established, &flow, &one, BPF_ANY);
	}
	return verdict ^ hit << 8;
}
