/*
 * What libbpf takes for what bench/btf-worker.ts measures of skep. One measurement a process: "types FILE NAME" reads raw
 * BTF and finds a struct in it, "object FILE" opens an object. Prints milliseconds, and KiB of memory gained.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* Resident memory, in KiB. */
static long resident(void)
{
	long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%*d %ld", &pages) != 1)
		exit(1);
	fclose(file);
	return pages * 4;
}

static char *contents(const char *path, long *size)
{
	FILE *file = fopen(path, "rb");
	char *data = malloc(64 << 20);

	if (!file || !data)
		exit(1);
	*size = fread(data, 1, 64 << 20, file);
	fclose(file);
	return data;
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

int main(int argc, char **argv)
{
	long size, before;
	double start, middle, end;
	char *data;

	if (argc < 3)
		return 1;
	libbpf_set_print(silent);
	data = contents(argv[2], &size);
	before = resident();
	start = now();
	if (!strcmp(argv[1], "types")) {
		struct btf *btf = btf__new(data, size);

		middle = now();
		if (!btf || argc < 4 || btf__find_by_name_kind(btf, argv[3], BTF_KIND_STRUCT) < 0)
			return 1;
	} else {
		struct bpf_object *object = bpf_object__open_mem(data, size, NULL);

		middle = now();
		if (!object)
			return 1;
	}
	end = now();
	printf("{\"first\":%.3f,\"second\":%.3f,\"kib\":%ld}\n", middle - start, end - middle, resident() - before);
	return 0;
}
