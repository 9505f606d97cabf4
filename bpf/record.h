/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What every record of every tool starts with, and the counters that make loss provable.
 * internal/stream reads both; the layouts must stay the same.
 */
#ifndef SONDE_RECORD_H
#define SONDE_RECORD_H

struct record_header {
	__u16 type;  /* the tool's own numbering */
	__u16 cpu;   /* the CPU whose sequence seq belongs to */
	__u32 size;  /* of the whole record, this header included */
	__u64 seq;   /* of this CPU, from 1; a record that is lost uses one up; 0: has none */
	__u64 time;  /* CLOCK_MONOTONIC nanoseconds; what it is the time of, the tool says */
};

#define LOST_REASONS 8

/* The one value of the per-CPU array `counters`. */
struct counters {
	__u64 seq;                 /* the last sequence number given out on this CPU */
	__u64 lost[LOST_REASONS];  /* records lost, by the reasons that the tool's Spec names in this order */
};

#endif
