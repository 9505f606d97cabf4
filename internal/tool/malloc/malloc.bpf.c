//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * sonde malloc: bytes and calls by stack, added up here. Nothing is sent for a call; a record is sent for a stack that is
 * new, so that its addresses can be named while the process lives.
 *
 *   enter    the entries of functions that give memory: what is asked for is in the arguments, so the return is not needed
 *   leave    their returns, where it is kept who has not given back what (outstanding), and of the few that call others
 *            of them in ways that the return address does not tell (FN_PAIR)
 *   free     what gives memory back
 *   task_*   processes of the target that begin, execute a program, end
 *
 * Programs of uprobes may be preempted on their CPU, and run again there for another task (6.0 and later): so all adding
 * is atomic though the values are per CPU, and scratch belongs to one run.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "target.bpf.h"
#include "malloc.h"

#define BPF_MAP_TYPE_PERCPU_HASH 5
#define BPF_F_USER_STACK (1ULL << 8)
#define BPF_F_USER_BUILD_ID (1ULL << 11)
#define BPF_RB_FORCE_WAKEUP 2
#define BPF_EXIST 2

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define LOST_RING 0  /* the ring was full when a stack was to be told */
#define LOST_TASK 1  /* or a process that began or ended */
#define LOST_NOTE 2  /* too many calls under way at once */
#define LOST_BLOCK 3 /* the table of what is not given back is full */

const volatile __u32 want_filter = 0;      /* the probes are not for one process each: look whether it is the target's */
const volatile __u32 want_outstanding = 0;
const volatile __u32 want_sample = 1;      /* one call of so many */
const volatile __u64 want_min = 0;         /* only requests of so many bytes */
const volatile __u32 want_cookie = 0;      /* the number of the function comes with the probe */
const volatile __u64 hash_seed = 0, hash_odd = 1, check_odd = 1; /* so that nobody can choose addresses that collide */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FUNCTIONS);
	__type(key, __u32);
	__type(value, struct function);
} functions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OBJECTS);
	__type(key, __u32);
	__type(value, struct object);
} objects SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct passages);
} passages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct stack_key);
	__type(value, struct total);
} totals SEC(".maps");

/* What could not be put down to its stack, by reason (WITHOUT_*). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WITHOUT);
	__type(key, __u32);
	__type(value, struct total);
} without SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct block_key);
	__type(value, struct block);
} live SEC(".maps");

/* Calls under way, by thread. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct note);
} notes SEC(".maps");

/* How many notes there are. */
__u64 noted = 0;

