/* SPDX-License-Identifier: MIT */
/*
 * The environment of a benchmark program on the machine itself: the types of linux/bpf.h, and plain C in place
 * of maps and helpers. Maps are as good as their kind needs: arrays are C arrays, hashes are chained tables of
 * preallocated elements, least recently used ones are those of a list. Everything is `static`, so that the
 * compiler sees through it, as it does in a program that was never meant for BPF.
 */
#ifndef NATIVE_H
#define NATIVE_H

#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SEC(name)
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __hidden
#define bpf_htons(x) __builtin_bswap16(x)
#define bpf_ntohs(x) __builtin_bswap16(x)
#define bpf_htonl(x) __builtin_bswap32(x)
#define bpf_ntohl(x) __builtin_bswap32(x)
#define bpf_get_smp_processor_id() 0u
#define bpf_printk(...)

enum kind { ARRAY, PERCPU_ARRAY, HASH, PERCPU_HASH, LRU_HASH };

struct element {
	struct element *next;
	/* Neighbours in the order of use, of an LRU. */
	struct element *newer, *older;
	uint32_t hash;
	char bytes[] __attribute__((aligned(8)));
};

/* What changes of a map, and what does not. */
struct native_state {
	struct element *free, *newest, *oldest;
	uint32_t count, fresh;
};

struct native_map {
	enum kind kind;
	uint32_t key_size, value_size, max_entries, mask;
	char *values;
	struct element **buckets;
	struct native_state *state;
};

#define ROUND8(n) (((n) + 7u) & ~7u)
#define POW2(n) (1u << (32 - __builtin_clz(((n) - 1) | 1)))
#define IS_ARRAY(kind) ((kind) == ARRAY || (kind) == PERCPU_ARRAY)
#define VALUE_BYTES(kind, K, V) (IS_ARRAY(kind) ? ROUND8(sizeof(V)) : sizeof(struct element) + ROUND8(sizeof(K)) + ROUND8(sizeof(V)))

#define MAP(what, name, K, V, n)                                                                                       \
	static char name##_values[VALUE_BYTES(what, K, V) * (n)] __attribute__((aligned(64)));                         \
	static struct element *name##_buckets[IS_ARRAY(what) ? 1 : POW2(n)];                                           \
	static struct native_state name##_state;                                                                       \
	static const struct native_map name = {                                                                        \
		.kind = what, .key_size = sizeof(K), .value_size = sizeof(V), .max_entries = n, .mask = POW2(n) - 1,   \
		.values = name##_values, .buckets = name##_buckets, .state = &name##_state,                            \
	}

#define PROG_ARRAY(name, n)                                                                                            \
	static struct { int (*values[n])(struct xdp_md *); } name
#define bpf_tail_call(ctx, map, index)                                                                                 \
	do {                                                                                                           \
		int (*target)(struct xdp_md *) = (map)->values[index];                                                 \
		if (target)                                                                                            \
			__attribute__((musttail)) return target(ctx);                                                  \
	} while (0)

static __always_inline char *native_value(const struct native_map *map, struct element *e)
{
	return e->bytes + ROUND8(map->key_size);
}

static __always_inline struct element *native_element(const struct native_map *map)
{
	struct native_state *state = map->state;
	struct element *e = state->free;
	if (e) {
		state->free = e->next;
		return e;
	}
	size_t size = sizeof(struct element) + ROUND8(map->key_size) + ROUND8(map->value_size);
	return (void *)(map->values + size * state->fresh++);
}

