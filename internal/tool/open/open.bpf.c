//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * sonde open: one record for each open, sent when it is over.
 *
 * System calls of the open family are told of when they return: their arguments are still in the registers then, and what
 * those point to is in memory, as the kernel has just read it. So nothing is noted when they begin, unless it is asked how
 * long they took. Which of these programs are loaded, spec.go says:
 *
 *   raw_tp      every system call of the host comes by; 32-bit callers too
 *   event       the syscalls:* events come only for the calls they are for, but need a program at the entry for the arguments
 *   kprobe      do_sys_openat2 (before 5.6 do_sys_open)
 *   fentry      the same, and do_handle_open
 *   security    what asks security modules about a file that is opened
 *   inner       do_filp_open (from 7.1 on do_file_open), for opens that are no system call of the family: io_uring, exec
 *   exec        the binary that an exec put in place, where there is no inner
 *
 * Built twice: the raw tracepoints alone, which is loaded in half the time, and with OPEN_HOOKS all of it.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#define TARGET_LEAVES_SELF
#include "target.bpf.h"
#include "device.bpf.h"
#include "open.h"
#include "opencall.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define LOST_RING 0  /* the ring was full */
#define LOST_TABLE 1 /* too many opens under way at once: without arguments there is nothing to tell */

#define WANT_TIME 1 /* when it began, how long it took */
#define WANT_ID 2   /* device and inode; created, deleted */
#define WANT_FILE 4 /* the path of the file reached */
#define WANT_BASE 8 /* where a relative path starts from, if no file was reached */
#define WANT_IDS 16 /* parent, cgroup */
#define WANT_ANY_FILE (WANT_ID | WANT_FILE)

const volatile __u32 want = 0;
const volatile __u32 want_failed = 0;
const volatile __u32 want_write = 0;
const volatile __u32 want_created = 0;
const volatile __u32 want_tid = 0; /* 0: all */

/* With want_flags, one of these is to be true of the flags. */
const volatile __u32 want_flags = 0;
const volatile __u64 any_bits = 0;     /* one of these bits is set */
const volatile __u32 access_modes = 0; /* bit i: the access mode is i */
const volatile __u64 all_bits[2] = {}; /* all bits of one of these are set */

/* The slots of what is per CPU: one for each program that may be preempted on its CPU by another one. */
#define AT_CALL 0
#define AT_INNER 1
#define AT_HANDLE 2
#define SLOTS 3

#define PATH_MAX 4096
#define OPEN_DATA (3 * PATH_MAX + 512)

/* What is known of an open when it begins. */
struct open_args {
	__u64 time;   /* 0: not seen */
	__u64 path;   /* its address; 0: it has none */
	__u64 flags;
	__u64 how_at; /* of openat2: the address of its struct open_how */
	__s32 dirfd;
	__u32 marks;
	__u16 mode;
	__u16 how;
	__u32 kernel_how; /* how_at is not the caller's memory */
};

struct open_buffer {
	/* An open that is over, for finish(). */
	struct open_args a;
	__s64 ret;
	__u64 end;
	__u64 file;        /* what it reached; 0: that is behind the descriptor */
	__u64 kernel_path; /* path is not the caller's memory */
	/* What finish() makes of it. */
	struct file_event r;
	char data[OPEN_DATA];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct open_buffer);
} scratch SEC(".maps");

#define PATH_SCRATCH scratch
#define PATH_BUFFER open_buffer
#define PATH_DATA OPEN_DATA
#define PATH_SLOTS SLOTS
#include "path.bpf.h"
#include "wanted.bpf.h"
#include "send.bpf.h"

/* Opens under way, by the address of their task and what of it. */
#define OF_CALL 0
#define OF_INNER 1

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct open_args);
} starts SEC(".maps");

/* How many are noted there, and in recents. User space reads it: when it was 0 before a drain, nothing older than the drain can still come. */
__u64 in_flight = 0;

/* Set by user space at the end of a run: nothing new is noted. */
__u64 closing = 0;

/* Most of these programs need the same things: in functions of their own they are in the object once. */
#define SHARED static __attribute__((noinline))

/* Whether the current task is one whose opens are asked for. */
__attribute__((noinline)) int traced(void)
{
	if (want_tid && (__u32)bpf_get_current_pid_tgid() != want_tid)
		return 0;
	return target_match((struct task_struct *)bpf_get_current_task());
}

/* in_flight goes up before the time is taken: where it reads 0, nothing that began earlier is still under way. */
static __always_inline int start_put(__u64 key, struct open_args *a)
{
	__sync_fetch_and_add(&in_flight, 1);
	a->time = bpf_ktime_get_ns();
	if (!bpf_map_update_elem(&starts, &key, a, BPF_NOEXIST))
		return 0;
	__sync_fetch_and_add(&in_flight, -1);
	return bpf_map_update_elem(&starts, &key, a, BPF_ANY);
}

/* Takes what was noted out of starts; false: nothing was. in_flight goes down only when the record was sent. */
static __always_inline bool start_take(__u64 key, struct open_args *a)
{
	struct open_args *found;

	if (*(volatile __u64 *)&in_flight == 0)
		return false;
	found = bpf_map_lookup_elem(&starts, &key);
	if (!found)
		return false;
	*a = *found;
	return !bpf_map_delete_elem(&starts, &key);
}

static __always_inline void over(void)
{
	__sync_fetch_and_add(&in_flight, -1);
}