/* Where the files of allocators are in a process. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct base_key);
	__type(value, __u64);
} bases SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

#define SHARED static __attribute__((noinline))


/* The registers as uprobe programs see them; the layout is that of ptrace, and is never changed. */
#if defined(__TARGET_ARCH_x86)
struct regs {
	__u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#define ARG0(ctx) ((ctx)->di)
#define ARG1(ctx) ((ctx)->si)
#define ARG2(ctx) ((ctx)->dx)
#define ARG3(ctx) ((ctx)->cx)
#define RESULT(ctx) ((ctx)->ax)
#define IP(ctx) ((ctx)->ip)
#define SP(ctx) ((ctx)->sp)
#define FP(ctx) ((ctx)->bp)
#define RETURNED 8 /* a return takes its address off the stack */
#else
struct regs {
	__u64 x[31], sp, pc, state;
};
#define ARG0(ctx) ((ctx)->x[0])
#define ARG1(ctx) ((ctx)->x[1])
#define ARG2(ctx) ((ctx)->x[2])
#define ARG3(ctx) ((ctx)->x[3])
#define RESULT(ctx) ((ctx)->x[0])
#define IP(ctx) ((ctx)->pc)
#define SP(ctx) ((ctx)->sp)
#define FP(ctx) ((ctx)->x[29])
#define RETURNED 0
#endif

#define PROT_WRITE 2
#define MAP_ANONYMOUS 0x20

#define NOTE_AGE 10000000000ULL /* a note that is so old is of a call that never returned (longjmp) */

static __always_inline bool traced(void)
{
	return !want_filter || target_match((struct task_struct *)bpf_get_current_task());
}

/*
 * How much is asked for; 0: nothing that counts. The registers are read before it is known which of them matter: the
 * compiler would compute where in the context to read, which the verifier refuses.
 */
static __always_inline __u64 requested(struct regs *ctx, struct function *f)
{
	__u64 a0 = *(volatile __u64 *)&ARG0(ctx), a1 = *(volatile __u64 *)&ARG1(ctx);
	__u64 a2 = *(volatile __u64 *)&ARG2(ctx), a3 = *(volatile __u64 *)&ARG3(ctx);
	__u64 go = *(volatile __u64 *)&RESULT(ctx), most;

	switch (f->size) {
	case SIZE_ARG0:
		return a0;
	case SIZE_ARG1:
		return a1;
	case SIZE_ARG2:
		return a2;
	case SIZE_PRODUCT01:
		break;
	case SIZE_PRODUCT12:
		a0 = a1;
		a1 = a2;
		break;
	case SIZE_MMAP:
		/* Of files, and room that is only set aside, is no memory. */
		if (!(a2 & PROT_WRITE) || !(a3 & MAP_ANONYMOUS))
			return 0;
		return a1;
	case SIZE_GO: /* its first argument is in the register of results */
		return go;
	default:
		return 0;
	}
	if ((a0 | a1) >> 32 && a1) {
		most = ~0ULL / a1;
		barrier_var(most); /* clang would multiply in 128 bits, which it cannot */
		if (a0 > most)
			return 0; /* it will be refused */
	}
	return a0 * a1;
}

/* A call that another of these functions makes: it was counted there. */
static __always_inline bool is_inner(struct function *f, __u64 ip, __u64 back)
{
	__u32 number = f->object, i;
	__u64 at = back - (ip - f->address);
	struct object *o = bpf_map_lookup_elem(&objects, &number);

	if (!o)
		return false;
	for (i = 0; i < INNER; i++) {
		if (i >= o->inners)
			break;
		if (at >= o->inner[i].start && at < o->inner[i].end)
			return true;
	}
	return false;
}

/* An mmap that an allocator, or the C library, makes for itself: for what is kept there malloc was called. */
SHARED bool mapped_by_allocator(__u32 own, __u64 at, __u32 tgid, __u64 back)
{
	struct base_key key = { .tgid = tgid };
	struct object *o = bpf_map_lookup_elem(&objects, &own);
	__u64 *base;
	__u32 i;

	if (o && o->whole && at >= o->text.start && at < o->text.end)
		return true;

	for (i = 0; i < OBJECTS; i++) {
		key.object = i;
		o = bpf_map_lookup_elem(&objects, &key.object);
		if (!o || !o->text.end)
			break;
		if (!o->whole)
			continue;
		base = bpf_map_lookup_elem(&bases, &key);
		if (base && back - *base >= o->text.start && back - *base < o->text.end)
			return true;
	}
	return false;
}

#include "stack.bpf.h"

/* Adds a request to the total of the stack that asks. False: it could not be put down to a stack. */
static __always_inline bool add(struct regs *ctx, struct scratch *s, struct function *f, __u32 index, __u64 back, __u64 size, struct stack_key *key)
{
	struct stack_record *r = &s->r;
	__u64 hash, check;
	struct total *t;

	r->frames[0] = IP(ctx);
	r->frames[1] = back;
	r->count = r->direct = pass(r, SP(ctx), back);
	r->function = index;
	s->fp = FP(ctx);
	walk(s->slot);
	hash = s->hash;
	check = s->check;
	key->hash = hash;
	key->tgid = bpf_get_current_pid_tgid() >> 32;
	key->pad = 0;
	t = bpf_map_lookup_elem(&totals, key);
	if (!t) {
		keep_base(f, IP(ctx), key->tgid);
		t = introduce(ctx, s, key, check, size);
	}
	if (!t)
		return false;
	if (t->check != check) {
		/* On a CPU where the stack is new it is not there yet: user space compares those of all CPUs. */
		if (t->check) {
			count_without(WITHOUT_COLLISION, size);
			return false;
		}
		t->check = check;
	}
	__sync_fetch_and_add(&t->bytes, size);
	__sync_fetch_and_add(&t->calls, 1);
	return true;
}

/* Whether the call is made inside one that has not returned yet. */
static __always_inline bool under_way(struct regs *ctx, __u64 id, __u64 back)
{
	struct note *n;

	if (!*(volatile __u64 *)&noted)
		return false;
	n = bpf_map_lookup_elem(&notes, &id);
	if (!n || SP(ctx) > n->sp || bpf_ktime_get_ns() - n->time > NOTE_AGE)
		return false;
	/* At the same place on the stack it was jumped to, unless it comes from where the other came: that never returned. */
	if (SP(ctx) == n->sp)
		return back != n->back;
	return true;
}

static __always_inline void forget(__u64 id)
{
	if (!bpf_map_delete_elem(&notes, &id))
		__sync_fetch_and_add(&noted, -1);
}

SHARED void note_down(struct note *n, __u64 id)
{
	if (!bpf_map_update_elem(&notes, &id, n, BPF_NOEXIST)) {
		__sync_fetch_and_add(&noted, 1);
		return;
	}
	/* One is there already, of a call that never returned; or there is no room. */
	if (bpf_map_update_elem(&notes, &id, n, BPF_EXIST))
		count_lost(LOST_NOTE);
}

/* Takes out what an address is known for. */
static __always_inline bool take(__u64 address, __u32 tgid, struct block *b)
{
	struct block_key key = { .address = address, .tgid = tgid };
	struct block *found = bpf_map_lookup_elem(&live, &key);

	if (!found)
		return false;
	*b = *found;
	return !bpf_map_delete_elem(&live, &key);
}

static __always_inline int enter(struct regs *ctx, __u32 index)
{
	__u64 size, back, id = bpf_get_current_pid_tgid();
	struct function *f = bpf_map_lookup_elem(&functions, &index);
	struct scratch *s;
	struct note n = {};
	bool chosen, inner;

	if (!f || !traced())
		return 0;
	size = requested(ctx, f);
	chosen = size >= want_min && (size || f->size != SIZE_MMAP) && !((f->flags & FN_NULL_JUMPS) && !ARG0(ctx));
	/* What is not asked about need not be looked at, unless what it gives back is. */
	if (!chosen && !(want_outstanding && (f->flags & FN_OLD)) && !(f->flags & FN_PAIR))
		return 0;
	if (want_sample > 1 && bpf_get_prandom_u32() % want_sample)
		chosen = false;
	if (!chosen && !(f->flags & (FN_OLD | FN_PAIR)))
		return 0;
	s = claim();
	if (!s) {
		count_without(WITHOUT_SCRATCH, size);
		return 0;
	}
	back = caller_of(ctx, s);
	inner = is_inner(f, IP(ctx), back) || under_way(ctx, id, back) ||
		(f->size == SIZE_MMAP && mapped_by_allocator(f->object, back - (IP(ctx) - f->address), id >> 32, back));
	if (!inner && chosen)
		chosen = add(ctx, s, f, index, back, size, &n.block.stack);
	give_back(s);
	if (inner)
		return 0;
	if (!(f->flags & FN_PAIR))
		return 0;
	n.sp = SP(ctx);
	n.back = back;
	n.time = bpf_ktime_get_ns();
	n.size = size;
	n.flags = f->flags;
	n.counted = chosen;
	if (want_outstanding) {
		n.block.size = size;
		n.block.time = n.time;
		if (f->flags & FN_STORES)
			n.at = ARG0(ctx);
		if ((f->flags & FN_OLD) && ARG0(ctx)) {
			/* Taken out now: once it is given back, another thread may be given the address. */
			if (take(ARG0(ctx), id >> 32, &n.was))
				n.old = ARG0(ctx);
		}
	}
	note_down(&n, id);
	return 0;
}

SEC("uprobe")
int leave(struct regs *ctx)
{
	__u64 id = bpf_get_current_pid_tgid(), address = RESULT(ctx);
	struct block_key key = { .tgid = id >> 32 };
	struct note *found, n;
	bool failed;

	if (!*(volatile __u64 *)&noted)
		return 0;
	found = bpf_map_lookup_elem(&notes, &id);
	if (!found || SP(ctx) != found->sp + RETURNED)
		return 0;
	n = *found;
	forget(id);
	if (!want_outstanding)
		return 0;
	failed = !address || address >= (__u64)-4095;
	if (n.flags & FN_STORES) {
		failed = (__u32)address != 0;
		if (!failed && bpf_probe_read_user(&address, sizeof(address), (void *)n.at))
			failed = true;
		if (!address)
			failed = true;
	}
	if (failed) {
		if (n.old && n.size) { /* it stays what it was */
			key.address = n.old;
			if (bpf_map_update_elem(&live, &key, &n.was, BPF_ANY))
				count_lost(LOST_BLOCK);
		}
		return 0;
	}
	if (!n.counted)
		return 0;
	key.address = address;
	if (bpf_map_update_elem(&live, &key, &n.block, BPF_ANY))
		count_lost(LOST_BLOCK);
	return 0;
}

/* free, munmap: their first argument is the address. */
SEC("uprobe")
int give(struct regs *ctx)
{
	struct block_key key = { .tgid = bpf_get_current_pid_tgid() >> 32, .address = ARG0(ctx) };

	if (key.address)
		bpf_map_delete_elem(&live, &key);
	return 0;
}

/* A function of its own, so that the object has it once. */
SHARED int enter_number(struct regs *ctx, __u32 index)
{
	return enter(ctx, index);
}

SEC("uprobe")
int enter_cookie(struct regs *ctx)
{
	if (!want_cookie)
		return 0;
	return enter_number(ctx, bpf_get_attach_cookie((void *)ctx));
}

/* Before 5.15 a program is not told which probe it runs for: one for each function. */
#define ENTER(i) \
	SEC("uprobe") int enter_##i(struct regs *ctx) { return enter_number(ctx, i); }

ENTER(0)
ENTER(1)
ENTER(2)
ENTER(3)
ENTER(4)
ENTER(5)
ENTER(6)
ENTER(7)
ENTER(8)
ENTER(9)
ENTER(10)
ENTER(11)
ENTER(12)
ENTER(13)
ENTER(14)
ENTER(15)
ENTER(16)
ENTER(17)
ENTER(18)
ENTER(19)
ENTER(20)
ENTER(21)
ENTER(22)
ENTER(23)

#include "tasks.bpf.h"
