/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * sonde proc: a record when a program is in place, when a process has ended and, if wanted, when one was made.
 *
 * It is compiled as a part of exec.bpf.c: a record of an exec is the same in both tools, and most of the code.
 *
 * Raw tracepoints where they may not be preempted; else (EXEC_EVENTS) the events sched:* and task:*, which may not: a
 * process that ends has no second program that could make up for a run that was left out.
 */
#ifndef SONDE_PROC_BPF_H
#define SONDE_PROC_BPF_H

#include "proc.h"

#define SIGNAL_GROUP_EXIT 4
#define CLONE_PARENT 0x8000
#define CLONE_THREAD 0x10000
#define EEXIST 17

const volatile __u32 want_usage = 0;

/*
 * Of two threads that end at the same time each may see that none is left alive: the first one tells. Which of the two
 * it was that took the last one away is an argument of the tracepoint from 6.16 on only.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u8);
} told SEC(".maps");

struct usage {
	struct signal_struct *signal;
	struct list_head *next;
	__u64 cpu, min_flt, maj_flt, rchar, wchar, read_bytes, write_bytes;
};

/* No two programs use the same member, and none is run again on a CPU where it was preempted. */
struct proc_scratch {
	struct usage usage;
	struct exit_record exit;
	struct fork_record fork;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct proc_scratch);
} proc_scratches SEC(".maps");

static __always_inline struct proc_scratch *proc_scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&proc_scratches, &zero);
}

#define USAGE_TURNS 256
#define USAGE_TRIES 2

/* One thread that is still in the list of its process. */
TURN usage_turn(void)
{
	struct proc_scratch *s = proc_scratch_get();
	struct task_struct *task;
	struct usage *u;

	if (!s)
		return TURN_DONE;
	u = &s->usage;
	if (!u->next || (void *)u->next == (void *)u->signal + bpf_core_field_offset(struct signal_struct, thread_head))
		return TURN_DONE;
	task = (void *)u->next - bpf_core_field_offset(struct task_struct, thread_node);
	u->cpu += BPF_CORE_READ(task, se.sum_exec_runtime);
	u->min_flt += BPF_CORE_READ(task, min_flt);
	u->maj_flt += BPF_CORE_READ(task, maj_flt);
	if (bpf_core_field_exists(task->ioac.rchar)) {
		u->rchar += BPF_CORE_READ(task, ioac.rchar);
		u->wchar += BPF_CORE_READ(task, ioac.wchar);
	}
	if (bpf_core_field_exists(task->ioac.read_bytes)) {
		u->read_bytes += BPF_CORE_READ(task, ioac.read_bytes);
		u->write_bytes += BPF_CORE_READ(task, ioac.write_bytes);
	}
	u->next = BPF_CORE_READ(task, thread_node.next);
	return TURN_MORE;
}

/*
 * Bytes of threads that are gone. The kernel adds those of children that were waited for to the same counters: where there
 * are both, nobody can tell them apart.
 */
static __always_inline __u32 usage_gone(struct usage *u, struct signal_struct *signal)
{
	if (BPF_CORE_READ(signal, cmin_flt))
		return EXIT_NO_IO;
	if (bpf_core_field_exists(signal->ioac.rchar)) {
		u->rchar = BPF_CORE_READ(signal, ioac.rchar);
		u->wchar = BPF_CORE_READ(signal, ioac.wchar);
	}
	if (bpf_core_field_exists(signal->ioac.read_bytes)) {
		u->read_bytes = BPF_CORE_READ(signal, ioac.read_bytes);
		u->write_bytes = BPF_CORE_READ(signal, ioac.write_bytes);
	}
	return 0;
}

/*
 * What the whole process has used: what its threads left behind that are gone from the list, and what those have that
 * are still in it. Where one goes from the one to the other meanwhile, it is counted again.
 */
