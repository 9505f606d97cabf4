/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Arguments, sent whole: with the record as far as one chunk goes, and the rest behind it. */
#ifndef SONDE_EXEC_ARGS_BPF_H
#define SONDE_EXEC_ARGS_BPF_H

/* Sends len bytes of arguments that lie in b->data, as a continuation of the exec record seq. */
static __always_inline void args_send(struct args_buffer *b, __u64 seq, __u64 time, __u64 len, __u32 flags, bool last)
{
	/* 64 bits wide: a 32-bit sum is shifted up and down again, and the verifier of 5.10 loses its bounds there. */
	barrier_var(len);
	if (len > CHUNK)
		len = CHUNK;
	b->r.h.time = time;
	b->r.seq = seq;
	b->r.len = len;
	b->r.last = last;
	b->r.flags = flags;
	b->r.pad = 0;
	record_send(&b->r.h, sizeof(b->r) + len, sizeof(*b), RECORD_ARGS, LOST_ARGS);
}

/*
 * What does not go with the record itself is sent by two programs that are tail called and call themselves: a loop
 * is verified turn by turn, so the turns of one program are few, and 33 calls in a row make them many.
 */
#define TURNS 32
#define WALK_TURNS 128
#define CALLS 32
#define REST 0 /* the slots of `walkers` */
#define WALK 1

int exec_rest(void *ctx);
int exec_walk(void *ctx);
#ifdef EXEC_EVENTS
int exec_rest_commit(void *ctx);
#endif

struct walk {
	__u64 ptr;   /* where to read next: the arguments themselves, or the next pointer of argv */
	__u64 at;    /* inside a string that did not fit: where it goes on; else 0 */
	__u64 seq;   /* of the exec record */
	__u64 time;
	__u64 off;   /* fill of the chunk */
	__u32 bytes; /* of arguments: still to be sent, or already seen */
	__u32 index;
	__u32 flags;
	__u32 compat;
	__u32 calls;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct walk);
} walks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, int(void *));
} walkers SEC(".maps") = {
	.values = {
		[REST] = (void *)&exec_rest,
		[WALK] = (void *)&exec_walk,
	},
};

#ifdef EXEC_EVENTS
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, int(void *));
} commit_walkers SEC(".maps") = {
	.values = {
		[REST] = (void *)&exec_rest_commit,
	},
};
#endif

static __always_inline struct walk *walk_begin(struct args_buffer *b, __u64 seq, __u64 time, __u32 slot)
{
	__u32 key = slot;
	struct walk *w = bpf_map_lookup_elem(&walks, &key);

	if (!w)
		return 0;
	b->r.unreadable = 0;
	w->at = 0;
	w->seq = seq;
	w->time = time;
	w->off = 0;
	w->bytes = 0;
	w->index = 0;
	w->flags = 0;
	w->compat = 0;
	w->calls = 0;
	return w;
}

/* One chunk of what is left of the arguments. */
TURN rest_turn(__u32 slot)
{
	struct args_buffer *b;
	struct walk *w;
	__u64 len;

	b = bpf_map_lookup_elem(&args_scratch, &slot);
	w = bpf_map_lookup_elem(&walks, &slot);
	if (!b || !w)
		return TURN_DONE;
	len = w->bytes;
	barrier_var(len);
	if (len > CHUNK)
		len = CHUNK;
	if (len && bpf_probe_read_user(b->data, len, (void *)w->ptr)) {
		w->flags |= EXEC_ARGS_FAULT;
		args_send(b, w->seq, w->time, 0, w->flags, true);
		return TURN_DONE;
	}
	w->ptr += len;
	w->bytes -= len;
	args_send(b, w->seq, w->time, len, 0, w->bytes == 0);
	return w->bytes ? TURN_MORE : TURN_DONE;
}

static __always_inline int send_rest(void *ctx, void *again, __u32 slot)
{
	struct args_buffer *b;
	struct walk *w;
	__u32 key = slot;
	int i;

	b = bpf_map_lookup_elem(&args_scratch, &key);
	w = bpf_map_lookup_elem(&walks, &key);
	if (!b || !w)
		return 0;
	for (i = 0; i < TURNS; i++) {
		if (rest_turn(slot) != TURN_MORE)
			goto out;
	}
	if (w->calls++ < CALLS)
		bpf_tail_call(ctx, again, REST);
	args_send(b, w->seq, w->time, 0, EXEC_ARGS_CUT, true);
out:
	__sync_fetch_and_add(&in_flight, -1);
	return 0;
}

SEC(EXIT_SECTION)
int exec_rest(void *ctx)
{
	return send_rest(ctx, &walkers, AT_EXIT);
}

#ifdef EXEC_EVENTS
/* Only programs of one type can be chained, and exec_commit is of another than exec_exit. */
SEC("raw_tp/sched_process_exec")
int exec_rest_commit(void *ctx)
{
	return send_rest(ctx, &commit_walkers, AT_COMMIT);
}
#endif

static __always_inline void chain_rest(void *ctx, __u32 slot)
{
#ifdef EXEC_EVENTS
	if (slot == AT_COMMIT) {
		bpf_tail_call(ctx, &commit_walkers, REST);
		return;
	}
#endif
	bpf_tail_call(ctx, &walkers, REST);
}

