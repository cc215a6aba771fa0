// SPDX-License-Identifier: MIT
/*
 * The smallest useful object: an XDP program that counts the packets of a device in a global variable and
 * lets them all through. `packets` lives in the map `.bss`, which user space reads as a variable.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

__u64 packets = 0;

SEC("xdp")
int minimal(struct xdp_md *ctx)
{
	__sync_fetch_and_add(&packets, 1);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
