// SPDX-License-Identifier: MIT
/*
 * The C side of `npm run bench -- linux`: what it does with libbpf, the TypeScript side does with skep, in turns.
 * Reads the name of a case from each line of its input, does one round, and answers with the nanoseconds that
 * one operation took. Argument: the object.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ENTRIES = 1000, SINGLES = 20000, BATCHES = 50, DRAINS = 5 };

static int hash;
static struct ring_buffer *reader;
static struct bpf_program *fill;
static uint64_t total, records;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static double lookup(void)
{
	double start = now();

	for (uint32_t i = 0; i < SINGLES; i++) {
		uint32_t key = i % ENTRIES;
		uint64_t value;

		must(bpf_map_lookup_elem(hash, &key, &value) == 0, "lookup");
		total += value;
	}
	return (now() - start) / SINGLES;
}

static double update(void)
{
	double start = now();

	for (uint32_t i = 0; i < SINGLES; i++) {
		uint32_t key = i % ENTRIES;
		uint64_t value = key * 3ULL;

		must(bpf_map_update_elem(hash, &key, &value, BPF_ANY) == 0, "update");
	}
	return (now() - start) / SINGLES;
}

static double lookup_batch(void)
{
	static uint32_t keys[ENTRIES];
	static uint64_t values[ENTRIES];
	double start = now();

	for (int round = 0; round < BATCHES; round++) {
		uint32_t place, count = ENTRIES;

		/* The end is told by ENOENT. */
		bpf_map_lookup_batch(hash, NULL, &place, keys, values, &count, NULL);
		must(count == ENTRIES, "lookup batch");
		for (int i = 0; i < ENTRIES; i++)
			total += keys[i] + values[i];
	}
	return (now() - start) / BATCHES / ENTRIES;
}

static double update_batch(void)
{
	static uint32_t keys[ENTRIES];
	static uint64_t values[ENTRIES];
	double start = now();

	for (int round = 0; round < BATCHES; round++) {
		uint32_t count = ENTRIES;

		for (uint32_t i = 0; i < ENTRIES; i++) {
			keys[i] = i;
			values[i] = i * 3ULL;
		}
		must(bpf_map_update_batch(hash, keys, values, &count, NULL) == 0, "update batch");
	}
	return (now() - start) / BATCHES / ENTRIES;
}

static int take(void *context, void *data, size_t size)
{
	total += *(uint32_t *)data;
	records++;
	return 0;
}

static double drain(void)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);
	double start, time = 0;

	records = 0;
	for (int round = 0; round < DRAINS; round++) {
		must(bpf_prog_test_run_opts(bpf_program__fd(fill), &options) == 0, "fill");
		start = now();
		must(ring_buffer__consume(reader) >= 0, "consume");
		time += now() - start;
	}
	must(records > 14000 * DRAINS, "all records");
	return time / records;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; double (*run)(void); } cases[] = {
		{ "lookup", lookup },
		{ "update", update },
		{ "lookup batch", lookup_batch },
		{ "update batch", update_batch },
		{ "drain", drain },
	};
	struct bpf_object *object = bpf_object__open_file(argc > 1 ? argv[1] : "", NULL);
	char line[64];

	must(object && bpf_object__load(object) == 0, "load");
	hash = bpf_object__find_map_fd_by_name(object, "hash");
	fill = bpf_object__find_program_by_name(object, "fill");
	reader = ring_buffer__new(bpf_object__find_map_fd_by_name(object, "ring"), take, NULL, NULL);
	must(reader && fill, "reader");
	update();
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			if (strcmp(line, cases[i].name) == 0)
				printf("%f\n", cases[i].run());
		}
		fflush(stdout);
	}
	return total == 0;
}
