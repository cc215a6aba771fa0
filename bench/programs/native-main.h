/* SPDX-License-Identifier: MIT */
/*
 * Runs `bench` natively, as `-include`d behind a program: argv[1] is the packet. For each number on standard
 * input it runs so many rounds and prints the nanoseconds of all of them and the last result.
 */
int main(int argc, char **argv)
{
	/* In the lower 4 GiB, because a context holds addresses of 32 bits. */
	char *buffer = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
	if (buffer == MAP_FAILED || file == NULL)
		return 1;
	size_t size = fread(buffer + 256, 1, 4096, file);
	struct xdp_md ctx = {
		.data = (uint32_t)(uintptr_t)buffer + 256,
		.data_end = (uint32_t)(uintptr_t)buffer + 256 + size,
		.data_meta = (uint32_t)(uintptr_t)buffer + 256,
		.ingress_ifindex = 1,
	};
	int (*volatile program)(struct xdp_md *) = bench;
	for (long rounds; scanf("%ld", &rounds) == 1;) {
		struct timespec from, to;
		int result = 0;
		clock_gettime(CLOCK_MONOTONIC, &from);
		for (long i = 0; i < rounds; i++)
			result = program(&ctx);
		clock_gettime(CLOCK_MONOTONIC, &to);
		printf("%lld %u\n", (to.tv_sec - from.tv_sec) * 1000000000ll + (to.tv_nsec - from.tv_nsec), (uint32_t)result);
		fflush(stdout);
	}
	return 0;
}
