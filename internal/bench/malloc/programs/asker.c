// SPDX-License-Identifier: Apache-2.0
// The program whose calls of malloc are counted. It reads what to do, a line each: "cost CALLS" asks for memory so often, eleven
// functions deep, and answers with the time that a call and its free took, in nanoseconds; "stacks" asks once from each of a thousand
// different stacks.
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEPT __attribute__((noinline))

static long calls;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

KEPT void work(void)
{
	for (long i = 0; i < calls; i++) {
		void *volatile p = malloc(32);

		free(p);
	}
	asm volatile("");
}

#define DEEPER(name, next) KEPT void name(void) { next(); asm volatile(""); }
DEEPER(d1, work)
DEEPER(d2, d1)
DEEPER(d3, d2)
DEEPER(d4, d3)
DEEPER(d5, d4)
DEEPER(d6, d5)
DEEPER(d7, d6)
DEEPER(d8, d7)

KEPT void ask(void) { free(malloc(8)); asm volatile(""); }

#define ASKS(n) KEPT void apart_a##n(void) { ask(); asm volatile("# " #n); }
ASKS(0) ASKS(1) ASKS(2) ASKS(3) ASKS(4) ASKS(5) ASKS(6) ASKS(7) ASKS(8) ASKS(9)
static void (*const as[])(void) = { apart_a0, apart_a1, apart_a2, apart_a3, apart_a4, apart_a5, apart_a6, apart_a7, apart_a8, apart_a9 };
#define CHOOSES(n) KEPT void apart_b##n(int a) { as[a](); asm volatile("# " #n); }
CHOOSES(0) CHOOSES(1) CHOOSES(2) CHOOSES(3) CHOOSES(4) CHOOSES(5) CHOOSES(6) CHOOSES(7) CHOOSES(8) CHOOSES(9)
static void (*const bs[])(int) = { apart_b0, apart_b1, apart_b2, apart_b3, apart_b4, apart_b5, apart_b6, apart_b7, apart_b8, apart_b9 };
#define CHOOSES2(n) KEPT void apart_c##n(int b, int a) { bs[b](a); asm volatile("# " #n); }
CHOOSES2(0) CHOOSES2(1) CHOOSES2(2) CHOOSES2(3) CHOOSES2(4) CHOOSES2(5) CHOOSES2(6) CHOOSES2(7) CHOOSES2(8) CHOOSES2(9)
static void (*const cs[])(int, int) = { apart_c0, apart_c1, apart_c2, apart_c3, apart_c4, apart_c5, apart_c6, apart_c7, apart_c8, apart_c9 };

int main(void)
{
	char line[64];
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "cost %ld", &calls) == 1) {
			double t = now();

			d8();
			printf("%.3f\n", (now() - t) / calls);
		} else if (!strncmp(line, "stacks", 6)) {
			for (int i = 0; i < 1000; i++)
				cs[i / 100](i / 10 % 10, i % 10);
			printf("done\n");
		}
		fflush(stdout);
	}
	return 0;
}
