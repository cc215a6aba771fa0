// SPDX-License-Identifier: MIT
/*
 * The real kernel for the fuzzer: makes maps, then loads and test-runs the programs that come in on stdin,
 * and answers on stdout. All numbers are 32-bit little-endian. Nothing is attached or pinned.
 *
 *   'M' fd type key value max flags frozen count { key value }…      a map, at that fd
 *   'P' type flags run insns data ctx, then their bytes                    a program
 *     → errno processed runErrno retval, data, maps, log             each a length and its bytes
 *
 * With the argument `bpf`, only CAP_BPF and CAP_NET_ADMIN are kept once the maps are there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAPS 16
#define ROUND8(n) (((n) + 7) & ~7u)

struct map {
	uint32_t fd, type, key, value, max, flags, frozen, count;
	uint32_t user; /* bytes of a value in user space */
	uint8_t *entries;
};

static struct map maps[MAPS];
static int map_count;
static uint32_t cpus;
static char log_buf[1 << 22];
static uint8_t answer[1 << 20];
static uint32_t answer_len;

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof *attr);
}

static void take(void *to, size_t n)
{
	if (n && fread(to, 1, n, stdin) != n)
		exit(0);
}

static uint32_t word(void)
{
	uint32_t w;
	take(&w, 4);
	return w;
}

static void put(const void *from, uint32_t n)
{
	if (answer_len + n > sizeof answer)
		exit(3);
	memcpy(answer + answer_len, from, n);
	answer_len += n;
}

static void put_word(uint32_t w)
{
	put(&w, 4);
}

static uint32_t shown(const struct map *m)
{
	return m->type == BPF_MAP_TYPE_PERCPU_ARRAY ? ROUND8(m->value) : m->value;
}

static void fill(struct map *m)
{
	uint8_t value[8192];
	uint8_t *at = m->entries;
	for (uint32_t i = 0; i < m->count; i++) {
		union bpf_attr attr = { .map_fd = m->fd, .key = (uintptr_t)at, .value = (uintptr_t)value };
		memset(value, 0, sizeof value);
		memcpy(value, at + m->key, shown(m));
		bpf(BPF_MAP_UPDATE_ELEM, &attr);
		at += m->key + shown(m);
	}
}

static void reset(struct map *m)
{
	if (m->frozen || m->type == BPF_MAP_TYPE_PROG_ARRAY)
		return;
	if (m->type == BPF_MAP_TYPE_HASH) {
		uint8_t key[64];
		for (;;) {
			union bpf_attr attr = { .map_fd = m->fd, .next_key = (uintptr_t)key };
			if (bpf(BPF_MAP_GET_NEXT_KEY, &attr))
				break;
			union bpf_attr gone = { .map_fd = m->fd, .key = (uintptr_t)key };
			bpf(BPF_MAP_DELETE_ELEM, &gone);
		}
	}
	fill(m);
}

static void make_map(void)
{
	struct map *m = &maps[map_count++];
	m->fd = word(), m->type = word(), m->key = word(), m->value = word();
	m->max = word(), m->flags = word(), m->frozen = word(), m->count = word();
	m->user = m->type == BPF_MAP_TYPE_PERCPU_ARRAY ? ROUND8(m->value) * cpus : m->value;
	m->entries = malloc(m->count * (m->key + shown(m)) + 1);
	take(m->entries, m->count * (m->key + shown(m)));
	union bpf_attr attr = { .map_type = m->type, .key_size = m->key, .value_size = m->value,
				.max_entries = m->max, .map_flags = m->flags };
	int fd = bpf(BPF_MAP_CREATE, &attr);
	if (fd < 0) {
		perror("oracle: map");
		exit(2);
	}
	dup2(fd, m->fd);
	close(fd);
	fill(m);
	if (m->frozen) {
		union bpf_attr freeze = { .map_fd = m->fd };
		bpf(BPF_MAP_FREEZE, &freeze);
	}
}