static __always_inline __u32 usage_read(struct usage *u, struct signal_struct *signal)
{
	__u32 flags = EXIT_USAGE;
	__u64 gone;
	int i, try;

	for (try = 0; try < USAGE_TRIES; try++) {
		gone = BPF_CORE_READ(signal, sum_sched_runtime);
		u->signal = signal;
		u->next = BPF_CORE_READ(signal, thread_head.next);
		u->cpu = gone;
		u->min_flt = BPF_CORE_READ(signal, min_flt);
		u->maj_flt = BPF_CORE_READ(signal, maj_flt);
		u->rchar = u->wchar = u->read_bytes = u->write_bytes = 0;
		if (gone)
			flags |= usage_gone(u, signal);
		for (i = 0; i < USAGE_TURNS; i++) {
			if (usage_turn() != TURN_MORE)
				break;
		}
		if (i == USAGE_TURNS)
			return flags | EXIT_PART;
		if (gone == BPF_CORE_READ(signal, sum_sched_runtime))
			break;
	}
	return bpf_core_field_exists(signal->ioac.rchar) ? flags : flags | EXIT_NO_IO;
}

/* Once, not in each of the programs. */
static __noinline bool proc_match(struct task_struct *task) { return target_match(task); }

/* What wait(2) will tell of the process. */
static __always_inline __u32 exit_code(struct signal_struct *signal, struct task_struct *leader)
{
	if (BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT)
		return BPF_CORE_READ(signal, group_exit_code);
	return BPF_CORE_READ(leader, exit_code);
}

/* A thread has ended. A process has with its last one, which need not be the one that it began with. */
static __always_inline int thread_ended(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct task_struct *leader;
	struct proc_scratch *s;
	struct exit_record *r;
	__u64 id, key;
	__u8 one = 1;
	int err;

	if (BPF_CORE_READ(signal, live.counter) > 0 || *(volatile __u64 *)&closing || !proc_match(task))
		return 0;
	s = proc_scratch_get();
	if (!s)
		return 0;
	r = &s->exit;
	leader = BPF_CORE_READ(task, group_leader);
	id = bpf_get_current_pid_tgid();
	r->start = BPF_CORE_READ(leader, start_time);
	key = r->start << 22 | id >> 32; /* no process id is longer */
	/* Before 6.4 the kernel returns an int: what is above its 32 bits is nothing. */
	err = bpf_map_update_elem(&told, &key, &one, BPF_NOEXIST);
	if (err == -EEXIST)
		return 0;
	__sync_fetch_and_add(&in_flight, 1);
	r->h.time = bpf_ktime_get_ns();
	r->age = bpf_ktime_get_boot_ns() - BPF_CORE_READ(leader, start_boottime);
	r->code = exit_code(signal, leader);
	r->pid = id >> 32;
	r->tid = id;
	r->ppid = BPF_CORE_READ(task, real_parent, tgid);
	r->uid = bpf_get_current_uid_gid();
	r->exec_id = BPF_CORE_READ(task, self_exec_id);
	BPF_CORE_READ_STR_INTO(&r->comm, leader, comm);
	r->flags = 0;
	if (want_usage) {
		r->flags = usage_read(&s->usage, signal);
		r->max_rss = BPF_CORE_READ(signal, maxrss);
		r->cpu = s->usage.cpu;
		r->min_flt = s->usage.min_flt;
		r->maj_flt = s->usage.maj_flt;
		r->rchar = s->usage.rchar;
		r->wchar = s->usage.wchar;
		r->read_bytes = s->usage.read_bytes;
		r->write_bytes = s->usage.write_bytes;
	}
	record_send(&r->h, sizeof(*r), sizeof(*r), RECORD_EXIT, LOST_RING);
	__sync_fetch_and_add(&in_flight, -1);
	return 0;
}