/*
 * Where nothing but the time is noted, a place that few tasks share does instead of a hash table, at a third of the cost.
 * Who finds it taken goes to the table. Where two tasks take it at the same instant (there is no atomic to decide before
 * 5.12) the loser's open is shown without its time, and in_flight stays one too high, which costs order its exactness.
 */
#define RECENT 4096

struct recent {
	__u64 task; /* 0: free */
	__u64 time;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RECENT);
	__type(key, __u32);
	__type(value, struct recent);
} recents SEC(".maps");

static __always_inline struct recent *recent_of_current(void)
{
	__u32 key = (__u32)bpf_get_current_pid_tgid() % RECENT;

	return bpf_map_lookup_elem(&recents, &key);
}

/* Notes when a call begins. Without room for it, it is shown without its time. */
SHARED void time_note(__u64 task)
{
	struct recent *r = recent_of_current();
	struct open_args a = {};

	if (!r)
		return;
	if (r->task == task) { /* of a call whose end was not seen */
		r->time = bpf_ktime_get_ns();
		return;
	}
	__sync_fetch_and_add(&in_flight, 1);
	if (!r->task) {
		r->task = task;
		r->time = bpf_ktime_get_ns();
		return;
	}
	over();
	start_put(task, &a);
}

/* Takes what was noted; false: nothing was. in_flight goes down only when the record was sent. */
SHARED bool time_take(__u64 task, __u64 *time)
{
	struct recent *r = recent_of_current();
	struct open_args a;

	if (!r)
		return false;
	if (r->task == task) {
		*time = r->time;
		r->task = 0;
		return true;
	}
	if (!start_take(task, &a))
		return false;
	*time = a.time;
	return true;
}

/* A task that ends in the middle of an open, or whose return was not seen. */
SEC("raw_tp/sched_process_exit")
int open_abandon(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 key = bpf_get_current_task(), time;

	if (*(volatile __u64 *)&in_flight == 0)
		return 0;
	if (time_take(key, &time))
		over();
	if (!bpf_map_delete_elem(&starts, &key))
		over();
	key += OF_INNER;
	if (!bpf_map_delete_elem(&starts, &key))
		over();
	return 0;
}

/* Starts the description of an open that is over. */
static __always_inline struct open_buffer *ended(__u32 slot, long ret)
{
	struct open_buffer *b;
	__u32 key = slot; /* the address of slot must not be taken: it has to stay a constant */

	b = bpf_map_lookup_elem(&scratch, &key);
	if (!b)
		return 0;
	b->ret = ret;
	b->end = bpf_ktime_get_ns();
	b->file = 0;
	b->kernel_path = 0;
	return b;
}

SEC("raw_tp/sys_enter")
int raw_enter(struct bpf_raw_tracepoint_args *ctx)
{
	long nr = ctx->args[1] & ~NR_X32;
	struct task_struct *task;

	if (!maybe_open(nr) || *(volatile __u64 *)&closing)
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	if (!open_family(nr, is_compat(task)) || !traced())
		return 0; /* the same number means something else */
	time_note((__u64)task);
	return 0;
}

SEC("raw_tp/sys_exit")
int raw_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	struct syscall_args s = {};
	struct task_struct *task;
	struct open_buffer *b;
	bool compat, timed;
	__u64 time = 0;
	__u32 how;
	long nr;

	if (want_failed && (long)ctx->args[1] >= 0 && !(want & WANT_TIME))
		return 0;
	/* Every return of the host comes by here: out as early as can be. */
	nr = syscall_number(regs) & ~NR_X32;
	if (!maybe_open(nr))
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	compat = is_compat(task);
	how = open_family(nr, compat);
	if (!how)
		return 0;
	timed = (want & WANT_TIME) && time_take((__u64)task, &time);
	if (!timed && (((want & WANT_TIME) && *(volatile __u64 *)&closing) || !traced()))
		return 0;
	if (want_failed && (long)ctx->args[1] >= 0)
		goto out;
	b = ended(AT_CALL, ctx->args[1]);
	if (!b)
		goto out;
	b->a.time = time;
	b->a.how = how;
	b->a.marks = compat ? FILE_COMPAT : 0;
	b->a.mode = 0;
	b->a.how_at = 0;
	b->a.kernel_how = 0;
	syscall_args(&s, regs, compat);
	args_take(&b->a, &s);
	finish(AT_CALL);
out:
	if (timed)
		over();
	return 0;
}

/* Ends an open that no system call of the family made: what came of it is a file, or an error number in its place. */
SHARED void inner_finish(struct open_args *a, __u64 file)
{
	struct open_buffer *b;
	long ret = 0;

	if (file >= (__u64)-MAX_ERRNO) {
		ret = (long)file;
		file = 0;
	}
	if (want_failed && !ret)
		return;
	b = ended(AT_INNER, ret);
	if (!b)
		return;
	b->a = *a;
	b->file = file;
	b->kernel_path = 1;
	finish(AT_INNER);
}

/* The binary that an exec put in place, of a script its interpreter. */
SEC("raw_tp/sched_process_exec")
int exec_commit(struct bpf_raw_tracepoint_args *ctx)
{
	struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
	struct open_args a = {};

	if (*(volatile __u64 *)&closing || !traced())
		return 0;
	a.how = BY_EXEC;
	a.dirfd = AT_FDCWD;
	a.flags = FMODE_EXEC;
	a.path = (__u64)BPF_CORE_READ(bprm, interp);
	inner_finish(&a, (__u64)BPF_CORE_READ(bprm, file));
	return 0;
}

#ifdef OPEN_HOOKS
#include "caller.bpf.h"
#include "hooks.bpf.h"
#include "inner.bpf.h"
#endif
