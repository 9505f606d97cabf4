/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The ring and the counters that every tool's programs share, and how a record enters the ring. */
#ifndef SONDE_RECORD_BPF_H
#define SONDE_RECORD_BPF_H

#include "record.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* Type 0 is the same in every tool: the last process of the followed tree has ended. It has no sequence number. */
#define RECORD_TREE_ENDED 0

static __always_inline struct counters *counters_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

static __always_inline void count_lost(__u32 reason)
{
	struct counters *c = counters_get();

	if (c && reason < LOST_REASONS)
		__sync_fetch_and_add(&c->lost[reason], 1);
}

/*
 * Numbers the record, sends `size` bytes of it, `most` at the most, and counts it as lost for `reason` where the ring
 * has no room.
 *
 * The number is a plain per-CPU word, so that only one program of a tool may send numbered records, or else it says
 * RECORD_MANY_SENDERS: a program is never run twice at once on a CPU, but from 6.19 on it may be preempted there, and
 * another program run. The loss counters are everybody's, and atomic.
 *
 * flags 0: the kernel wakes the reader only when it had caught up, which a napping reader has not.
 */
static __always_inline long record_send(struct record_header *h, __u64 size, __u64 most, __u16 type, __u32 reason)
{
	struct counters *c = counters_get();
	long err;

	if (!c)
		return -1;
	h->type = type;
	h->cpu = bpf_get_smp_processor_id();
	h->size = size;
#ifdef RECORD_MANY_SENDERS
	h->seq = __sync_fetch_and_add(&c->seq, 1) + 1; /* needs -mcpu=v3: 5.12 */
#else
	h->seq = ++c->seq;
#endif
	/* Checked here, behind the calls: before 5.16 the verifier forgets the bounds of a number that is spilled. */
	barrier_var(size);
	if (size > most)
		size = most;
	err = bpf_ringbuf_output(&records, h, size, 0);
	if (err && reason < LOST_REASONS)
		__sync_fetch_and_add(&c->lost[reason], 1);
	return err;
}

/* Sends a record that has only a header and no number: loss of it is not proved, so it must not matter. */
static __always_inline void record_tell(__u16 type)
{
	struct record_header h = {};

	h.type = type;
	h.size = sizeof(h);
	h.time = bpf_ktime_get_ns();
	bpf_ringbuf_output(&records, &h, sizeof(h), 0);
}

#endif
