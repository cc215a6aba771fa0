/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark programs share: each is compiled for BPF and, by native.h, for the machine itself, from
 * one source. A file is one workload; its program is the function `bench`.
 */
#ifndef BENCH_H
#define BENCH_H

#ifdef __bpf__
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAP(kind, name, K, V, n)                                                                                       \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_##kind);                                                                     \
		__uint(max_entries, n);                                                                                \
		__type(key, K);                                                                                        \
		__type(value, V);                                                                                      \
	} name SEC(".maps")
#define RINGBUF(name, bytes)                                                                                           \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                                                                    \
		__uint(max_entries, bytes);                                                                            \
	} name SEC(".maps")
#define PROG_ARRAY(name, n)                                                                                            \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_PROG_ARRAY);                                                                 \
		__uint(max_entries, n);                                                                                \
		__uint(key_size, 4);                                                                                   \
		__array(values, int(struct xdp_md *));                                                                 \
	} name SEC(".maps")
char _license[] SEC("license") = "GPL";
#else
#include "native.h"
#endif

#define ETH_BYTES 14

/* The `bytes` of the packet behind its Ethernet header; gives up where it is shorter. */
#define PAYLOAD(ctx, bytes)                                                                                            \
	({                                                                                                             \
		void *start = (void *)(long)(ctx)->data;                                                               \
		if (start + ETH_BYTES + (bytes) > (void *)(long)(ctx)->data_end)                                       \
			return XDP_ABORTED;                                                                            \
		start + ETH_BYTES;                                                                                     \
	})

static __always_inline __u32 rol32(__u32 x, int k)
{
	return x << k | x >> (32 - k);
}

static __always_inline __u64 rol64(__u64 x, int k)
{
	return x << k | x >> (64 - k);
}

#endif
