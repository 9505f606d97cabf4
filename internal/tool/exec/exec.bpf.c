//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * sonde exec: one record for each execve and execveat, sent when it returns.
 *
 *   sys_enter           remembers when it began and where the caller's strings are
 *   sched_process_exec  marks that the new program is in place, and catches execs whose start was not seen
 *   sys_exit            reads what is left to read, sends the record, forgets
 *   sched_process_exit  forgets what did not come to its end
 *
 * Built twice. On raw tracepoints every system call of the host comes by, but they are taken off in no time, and they
 * see 32-bit callers and programs too. Where raw tracepoints of system calls may be preempted, that will not do: a
 * program that is preempted is not run for other tasks of its CPU until it is done, and emulated 7.2 was seen to lose
 * one exec in some thousands so. There EXEC_EVENTS takes the syscalls:* events, which come far less often, and sends the
 * record when the program is in place, with the return to make up for it.
 * Each of the programs makes up for one that did not run: sched_process_exec for sys_enter, the next sys_exit of the task
 * for that of the exec.
 *
 * The start is kept under the address of the task, not its tid: when another thread than the leader execs, its tid
 * changes on the way.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#ifdef EXEC_EVENTS
#define RECORD_MANY_SENDERS
#endif
#include "target.bpf.h"
#include "syscall.bpf.h"
#include "exec.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define LOST_RING 0  /* the ring was full */
#define LOST_TABLE 1 /* too many execs under way at once */
#define LOST_ARGS 2  /* the ring was full: the record is there, arguments are missing */
#define LOST_END 3   /* the return was not seen, nor anything later that could stand for it */

#define WANT_PATHS 1 /* exe, cwd, device and inode */
#define WANT_IDS 2   /* euid, gid, parent's comm, cgroup, namespaces, tty, session */

const volatile __u32 want = 0;
const volatile __u32 want_failed = 0;
const volatile __u32 max_arg_bytes = 128 * 1024;

#define PATH_MAX 4096
#define NAME_MAX 256
#define PATH_DEPTH 64
#define CHUNK 8192
#define DATA (3 * PATH_MAX + CHUNK)

struct exec_start {
	__u64 time;
	__u64 in_place; /* when the new program was; 0: it is not */
	__u64 mm;       /* the address space that the call came from; 0: not seen */
	__u64 filename; /* user pointers, good only there */
	__u64 argv;
	__u32 tid;
	__u16 flags;
	__u16 compat_caller;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct exec_start);
} starts SEC(".maps");

struct exec_buffer {
	struct exec_record r;
	char data[DATA];
};

struct args_buffer {
	struct args_record r;
	char data[2 * CHUNK]; /* twice: the verifier adds the largest offset and the largest length */
};

/*
 * Scratch is per CPU, with a slot for each program that sends records: no program runs twice at once on a CPU, but from
 * 6.19 on one may be preempted there and another run.
 */
#define AT_EXIT 0
#ifdef EXEC_EVENTS
#define AT_COMMIT 1
#define SLOTS 2
#else
#define SLOTS 1
#endif

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct exec_buffer);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct args_buffer);
} args_scratch SEC(".maps");

/*
 * Execs under way among those traced. It makes sys_exit cheap: while it is 0, one load and out. User space reads it
 * too: when it was 0 before a drain, nothing older than the drain can still come.
 */
__u64 in_flight = 0;

/* Set by user space at the end of a run: what is under way is brought to its end, and nothing new begun. */
__u64 closing = 0;

/* in_flight goes up before the time is taken: where it reads 0, nothing that began earlier is still under way. */
static __always_inline int start_put(__u64 key, struct exec_start *s)
{
	__sync_fetch_and_add(&in_flight, 1);
	s->time = bpf_ktime_get_ns();
	if (!bpf_map_update_elem(&starts, &key, s, BPF_NOEXIST))
		return 0;
	__sync_fetch_and_add(&in_flight, -1);
	return bpf_map_update_elem(&starts, &key, s, BPF_ANY);
}

