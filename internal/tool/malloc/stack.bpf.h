/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Who asks: scratch for one run, the walk along the frame pointers, and the record of a stack that is new. A part of malloc.bpf.c. */
#ifndef SONDE_MALLOC_STACK_BPF_H
#define SONDE_MALLOC_STACK_BPF_H


/*
 * Takes one of the CPU's places for a run, which gives it back at its end. The program stays on its CPU but may be
 * preempted there: two can find the place busy that neither gets, but never both get it. That needs no atomic that
 * returns a value, which there is only from 5.12 on.
 */
static __always_inline struct scratch *claim(void)
{
	struct scratch *s;
	__u32 i;

#pragma unroll
	for (i = 0; i < SLOTS; i++) {
		__u32 key = i;

		s = bpf_map_lookup_elem(&scratch, &key);
		if (!s)
			return 0;
		__sync_fetch_and_add(&s->busy, 1);
		if (*(volatile __u64 *)&s->busy == 1) {
			s->slot = i;
			return s;
		}
		__sync_fetch_and_add(&s->busy, -1);
	}
	return 0;
}

static __always_inline void give_back(struct scratch *s)
{
	__sync_fetch_and_add(&s->busy, -1);
}

SHARED void count_without(__u32 reason, __u64 size)
{
	struct total *t = bpf_map_lookup_elem(&without, &reason);

	if (!t)
		return;
	__sync_fetch_and_add(&t->bytes, size);
	__sync_fetch_and_add(&t->calls, 1);
}

/* Reads a part of the stack, so that its frames can be looked at without a call for each. */
static __always_inline bool look(struct scratch *s, __u64 at)
{
	s->from = at;
	s->words = WINDOW;
	if (!bpf_probe_read_user(s->window, sizeof(s->window), (void *)at))
		return true;
	/* Where the stack begins there is nothing behind it; and not all of it need be in memory. */
	s->words = 2;
	return !bpf_probe_read_user(s->window, 16, (void *)at);
}

/* On arm64 addresses to return to may be signed, in the bits that no address has. */
static __always_inline __u64 code_address(__u64 to)
{
#if defined(__TARGET_ARCH_arm64)
	to &= (1ULL << 48) - 1;
#endif
	return to;
}

/* Brings the pair of words at an address of the stack. */
static __always_inline bool pair_at(struct scratch *s, __u64 at, __u64 *first, __u64 *second)
{
	__u64 word = (at - s->from) / 8;

	if ((at & 7) || at < s->from || word + 2 > s->words) {
		if ((at & 7) || !look(s, at))
			return false;
		word = 0;
	}
	barrier_var(word);
	if (word > WINDOW - 2)
		return false;
	*first = s->window[word];
	*second = s->window[word + 1];
	return true;
}

/* Who called the function, at its entry; from there on is where the window is. */
static __always_inline __u64 caller_of(struct regs *ctx, struct scratch *s)
{
	if (!look(s, SP(ctx)))
		s->window[0] = 0;
#if defined(__TARGET_ARCH_x86)
	return s->window[0];
#else
	return code_address(ctx->x[30]);
#endif
}

/* Adds the callers that have no frame. */
SHARED __u32 pass(struct stack_record *r, __u64 sp, __u64 back)
{
	__u32 zero = 0, i, depth, n = 2;
	struct passages *p = bpf_map_lookup_elem(&passages, &zero);
	__u64 code[2];

	if (!p)
		return n;
	for (depth = 0; depth < 2; depth++) {
		bool passed = false;

		for (i = 0; i < PASSAGES; i++) {
			if (i >= p->count)
				break;
			if (p->at[i].in_page != (back & 4095))
				continue;
			if (bpf_probe_read_user(code, sizeof(code), (void *)(back - 8)))
				continue;
			if (code[0] != p->at[i].code[0] || code[1] != p->at[i].code[1])
				continue;
			sp += p->at[i].distance;
			if (bpf_probe_read_user(&back, sizeof(back), (void *)sp))
				return n;
			passed = true;
			break;
		}
		if (!passed)
			break;
		r->frames[n & 3] = back;
		n++;
	}
	return n;
}