/* The current process, or rather a thread of it, has made another. */
static __always_inline int process_made(struct task_struct *task, __u32 pid, __u32 ppid)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct proc_scratch *s;
	struct fork_record *r;

	if (*(volatile __u64 *)&closing)
		return 0;
	/* Of the children of a process the first that is to be known is their beginning. */
	if (!proc_match(task) && !((target_mode & TARGET_PPID) && ppid == target_ppid))
		return 0;
	s = proc_scratch_get();
	if (!s)
		return 0;
	r = &s->fork;
	__sync_fetch_and_add(&in_flight, 1);
	r->h.time = bpf_ktime_get_ns();
	r->pid = pid;
	r->ppid = ppid;
	r->tid = id;
	r->uid = bpf_get_current_uid_gid();
	r->exec_id = BPF_CORE_READ(task, self_exec_id);
	bpf_get_current_comm(&r->comm, sizeof(r->comm));
	record_send(&r->h, sizeof(*r), sizeof(*r), RECORD_FORK, LOST_RING);
	__sync_fetch_and_add(&in_flight, -1);
	return 0;
}

#ifdef EXEC_EVENTS
/* The fields of the events behind the common ones, as their format files in tracefs have them. */
struct process_exec_event {
	__u64 common;
	__u32 filename;
	__s32 pid;
	__s32 old_pid;
};

struct newtask_event {
	__u64 common;
	__s32 pid;
	char comm[16];
	__u64 clone_flags;
};

SEC("tracepoint/sched/sched_process_exit")
int proc_exit(void *ctx)
{
	return thread_ended();
}

SEC("tracepoint/task/task_newtask")
int proc_fork(struct newtask_event *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 ppid = bpf_get_current_pid_tgid() >> 32;

	if (ctx->clone_flags & CLONE_THREAD)
		return 0;
	if (ctx->clone_flags & CLONE_PARENT)
		ppid = BPF_CORE_READ(task, real_parent, tgid);
	return process_made(task, ctx->pid, ppid);
}

/* Only here is seen whether it is a script. Where this one is left out, proc_exec does without. */
SEC("raw_tp/sched_process_exec")
int proc_note(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
	struct exec_start s = {};

	if (*(volatile __u64 *)&closing || BPF_CORE_READ(bprm, interp) == BPF_CORE_READ(bprm, filename) || !proc_match(task))
		return 0;
	s.flags = EXEC_SCRIPT | EXEC_UNTIMED;
	start_put((__u64)task, &s);
	return 0;
}

SEC("tracepoint/sched/sched_process_exec")
int proc_exec(struct process_exec_event *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct exec_start s = {};
	struct exec_start *found;
	__u64 key = (__u64)task;

	found = bpf_map_lookup_elem(&starts, &key);
	if (found) {
		s = *found;
		bpf_map_delete_elem(&starts, &key);
	} else {
		if (*(volatile __u64 *)&closing || !proc_match(task))
			return 0;
		s.flags = EXEC_UNTIMED;
		__sync_fetch_and_add(&in_flight, 1);
	}
	s.time = s.in_place = bpf_ktime_get_ns();
	s.tid = ctx->old_pid;
	return finish(ctx, task, &s, 0, s.time, AT_EXIT);
}

#else

SEC("raw_tp/sched_process_exit")
int proc_exit(void *ctx)
{
	return thread_ended();
}

SEC("raw_tp/sched_process_fork")
int proc_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *child = (struct task_struct *)ctx->args[1];
	__u32 pid = BPF_CORE_READ(child, tgid);

	if ((__u32)BPF_CORE_READ(child, pid) != pid)
		return 0; /* a thread */
	return process_made((struct task_struct *)bpf_get_current_task(), pid, BPF_CORE_READ(child, real_parent, tgid));
}

SEC("raw_tp/sched_process_exec")
int proc_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
	struct exec_start s = {};

	if (*(volatile __u64 *)&closing || !proc_match(task))
		return 0;
	s.flags = EXEC_UNTIMED;
	if (BPF_CORE_READ(bprm, interp) != BPF_CORE_READ(bprm, filename))
		s.flags |= EXEC_SCRIPT;
	__sync_fetch_and_add(&in_flight, 1);
	s.time = s.in_place = bpf_ktime_get_ns();
	s.tid = ctx->args[1];
	return finish(ctx, task, &s, 0, s.time, AT_EXIT);
}

#endif

#endif
