// SPDX-License-Identifier: MIT
/*
 * The C side of `npm run bench -- packets`: libpcap over a capture. Reads the name of a case from each line of its
 * input, does one round, and answers with nanoseconds and the number of packets that the filter let through. "read" is
 * what `tcpdump -r FILE FILTER` does before it prints, "memory" the filter alone, over packets that are in memory.
 * Arguments: the capture and the filter.
 */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct packet {
	struct pcap_pkthdr header;
	size_t start;
};

static struct packet *packets;
static u_char *bytes;
static size_t count, room, used, size;
static long matched;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void fail(const char *why)
{
	fprintf(stderr, "%s\n", why);
	exit(1);
}

static void *grown(void *old, size_t bytes)
{
	void *made = realloc(old, bytes);

	if (!made)
		fail("no memory");
	return made;
}

static pcap_t *opened(const char *file, const char *filter, struct bpf_program *program)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *capture = pcap_open_offline(file, error);

	if (!capture)
		fail(error);
	if (pcap_compile(capture, program, filter, 1, PCAP_NETMASK_UNKNOWN))
		fail(pcap_geterr(capture));
	return capture;
}

static void keep(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	(void)user;
	if (count == room)
		packets = grown(packets, (room = room ? 2 * room : 1024) * sizeof(*packets));
	while (used + header->caplen > size)
		bytes = grown(bytes, size = size ? 2 * size : 1 << 20);
	memcpy(bytes + used, data, header->caplen);
	packets[count++] = (struct packet){ *header, used };
	used += header->caplen;
}

static void see(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	(void)user;
	(void)header;
	(void)data;
	matched++;
}

int main(int argc, char **argv)
{
	struct bpf_program program;
	char line[64];

	if (argc != 3)
		fail("usage: pcap FILE FILTER");
	pcap_t *all = opened(argv[1], argv[2], &program);
	pcap_loop(all, -1, keep, NULL);
	pcap_close(all);
	while (fgets(line, sizeof(line), stdin)) {
		double start;

		matched = 0;
		if (strcmp(line, "read\n") == 0) {
			struct bpf_program own;

			start = now();
			pcap_t *capture = opened(argv[1], argv[2], &own);
			if (pcap_setfilter(capture, &own))
				fail(pcap_geterr(capture));
			pcap_loop(capture, -1, see, NULL);
			pcap_close(capture);
			pcap_freecode(&own);
		} else {
			start = now();
			for (size_t i = 0; i < count; i++)
				matched += pcap_offline_filter(&program, &packets[i].header,
							       bytes + packets[i].start) != 0;
		}
		printf("%.0f %ld\n", now() - start, matched);
		fflush(stdout);
	}
	return 0;
}