/*
 * Tells in which files the addresses of a stack lie: the process may have ended before its memory map is read. Without it
 * there would be no names, then; so it is not counted if it finds no room.
 */
SHARED void tell_files(struct regs *ctx, struct files_record *r, __u32 tgid)
{
	long bytes = bpf_get_stack((void *)ctx, r->files, sizeof(r->files), BPF_F_USER_STACK | BPF_F_USER_BUILD_ID);
	__u64 size;

	if (bytes <= 0)
		return;
	r->h.type = RECORD_FILES;
	r->h.cpu = 0;
	r->h.seq = 0;
	r->h.time = 0;
	r->tgid = tgid;
	r->count = (__u64)bytes / sizeof(struct build_id);
	size = sizeof(*r) - sizeof(r->files) + bytes;
	r->h.size = size;
	barrier_var(size);
	if (size > sizeof(*r))
		size = sizeof(*r);
	bpf_ringbuf_output(&records, r, size, 0);
}

/* Tells of a stack that is new, and makes a place for it. */
SHARED struct total *introduce(struct regs *ctx, struct scratch *s, struct stack_key *key, __u64 check, __u64 size)
{
	struct total fresh = {}, *t;
	struct stack_record *r = &s->r;
	__u64 bytes;

	tell_files(ctx, &s->files, key->tgid);
	r->h.type = RECORD_STACK;
	r->h.cpu = bpf_get_smp_processor_id();
	r->h.seq = 0;
	r->h.time = bpf_ktime_get_ns();
	r->hash = key->hash;
	r->tgid = key->tgid;
	r->tid = bpf_get_current_pid_tgid();
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	bytes = sizeof(*r) - sizeof(r->frames) + 8 * (__u64)r->count;
	r->h.size = bytes;
	barrier_var(bytes);
	if (bytes > sizeof(*r))
		bytes = sizeof(*r);
	if (bpf_ringbuf_output(&records, r, bytes, BPF_RB_FORCE_WAKEUP)) {
		count_lost(LOST_RING);
		count_without(WITHOUT_RING, size);
		return 0;
	}
	fresh.check = check;
	bpf_map_update_elem(&totals, key, &fresh, BPF_NOEXIST);
	t = bpf_map_lookup_elem(&totals, key);
	if (!t)
		count_without(WITHOUT_ROOM, size);
	return t;
}

SHARED void keep_base(struct function *f, __u64 ip, __u32 tgid)
{
	struct base_key key = { .tgid = tgid, .object = f->object };
	__u64 base = ip - f->address;

	bpf_map_update_elem(&bases, &key, &base, BPF_ANY);
}

/*
 * Follows the frame pointers, and takes the hashes of the whole stack. A global function: the verifier looks at it once, not
 * for every way that leads to it.
 */
__attribute__((noinline)) int walk(__u32 slot)
{
	__u64 hash = hash_seed, check = 0, fp, next, to;
	struct stack_record *r;
	struct scratch *s;
	__u32 n, i;

	s = bpf_map_lookup_elem(&scratch, &slot);
	if (!s)
		return 0;
	r = &s->r;
	fp = s->fp;
	n = r->direct;
	r->end = END_FULL;
	for (i = 0; i < FRAMES; i++) {
		if (i >= n) {
			/* The outermost frame has none before it, or was not called. */
			if (!fp) {
				r->end = END_ROOT;
				break;
			}
			if (!pair_at(s, fp, &next, &to)) {
				r->end = END_BROKEN;
				break;
			}
			to = code_address(to);
			if (!to) {
				r->end = END_ROOT;
				break;
			}
			if (to >> 56) { /* there is no such address */
				r->end = END_BROKEN;
				break;
			}
			r->frames[i] = to;
			n = i + 1;
			/* Its caller's frame lies above; where not, this is the last. */
			fp = next > fp || !next ? next : 1;
		}
		to = r->frames[i];
		hash = (hash ^ to) * hash_odd;
		hash ^= hash >> 29;
		check = (check + to) * check_odd;
		check ^= check >> 31;
	}
	r->count = n;
	s->hash = hash;
	s->check = check;
	return 0;
}

#endif