#ifdef EXEC_EVENTS
#define EXIT_SECTION "tracepoint/syscalls/sys_exit_execve"
#else
#define EXIT_SECTION "raw_tp/sys_exit"
#endif

/*
 * What a loop does in one turn is a global function that keeps its state in a per-CPU value: the verifier looks
 * at such a function once, and at the loop around it as at so many calls. Inlined, every turn is verified anew, for
 * every way through it: half a second of start-up was measured.
 */
#define TURN __attribute__((noinline)) int

enum turn { TURN_MORE, TURN_DONE, TURN_CUT };

#include "paths.bpf.h"
#include "args.bpf.h"

static __always_inline void put_ids(struct exec_record *r, struct task_struct *task, const struct cred *cred)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct pid *session = BPF_CORE_READ(task, signal, pids[PIDTYPE_SID]);
	struct tty_struct *tty = BPF_CORE_READ(task, signal, tty);
	struct upid *innermost;
	__u32 level = BPF_CORE_READ(pid, level);

	r->flags |= EXEC_IDS;
	r->euid = BPF_CORE_READ(cred, euid.val);
	r->gid = BPF_CORE_READ(cred, gid.val);
	r->cgroup_id = bpf_get_current_cgroup_id();
	r->css_set = (__u64)BPF_CORE_READ(task, cgroups);
	r->mntns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	innermost = (struct upid *)((void *)pid + bpf_core_field_offset(struct pid, numbers) +
				    level * bpf_core_type_size(struct upid));
	r->pidns = BPF_CORE_READ(innermost, ns, ns.inum);
	r->sid = BPF_CORE_READ(session, numbers[0].nr);
	BPF_CORE_READ_STR_INTO(&r->pcomm, task, real_parent, comm);
	r->tty[0] = 0;
	if (tty)
		BPF_CORE_READ_STR_INTO(&r->tty, tty, name);
}

static __always_inline void begin(struct task_struct *task, __u64 filename, __u64 argv, bool compat)
{
	struct exec_start s = {};

	if (*(volatile __u64 *)&closing)
		return;
	s.mm = (__u64)BPF_CORE_READ(task, mm);
	s.filename = filename;
	s.argv = argv;
	s.tid = bpf_get_current_pid_tgid();
	s.compat_caller = compat;
	if (start_put((__u64)task, &s) && want_failed)
		count_lost(LOST_TABLE);
}

/* Whether the task left the address space it called from. It is held until the next one is in place: their addresses differ. */
static __always_inline bool moved(struct task_struct *task, struct exec_start *s)
{
	return (__u64)BPF_CORE_READ(task, mm) != s->mm;
}

/*
 * Sends the record of an exec that is over, and forgets it. What does not fit into one record is left to the programs
 * that are tail called, where the caller may chain to them.
 */
