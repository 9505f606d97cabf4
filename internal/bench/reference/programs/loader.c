// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * loader OBJECT PID: attaches the programs of OBJECT the way libbpf does, for the process PID, until SIGINT. It prints
 * the events of a map named events as they come, and the sum of a map named counts at the end.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "event.h"

#define MAX_KEY 64
#define MAX_CPUS 1024

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	stopped = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void set_target(struct bpf_object *object, unsigned int pid)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		if (!strstr(bpf_map__name(map), ".rodata"))
			continue;
		if (bpf_map__set_initial_value(map, &pid, sizeof(pid)))
			die("setting the target");
	}
}

static int show(void *ctx, void *data, size_t size)
{
	const struct event *event = data;

	printf("%s %s\n", event->comm, event->path);
	return 0;
}

static void sum_up(int counts)
{
	static unsigned long long values[MAX_CPUS];
	char key[MAX_KEY], *previous = NULL;
	unsigned long long sum = 0;
	int cpus = libbpf_num_possible_cpus();

	if (cpus < 1 || cpus > MAX_CPUS)
		die("counting the CPUs");
	while (!bpf_map_get_next_key(counts, previous, key)) {
		previous = key;
		if (bpf_map_lookup_elem(counts, key, values))
			die("reading a count");
		for (int cpu = 0; cpu < cpus; cpu++)
			sum += values[cpu];
	}
	printf("@: %llu\n", sum);
}

int main(int argc, char **argv)
{
	static char buffer[1 << 16];
	struct ring_buffer *ring = NULL;
	struct bpf_program *program;
	struct bpf_object *object;
	int map;

	if (argc != 3) {
		fprintf(stderr, "usage: loader OBJECT PID\n");
		return 2;
	}
	signal(SIGINT, stop);
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	object = bpf_object__open_file(argv[1], NULL);
	if (!object)
		die(argv[1]);
	set_target(object, atoi(argv[2]));
	if (bpf_object__load(object))
		die("loading");
	map = bpf_object__find_map_fd_by_name(object, "events");
	if (map >= 0) {
		ring = ring_buffer__new(map, show, NULL, NULL);
		if (!ring)
			die("ring buffer");
	}
	bpf_object__for_each_program(program, object) {
		if (!bpf_program__attach(program))
			die("attaching");
	}
	while (!stopped) {
		if (!ring) {
			pause();
			continue;
		}
		/* A reader that naps is not woken for each event: that costs the traced program least. */
		usleep(1000);
		if (ring_buffer__consume(ring) < 0)
			die("reading the ring buffer");
		fflush(stdout);
	}
	if (ring)
		ring_buffer__consume(ring);
	map = bpf_object__find_map_fd_by_name(object, "counts");
	if (map >= 0)
		sum_up(map);
	return 0;
}