static __always_inline uint32_t native_hash(const void *key, uint32_t size)
{
	uint64_t h = 0x9e3779b97f4a7c15ull ^ size;
	const char *p = key;
	for (; size >= 8; size -= 8, p += 8) {
		uint64_t word;
		memcpy(&word, p, 8);
		h = (h ^ word) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	uint64_t rest = 0;
	memcpy(&rest, p, size);
	h = (h ^ rest) * 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 29;
}

static __always_inline struct element **native_find(const struct native_map *map, const void *key, uint32_t hash)
{
	struct element **link = &map->buckets[hash & map->mask];
	while (*link && ((*link)->hash != hash || memcmp((*link)->bytes, key, map->key_size)))
		link = &(*link)->next;
	return link;
}

static __always_inline void native_unlink_use(const struct native_map *map, struct element *e)
{
	*(e->newer ? &e->newer->older : &map->state->newest) = e->older;
	*(e->older ? &e->older->newer : &map->state->oldest) = e->newer;
}

static __always_inline void native_use(const struct native_map *map, struct element *e)
{
	e->newer = NULL;
	e->older = map->state->newest;
	*(map->state->newest ? &map->state->newest->newer : &map->state->oldest) = e;
	map->state->newest = e;
}

static __always_inline void *bpf_map_lookup_elem(const void *which, const void *key)
{
	const struct native_map *map = which;
	if (IS_ARRAY(map->kind)) {
		uint32_t index = *(const uint32_t *)key;
		return index < map->max_entries ? map->values + (size_t)index * ROUND8(map->value_size) : NULL;
	}
	struct element *e = *native_find(map, key, native_hash(key, map->key_size));
	if (!e)
		return NULL;
	if (map->kind == LRU_HASH) {
		native_unlink_use(map, e);
		native_use(map, e);
	}
	return native_value(map, e);
}

static __always_inline long bpf_map_delete_elem(const void *which, const void *key)
{
	const struct native_map *map = which;
	struct element **link = native_find(map, key, native_hash(key, map->key_size));
	struct element *e = *link;
	if (!e)
		return -2;
	*link = e->next;
	e->next = map->state->free;
	map->state->free = e;
	map->state->count--;
	if (map->kind == LRU_HASH)
		native_unlink_use(map, e);
	return 0;
}

static __always_inline long bpf_map_update_elem(const void *which, const void *key, const void *value, uint64_t flags)
{
	const struct native_map *map = which;
	if (IS_ARRAY(map->kind)) {
		void *to = bpf_map_lookup_elem(map, key);
		if (!to)
			return -7;
		memcpy(to, value, map->value_size);
		return 0;
	}
	uint32_t hash = native_hash(key, map->key_size);
	struct element *e = *native_find(map, key, hash);
	if (e) {
		if (flags == BPF_NOEXIST)
			return -17;
		memcpy(native_value(map, e), value, map->value_size);
		return 0;
	}
	if (flags == BPF_EXIST)
		return -2;
	if (map->state->count == map->max_entries) {
		if (map->kind != LRU_HASH)
			return -7;
		bpf_map_delete_elem(map, map->state->oldest->bytes);
	}
	e = native_element(map);
	map->state->count++;
	e->hash = hash;
	memcpy(e->bytes, key, map->key_size);
	memcpy(native_value(map, e), value, map->value_size);
	struct element **bucket = &map->buckets[hash & map->mask];
	e->next = *bucket;
	*bucket = e;
	if (map->kind == LRU_HASH)
		native_use(map, e);
	return 0;
}

/* A ring that nobody reads: records go round and round. */
struct native_ring {
	uint64_t mask, producer;
	char *data;
};

#define RINGBUF(name, bytes)                                                                                           \
	static char name##_data[(bytes) + 4096] __attribute__((aligned(64)));                                          \
	static struct native_ring name = { .mask = (bytes) - 1, .data = name##_data }

static __always_inline void *bpf_ringbuf_reserve(void *which, uint64_t size, uint64_t flags)
{
	struct native_ring *ring = which;
	char *at = ring->data + (ring->producer & ring->mask);
	ring->producer += (size + 8 + 7) & ~7ull;
	*(uint32_t *)at = size | 1u << 31;
	return at + 8;
}

static __always_inline void bpf_ringbuf_submit(void *record, uint64_t flags)
{
	/* Somebody might read it. */
	__asm__ volatile("" : : "r"(record) : "memory");
	__atomic_store_n((uint32_t *)(record - 8), *(uint32_t *)(record - 8) & ~(1u << 31), __ATOMIC_RELEASE);
}

static __always_inline long bpf_loop(uint32_t rounds, long (*callback)(uint32_t, void *), void *context, uint64_t flags)
{
	uint32_t i = 0;
	while (i < rounds)
		if (callback(i++, context))
			break;
	return i;
}

#endif