/*
 * A program that is in place has its arguments in one run of its own memory, empty ones and all. The first CHUNK
 * bytes go with the record, the rest behind it. Returns true when a rest is to be sent.
 */
static __always_inline bool send_committed(struct exec_buffer *b, struct mm_struct *mm, __u64 off, __u32 slot)
{
	__u64 from = BPF_CORE_READ(mm, arg_start), to = BPF_CORE_READ(mm, arg_end);
	struct args_buffer *more;
	struct walk *w;
	__u64 total, len;
	__u32 key = slot;
	char *to_send;

	total = to > from ? to - from : 0;
	b->r.args_total = total;
	if (total > max_arg_bytes) {
		total = max_arg_bytes;
		b->r.flags |= EXEC_ARGS_CUT;
	}
	barrier_var(off);
	if (off > 3 * PATH_MAX)
		off = 3 * PATH_MAX;
	/* Made at once: 5.10 forgets the bounds of a number that is spilled, but not those of a pointer. */
	to_send = b->data + off;
	barrier_var(to_send);
	len = total;
	barrier_var(len);
	if (len > CHUNK)
		len = CHUNK;
	if (len && bpf_probe_read_user(to_send, len, (void *)from)) {
		b->r.flags |= EXEC_ARGS_FAULT;
		len = 0;
		total = 0;
	}
	b->r.args_len = len;
	if (total > CHUNK)
		b->r.flags |= EXEC_MORE;
	if (record_send(&b->r.h, sizeof(b->r) + off + len, sizeof(*b), RECORD_EXEC, LOST_RING) || total <= CHUNK)
		return false;
	more = bpf_map_lookup_elem(&args_scratch, &key);
	if (!more)
		return false;
	w = walk_begin(more, b->r.h.seq, b->r.h.time, slot);
	if (!w)
		return false;
	w->ptr = from + CHUNK;
	w->bytes = total - CHUNK;
	return true;
}

/*
 * The arguments of an exec that failed are still the caller's: strings behind pointers, some perhaps never read and
 * so not in memory.
 *
 * One turn: one string, or as much of it as the chunk still takes. Done when there is no more.
 */
TURN walk_turn(void)
{
	struct args_buffer *b;
	struct walk *w;
	__u32 slot = AT_EXIT;
	__u64 p, off, room;
	long n;

	b = bpf_map_lookup_elem(&args_scratch, &slot);
	w = bpf_map_lookup_elem(&walks, &slot);
	if (!b || !w)
		return TURN_DONE;
	p = w->at;
	off = w->off;
	if (!p) {
		if (bpf_probe_read_user(&p, w->compat ? 4 : 8, (void *)w->ptr)) {
			w->flags |= EXEC_ARGS_FAULT;
			return TURN_DONE;
		}
		if (!p)
			return TURN_DONE;
	}
	if (w->bytes >= max_arg_bytes) {
		w->flags |= EXEC_ARGS_CUT;
		return TURN_DONE;
	}
	if (off >= CHUNK) {
		args_send(b, w->seq, w->time, CHUNK, 0, false);
		b->r.unreadable = 0;
		off = 0;
	}
	room = CHUNK - off;
	n = bpf_probe_read_user_str(b->data + off, room, (void *)p);
	if (n == 0) {
		b->data[off] = 0; /* what 5.10 returns for an empty string */
		n = 1;
	} else if (n < 0) {
		/* An empty word stands in its place, and a bit says that it is not one. */
		b->data[off] = 0;
		if (w->index < 64)
			b->r.unreadable |= 1ULL << w->index;
		w->flags |= EXEC_ARGS_FAULT;
		n = 1;
	} else if (n == room) {
		/*
		 * The string may go on behind the chunk: its last byte here is the helper's NUL, not its own.
		 * It is read again from there; where it had in fact ended, what is read is that NUL.
		 */
		n -= 1;
		w->at = p + n;
		w->bytes += n;
		args_send(b, w->seq, w->time, off + n, 0, false);
		b->r.unreadable = 0;
		w->off = 0;
		return TURN_MORE;
	}
	w->at = 0;
	w->off = off + n;
	w->bytes += n;
	w->index++;
	w->ptr += w->compat ? 4 : 8;
	return TURN_MORE;
}

SEC(EXIT_SECTION)
int exec_walk(void *ctx)
{
	struct args_buffer *b;
	struct walk *w;
	__u32 slot = AT_EXIT;
	int i;

	b = bpf_map_lookup_elem(&args_scratch, &slot);
	w = bpf_map_lookup_elem(&walks, &slot);
	if (!b || !w)
		return 0;
	for (i = 0; i < WALK_TURNS; i++) {
		if (walk_turn() != TURN_MORE)
			goto last;
	}
	if (w->calls++ < CALLS)
		bpf_tail_call(ctx, &walkers, WALK);
	w->flags |= EXEC_ARGS_CUT;
last:
	args_send(b, w->seq, w->time, w->off, w->flags, true);
	__sync_fetch_and_add(&in_flight, -1);
	return 0;
}

#endif