static void dump_maps(void)
{
	uint32_t at = answer_len;
	put_word(0);
	for (int i = 0; i < map_count; i++) {
		struct map *m = &maps[i];
		uint32_t count = 0, count_at = answer_len;
		uint8_t key[64], next[64], value[8192];
		void *before = NULL;
		put_word(0);
		while (m->type != BPF_MAP_TYPE_PROG_ARRAY) {
			union bpf_attr attr = { .map_fd = m->fd, .key = (uintptr_t)before, .next_key = (uintptr_t)next };
			if (bpf(BPF_MAP_GET_NEXT_KEY, &attr))
				break;
			memcpy(key, next, m->key);
			before = key;
			union bpf_attr get = { .map_fd = m->fd, .key = (uintptr_t)key, .value = (uintptr_t)value };
			if (bpf(BPF_MAP_LOOKUP_ELEM, &get))
				continue;
			put(key, m->key);
			put(value, shown(m));
			count++;
		}
		memcpy(answer + count_at, &count, 4);
	}
	uint32_t length = answer_len - at - 4;
	memcpy(answer + at, &length, 4);
}

static void program(void)
{
	static uint8_t insns[1 << 19], data[8192], out[8192], ctx[512];
	uint32_t type = word(), flags = word(), run = word(), insn_bytes = word(), data_bytes = word(), ctx_bytes = word();
	if (insn_bytes > sizeof insns || data_bytes > sizeof data || ctx_bytes > sizeof ctx)
		exit(3);
	take(insns, insn_bytes), take(data, data_bytes), take(ctx, ctx_bytes);
	union bpf_attr load = { .prog_type = type, .insns = (uintptr_t)insns, .insn_cnt = insn_bytes / 8,
				.license = (uintptr_t)"GPL", .prog_flags = flags };
	int fd = bpf(BPF_PROG_LOAD, &load);
	int error = fd < 0 ? errno : 0;
	log_buf[0] = 0;
	if (fd < 0 && error != E2BIG) {
		load.log_level = 1, load.log_size = sizeof log_buf, load.log_buf = (uintptr_t)log_buf;
		int again = bpf(BPF_PROG_LOAD, &load);
		if (again >= 0)
			close(again);
	}
	struct bpf_prog_info info = { 0 };
	if (fd >= 0) {
		union bpf_attr get = { .info = { .bpf_fd = fd, .info_len = sizeof info, .info = (uintptr_t)&info } };
		bpf(BPF_OBJ_GET_INFO_BY_FD, &get);
	}
	put_word(error), put_word(info.verified_insns);
	union bpf_attr test = { 0 };
	int run_error = -1;
	if (fd >= 0 && run) {
		for (int i = 0; i < map_count; i++)
			reset(&maps[i]);
		test.test.prog_fd = fd;
		if (data_bytes) {
			test.test.data_in = (uintptr_t)data, test.test.data_size_in = data_bytes;
			test.test.data_out = (uintptr_t)out, test.test.data_size_out = sizeof out;
		}
		if (ctx_bytes)
			test.test.ctx_in = (uintptr_t)ctx, test.test.ctx_size_in = ctx_bytes;
		run_error = bpf(BPF_PROG_TEST_RUN, &test) ? errno : 0;
	}
	put_word(run_error), put_word(test.test.retval);
	uint32_t out_bytes = run_error == 0 && data_bytes ? test.test.data_size_out : 0;
	put_word(out_bytes), put(out, out_bytes);
	if (run_error == 0)
		dump_maps();
	else
		put_word(0);
	size_t length = strlen(log_buf), from = length > 2000 ? length - 2000 : 0;
	put_word(length - from), put(log_buf + from, length - from);
	if (fd >= 0)
		close(fd);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { { 0 } };
	caps[0].effective = caps[0].permitted = 1u << CAP_NET_ADMIN;
	caps[1].effective = caps[1].permitted = 1u << (CAP_BPF - 32);
	if (syscall(SYS_capset, &header, caps)) {
		perror("oracle: capset");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	cpu_set_t set;
	FILE *possible = fopen("/sys/devices/system/cpu/possible", "r");
	unsigned low = 0, high = 0;
	if (possible && fscanf(possible, "%u-%u", &low, &high) < 2)
		high = low;
	cpus = high + 1;
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(0, sizeof set, &set);
	int dropped = argc < 2 || strcmp(argv[1], "bpf") != 0;
	for (;;) {
		int what = getchar();
		if (what == EOF)
			return 0;
		if (what == 'M') {
			make_map();
			continue;
		}
		if (!dropped)
			drop_capabilities();
		dropped = 1;
		answer_len = 0;
		program();
		fwrite(&answer_len, 4, 1, stdout);
		fwrite(answer, 1, answer_len, stdout);
		fflush(stdout);
	}
}