static __always_inline int finish(void *ctx, struct task_struct *task, struct exec_start *s, long ret, __u64 end,
				  __u32 slot)
{
	struct exec_buffer *b;
	struct args_buffer *more;
	struct mm_struct *mm;
	const struct cred *cred;
	struct walk *w;
	__u64 name, off;
	bool in_place, gone;
	__u32 key = slot; /* the address of slot must not be taken: it has to stay a constant */
	long n;

	gone = moved(task, s);
	/* Also if sched_process_exec was left out. */
	in_place = s->in_place || (ret == 0 && gone);
	/* One that returns 0 and does nothing has only asked (AT_EXECVE_CHECK, 6.14). */
	if (!in_place && (!want_failed || ret == 0))
		goto out;
	b = bpf_map_lookup_elem(&scratch, &key);
	if (!b)
		goto out;
	mm = BPF_CORE_READ(task, mm);
	cred = BPF_CORE_READ(task, cred);
	b->r.h.time = s->time;
	b->r.end = end;
	b->r.flags = s->flags;
	b->r.ret = ret;
	b->r.pid = bpf_get_current_pid_tgid() >> 32;
	b->r.tid = s->tid;
	b->r.ppid = BPF_CORE_READ(task, real_parent, tgid);
	b->r.uid = BPF_CORE_READ(cred, uid.val);
	b->r.unreadable = 0;
	b->r.exec_id = BPF_CORE_READ(task, self_exec_id);
	b->r.exe_len = 0;
	b->r.cwd_len = 0;
	b->r.dev = 0;
	b->r.ino = 0;
	bpf_get_current_comm(&b->r.comm, sizeof(b->r.comm));
	if (in_place ? is_compat(task) : s->compat_caller)
		b->r.flags |= EXEC_COMPAT;
	/*
	 * The name as asked: of a program in place the kernel left it on the new stack, right behind the environment
	 * (fs/exec.c pushes it first, create_elf_tables ends env_end before it). Otherwise it is still the caller's, and
	 * gone with the caller's memory where the exec failed past the point of no return.
	 */
	name = s->filename;
	if (in_place && mm)
		name = BPF_CORE_READ(mm, env_end);
	else if (gone)
		name = 0;
	n = bpf_probe_read_user_str(b->data, PATH_MAX, (void *)name);
	if (n < 0) {
		b->r.flags |= EXEC_NO_FILENAME;
		n = 0;
	}
	off = n & (2 * PATH_MAX - 1);
	b->r.filename_len = off;
	if (want & WANT_IDS)
		put_ids(&b->r, task, cred);
	if (want & WANT_PATHS)
		off = put_paths(b, task, mm, off, slot);
	if (in_place) {
		if (mm && send_committed(b, mm, off, slot))
			chain_rest(ctx, slot);
		goto out;
	}
	if (!want_failed || slot != AT_EXIT)
		goto out;
	b->r.args_total = 0;
	b->r.args_len = 0;
	if (gone)
		b->r.flags |= EXEC_ARGS_FAULT;
	else if (s->argv) /* NULL is taken for an empty one */
		b->r.flags |= EXEC_MORE;
	barrier_var(off);
	if (off > 3 * PATH_MAX)
		off = 3 * PATH_MAX;
	if (record_send(&b->r.h, sizeof(b->r) + off, sizeof(*b), RECORD_EXEC, LOST_RING))
		goto out;
	if (!(b->r.flags & EXEC_MORE))
		goto out;
	more = bpf_map_lookup_elem(&args_scratch, &key);
	if (!more)
		goto out;
	w = walk_begin(more, b->r.h.seq, s->time, slot);
	if (!w)
		goto out;
	w->ptr = s->argv;
	w->compat = s->compat_caller;
	bpf_tail_call(ctx, &walkers, WALK);
out:
	__sync_fetch_and_add(&in_flight, -1);
	return 0;
}

/*
 * Where programs may be left out an exec is over when its program is in place: if that is missed there is still the
 * return to tell of it. And no syscalls:* event tells of the return into a 32-bit program.
 */
static __always_inline int in_place(void *ctx, struct task_struct *task, __u64 key, struct exec_start *found)
{
#ifdef EXEC_EVENTS
	struct exec_start s = *found;

	if (bpf_map_delete_elem(&starts, &key))
		return 0;
	return finish(ctx, task, &s, 0, s.in_place, AT_COMMIT);
#else
	return 0;
#endif
}

SEC("raw_tp/sched_process_exec")
int exec_commit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
	struct exec_start fresh = {};
	struct exec_start *s;
	__u64 key = (__u64)task;
	__u16 flags = 0;

	s = bpf_map_lookup_elem(&starts, &key);
	if (!s && (*(volatile __u64 *)&closing || !target_match(task)))
		return 0;
	if (BPF_CORE_READ(bprm, interp) != BPF_CORE_READ(bprm, filename))
		flags |= EXEC_SCRIPT;
	if (s) {
		s->flags = flags;
		s->in_place = bpf_ktime_get_ns();
		return in_place(ctx, task, key, s);
	}
	/* By the kernel itself (a user mode helper), or begun before the probes were on, or the table was full. */
	fresh.tid = ctx->args[1];
	fresh.flags = flags | EXEC_UNTIMED;
	fresh.in_place = bpf_ktime_get_ns();
	if (start_put(key, &fresh)) {
		count_lost(LOST_TABLE);
		return 0;
	}
	return in_place(ctx, task, key, &fresh);
}

