// SPDX-License-Identifier: MIT
/*
 * A socket filter, the oldest kind of BPF program: returns how many bytes of the packet the socket gets,
 * 0 for none. This one keeps the first 96 bytes of TCP over IPv4 and counts packets by IP protocol. It reads
 * with the packet instructions (BPF_LD | BPF_ABS and BPF_IND), which end the program with 0 where the packet
 * is too short and convert to the host's byte order.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>

#define SNAPSHOT 96

unsigned long long load_byte(void *skb, unsigned long long offset) asm("llvm.bpf.load.byte");
unsigned long long load_half(void *skb, unsigned long long offset) asm("llvm.bpf.load.half");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} protocols SEC(".maps");

SEC("socket")
int filter(struct __sk_buff *skb)
{
	if (load_half(skb, 12) != ETH_P_IP)
		return 0;
	__u32 protocol = load_byte(skb, ETH_HLEN + 9);
	__u64 *packets = bpf_map_lookup_elem(&protocols, &protocol);
	if (packets)
		__sync_fetch_and_add(packets, 1);
	return protocol == IPPROTO_TCP ? SNAPSHOT : 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