/* A task that ends in the middle of an exec, or of whose exec no later system call told. */
SEC("raw_tp/sched_process_exit")
int exec_abandon(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 key = bpf_get_current_task();
	struct exec_start *s;
	bool lost;

	if (*(volatile __u64 *)&in_flight == 0)
		return 0;
	s = bpf_map_lookup_elem(&starts, &key);
	if (!s)
		return 0;
	lost = s->in_place || want_failed;
	if (bpf_map_delete_elem(&starts, &key))
		return 0;
	if (lost)
		count_lost(LOST_END);
	__sync_fetch_and_add(&in_flight, -1);
	return 0;
}

#ifdef EXEC_EVENTS
/* The fields of the syscalls:* events behind the common ones, as their format files in tracefs have them. */
struct enter_event {
	__u64 common;
	long nr;
	unsigned long args[6];
};

struct exit_event {
	__u64 common;
	long nr;
	long ret;
};

SEC("tracepoint/syscalls/sys_enter_execve")
int exec_enter(struct enter_event *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (target_match(task))
		begin(task, ctx->args[0], ctx->args[1], false);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_execveat")
int exec_enter_at(struct enter_event *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (target_match(task))
		begin(task, ctx->args[1], ctx->args[2], false);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_execve")
int exec_exit(struct exit_event *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct exec_start *found, s;
	__u64 key = (__u64)task;

	found = bpf_map_lookup_elem(&starts, &key);
	if (!found)
		return 0;
	s = *found;
	if (bpf_map_delete_elem(&starts, &key))
		return 0;
	return finish(ctx, task, &s, ctx->ret, bpf_ktime_get_ns(), AT_EXIT);
}

#else

SEC("raw_tp/sys_enter")
int exec_enter(struct bpf_raw_tracepoint_args *ctx)
{
	long nr = ctx->args[1];
	struct task_struct *task;
	struct pt_regs *regs;
	bool at, compat;

	/* Every system call of the host comes by here: out as early as can be. */
	if (nr == NR_EXECVE || nr == NR_EXECVEAT) {
		compat = false;
		at = nr == NR_EXECVEAT;
	} else if (nr == NR_COMPAT_EXECVE || nr == NR_COMPAT_EXECVEAT) {
		compat = true;
		at = nr == NR_COMPAT_EXECVEAT;
	} else {
		return 0;
	}
	task = (struct task_struct *)bpf_get_current_task();
	if (is_compat(task) != compat)
		return 0; /* the same number means something else */
	if (!target_match(task))
		return 0;
	regs = (struct pt_regs *)ctx->args[0];
	if (at)
		begin(task, ARG1(regs, compat), ARG2(regs, compat), compat);
	else
		begin(task, ARG0(regs, compat), ARG1(regs, compat), compat);
	return 0;
}

SEC("raw_tp/sys_exit")
int exec_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task;
	struct exec_start *found, s;
	__u64 key, end;
	long ret = ctx->args[1];

	/* Every return of the host comes by here too, and an exec never returns more than 0. */
	if (*(volatile __u64 *)&in_flight == 0 || ret > 0)
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	key = (__u64)task;
	found = bpf_map_lookup_elem(&starts, &key);
	if (!found)
		return 0;
	s = *found;
	if (bpf_map_delete_elem(&starts, &key))
		return 0;
	end = bpf_ktime_get_ns();
	if (!returns_from_exec(task, (struct pt_regs *)ctx->args[0])) {
		/* A later system call stands in. What the exec returned is known if it put its program in place. */
		if (!s.in_place && !moved(task, &s)) {
			if (want_failed)
				count_lost(LOST_END);
			__sync_fetch_and_add(&in_flight, -1);
			return 0;
		}
		ret = 0;
		end = s.in_place;
		if (!end)
			s.flags |= EXEC_UNTIMED;
	}
	return finish(ctx, task, &s, ret, end, AT_EXIT);
}

#endif

/* The other tool that tells of execs. */
#include "../proc/proc.bpf.h"
